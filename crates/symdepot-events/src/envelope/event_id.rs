//! [`EventId`]: the 16 bytes by which a client identifies an event. This module never generates one.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::Fault;

/// Id of an event. Displayed as 32 lower-case hex digits; parsed with or without hyphens, in any case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct EventId(pub [u8; 16]);

/// The text is not an event id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event id has 32 hex digits")]
pub struct InvalidEventId;

/// Where the hyphens of a UUID are.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

impl FromStr for EventId {
    type Err = InvalidEventId;

    fn from_str(text: &str) -> Result<Self, InvalidEventId> {
        let mut bytes = [0; 16];
        let text = text.as_bytes();
        match text.len() {
            32 => hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidEventId)?,
            36 if HYPHENS.iter().all(|at| text[*at] == b'-') => {
                let mut digits = [0; 32];
                let mut sent = text.iter().enumerate().filter(|(at, _)| !HYPHENS.contains(at));
                digits.fill_with(|| sent.next().map_or(0, |(_, digit)| *digit));
                hex::decode_to_slice(digits, &mut bytes).map_err(|_| InvalidEventId)?;
            }
            _ => return Err(InvalidEventId),
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl EventId {
    /// The id in the form `8-4-4-4-12` of a UUID.
    pub fn hyphenated(&self) -> String {
        let mut text = self.to_string();
        for at in HYPHENS {
            text.insert(at, '-');
        }
        text
    }
}

/// The id in a field of a header or an event. Absent and null are no id; anything else that is not one is a fault.
pub fn of(field: Option<&Value>) -> Result<Option<EventId>, Fault> {
    let invalid = || Fault::grammar("The `event_id` does not have 32 hex digits.");
    match field {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some).map_err(|_| invalid()),
        Some(_) => Err(invalid()),
    }
}
