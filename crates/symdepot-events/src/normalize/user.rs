//! The user of an event: identifying fields as short texts, the address of the client where the event requests it.
//!
//! It never adds an address that the event does not request.

use std::net::IpAddr;

use serde_json::Value;

use super::limits::{bound, one_line};
use crate::Object;

/// Fields that identify a user and are texts.
const TEXTS: &[&str] = &["id", "username", "email", "ip_address", "name"];
/// Most characters of a text.
const MAX_TEXT: usize = 128;
/// An `ip_address` that means the address of the client.
const AUTO: &str = "{{auto}}";

/// Normalizes the user of an event. A number or boolean that identifies becomes a text, other types are dropped.
pub fn normalize(event: &mut Object, client_ip: Option<IpAddr>) {
    let Some(user) = event.get_mut("user").and_then(Value::as_object_mut) else { return };
    if user.get("ip_address").and_then(Value::as_str).is_some_and(|text| text.trim() == AUTO) {
        user.insert("ip_address".to_owned(), client_ip.map(|ip| ip.to_canonical().to_string()).into());
    }
    user.retain(|key, value| {
        let is_identifying = TEXTS.contains(&key.as_str());
        let text = match value {
            Value::String(text) => one_line(text, MAX_TEXT),
            Value::Number(_) | Value::Bool(_) if is_identifying => value.to_string(),
            Value::Array(_) | Value::Object(_) if !is_identifying => {
                bound(value);
                return true;
            }
            _ => return !is_identifying,
        };
        let is_kept = !text.is_empty() || !is_identifying;
        *value = text.into();
        is_kept
    });
    if user.is_empty() {
        event.shift_remove("user");
    }
}
