//! What must not be stored is replaced by `[Filtered]`: values of keys that name secrets, card numbers, passwords in addresses,
//! private keys, and addresses of users if a project wants that.
//!
//! It never changes attachments, and scrubbing a second time changes nothing.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::Object;

/// What stands in place of a secret.
const FILTERED: &str = "[Filtered]";
/// Parts of names of secrets.
const PARTS: &[&str] = &[
    "password",
    "passwd",
    "mysqlpwd",
    "secret",
    "apikey",
    "privatekey",
    "accesskey",
    "authorization",
    "credential",
    "bearer",
    "token",
    "csrf",
    "xsrf",
    "cookie",
    "sessionid",
    "cardnumber",
];
/// Whole names of secrets.
const NAMES: &[&str] = &["auth", "pwd", "pin", "cvv", "cvc", "ssn"];
/// Headers and variables that hold the address of a user.
const ADDRESSES: &[&str] = &["remoteaddr", "xforwardedfor", "xrealip", "forwarded"];

/// What a project wants scrubbed.
#[derive(Clone, Debug)]
pub struct Scrubber {
    defaults: bool,
    ip_addresses: bool,
    sensitive: HashSet<String>,
    safe: HashSet<String>,
}

impl Default for Scrubber {
    fn default() -> Self {
        Self { defaults: true, ip_addresses: false, sensitive: HashSet::new(), safe: HashSet::new() }
    }
}

