//! [`EventId`]: 16 bytes that a client chose. It never makes one up.

use std::fmt;
use std::str::FromStr;

/// Id of an event. Its text has 32 lower-case hex digits; hyphens and case are accepted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct EventId(pub [u8; 16]);

/// A text is no event id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event id has 32 hex digits")]
pub struct NotAnId;

impl FromStr for EventId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let hyphens = [8, 13, 18, 23];
        let digits: String = match text.len() {
            32 => text.to_owned(),
            36 if text.bytes().enumerate().all(|(at, byte)| (byte == b'-') == hyphens.contains(&at)) => {
                text.replace('-', "")
            }
            _ => return Err(NotAnId),
        };
        let mut bytes = [0; 16];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| NotAnId)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl EventId {
    /// The id in the form `8-4-4-4-12`.
    pub fn hyphenated(&self) -> String {
        let digits = self.to_string();
        [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
    }
}
