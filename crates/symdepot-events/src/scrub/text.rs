//! Secrets within texts: card numbers, user and password of a URL, private keys, and values of pairs such as `token=…`.
//!
//! Texts without any of these are only read. What replaces a secret never completes another one.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::{FILTERED, cards};
use crate::credentials::percent_decoded;

/// User and password of a URL. The password may have `@` itself.
static USER_INFO: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#@:]*:[^\s/?#]*@").expect("the pattern is constant")
});
/// A private key in PEM; one that was cut off ends with the text.
static PRIVATE_KEY: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)";
    Regex::new(pattern).expect("the pattern is constant")
});
/// Shortest text that begins a private key.
const MIN_PRIVATE_KEY: usize = "-----BEGIN PRIVATE KEY-----".len();

/// Replaces values of pairs in a text; the function decides which keys are secret.
pub type ScrubPairs = fn(&mut String, &mut dyn FnMut(&str) -> bool);

/// Replaces secrets in a text.
pub fn scrub(text: &mut String) {
    // Keys first: what is left after them is what a second pass would see.
    if text.len() >= MIN_PRIVATE_KEY && text.contains("PRIVATE KEY-----") {
        replace(text, &PRIVATE_KEY, FILTERED);
    }
    if let Some(scrubbed) = cards::scrubbed(text) {
        *text = scrubbed;
    }
    if text.as_bytes().contains(&b'@') && text.contains("://") {
        replace(text, &USER_INFO, "${1}[Filtered]@");
    }
}

/// Replaces the values of pairs whose key is secret in `a=b&c=d`.
pub fn scrub_pairs(text: &mut String, is_secret: &mut dyn FnMut(&str) -> bool) {
    if !text.contains('=') {
        return;
    }
    let mut scrubbed = String::with_capacity(text.len());
    for (number, pair) in text.split('&').enumerate() {
        if number > 0 {
            scrubbed.push('&');
        }
        match pair.split_once('=') {
            Some((key, value)) if !value.is_empty() && is_secret(&percent_decoded(key)) => {
                scrubbed.extend([key, "=", FILTERED]);
            }
            _ => scrubbed.push_str(pair),
        }
    }
    *text = scrubbed;
}

/// Replaces the values of secret pairs in the query of a URL.
pub fn scrub_url(url: &mut String, is_secret: &mut dyn FnMut(&str) -> bool) {
    let Some((address, rest)) = url.split_once('?') else { return };
    let (query, fragment) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
    let mut query = query.to_owned();
    scrub_pairs(&mut query, is_secret);
    *url = format!("{address}?{query}{fragment}");
}

/// Replaces the values of secret pairs in a text that looks like an encoded form.
pub fn scrub_form(text: &mut String, is_secret: &mut dyn FnMut(&str) -> bool) {
    if !text.contains([' ', '\n', '{', '"', '<']) {
        scrub_pairs(text, is_secret);
    }
}

fn replace(text: &mut String, pattern: &Regex, replacement: &str) {
    if let Cow::Owned(replaced) = pattern.replace_all(text, replacement) {
        *text = replaced;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_texts_are_replaced_once() {
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----";
        for (text, expected) in [
            ("", ""),
            ("nothing to see", "nothing to see"),
            ("postgres://bob:hunter2@db:5432/x", "postgres://[Filtered]@db:5432/x"),
            ("redis://:p@ss@h a://b:c@d", "redis://[Filtered]@h a://[Filtered]@d"),
            ("http://host:80/a@b", "http://host:80/a@b"),
            ("http://bob@host/", "http://bob@host/"),
            ("bob@example.com http://x", "bob@example.com http://x"),
            (&format!("a {key} b {key}"), "a [Filtered] b [Filtered]"),
            ("-----BEGIN PRIVATE KEY-----\ncut off", "[Filtered]"),
            ("-----BEGIN PUBLIC KEY-----\nx", "-----BEGIN PUBLIC KEY-----\nx"),
            ("http://u:4111 1111 1111 1111@h", "http://[Filtered]@h"),
        ] {
            let mut scrubbed = text.to_owned();
            scrub(&mut scrubbed);
            assert_eq!(scrubbed, expected, "{text}");
            scrub(&mut scrubbed);
            assert_eq!(scrubbed, expected, "{text} twice");
        }
    }

    #[test]
    fn values_of_secret_pairs_are_replaced() {
        let is_secret = &mut |key: &str| key == "token";
        for (text, expected) in [
            ("a=b&token=x&c", "a=b&token=[Filtered]&c"),
            ("%74oken=x", "%74oken=[Filtered]"),
            ("token=&token", "token=&token"),
            ("token=a=b", "token=[Filtered]"),
        ] {
            let mut scrubbed = text.to_owned();
            scrub_pairs(&mut scrubbed, is_secret);
            assert_eq!(scrubbed, expected, "{text}");
        }
        let mut url = "http://h/p?token=x&a=1#f".to_owned();
        scrub_url(&mut url, is_secret);
        assert_eq!(url, "http://h/p?token=[Filtered]&a=1#f");
    }
}
