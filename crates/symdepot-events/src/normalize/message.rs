//! `message` and `logentry`: texts within limits.
//!
//! It never puts parameters into a message; the summary does.

use serde_json::Value;

use super::limits::{bound, truncate_with_ellipsis};
use crate::Object;

/// Most characters of a message and of the value of an exception.
pub const MAX_MESSAGE: usize = 8_192;

/// Normalizes the message of an event.
pub fn normalize(event: &mut Object) {
    if let Some(Value::String(text)) = event.get_mut("message") {
        truncate_with_ellipsis(text, MAX_MESSAGE);
    }
    let Some(entry) = event.get_mut("logentry").and_then(Value::as_object_mut) else { return };
    for key in ["message", "formatted"] {
        entry.get_mut(key).into_iter().for_each(as_text);
    }
    entry.get_mut("params").into_iter().for_each(bound);
}

/// Makes a text of at most [`MAX_MESSAGE`] characters of a value; null stays.
pub fn as_text(value: &mut Value) {
    match value {
        Value::Null => {}
        Value::String(text) => truncate_with_ellipsis(text, MAX_MESSAGE),
        other => {
            let mut text = other.to_string();
            truncate_with_ellipsis(&mut text, MAX_MESSAGE);
            *other = Value::String(text);
        }
    }
}
