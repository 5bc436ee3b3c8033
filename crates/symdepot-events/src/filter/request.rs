//! Whether the request and the files of an event show a special origin: crawlers, old browsers, extensions, development machines.
//!
//! It never looks at addresses of clients.

use std::net::IpAddr;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::exceptions;
use crate::Object;
use crate::grouping::host_of;

/// Programs that fetch pages without a user.
static CRAWLERS: LazyLock<Regex> = LazyLock::new(|| {
    let words = r"(?i)bot\b|bot[/;_-]|crawl|spider|slurp|externalhit|ia_archiver|mediapartners|pingdom|headlesschrome|lighthouse";
    Regex::new(words).expect("the pattern is constant")
});
/// Internet Explorer, Opera before 15 and Mini, Android's browser before 4, Safari before 6.
static LEGACY_BROWSERS: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"MSIE [0-9]|Trident/|Opera Mini|Opera/[0-9]|Android [1-3]\..*Safari|Version/[1-5]\.[0-9.]+ .*Safari";
    Regex::new(pattern).expect("the pattern is constant")
});
/// Schemes of files of browser extensions.
const EXTENSIONS: &[&str] = &[
    "chrome-extension",
    "moz-extension",
    "safari-extension",
    "safari-web-extension",
    "ms-browser-extension",
    "webkit-masked-url",
];

/// Whether the user agent is a crawler.
pub fn is_crawler(event: &Object) -> bool {
    header(event, "user-agent").is_some_and(|agent| CRAWLERS.is_match(agent))
}

/// Whether the user agent is a browser without updates for many years.
pub fn is_legacy_browser(event: &Object) -> bool {
    header(event, "user-agent").is_some_and(|agent| LEGACY_BROWSERS.is_match(agent))
}

/// Whether the page is on the developer's own machine.
pub fn is_local(event: &Object) -> bool {
    let url = |field: &str, key: &str| event.get(field)?.get(key)?.as_str();
    let host = url("request", "url").or_else(|| url("csp", "document_uri")).and_then(host_of);
    host.is_some_and(|host| {
        host == "localhost" || host.ends_with(".localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    })
}

/// Whether a frame, or what a browser blocked, is of a browser extension.
pub fn is_extension(event: &Object) -> bool {
    let is_one = |value: Option<&Value>| {
        let scheme = value.and_then(Value::as_str).and_then(|url| url.split(':').next());
        scheme.is_some_and(|scheme| EXTENSIONS.contains(&scheme))
    };
    let has = |object: &Value, keys: [&str; 2]| keys.iter().any(|key| is_one(object.get(key)));
    fn frames(exception: &Value) -> Option<&Vec<Value>> {
        exception.get("stacktrace")?.get("frames")?.as_array()
    }
    event.get("csp").is_some_and(|csp| has(csp, ["blocked_uri", "source_file"]))
        || exceptions(event).filter_map(frames).flatten().any(|frame| has(frame, ["abs_path", "filename"]))
}

/// The value of a header of the request; its name is in lower case.
fn header<'a>(event: &'a Object, name: &str) -> Option<&'a str> {
    let is_named = |key: &str| key.eq_ignore_ascii_case(name);
    match event.get("request")?.get("headers")? {
        Value::Object(headers) => headers.iter().find(|(key, _)| is_named(key))?.1.as_str(),
        Value::Array(headers) => {
            headers.iter().find(|pair| pair.get(0).and_then(Value::as_str).is_some_and(is_named))?.get(1)?.as_str()
        }
        _ => None,
    }
}
