//! What makes an event a crash: platform, level and the mechanism of its exception.
//!
//! It never discards an exception that the client sent: a dump that cannot be walked leaves it as the best description.

use serde_json::{Value, json};

use super::merge::record_invalid;
use crate::Object;

/// Makes an event a crash of the kind `minidump`, `applecrashreport` or `unreal`.
///
/// `platform`, `level` and the mechanism of the last exception are replaced; an event without an exception gets one, which
/// remains if the dump cannot be walked. May be called more than once.
pub fn mark_crash(event: &mut Object, kind: &str) {
    event.insert("platform".to_owned(), "native".into());
    event.insert("level".to_owned(), "fatal".into());
    let mut values = exceptions(event);
    if values.is_empty() {
        let (name, value) = placeholder(kind);
        values.push(json!({ "type": name, "value": value }));
    }
    if let Some(Value::Object(last)) = values.last_mut() {
        last.insert("mechanism".to_owned(), json!({ "type": kind, "handled": false, "synthetic": true }));
    }
    let mut exception = match event.remove("exception") {
        Some(Value::Object(object)) if object.contains_key("values") => object,
        _ => Object::new(),
    };
    exception.insert("values".to_owned(), Value::Array(values));
    event.insert("exception".to_owned(), Value::Object(exception));
}

/// The exceptions that the client sent, in any of the three forms; the field stays. What is no object is dropped.
fn exceptions(event: &mut Object) -> Vec<Value> {
    let values = match event.get_mut("exception") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(values)) => std::mem::take(values),
        Some(Value::Object(object)) => match object.get_mut("values") {
            Some(Value::Array(values)) => std::mem::take(values),
            Some(_) => Vec::new(),
            None => vec![Value::Object(std::mem::take(object))],
        },
        Some(other) => {
            let other = other.take();
            record_invalid(event, "exception", other);
            Vec::new()
        }
    };
    values.into_iter().filter(|value| value.as_object().is_some_and(|object| !object.is_empty())).collect()
}

/// Type and value of the exception of a crash of which nothing is known.
fn placeholder(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "applecrashreport" => ("AppleCrashReport", "The crash report could not be read"),
        "unreal" => ("UnrealCrash", "The crash has no dump"),
        _ => ("Minidump", "The dump could not be walked"),
    }
}