impl Scrubber {
    /// Reads the settings of a project.
    pub fn parse(settings: &Value) -> Result<Self, String> {
        let Some(settings) = settings.as_object() else {
            return if settings.is_null() { Ok(Self::default()) } else { Err("scrub is not an object".to_owned()) };
        };
        let flag = |key: &str, usual: bool| match settings.get(key) {
            None | Some(Value::Null) => Ok(usual),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(format!("scrub.{key} is not true or false")),
        };
        let names = |key: &str| match settings.get(key) {
            None | Some(Value::Null) => Ok(HashSet::new()),
            Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
                Ok(list.iter().filter_map(Value::as_str).map(folded).filter(|name| !name.is_empty()).collect())
            }
            Some(_) => Err(format!("scrub.{key} is not a list of texts")),
        };
        Ok(Self {
            defaults: flag("defaults", true)?,
            ip_addresses: flag("ipAddresses", false)?,
            sensitive: names("sensitiveFields")?,
            safe: names("safeFields")?,
        })
    }

    /// Scrubs an event.
    pub fn scrub(&self, event: &mut Object) {
        if self.ip_addresses {
            self.remove_addresses(event);
        }
        for (key, value) in event.iter_mut() {
            match key.as_str() {
                "extra" | "contexts" | "request" | "tags" => self.value(value),
                "user" => value.get_mut("data").into_iter().for_each(|data| self.value(data)),
                "message" => self.text(value),
                "logentry" => {
                    for key in ["message", "formatted", "params"] {
                        value.get_mut(key).into_iter().for_each(|text| self.value(text));
                    }
                }
                "breadcrumbs" => each(value, |crumb| {
                    crumb.get_mut("message").into_iter().for_each(|text| self.text(text));
                    crumb.get_mut("data").into_iter().for_each(|data| self.value(data));
                }),
                "exception" | "threads" => each(value, |holder| {
                    holder.get_mut("value").into_iter().for_each(|text| self.text(text));
                    holder.get_mut("stacktrace").into_iter().for_each(|stack| self.vars(stack));
                }),
                "stacktrace" => self.vars(value),
                _ => {}
            }
        }
    }

    fn vars(&self, stack: &mut Value) {
        let frames = stack.get_mut("frames").and_then(Value::as_array_mut);
        for frame in frames.into_iter().flatten() {
            frame.get_mut("vars").into_iter().for_each(|vars| self.value(vars));
        }
    }

    /// Scrubs a value and everything in it.
    fn value(&self, value: &mut Value) {
        match value {
            Value::String(_) => self.text(value),
            Value::Object(object) => {
                for (key, value) in object.iter_mut() {
                    self.named(key, value);
                }
            }
            Value::Array(list) => {
                for entry in list {
                    match entry {
                        Value::Array(pair) if matches!(pair.as_slice(), [Value::String(_), _]) => {
                            let key = pair[0].as_str().unwrap_or_default().to_owned();
                            self.named(&key, &mut pair[1]);
                        }
                        entry => self.value(entry),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn named(&self, key: &str, value: &mut Value) {
        let name = folded(key);
        if self.safe.contains(&name) {
            return;
        }
        if self.is_secret(&name) && matches!(value, Value::String(_) | Value::Array(_) | Value::Object(_)) {
            *value = Value::String(FILTERED.to_owned());
            return;
        }
        match value {
            // A query is a list of pairs in one text.
            Value::String(text) if matches!(name.as_str(), "querystring" | "cookies") => *text = self.pairs(text),
            _ => self.value(value),
        }
        if let Value::String(_) = value {
            self.text(value);
        }
    }

    fn is_secret(&self, name: &str) -> bool {
        self.sensitive.contains(name)
            || self.defaults && (NAMES.contains(&name) || PARTS.iter().any(|part| name.contains(part)))
    }

    /// `a=b&c=d` with the values of secrets replaced.
    fn pairs(&self, query: &str) -> String {
        let pair = |pair: &str| match pair.split_once('=') {
            Some((key, value))
                if !value.is_empty() && self.is_secret(&folded(key)) && !self.safe.contains(&folded(key)) =>
            {
                format!("{key}={FILTERED}")
            }
            _ => pair.to_owned(),
        };
        query.split('&').map(pair).collect::<Vec<_>>().join("&")
    }

    fn text(&self, value: &mut Value) {
        if let Value::String(text) = value
            && self.defaults
            && let Some(scrubbed) = scrubbed(text)
        {
            *text = scrubbed;
        }
    }

    fn remove_addresses(&self, event: &mut Object) {
        if let Some(user) = event.get_mut("user").and_then(Value::as_object_mut) {
            user.shift_remove("ip_address");
        }
        let Some(request) = event.get_mut("request") else { return };
        for part in ["env", "headers"] {
            match request.get_mut(part) {
                Some(Value::Object(object)) => object.retain(|key, _| !ADDRESSES.contains(&folded(key).as_str())),
                Some(Value::Array(list)) => list.retain(|pair| {
                    let key = pair.get(0).and_then(Value::as_str).map(folded).unwrap_or_default();
                    !ADDRESSES.contains(&key.as_str())
                }),
                _ => {}
            }
        }
    }
}

/// A name in lower case, letters and digits alone.
fn folded(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn each(part: &mut Value, change: impl Fn(&mut Value)) {
    let values = part.get_mut("values").and_then(Value::as_array_mut);
    values.into_iter().flatten().for_each(change);
}

/// The text without card numbers, passwords in addresses and private keys, if it has any.
fn scrubbed(text: &str) -> Option<String> {
    static CARD: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"[3-6](?:[ -]?[0-9]){12,18}").expect("the pattern is constant"));
    static USERINFO: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#@:]*:[^\s/?#@]*@").expect("the pattern is constant")
    });
    static PEM: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)";
        Regex::new(pattern).expect("the pattern is constant")
    });
    let mut changed: Option<String> = None;
    let digits = text.bytes().filter(u8::is_ascii_digit).take(13).count();
    if digits == 13 {
        changed = without_cards(text, &CARD);
    }
    let now = changed.as_deref().unwrap_or(text);
    if now.contains("://") && now.contains('@') {
        let replaced = USERINFO.replace_all(now, "${1}[Filtered]@");
        if replaced != now {
            changed = Some(replaced.into_owned());
        }
    }
    let now = changed.as_deref().unwrap_or(text);
    if now.contains("PRIVATE KEY-----") {
        changed = Some(PEM.replace_all(now, FILTERED).into_owned());
    }
    changed
}

/// The text without runs of digits that are card numbers.
fn without_cards(text: &str, card: &Regex) -> Option<String> {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let (mut written, mut copied, mut at) = (String::new(), 0, 0);
    while let Some(found) = card.find_at(text, at) {
        at = found.end();
        let is_apart = (found.start() == 0 || !is_digit(found.start() - 1)) && !is_digit(found.end());
        if is_apart && luhn(found.as_str()) {
            written.push_str(&text[copied..found.start()]);
            written.push_str(FILTERED);
            copied = found.end();
        }
    }
    (copied > 0).then(|| written + &text[copied..])
}

/// Whether the digits of a number have the checksum of card numbers.
fn luhn(number: &str) -> bool {
    let digits = number.bytes().rev().filter(u8::is_ascii_digit).map(|digit| u32::from(digit - b'0'));
    let sum: u32 = digits
        .enumerate()
        .map(|(at, digit)| match at % 2 {
            0 => digit,
            _ if digit > 4 => 2 * digit - 9,
            _ => 2 * digit,
        })
        .sum();
    sum % 10 == 0
}
