//! An event as it is stored: fields of the right types, in one form, within limits. What does not fit is dropped and recorded in
//! `errors`; unknown fields stay.
//!
//! It never refuses an event. Normalizing a second time changes nothing.

mod frames;
mod limits;
mod time;
mod types;

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::Object;
use crate::envelope::EventId;
use limits::{cut, one_line, within};
pub use time::happened_at;

/// What is known of an event beside its content.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// Its id.
    pub event_id: EventId,
    /// When it was received.
    pub received_at: DateTime<Utc>,
    /// When the client says that it sent it.
    pub sent_at: Option<DateTime<Utc>>,
    /// The address from which it came.
    pub client_ip: Option<IpAddr>,
}

/// Longest message and value of an exception, in characters.
const LONGEST_MESSAGE: usize = 8_192;
/// Exceptions of a chain; the first and the last half stay.
const MOST_EXCEPTIONS: usize = 50;
/// The last breadcrumbs.
const MOST_BREADCRUMBS: usize = 100;
/// Threads of an event.
const MOST_THREADS: usize = 1_000;
/// Texts of one line, and how many characters each has at most.
const LINES: &[(&str, usize)] = &[
    ("release", 250),
    ("environment", 64),
    ("dist", 64),
    ("transaction", 200),
    ("logger", 64),
    ("server_name", 200),
    ("platform", 64),
];

/// Normalizes an event.
pub fn event(mut event: Object, receipt: &Receipt) -> Object {
    types::check(&mut event);
    event.insert("event_id".to_owned(), receipt.event_id.to_string().into());
    time::normalize(&mut event, receipt);
    level_and_platform(&mut event);
    for (key, most) in LINES {
        if let Some(Value::String(text)) = event.get_mut(*key) {
            *text = one_line(text, *most);
        }
        if event.get(*key) == Some(&Value::String(String::new())) {
            event.shift_remove(*key);
        }
    }
    message(&mut event);
    exceptions(&mut event);
    threads(&mut event);
    breadcrumbs(&mut event);
    if let Some(stack) = event.get_mut("stacktrace") {
        frames::normalize(stack);
    }
    tags(&mut event);
    user(&mut event, receipt.client_ip);
    for key in ["extra", "contexts"] {
        event.get_mut(key).into_iter().for_each(within);
    }
    if let Some(data) = event.get_mut("request").and_then(|request| request.get_mut("data")) {
        within(data);
    }
    event
}

fn level_and_platform(event: &mut Object) {
    let level = match event.get("level").and_then(Value::as_str).map(str::to_lowercase).as_deref() {
        Some("debug") => "debug",
        Some("info" | "log") => "info",
        Some("warning" | "warn") => "warning",
        Some("fatal" | "critical") => "fatal",
        _ => "error",
    };
    event.insert("level".to_owned(), level.into());
    let platform = event.get("platform").and_then(Value::as_str).map(str::trim);
    let platform = platform.filter(|text| !text.is_empty() && text.chars().count() <= 64).unwrap_or("other").to_owned();
    event.insert("platform".to_owned(), platform.into());
}

fn message(event: &mut Object) {
    if let Some(Value::String(text)) = event.get_mut("message") {
        cut(text, LONGEST_MESSAGE);
    }
    if let Some(entry) = event.get_mut("logentry").and_then(Value::as_object_mut) {
        for key in ["message", "formatted"] {
            if let Some(Value::String(text)) = entry.get_mut(key) {
                cut(text, LONGEST_MESSAGE);
            }
        }
        entry.get_mut("params").into_iter().for_each(within);
    }
}

/// The list behind a field in its one form: objects, without nulls.
fn listed(event: &mut Object, key: &str) -> Option<Vec<Value>> {
    let list = match event.get_mut(key)?.take() {
        Value::Array(list) => list,
        Value::Object(mut object) => match object.shift_remove("values") {
            Some(Value::Array(list)) => list,
            Some(Value::Null) => Vec::new(),
            Some(_) | None if object.is_empty() => Vec::new(),
            Some(_) => Vec::new(),
            None => vec![Value::Object(object)],
        },
        _ => Vec::new(),
    };
    Some(list.into_iter().filter(Value::is_object).collect())
}

fn put_list(event: &mut Object, key: &str, list: Vec<Value>) {
    match list.is_empty() {
        true => _ = event.shift_remove(key),
        false => _ = event.insert(key.to_owned(), json!({ "values": list })),
    }
}

