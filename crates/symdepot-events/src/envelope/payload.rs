//! The JSON of an event: checked without building it, or read into an object.
//!
//! Both accept exactly the same payloads. Neither looks at any field but `event_id`.

use serde::de::Deserialize as _;
use serde_json::Value;

use super::json_check::{self, JsonError};
use super::json_clean::clean;
use super::{EventId, Fault, event_id};
use crate::Object;

/// Checks the payload of an event in one pass and returns the id in it, if there is one. `max` is its largest size in bytes.
pub fn check_event(payload: &[u8], max: u64) -> Result<Option<EventId>, Fault> {
    check_size(payload.len(), max)?;
    let checked = json_check::check(payload).map_err(fault)?;
    let Some(start) = checked.event_id_at else { return Ok(None) };
    let id = match payload.get(start) {
        // A text that cannot be read is no id either.
        Some(b'"') => serde_json::from_slice(&payload[start..json_check::text_end(payload, start)]).unwrap_or_default(),
        Some(b'n') => return Ok(None),
        _ => Value::Bool(false),
    };
    event_id::of(Some(&if id.is_null() { Value::Bool(false) } else { id }))
}

/// Reads the payload of an event. `max` is its largest size in bytes.
///
/// Invalid UTF-8, NUL and lone surrogates become U+FFFD; a number that does not fit a float becomes a text. Of a repeated key the
/// last value counts.
pub fn read_event(payload: &[u8], max: u64) -> Result<Object, Fault> {
    check_size(payload.len(), max)?;
    let object = read_object(payload)?;
    event_id::of(object.get("event_id"))?;
    Ok(object)
}

/// Reads one object, cleaned as events are.
pub fn read_object(json: &[u8]) -> Result<Object, Fault> {
    let checked = json_check::check(json).map_err(fault)?;
    let text = clean(json, &checked);
    let mut reader = serde_json::Deserializer::from_str(&text);
    // The depth was checked.
    reader.disable_recursion_limit();
    match Value::deserialize(&mut reader) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(fault(JsonError::NotAnObject)),
        Err(error) => Err(Fault::Grammar(format!("The event is not valid JSON: {error}."))),
    }
}

/// Fails if an event of so many bytes is larger than the limit.
pub fn check_size(length: usize, max: u64) -> Result<(), Fault> {
    match length as u64 > max {
        true => Err(Fault::TooLarge(format!("The event is larger than {max} bytes."))),
        false => Ok(()),
    }
}

fn fault(error: JsonError) -> Fault {
    Fault::Grammar(error.to_string())
}
