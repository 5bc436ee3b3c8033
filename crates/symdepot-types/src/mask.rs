//! [`mask_url`] and [`mask_urls_in`]: URLs as people, lists and logs may see them, without their secrets.
//!
//! The only masks for URLs in the tree. They never fail: text that cannot be read as a URL loses what may be a secret.

/// How a symbol key begins, which is a part of the path.
const KEY_PREFIX: &str = "sdkey_";

/// What is shown in the place of a secret.
const MASK: &str = "***";

/// Parts of the names of query parameters whose values are secrets.
const SECRET_NAMES: &[&str] = &["pass", "pwd", "user", "secret", "token", "key", "sig", "auth", "credential"];

/// The URL without its whole userinfo, because a token may be in either part of it, and without the values of query
/// parameters such as `password`.
pub fn mask_url(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    if matches!(scheme, "sqlite" | "file") {
        // Paths of this machine, which may have any letter in them.
        return url.to_owned();
    }
    let separator = if scheme.is_empty() { "" } else { "://" };
    let (address, query) = rest.split_once('?').map_or((rest, None), |(address, query)| (address, Some(query)));
    // A secret may hold a question mark, though it should be escaped.
    if query.is_some_and(|query| query.contains('@'))
        && !has_userinfo(scheme, address)
        && let Some((_, host)) = rest.rsplit_once('@')
    {
        return format!("{scheme}{separator}{MASK}@{}", host.split('?').next().unwrap_or_default());
    }
    let mut masked = format!("{scheme}{separator}{}", mask_keys(&mask_userinfo(scheme, address)));
    if let Some(query) = query {
        masked.push('?');
        masked.push_str(&mask_query(query));
    }
    masked
}

/// The text with every URL in it masked.
pub fn mask_urls_in(text: &str) -> String {
    let ends = |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | '`' | '<' | '>' | '(' | ')');
    let mut masked = String::with_capacity(text.len());
    for word in text.split_inclusive(ends) {
        let (word, end) = match word.char_indices().next_back() {
            Some((at, last)) if ends(last) => word.split_at(at),
            _ => (word, ""),
        };
        if word.contains("://") {
            masked.push_str(&mask_url(word));
        } else {
            masked.push_str(word);
        }
        masked.push_str(end);
    }
    masked
}

fn mask_userinfo(scheme: &str, address: &str) -> String {
    let (authority, path) = address.find(['/', '#']).map_or((address, ""), |at| address.split_at(at));
    if let Some((_, host)) = authority.rsplit_once('@') {
        return format!("{MASK}@{host}{path}");
    }
    match address.rsplit_once('@') {
        Some((_, host)) if !is_host(scheme, authority) => format!("{MASK}@{host}"),
        _ => address.to_owned(),
    }
}

fn mask_keys(address: &str) -> String {
    let masked = address.split('/').map(|part| if part.contains(KEY_PREFIX) { MASK } else { part });
    masked.collect::<Vec<_>>().join("/")
}

fn has_userinfo(scheme: &str, address: &str) -> bool {
    mask_userinfo(scheme, address) != address
}

/// Whether this is a host and not the beginning of a userinfo with a slash in it, which should be escaped. Only URLs of
/// the web have an `@` in their paths.
fn is_host(scheme: &str, authority: &str) -> bool {
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port.trim_end_matches(']'));
    let web = matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https");
    web && (authority.ends_with(']') || port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn mask_query(query: &str) -> String {
    let masked = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}={MASK}"),
        _ => pair.to_owned(),
    });
    masked.collect::<Vec<_>>().join("&")
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // A name that is escaped is not worth reading: nothing honest escapes these.
    name.contains('%') || SECRET_NAMES.iter().any(|secret| name.contains(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_userinfo_is_masked() {
        for (url, masked) in [
            ("https://host.example/x/", "https://host.example/x/"),
            ("https://me:se%3Acret@host.example/x/", "https://***@host.example/x/"),
            ("https://token@host.example/", "https://***@host.example/"),
            ("https://:token@host.example:8080", "https://***@host.example:8080"),
            ("https://host.example/@scope/x", "https://host.example/@scope/x"),
            ("https://[::1]:80/@scope", "https://[::1]:80/@scope"),
            ("postgres://me:geheim@db.example/symdepot", "postgres://***@db.example/symdepot"),
            ("rediss://:geheim@cache.example:6380/1", "rediss://***@cache.example:6380/1"),
            ("s3://id:geheim@bucket/prefix", "s3://***@bucket/prefix"),
            ("sqlite://data/symdepot.db", "sqlite://data/symdepot.db"),
            ("file:///srv/me@host/blobs", "file:///srv/me@host/blobs"),
            ("https://host/symbols/acme/app/key/sdkey_secret/", "https://host/symbols/acme/app/key/***/"),
            ("memory", "memory"),
        ] {
            assert_eq!(mask_url(url), masked);
        }
    }

    #[test]
    fn a_secret_that_is_not_escaped_is_masked_too() {
        for url in [
            "postgres://me:ge/heim@db.example/x",
            "postgres://me:ge?heim@db.example/x",
            "postgres://me:ge#heim@db.example/x",
            "postgres://me:12/heim@db.example/x",
            "https://me:ge/heim@db.example/x",
            "me:geheim@db.example/x",
            "postgres://db.example/x?user=heim&sslmode=require",
            "postgres://db.example/x?password=geheim",
            "postgres://db.example/x?PassWord=heim@",
            "postgres://db.example/x?pass%77ord=geheim",
            "s3://bucket/x?secret_access_key=geheim",
        ] {
            let masked = mask_url(url);
            assert!(!masked.contains("heim"), "{url}: {masked}");
        }
        assert_eq!(
            mask_url("postgres://db/x?sslmode=require&password=a"),
            "postgres://db/x?sslmode=require&password=***"
        );
    }

    #[test]
    fn urls_within_a_text_are_masked() {
        assert_eq!(
            mask_urls_in("found string \"postgres://me:geheim@db.example/x\", expected a map (see `http://a@b/`)"),
            "found string \"postgres://***@db.example/x\", expected a map (see `http://***@b/`)"
        );
        assert_eq!(mask_urls_in("nothing to mask: a@b"), "nothing to mask: a@b");
    }
}
