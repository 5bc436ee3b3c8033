//! JSON as browsers, games and crash reporters write it: a text that was cut in the middle of a character is no reason to lose
//! the rest.
//!
//! It never returns a text with NUL, which databases do not store.

use std::borrow::Cow;

use serde_json::Value;

/// Parses a document. Raw and escaped NUL and lone surrogates become U+FFFD; nesting ends at 128 levels.
pub(crate) fn parse(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(&repair(&without_nul(text)))
}

/// The text with U+FFFD in place of NUL.
pub(crate) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// Replaces escapes that stand for no character.
fn repair(text: &str) -> Cow<'_, str> {
    let mut repaired = String::new();
    // Up to here the text was copied; up to `from` it was read.
    let (mut copied, mut from) = (0, 0);
    while let Some(at) = text[from..].find('\\').map(|at| at + from) {
        let Some(unit) = unit(&text[at..]) else {
            // The escaped character may be a backslash, or longer than a byte.
            from = at + 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8);
            continue;
        };
        from = at + 6;
        let is_pair = matches!(unit, 0xd800..=0xdbff) && matches!(self::unit(&text[from..]), Some(0xdc00..=0xdfff));
        if is_pair {
            from += 6;
        } else if unit == 0 || matches!(unit, 0xd800..=0xdfff) {
            repaired.push_str(&text[copied..at]);
            repaired.push_str("\\ufffd");
            copied = from;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    repaired.push_str(&text[copied..]);
    Cow::Owned(repaired)
}

/// The UTF-16 unit of an escape `\uXXXX` at the beginning of the text.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| all_digits)
}
