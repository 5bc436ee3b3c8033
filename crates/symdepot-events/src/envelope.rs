//! The grammar of envelopes, read in place: a header, then items of a header and a payload each. Payloads are ranges of the body
//! and never copied. What an item means is decided elsewhere.

mod event_id;
mod payload;
mod reports;

use std::ops::Range;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::Object;
pub use event_id::EventId;
pub use payload::{check_event, read_event, store_body};
pub use reports::{Discarded, UserReport, client_report, user_report};

/// Most items of an envelope.
const MOST_ITEMS: usize = 1_000;
/// Longest header line, in bytes.
const LONGEST_HEADER: usize = 64 << 10;

/// What is wrong with what was sent, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It breaks the grammar.
    #[error("{0}")]
    Grammar(String),
    /// It is larger than a limit.
    #[error("{0}")]
    TooLarge(String),
    /// Its credentials contradict each other.
    #[error("{0}")]
    Unauthorized(String),
}

/// The first line of an envelope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Id of its event.
    pub event_id: Option<EventId>,
    /// When the client says that it sent it.
    pub sent_at: Option<DateTime<Utc>>,
    /// The address that the client was configured with.
    pub dsn: Option<String>,
}

/// An item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its type.
    pub kind: String,
    /// Name of a file.
    pub filename: Option<String>,
    /// What a file is, as the client says.
    pub content_type: Option<String>,
    /// The type of an attachment.
    pub attachment_type: Option<String>,
    /// Where its payload is in the body.
    pub payload: Range<usize>,
}

/// An envelope that keeps the grammar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Its header.
    pub header: Header,
    /// Its items in order.
    pub items: Vec<Item>,
}

/// Reads a whole body.
pub fn parse(body: &[u8]) -> Result<Envelope, Fault> {
    if body.is_empty() {
        return Err(grammar("The envelope is empty."));
    }
    let (line, mut at) = line_at(body, 0)?;
    let header = header(&object(line, "The first line of the envelope")?)?;
    let mut items: Vec<Item> = Vec::new();
    while at < body.len() {
        let (line, payload_at) = line_at(body, at)?;
        if line.is_empty() {
            if body[at..].iter().any(|byte| !matches!(byte, b'\n' | b'\r')) {
                return Err(grammar("A blank line stands where the header of an item is expected."));
            }
            break;
        }
        if line == b"\r" && body[at..].iter().all(|byte| matches!(byte, b'\n' | b'\r')) {
            break;
        }
        if items.len() == MOST_ITEMS {
            return Err(grammar("The envelope has more than 1000 items."));
        }
        let number = items.len() + 1;
        let head = object(line, &format!("The header of item {number}"))?;
        let Some(kind) = head.get("type").and_then(Value::as_str) else {
            return Err(grammar(&format!("The header of item {number} has no `type`.")));
        };
        let (payload, next) = payload(body, payload_at, head.get("length"), number)?;
        at = next;
        let text = |key: &str| head.get(key).and_then(Value::as_str).map(str::to_owned);
        let (filename, content_type, attachment_type) =
            (text("filename"), text("content_type"), text("attachment_type"));
        items.push(Item { kind: kind.to_owned(), filename, content_type, attachment_type, payload });
    }
    if items.iter().filter(|item| item.kind == "event").count() > 1 {
        return Err(grammar("The envelope has more than one event."));
    }
    Ok(Envelope { header, items })
}

fn grammar(sentence: &str) -> Fault {
    Fault::Grammar(sentence.to_owned())
}

/// The line that begins at `at`, without its end, and where the next one begins.
fn line_at(body: &[u8], at: usize) -> Result<(&[u8], usize), Fault> {
    let rest = &body[at.min(body.len())..];
    let window = &rest[..rest.len().min(LONGEST_HEADER + 1)];
    match window.iter().position(|byte| *byte == b'\n') {
        Some(end) => Ok((&rest[..end], at + end + 1)),
        None if rest.len() <= LONGEST_HEADER => Ok((rest, body.len())),
        None => Err(grammar("A header of the envelope is longer than 64 KiB.")),
    }
}

/// Where the payload of an item is, and where the next item begins.
fn payload(body: &[u8], at: usize, length: Option<&Value>, number: usize) -> Result<(Range<usize>, usize), Fault> {
    let at = at.min(body.len());
    let Some(length) = length.filter(|length| !length.is_null()) else {
        let end = body[at..].iter().position(|byte| *byte == b'\n').map_or(body.len(), |end| at + end);
        return Ok((at..end, (end + 1).min(body.len())));
    };
    let wrong = || grammar(&format!("The `length` of item {number} is not a whole number of bytes."));
    let length = usize::try_from(length.as_u64().ok_or_else(wrong)?).map_err(|_| wrong())?;
    let end = at
        .checked_add(length)
        .filter(|end| *end <= body.len())
        .ok_or_else(|| grammar(&format!("Item {number} ends before its `length` of {length} bytes.")))?;
    match body.get(end) {
        None => Ok((at..end, end)),
        Some(b'\n') => Ok((at..end, end + 1)),
        Some(_) => Err(grammar(&format!("Item {number} goes on behind its `length` of {length} bytes."))),
    }
}

/// The JSON object that a line is.
fn object(line: &[u8], what: &str) -> Result<Object, Fault> {
    match serde_json::from_slice::<Value>(line) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(grammar(&format!("{what} is not a JSON object."))),
    }
}

fn header(object: &Object) -> Result<Header, Fault> {
    let event_id = match object.get("event_id") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.parse().map_err(|_| bad_id())?),
        Some(_) => return Err(bad_id()),
    };
    let sent_at = object
        .get("sent_at")
        .and_then(Value::as_str)
        .and_then(|text| DateTime::parse_from_rfc3339(text).ok().map(|at| at.with_timezone(&Utc)));
    let dsn = object.get("dsn").and_then(Value::as_str).map(str::to_owned);
    Ok(Header { event_id, sent_at, dsn })
}

/// The fault of an id that is none.
fn bad_id() -> Fault {
    grammar("The event id is not 32 hex digits.")
}
