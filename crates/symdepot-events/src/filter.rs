//! Inbound filters: events that a project does not want, recognized before anything of them is stored.

use std::net::IpAddr;
use std::sync::LazyLock;

use ipnet::IpNet;
use regex::Regex;
use serde_json::Value;

use crate::Object;
use crate::grouping::TextGlob;
use crate::summary;

/// The filters of a project.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    messages: Vec<TextGlob>,
    releases: Vec<TextGlob>,
    networks: Vec<IpNet>,
    legacy_browser: bool,
    extension: bool,
    localhost: bool,
    crawler: bool,
}

/// Most filters of a project.
const MOST: usize = 1_000;

impl Filters {
    /// Reads the filters of a project: a list of `{"kind", "pattern"}`.
    pub fn parse(filters: &Value) -> Result<Self, String> {
        let mut parsed = Self::default();
        let list = match filters {
            Value::Null => return Ok(parsed),
            Value::Array(list) if list.len() <= MOST => list,
            Value::Array(_) => return Err(format!("inboundFilters has more than {MOST} entries")),
            _ => return Err("inboundFilters is not a list".to_owned()),
        };
        for (number, filter) in list.iter().enumerate() {
            let wrong = |reason: &str| format!("inboundFilters, entry {}: {reason}", number + 1);
            let pattern = || {
                let pattern = filter["pattern"].as_str().filter(|pattern| !pattern.is_empty());
                pattern.ok_or_else(|| wrong("it has no `pattern`"))
            };
            match filter["kind"].as_str().unwrap_or_default() {
                "error-message" => parsed.messages.push(TextGlob::new(pattern()?)),
                "release" => parsed.releases.push(TextGlob::new(pattern()?)),
                "ip" => {
                    let text = pattern()?;
                    let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
                    parsed.networks.push(network.map_err(|_| wrong("the `pattern` is no address and no network"))?);
                }
                "legacy-browser" => parsed.legacy_browser = true,
                "extension" => parsed.extension = true,
                "localhost" => parsed.localhost = true,
                "crawler" => parsed.crawler = true,
                other => return Err(wrong(&format!("the kind `{other}` is not known"))),
            }
        }
        Ok(parsed)
    }

    /// The kind of the first filter that takes an event out.
    pub fn reason(&self, event: &Object, client_ip: Option<IpAddr>) -> Option<&'static str> {
        let user_agent = header(event, "user-agent");
        let agent = |pattern: &Regex| user_agent.is_some_and(|agent| pattern.is_match(agent));
        if !self.messages.is_empty() {
            let texts = error_texts(event);
            if texts.iter().any(|text| self.messages.iter().any(|glob| glob.matches(text))) {
                return Some("error-message");
            }
        }
        let release = event.get("release").and_then(Value::as_str).unwrap_or_default();
        if self.releases.iter().any(|glob| glob.matches(release)) {
            return Some("release");
        }
        let user_ip = event.get("user").and_then(|user| user["ip_address"].as_str()).and_then(|ip| ip.parse().ok());
        let is_listed = |ip: &IpAddr| self.networks.iter().any(|network| network.contains(ip));
        if client_ip.iter().chain(&user_ip).any(is_listed) {
            return Some("ip");
        }
        if self.localhost && is_local(event, user_ip) {
            return Some("localhost");
        }
        if self.crawler && agent(&CRAWLERS) {
            return Some("crawler");
        }
        if self.legacy_browser && agent(&LEGACY) {
            return Some("legacy-browser");
        }
        (self.extension && is_of_extension(event)).then_some("extension")
    }
}

static CRAWLERS: LazyLock<Regex> = LazyLock::new(|| {
    let words = "googlebot|bingbot|slurp|duckduckbot|baiduspider|yandexbot|sogou|exabot|facebookexternalhit|facebot|\
        ia_archiver|applebot|semrushbot|ahrefsbot|mj12bot|petalbot|gptbot|claudebot|bytespider|twitterbot|linkedinbot|\
        slackbot|calypso appcrawler|mediapartners-google|adsbot|pingdom|uptimerobot|lighthouse|headlesschrome|\
        crawler|spider|\\bbot\\b";
    Regex::new(&format!("(?i){words}")).expect("the pattern is constant")
});

/// Internet Explorer, Opera up to 14 and Mini, Android's browser before 4, Safari before 6.
static LEGACY: LazyLock<Regex> = LazyLock::new(|| {
    let pattern =
        r"MSIE |Trident/|Opera Mini|Opera/[0-9]\.|Opera/1[0-4]\.|Android [1-3]\.|Version/[1-5]\.[0-9.]+ .*Safari";
    Regex::new(pattern).expect("the pattern is constant")
});

/// The message, and `Type: value` of each exception.
fn error_texts(event: &Object) -> Vec<String> {
    let mut texts = vec![summary::message(event)];
    let exceptions = event.get("exception").and_then(|part| part["values"].as_array());
    for exception in exceptions.into_iter().flatten() {
        let (kind, value) = (exception["type"].as_str(), exception["value"].as_str());
        texts.push(match (kind, value) {
            (Some(kind), Some(value)) => format!("{kind}: {value}"),
            (Some(one), None) | (None, Some(one)) => one.to_owned(),
            (None, None) => continue,
        });
    }
    texts.retain(|text| !text.is_empty());
    texts
}

/// A header of the request.
fn header<'a>(event: &'a Object, name: &str) -> Option<&'a str> {
    match event.get("request")?.get("headers")? {
        Value::Object(headers) => {
            headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.as_str())
        }
        Value::Array(headers) => headers.iter().find_map(|pair| {
            let is_named = pair.get(0)?.as_str()?.eq_ignore_ascii_case(name);
            is_named.then(|| pair.get(1)?.as_str())?
        }),
        _ => None,
    }
}

fn is_local(event: &Object, user_ip: Option<IpAddr>) -> bool {
    let url = event.get("request").and_then(|request| request["url"].as_str()).unwrap_or_default();
    let host = url.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let host = host.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    user_ip.is_some_and(|ip| ip.is_loopback())
        || host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn is_of_extension(event: &Object) -> bool {
    const SCHEMES: &[&str] = &[
        "chrome-extension://",
        "moz-extension://",
        "safari-extension://",
        "safari-web-extension://",
        "ms-browser-extension://",
        "webkit-masked-url://",
    ];
    let is_one = |text: &str| SCHEMES.iter().any(|scheme| text.starts_with(scheme));
    let exceptions = event.get("exception").and_then(|part| part["values"].as_array());
    exceptions.into_iter().flatten().any(|exception| {
        let frames = exception["stacktrace"]["frames"].as_array();
        frames
            .into_iter()
            .flatten()
            .any(|frame| ["abs_path", "filename"].iter().any(|key| frame[*key].as_str().is_some_and(is_one)))
    })
}
