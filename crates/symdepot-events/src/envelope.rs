//! The grammar of envelopes, read in place: a header line, then items of a header line and a payload each.
//!
//! Payloads are ranges of the body; this module never copies or interprets them.

mod event_id;
mod json_check;
mod json_clean;
mod payload;
mod reports;
mod store;

use std::ops::Range;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{Object, normalize};
pub use event_id::{EventId, InvalidEventId};
pub use payload::{check_event, read_event};
pub use reports::{Discarded, UserReport, client_report, user_report};
pub use store::store_body;

/// Most items of an envelope.
pub const MAX_ITEMS: usize = 1_000;
/// Longest header line of an envelope or an item, in bytes.
pub const MAX_HEADER: usize = 64 << 10;

/// What is wrong with a request, as one sentence for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It breaks the grammar: 400.
    #[error("{0}")]
    Grammar(String),
    /// It exceeds a limit: 413.
    #[error("{0}")]
    TooLarge(String),
    /// Its credentials contradict each other: 401.
    #[error("{0}")]
    Unauthorized(String),
}

impl Fault {
    /// A violation of the grammar.
    pub(crate) fn grammar(sentence: impl Into<String>) -> Self {
        Self::Grammar(sentence.into())
    }
}

/// The first line of an envelope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Id of the event to which the items belong.
    pub event_id: Option<EventId>,
    /// Time of sending by the clock of the client; `None` if absent or unreadable.
    pub sent_at: Option<DateTime<Utc>>,
    /// The DSN with which the client was configured.
    pub dsn: Option<String>,
}

/// One item of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its `type`, known or not.
    pub kind: String,
    /// File name of an attachment.
    pub filename: Option<String>,
    /// Content type of an attachment, as the client states it.
    pub content_type: Option<String>,
    /// Type of an attachment, such as `event.minidump`.
    pub attachment_type: Option<String>,
    /// Position of the payload in the body.
    pub payload: Range<usize>,
}

/// An envelope that follows the grammar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The first line.
    pub header: Header,
    /// The items in the order of the body.
    pub items: Vec<Item>,
}

/// Reads a whole body. Fails if any part of it breaks the grammar; the content of payloads is not checked.
pub fn parse(body: &[u8]) -> Result<Envelope, Fault> {
    if body.is_empty() {
        return Err(Fault::grammar("The envelope is empty."));
    }
    let mut reader = Reader { body, at: 0 };
    let line = reader.header_line("The first line of the envelope")?;
    let header = header(&object(line, "The first line of the envelope")?)?;
    let mut items: Vec<Item> = Vec::new();
    let mut has_event = false;
    while !reader.is_at_end() {
        if items.len() == MAX_ITEMS {
            return Err(Fault::Grammar(format!("The envelope has more than {MAX_ITEMS} items.")));
        }
        let item = reader.item(items.len() + 1)?;
        if item.kind == "event" && std::mem::replace(&mut has_event, true) {
            return Err(Fault::grammar("The envelope has more than one event."));
        }
        items.push(item);
    }
    Ok(Envelope { header, items })
}

/// A position in the body of an envelope.
struct Reader<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.body.get(self.at..).unwrap_or_default()
    }

    /// Whether no item follows: only blank lines may be left.
    fn is_at_end(&self) -> bool {
        self.rest().iter().all(u8::is_ascii_whitespace)
    }

    /// The next line without its line feed.
    fn header_line(&mut self, what: &str) -> Result<&'a [u8], Fault> {
        let rest = self.rest();
        let window = &rest[..rest.len().min(MAX_HEADER + 1)];
        let (line, length) = match window.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&rest[..end], end + 1),
            None if rest.len() <= MAX_HEADER => (rest, rest.len()),
            None => return Err(Fault::Grammar(format!("{what} is longer than {MAX_HEADER} bytes."))),
        };
        self.at += length;
        Ok(line)
    }

    fn item(&mut self, number: usize) -> Result<Item, Fault> {
        let what = format!("The header of item {number}");
        let line = self.header_line(&what)?;
        let mut head = object(line, &what)?;
        let mut text = |key: &str| match head.get_mut(key).map(Value::take) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let kind = text("type").ok_or_else(|| Fault::Grammar(format!("{what} has no text `type`.")))?;
        let (filename, content_type, attachment_type) =
            (text("filename"), text("content_type"), text("attachment_type"));
        let payload = match head.get("length") {
            None | Some(Value::Null) => self.payload_line(),
            Some(length) => self.payload_of(length, number)?,
        };
        Ok(Item { kind, filename, content_type, attachment_type, payload })
    }

    /// A payload without a length: up to the end of the line.
    fn payload_line(&mut self) -> Range<usize> {
        let start = self.at;
        let length = self.rest().iter().position(|byte| *byte == b'\n');
        let end = length.map_or(self.body.len(), |length| start + length);
        self.at = (end + 1).min(self.body.len());
        start..end
    }

    /// A payload of a stated length, which a line feed or the end of the body must follow.
    fn payload_of(&mut self, length: &Value, number: usize) -> Result<Range<usize>, Fault> {
        let length = length
            .as_u64()
            .ok_or_else(|| Fault::Grammar(format!("The `length` of item {number} is not a whole number of bytes.")))?;
        let start = self.at;
        let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
        let end = end.filter(|end| *end <= self.body.len()).ok_or_else(|| {
            Fault::Grammar(format!("The body ends within item {number}, which has a `length` of {length} bytes."))
        })?;
        match self.body.get(end) {
            None => self.at = end,
            Some(b'\n') => self.at = end + 1,
            Some(_) => {
                let sentence = format!("No line feed follows item {number} after its `length` of {length} bytes.");
                return Err(Fault::Grammar(sentence));
            }
        }
        Ok(start..end)
    }
}

/// The object of a header line. Texts are cleaned as in events.
fn object(line: &[u8], what: &str) -> Result<Object, Fault> {
    payload::read_object(line).map_err(|_| Fault::Grammar(format!("{what} is not a JSON object.")))
}

fn header(object: &Object) -> Result<Header, Fault> {
    Ok(Header {
        event_id: event_id::of(object.get("event_id"))?,
        sent_at: object.get("sent_at").and_then(normalize::read_time),
        dsn: object.get("dsn").and_then(Value::as_str).map(str::to_owned),
    })
}
