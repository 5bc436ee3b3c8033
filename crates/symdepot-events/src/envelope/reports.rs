//! Items beside the event: what a user wrote about it, and what a client did not send.
//!
//! A broken report is dropped; it never rejects the envelope.

use serde_json::Value;

use super::EventId;
use super::payload::read_object;
use crate::Object;

/// Longest report of a user, in bytes.
const MAX_USER_REPORT: usize = 64 << 10;
/// Longest report of a client, in bytes.
const MAX_CLIENT_REPORT: usize = 4 << 10;
/// Largest number of events in one entry of a client report.
const MAX_QUANTITY: i64 = 1 << 40;
/// The lists of a client report, and the kind of their entries.
const LISTS: &[(&str, &str)] =
    &[("discarded_events", "discarded"), ("rate_limited_events", "rate_limited"), ("filtered_events", "filtered")];

/// What a user wrote about an event. Texts that are absent are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserReport {
    /// The event.
    pub event_id: EventId,
    /// Name of the user.
    pub name: String,
    /// E-mail address of the user.
    pub email: String,
    /// What the user wrote.
    pub comments: String,
}

/// Events that a client did not send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discarded {
    /// Why, such as `ratelimit_backoff`.
    pub reason: String,
    /// Category of data, such as `error`.
    pub category: String,
    /// How many, at least 1.
    pub quantity: i64,
    /// `discarded`, `rate_limited` or `filtered`, by the list of the report.
    pub kind: &'static str,
}

/// Reads a user report. `None` if it is too long, is not an object, or has no event id.
pub fn user_report(payload: &[u8]) -> Option<UserReport> {
    let report = within(payload, MAX_USER_REPORT)?;
    let text = |key: &str| report.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let event_id = report.get("event_id")?.as_str()?.parse().ok()?;
    Some(UserReport { event_id, name: text("name"), email: text("email"), comments: text("comments") })
}

/// Reads a client report. A broken report is empty, and broken entries are left out.
pub fn client_report(payload: &[u8]) -> Vec<Discarded> {
    let Some(report) = within(payload, MAX_CLIENT_REPORT) else { return Vec::new() };
    let entries_of = |key: &str| report.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let lists = LISTS.iter().map(|(key, kind)| (entries_of(key), *kind));
    lists.flat_map(|(entries, kind)| entries.iter().filter_map(move |entry| discarded(entry, kind))).collect()
}

fn discarded(entry: &Value, kind: &'static str) -> Option<Discarded> {
    let text = |key: &str| Some(entry.get(key)?.as_str()?.to_owned());
    let quantity = entry.get("quantity")?.as_i64().filter(|quantity| (1..=MAX_QUANTITY).contains(quantity))?;
    Some(Discarded { reason: text("reason")?, category: text("category")?, quantity, kind })
}

/// The object of a payload of at most so many bytes.
fn within(payload: &[u8], max: usize) -> Option<Object> {
    if payload.len() > max { None } else { read_object(payload).ok() }
}
