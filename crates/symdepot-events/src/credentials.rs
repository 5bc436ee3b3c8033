//! The key that a client presents: in a header of Sentry's, in `Authorization`, in the query, in the path, or in a DSN.
//!
//! It never decides whether a key is live.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::envelope::Fault;

/// Base64 whose padding may be absent.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Newest version of the protocol.
const MAX_VERSION: f64 = 7.0;

/// The parts of a request that may have a key.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presented<'a> {
    /// The header `X-Sentry-Auth`.
    pub sentry_auth: Option<&'a str>,
    /// The header `Authorization`.
    pub authorization: Option<&'a str>,
    /// The query, percent-encoded.
    pub query: Option<&'a str>,
    /// The key in the path.
    pub path_key: Option<&'a str>,
}

/// The parts of a DSN that a server compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dsn {
    /// The key, in lower case if it is valid.
    pub key: String,
    /// The id of the project as it is in the DSN.
    pub project: String,
}

/// The key that a request presents; `None` if it presents none.
///
/// A valid key is in lower case, a malformed one as it was sent. Fails with `Grammar` for a `sentry_version` that is not
/// supported, with `Unauthorized` for different keys.
pub fn key_of(presented: &Presented<'_>) -> Result<Option<String>, Fault> {
    let mut found = Found::default();
    for header in [presented.sentry_auth, presented.authorization].into_iter().flatten() {
        found.header(header);
    }
    if let Some(query) = presented.query {
        for pair in query.trim_start_matches('?').split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            found.parameter(&percent_decoded(name), &percent_decoded(value));
        }
    }
    found.keys.extend(presented.path_key.map(canonical));
    let mut keys = found.keys.into_iter();
    let Some(first) = keys.next() else { return Ok(None) };
    if let Some(version) = found.unsupported_version {
        let shown: String = version.chars().take(20).flat_map(char::escape_debug).collect();
        return Err(Fault::Grammar(format!("The `sentry_version` `{shown}` is not supported.")));
    }
    if keys.any(|key| key != first) {
        return Err(Fault::Unauthorized("The request has different keys.".to_owned()));
    }
    Ok(Some(first))
}

/// Reads a DSN, `SCHEME://KEY[:SECRET]@HOST[:PORT][/PREFIX]/PROJECT`. `None` if a part is missing.
pub fn parse_dsn(text: &str) -> Option<Dsn> {
    let (_, rest) = text.trim().split_once("://")?;
    let (user, address) = rest.split_once('@')?;
    let key = canonical(user.split(':').next()?);
    let path = address.split(['?', '#']).next()?.trim_end_matches('/');
    let (host, project) = path.rsplit_once('/')?;
    let is_complete = !key.is_empty() && !host.is_empty() && !project.is_empty();
    is_complete.then(|| Dsn { key, project: project.to_owned() })
}

/// What the parts of a request have.
#[derive(Default)]
struct Found {
    keys: Vec<String>,
    unsupported_version: Option<String>,
}

impl Found {
    fn header(&mut self, header: &str) {
        if let Some(parameters) = after_scheme(header, "sentry") {
            for (name, value) in parameters.split(',').filter_map(|pair| pair.split_once('=')) {
                self.parameter(name.trim(), value.trim().trim_matches('"'));
            }
        } else if let Some(credentials) = after_scheme(header, "basic") {
            let decoded = BASE64.decode(credentials).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            // What cannot be decoded is a malformed key.
            let user = decoded.as_deref().map_or(credentials, |pair| pair.split(':').next().unwrap_or_default());
            self.keys.push(canonical(user));
        }
    }

    fn parameter(&mut self, name: &str, value: &str) {
        if name.eq_ignore_ascii_case("sentry_key") {
            self.keys.push(canonical(value));
        } else if name.eq_ignore_ascii_case("sentry_version") {
            let number = value.trim().parse::<f64>().ok();
            if !number.is_some_and(|version| version.is_finite() && version <= MAX_VERSION) {
                self.unsupported_version = Some(value.to_owned());
            }
        }
    }
}

/// A valid key in lower case, another one unchanged.
fn canonical(key: &str) -> String {
    let is_valid = key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_valid { key.to_ascii_lowercase() } else { key.to_owned() }
}

/// What follows the scheme of a header, if it is this one; names of schemes are in lower case.
fn after_scheme<'a>(header: &'a str, scheme: &str) -> Option<&'a str> {
    let (first, rest) = header.trim().split_once(char::is_whitespace)?;
    first.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

/// A name or value of a query without its encoding. What is not UTF-8 becomes U+FFFD.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digit = |at: usize| char::from(*tail.get(at)?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let escaped = if *first == b'%' { digit(0).zip(digit(1)) } else { None };
        match escaped {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = &tail[2..];
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