fn exceptions(event: &mut Object) {
    let Some(mut list) = listed(event, "exception") else { return };
    let omitted = list.len().saturating_sub(MOST_EXCEPTIONS);
    if omitted > 0 {
        list.drain(MOST_EXCEPTIONS / 2..MOST_EXCEPTIONS / 2 + omitted);
    }
    if let [Value::Object(only)] = list.as_mut_slice()
        && only.get("stacktrace").is_none_or(Value::is_null)
        && let Some(stack) = event.shift_remove("stacktrace")
    {
        only.insert("stacktrace".to_owned(), stack);
    }
    for exception in list.iter_mut().filter_map(Value::as_object_mut) {
        for key in ["type", "value", "module"] {
            match exception.get_mut(key) {
                Some(Value::String(text)) => cut(text, LONGEST_MESSAGE),
                Some(Value::Null) | None => _ = exception.shift_remove(key),
                // Some clients send numbers and objects.
                Some(other) => {
                    let mut text = other.to_string();
                    cut(&mut text, LONGEST_MESSAGE);
                    *other = Value::String(text);
                }
            }
        }
        match exception.get_mut("stacktrace") {
            Some(stack) if stack.is_object() => frames::normalize(stack),
            _ => _ = exception.shift_remove("stacktrace"),
        }
    }
    put_list(event, "exception", list);
    if omitted > 0
        && let Some(exception) = event.get_mut("exception").and_then(Value::as_object_mut)
    {
        let half = MOST_EXCEPTIONS / 2;
        exception.insert("exceptions_omitted".to_owned(), json!([half, half + omitted]));
    }
}

fn threads(event: &mut Object) {
    let Some(mut list) = listed(event, "threads") else { return };
    list.truncate(MOST_THREADS);
    for thread in list.iter_mut().filter_map(Value::as_object_mut) {
        match thread.get_mut("stacktrace") {
            Some(stack) if stack.is_object() => frames::normalize(stack),
            _ => _ = thread.shift_remove("stacktrace"),
        }
    }
    put_list(event, "threads", list);
}

fn breadcrumbs(event: &mut Object) {
    let Some(mut list) = listed(event, "breadcrumbs") else { return };
    list.drain(..list.len().saturating_sub(MOST_BREADCRUMBS));
    for crumb in list.iter_mut().filter_map(Value::as_object_mut) {
        if let Some(Value::String(text)) = crumb.get_mut("message") {
            cut(text, LONGEST_MESSAGE);
        }
        crumb.get_mut("data").into_iter().for_each(within);
    }
    put_list(event, "breadcrumbs", list);
}

/// Tags as a list of pairs of texts. Which of them are shown is decided elsewhere.
fn tags(event: &mut Object) {
    let Some(sent) = event.get_mut("tags") else { return };
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let pairs: Vec<(String, Option<String>)> = match sent.take() {
        Value::Object(tags) => tags.into_iter().map(|(key, value)| (key, text(&value))).collect(),
        Value::Array(list) => list
            .iter()
            .filter_map(|entry| match entry {
                Value::Array(pair) => Some((text(pair.first()?)?, text(pair.get(1)?))),
                Value::Object(tag) => Some((text(tag.get("key")?)?, text(tag.get("value")?))),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    let mut kept: Vec<(String, String)> = Vec::new();
    let mut known = std::collections::HashSet::new();
    for (key, value) in pairs {
        let (key, value) = (one_line(&key, 200), one_line(&value.unwrap_or_default(), 200));
        if !key.is_empty() && !value.is_empty() && kept.len() < 1_000 && known.insert(key.clone()) {
            kept.push((key, value));
        }
    }
    match kept.is_empty() {
        true => _ = event.shift_remove("tags"),
        false => _ = event.insert("tags".to_owned(), json!(kept)),
    }
}

fn user(event: &mut Object, client_ip: Option<IpAddr>) {
    let Some(user) = event.get_mut("user").and_then(Value::as_object_mut) else { return };
    for key in ["id", "username", "email", "ip_address", "name"] {
        let text = match user.get(key) {
            None => continue,
            Some(Value::String(text)) if key == "ip_address" && text == "{{auto}}" => {
                client_ip.map(|ip| ip.to_string())
            }
            Some(Value::String(text)) => Some(one_line(text, 128)),
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(_) => None,
        };
        match text.filter(|text| !text.is_empty()) {
            Some(text) => _ = user.insert(key.to_owned(), text.into()),
            None => _ = user.shift_remove(key),
        }
    }
    user.get_mut("data").into_iter().for_each(within);
    if user.is_empty() {
        event.shift_remove("user");
    }
}
