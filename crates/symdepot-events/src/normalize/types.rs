//! Fields whose type is fixed: a value of another type is dropped and recorded in `errors`.
//!
//! It never looks into a field; the modules beside it do.

use serde_json::{Value, json};

use super::limits::{bound, truncate_with_ellipsis};
use crate::Object;

const OBJECTS: &[&str] =
    &["extra", "contexts", "user", "request", "modules", "sdk", "debug_meta", "logentry", "stacktrace"];
const OBJECTS_OR_LISTS: &[&str] = &["exception", "threads", "breadcrumbs", "tags"];
const TEXTS: &[&str] = &[
    "platform",
    "level",
    "logger",
    "transaction",
    "release",
    "environment",
    "dist",
    "server_name",
    "checksum",
    "message",
];
/// Most entries of `errors`.
const MAX_ERRORS: usize = 100;
/// Longest value that an entry of `errors` has, in bytes of JSON, and most characters of its beginning.
const MAX_VALUE: usize = 256;

/// Drops fields of a wrong type. Null is no value and is dropped without an entry.
pub fn check(event: &mut Object) {
    message_forms(event);
    let mut dropped = Vec::new();
    let expected = [
        (OBJECTS, Value::is_object as fn(&Value) -> bool),
        (OBJECTS_OR_LISTS, |value| value.is_object() || value.is_array()),
        (TEXTS, Value::is_string),
    ];
    for (keys, is_expected) in expected {
        for key in keys {
            if event.get(*key).is_some_and(|value| !is_expected(value)) {
                dropped.push((*key, event.shift_remove(*key).unwrap_or_default()));
            }
        }
    }
    for (key, value) in dropped {
        record(event, key, value);
    }
    client_errors(event);
}

/// Adds an entry to `errors` for a value that was dropped, except null.
pub fn record(event: &mut Object, name: &str, value: Value) {
    if value.is_null() {
        return;
    }
    let entry = json!({ "type": "invalid_data", "name": name, "value": shown(value) });
    match event.get_mut("errors") {
        Some(Value::Array(errors)) if errors.len() >= MAX_ERRORS => {}
        Some(Value::Array(errors)) => errors.push(entry),
        _ => _ = event.insert("errors".to_owned(), Value::Array(vec![entry])),
    }
}

/// A `message` that is an object is a log entry, one that is a number or a boolean is a text.
fn message_forms(event: &mut Object) {
    match event.get_mut("message") {
        Some(Value::Object(entry)) => {
            let entry = Value::Object(std::mem::take(entry));
            event.shift_remove("message");
            event.entry("logentry").or_insert(entry);
        }
        Some(message @ (Value::Number(_) | Value::Bool(_))) => *message = Value::String(message.to_string()),
        _ => {}
    }
}

/// Entries of `errors` that the client sent stay, within limits.
fn client_errors(event: &mut Object) {
    let Some(errors) = event.get_mut("errors") else { return };
    if let Value::Array(entries) = errors {
        entries.retain(Value::is_object);
        entries.truncate(MAX_ERRORS);
    }
    match errors.as_array().is_none_or(Vec::is_empty) {
        true => _ = event.shift_remove("errors"),
        false => bound(errors),
    }
}

/// The dropped value, or the beginning of its JSON if that is long.
fn shown(value: Value) -> Value {
    let mut text = value.to_string();
    if text.len() <= MAX_VALUE {
        return value;
    }
    truncate_with_ellipsis(&mut text, MAX_VALUE);
    Value::String(text)
}
