//! The tags of an event: those that were sent, and those derived from other fields.
//!
//! A sent tag never replaces a derived one.

use std::collections::BTreeMap;

use serde_json::Value;

use super::text;
use crate::Object;
use crate::normalize::truncated;

/// Most tags of an event.
pub const MAX_TAGS: usize = 100;
/// Most characters of a key and of a value.
pub const MAX_TAG: usize = 200;
/// Tags that are derived from fields of the event.
pub const DERIVED_TAGS: &[&str] =
    &["level", "environment", "release", "dist", "transaction", "server_name", "logger", "user"];

/// The tags sorted by key. Derived ones are always among them, and sent ones of their names before other sent ones.
pub fn tags(event: &Object, user_key: Option<&str>) -> Vec<(String, String)> {
    let mut tags = BTreeMap::new();
    for key in DERIVED_TAGS {
        let value = if *key == "user" { user_key } else { text(event, key) };
        tags.extend(value.and_then(|value| tag(key, value)));
    }
    let sent = event.get("tags").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let sent = || sent.iter().filter_map(|pair| tag(pair.get(0)?.as_str()?, pair.get(1)?.as_str()?));
    let is_derived = |key: &str| DERIVED_TAGS.contains(&key);
    for (key, value) in sent().filter(|(key, _)| is_derived(key)).chain(sent().filter(|(key, _)| !is_derived(key))) {
        if tags.len() >= MAX_TAGS {
            break;
        }
        tags.entry(key).or_insert(value);
    }
    tags.into_iter().collect()
}

/// A tag within limits; `None` if its key or value is empty.
fn tag(key: &str, value: &str) -> Option<(String, String)> {
    let in_line = |text: &str| truncated(text, MAX_TAG).replace(['\n', '\r'], " ");
    (!key.is_empty() && !value.is_empty()).then(|| (in_line(key), in_line(value)))
}
