//! Tags in one form: a list of pairs of texts, sorted by key, each key once.
//!
//! It never adds tags; the summary derives those of other fields.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::limits::one_line;
use crate::Object;
use crate::summary::{DERIVED_TAGS, MAX_TAG, MAX_TAGS};

/// Normalizes the tags of an event. Of a repeated key the first value stays; of too many tags the first stay, and those whose
/// names are derived from other fields.
pub fn normalize(event: &mut Object) {
    let Some(sent) = event.get_mut("tags") else { return };
    let (mut known, mut derived, mut others) = (HashSet::new(), Vec::new(), Vec::new());
    let mut add = |(key, value): (String, String)| {
        let (key, value) = (one_line(&key, MAX_TAG), one_line(&value, MAX_TAG));
        let is_derived = DERIVED_TAGS.contains(&key.as_str());
        if key.is_empty() || value.is_empty() || (others.len() >= MAX_TAGS && !is_derived) || known.contains(&key) {
            return;
        }
        known.insert(key.clone());
        if is_derived { &mut derived } else { &mut others }.push([key, value]);
    };
    match sent.take() {
        Value::Object(object) => {
            object.iter().filter_map(|(key, value)| Some((key.clone(), text(value)?))).for_each(&mut add);
        }
        Value::Array(list) => list.iter().filter_map(pair).for_each(&mut add),
        _ => {}
    }
    others.truncate(MAX_TAGS - derived.len());
    others.append(&mut derived);
    others.sort_unstable();
    match others.is_empty() {
        true => _ = event.shift_remove("tags"),
        false => _ = event.insert("tags".to_owned(), json!(others)),
    }
}

/// A tag of a list: `[key, value]` or `{"key", "value"}`.
fn pair(entry: &Value) -> Option<(String, String)> {
    let (key, value) = match entry {
        Value::Array(pair) => (pair.first()?, pair.get(1)?),
        Value::Object(tag) => (tag.get("key")?, tag.get("value")?),
        _ => return None,
    };
    Some((text(key)?, text(value)?))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
