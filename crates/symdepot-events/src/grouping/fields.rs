//! Values of an event as grouping reads them: texts without separators, trimmed; numbers as JSON prints them; anything else as if
//! it were absent.

use serde_json::Value;

use crate::Object;

/// Between a type and its stack.
pub const FILE: char = '\u{1c}';
/// Between exceptions, and between stacks of addresses.
pub const GROUP: char = '\u{1d}';
/// Between frames.
pub const RECORD: char = '\u{1e}';
/// Between the parts of a frame, and values of a fingerprint.
pub const UNIT: char = '\u{1f}';

/// A text without the separators of the algorithm, trimmed.
pub fn clean(text: &str) -> String {
    match text.contains(|c| matches!(c, FILE..=UNIT)) {
        true => text.replace(|c| matches!(c, FILE..=UNIT), " ").trim().to_owned(),
        false => text.trim().to_owned(),
    }
}

/// A scalar as a text; `None` for anything else.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(clean(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A field as a text, empty if it is absent.
pub fn text(object: &Object, key: &str) -> String {
    object.get(key).and_then(scalar).unwrap_or_default()
}

/// A field as a text, if it has one.
pub fn some_text(object: &Object, key: &str) -> Option<String> {
    Some(text(object, key)).filter(|text| !text.is_empty())
}

/// The list behind a field: itself, its `values`, or one object.
pub fn values<'a>(event: &'a Object, key: &str) -> Vec<&'a Object> {
    let list = match event.get(key) {
        Some(Value::Array(list)) => list.as_slice(),
        Some(Value::Object(object)) => match object.get("values") {
            Some(Value::Array(list)) => list.as_slice(),
            Some(_) => &[],
            None => return vec![object],
        },
        _ => &[],
    };
    list.iter().filter_map(Value::as_object).collect()
}

/// The value of a tag.
pub fn tag(event: &Object, name: &str) -> Option<String> {
    let found = match event.get("tags")? {
        Value::Object(tags) => tags.get(name).and_then(scalar),
        Value::Array(tags) => tags.iter().filter_map(Value::as_array).find_map(|pair| {
            let is_named = pair.first().and_then(scalar).is_some_and(|key| key == name);
            is_named.then(|| pair.get(1).and_then(scalar)).flatten()
        }),
        _ => None,
    };
    found.filter(|value| !value.is_empty())
}

/// The message of an event: the template, else the text.
pub fn message(event: &Object) -> String {
    let entry = event.get("logentry").and_then(Value::as_object);
    let of_entry = entry.and_then(|entry| some_text(entry, "message").or_else(|| some_text(entry, "formatted")));
    of_entry.unwrap_or_else(|| match event.get("message") {
        Some(Value::Object(entry)) => some_text(entry, "message").unwrap_or_else(|| text(entry, "formatted")),
        _ => text(event, "message"),
    })
}
