//! Who sends, as clients say it: in a header of Sentry's, in `Authorization`, in the query, in the path, in the address of a
//! tunnel. It never decides whether a key is valid.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::envelope::Fault;

/// Where a key may stand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presented<'a> {
    /// `X-Sentry-Auth`.
    pub sentry_auth: Option<&'a str>,
    /// `Authorization`.
    pub authorization: Option<&'a str>,
    /// The query, still encoded.
    pub query: Option<&'a str>,
    /// The path.
    pub path_key: Option<&'a str>,
}

/// The address that a client was configured with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dsn {
    /// The key.
    pub key: String,
    /// The project.
    pub project: String,
}

/// The key in what was presented; `None` if nothing was.
pub fn key_of(presented: &Presented<'_>) -> Result<Option<String>, Fault> {
    let mut keys = Vec::new();
    let mut versions = Vec::new();
    for header in [presented.sentry_auth, presented.authorization].into_iter().flatten() {
        if let Some(parameters) = after_scheme(header, "sentry") {
            let pairs = parameters.split(',').filter_map(|pair| pair.split_once('='));
            for (name, value) in pairs.map(|(name, value)| (name.trim(), value.trim().trim_matches('"'))) {
                take(name, value, &mut keys, &mut versions);
            }
        } else if let Some(basic) = after_scheme(header, "basic") {
            let user = STANDARD.decode(basic.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            keys.extend(user.map(|user| user.split(':').next().unwrap_or_default().to_owned()));
        }
    }
    for pair in presented.query.unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        take(&decoded(name), &decoded(value), &mut keys, &mut versions);
    }
    keys.extend(presented.path_key.map(str::to_owned));
    for version in versions {
        let allowed = version.parse::<f64>().is_ok_and(|number| number <= 7.0);
        if !allowed {
            return Err(Fault::Grammar(format!("The protocol version `{}` is not supported.", shown(&version))));
        }
    }
    let keys: Vec<String> = keys.into_iter().map(|key| key.to_ascii_lowercase()).collect();
    match keys.split_first() {
        Some((first, rest)) if rest.iter().any(|key| key != first) => {
            Err(Fault::Unauthorized("The request names two different keys.".to_owned()))
        }
        first => Ok(first.map(|(first, _)| first.clone())),
    }
}

/// Key and project of a DSN.
pub fn parse_dsn(text: &str) -> Option<Dsn> {
    let (_, rest) = text.trim().split_once("://")?;
    let (user, address) = rest.split_once('@')?;
    let key = user.split(':').next()?.to_ascii_lowercase();
    let path = address.split(['?', '#']).next()?.trim_end_matches('/');
    let (_, project) = path.rsplit_once('/')?;
    Some(Dsn { key, project: project.to_owned() })
}

fn take(name: &str, value: &str, keys: &mut Vec<String>, versions: &mut Vec<String>) {
    if name.eq_ignore_ascii_case("sentry_key") {
        keys.push(value.to_owned());
    } else if name.eq_ignore_ascii_case("sentry_version") {
        versions.push(value.to_owned());
    }
}

/// What follows the scheme of a header, if it is this one.
fn after_scheme<'a>(header: &'a str, scheme: &str) -> Option<&'a str> {
    let header = header.trim();
    let (first, rest) = header.split_at_checked(scheme.len())?;
    (first.eq_ignore_ascii_case(scheme) && rest.starts_with(char::is_whitespace)).then_some(rest)
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(20).collect()
}

/// A part of a query without its percent encoding.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escape = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = escape.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "344548b459da9b7ec6b3c908af83e492";

    #[test]
    fn every_form_of_a_key_is_read() {
        let basic = format!("Basic {}", STANDARD.encode(format!("{KEY}:")));
        let sentry = format!("Sentry sentry_key={KEY}, sentry_version=7, sentry_client=x/1, sentry_secret=s");
        let loose = format!("sentry  Sentry_Key = {KEY} ,sentry_version = 6");
        let query = format!("a=b&sentry_version=7&sentry_key={KEY}&sentry_client=sentry.javascript.node%2F11.12.0");
        for presented in [
            Presented { sentry_auth: Some(&sentry), ..Presented::default() },
            Presented { sentry_auth: Some(&loose), ..Presented::default() },
            Presented { authorization: Some(&sentry), ..Presented::default() },
            Presented { authorization: Some(&basic), ..Presented::default() },
            Presented { query: Some(&query), ..Presented::default() },
            Presented { path_key: Some(KEY), ..Presented::default() },
            Presented { query: Some(&query), sentry_auth: Some(&sentry), ..Presented::default() },
        ] {
            assert_eq!(key_of(&presented), Ok(Some(KEY.to_owned())), "{presented:?}");
        }
        assert_eq!(key_of(&Presented::default()), Ok(None));
        let other = Presented { query: Some(&query), path_key: Some("other"), ..Presented::default() };
        assert!(matches!(key_of(&other), Err(Fault::Unauthorized(_))));
        for version in ["8", "x", ""] {
            let query = format!("sentry_key={KEY}&sentry_version={version}");
            let presented = Presented { query: Some(&query), ..Presented::default() };
            assert!(matches!(key_of(&presented), Err(Fault::Grammar(_))), "{version}");
        }
    }

    #[test]
    fn a_dsn_has_a_key_and_a_project() {
        let dsn = parse_dsn("http://ABC:secret@host:8000/prefix/7").unwrap();
        assert_eq!((dsn.key.as_str(), dsn.project.as_str()), ("abc", "7"));
        for wrong in ["", "http://host/7", "http://key@host", "x"] {
            assert_eq!(parse_dsn(wrong), None, "{wrong}");
        }
    }
}
