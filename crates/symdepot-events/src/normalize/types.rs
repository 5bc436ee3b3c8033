//! Fields whose type is fixed: another one is dropped and recorded in `errors`.

use serde_json::{Value, json};

use crate::Object;

const OBJECTS: &[&str] =
    &["extra", "contexts", "user", "request", "modules", "sdk", "debug_meta", "logentry", "stacktrace"];
const LISTS_OR_OBJECTS: &[&str] = &["exception", "threads", "breadcrumbs", "tags"];
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
/// Entries of `errors`.
const MOST_ERRORS: usize = 100;
/// Longest wrong value that is shown, in bytes.
const LONGEST_VALUE: usize = 256;

/// Drops fields of a wrong type.
pub fn check(event: &mut Object) {
    // Of clients that send the entry of a log as the message.
    if event.get("message").is_some_and(Value::is_object) && !event.contains_key("logentry") {
        let entry = event.shift_remove("message").unwrap_or_default();
        event.insert("logentry".to_owned(), entry);
    }
    let mut errors = Vec::new();
    let expected = [
        (OBJECTS, Value::is_object as fn(&Value) -> bool),
        (LISTS_OR_OBJECTS, |value: &Value| value.is_array() || value.is_object()),
        (TEXTS, Value::is_string),
    ];
    for (keys, is_right) in expected {
        for key in keys {
            match event.get(*key) {
                None => {}
                Some(value) if is_right(value) => {}
                Some(_) => {
                    let value = event.shift_remove(*key).unwrap_or_default();
                    if !value.is_null() {
                        errors.push(json!({ "type": "invalid_data", "name": key, "value": shown(value) }));
                    }
                }
            }
        }
    }
    let mut list = match event.shift_remove("errors") {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    list.extend(errors);
    list.truncate(MOST_ERRORS);
    if !list.is_empty() {
        event.insert("errors".to_owned(), Value::Array(list));
    }
}

/// A wrong value, if it is short.
fn shown(value: Value) -> Value {
    let text = value.to_string();
    if text.len() <= LONGEST_VALUE {
        value
    } else {
        Value::String(text[..text.floor_char_boundary(LONGEST_VALUE)].to_owned())
    }
}
