//! Joining of events that describe the same crash, and the list of what could not be read.
//!
//! It never replaces a value that is present: what comes first wins.

use serde_json::{Value, json};

use crate::Object;

/// Longest text of a part that is quoted in `errors`, in characters.
const MAX_QUOTE: usize = 200;

/// Adds the values of `other` that `target` lacks, in objects of objects too.
///
/// Recursion ends with the shallower of both, so it is as deep as the parsers allow.
pub(super) fn merge_missing(target: &mut Object, other: Object) {
    for (key, value) in other {
        match target.get_mut(&key) {
            None | Some(Value::Null) => {
                target.insert(key, value);
            }
            Some(Value::Object(present)) => {
                if let Value::Object(value) = value {
                    merge_missing(present, value);
                }
            }
            Some(_) => {}
        }
    }
}

/// Records in `errors` that the part or field `name` was dropped.
pub(super) fn record_invalid(event: &mut Object, name: &str, value: Value) {
    let entry = json!({ "type": "invalid_data", "name": quote(name), "value": value });
    match event.get_mut("errors") {
        Some(Value::Array(errors)) => errors.push(entry),
        _ => {
            event.insert("errors".to_owned(), Value::Array(vec![entry]));
        }
    }
}

/// The beginning of a text, short enough for `errors`.
pub(super) fn quote(text: &str) -> String {
    text.chars().take(MAX_QUOTE).collect()
}

/// The value of a key as an object, inserted empty if it is absent. `None` if it is something else.
pub(super) fn object_at<'a>(event: &'a mut Object, key: &str) -> Option<&'a mut Object> {
    event.entry(key).or_insert_with(|| Value::Object(Object::new())).as_object_mut()
}
