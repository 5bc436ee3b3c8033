//! Inbound filters: which events a project rejects, decided before anything of them is stored.
//!
//! It never changes an event.

mod request;

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::Object;
use crate::grouping::TextGlob;
use crate::summary;

/// Most filters of a project.
const MAX_FILTERS: usize = 1_000;
/// Most characters of a pattern.
const MAX_PATTERN: usize = 1_000;

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

impl Filters {
    /// Reads the setting `inboundFilters`: a list of `{"kind", "pattern"}`; null is an empty list. The error names the entry.
    pub fn parse(setting: &Value) -> Result<Self, String> {
        let list = match setting {
            Value::Null => return Ok(Self::default()),
            Value::Array(list) if list.len() <= MAX_FILTERS => list,
            Value::Array(_) => return Err(format!("inboundFilters has more than {MAX_FILTERS} entries")),
            _ => return Err("inboundFilters is not a list".to_owned()),
        };
        let mut filters = Self::default();
        for (number, entry) in list.iter().enumerate() {
            let named = |reason| format!("inboundFilters, entry {}: {reason}", number + 1);
            filters.add(entry).map_err(named)?;
        }
        Ok(filters)
    }

    fn add(&mut self, entry: &Value) -> Result<(), String> {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        let pattern = || match text("pattern") {
            "" => Err("it has no text `pattern`".to_owned()),
            pattern if pattern.contains('\0') => Err("the `pattern` has a NUL character".to_owned()),
            pattern if pattern.chars().count() > MAX_PATTERN => {
                Err(format!("the `pattern` is longer than {MAX_PATTERN} characters"))
            }
            pattern => Ok(pattern),
        };
        match text("kind") {
            "error-message" => self.messages.push(TextGlob::new(pattern()?)),
            "release" => self.releases.push(TextGlob::new(pattern()?)),
            "ip" => self.networks.push(network(pattern()?)?),
            "legacy-browser" => self.legacy_browser = true,
            "extension" => self.extension = true,
            "localhost" => self.localhost = true,
            "crawler" => self.crawler = true,
            "" => return Err("it has no text `kind`".to_owned()),
            other => return Err(format!("the kind `{}` is unknown", other.escape_debug())),
        }
        Ok(())
    }

    /// The kind of the first filter that matches a normalized event; `None` if no filter matches.
    pub fn reason(&self, event: &Object, client_ip: Option<IpAddr>) -> Option<&'static str> {
        if self.matches_message(event) {
            return Some("error-message");
        }
        let release = event.get("release").and_then(Value::as_str);
        if release.is_some_and(|release| self.releases.iter().any(|glob| glob.matches(release))) {
            return Some("release");
        }
        if !self.networks.is_empty() && client_ip.into_iter().chain(user_ip(event)).any(|ip| self.has_address(ip)) {
            return Some("ip");
        }
        if self.localhost && (user_ip(event).is_some_and(|ip| ip.is_loopback()) || request::is_local(event)) {
            return Some("localhost");
        }
        if self.crawler && request::is_crawler(event) {
            return Some("crawler");
        }
        if self.legacy_browser && request::is_legacy_browser(event) {
            return Some("legacy-browser");
        }
        (self.extension && request::is_extension(event)).then_some("extension")
    }

    /// Whether a glob matches the message, or `Type: value` of an exception.
    fn matches_message(&self, event: &Object) -> bool {
        if self.messages.is_empty() {
            return false;
        }
        let matches = |text: &str| !text.is_empty() && self.messages.iter().any(|glob| glob.matches(text));
        if matches(&summary::message(event)) {
            return true;
        }
        exceptions(event).any(|exception| {
            let text = |key: &str| exception.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
            match (text("type"), text("value")) {
                (Some(kind), Some(value)) => matches(&format!("{kind}: {value}")),
                (one, other) => one.or(other).is_some_and(matches),
            }
        })
    }

    fn has_address(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.networks.iter().any(|network| network.contains(&ip))
    }
}

/// A network in CIDR notation, or one address.
fn network(pattern: &str) -> Result<IpNet, String> {
    let address = || pattern.parse::<IpAddr>().map(|ip| IpNet::from(ip.to_canonical()));
    pattern.parse().or_else(|_| address()).map_err(|_| "the `pattern` is neither an address nor a network".to_owned())
}

fn user_ip(event: &Object) -> Option<IpAddr> {
    event.get("user")?.get("ip_address")?.as_str()?.parse().ok()
}

fn exceptions(event: &Object) -> impl Iterator<Item = &Value> {
    event.get("exception").and_then(|field| field.get("values")).and_then(Value::as_array).into_iter().flatten()
}
