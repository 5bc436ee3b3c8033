//! Items beside the event: what a user wrote, and what a client discarded. A broken one is dropped.

use serde_json::Value;

use super::EventId;

/// Longest report of a user, in bytes.
const LONGEST_USER_REPORT: usize = 64 << 10;
/// Longest report of a client, in bytes.
const LONGEST_CLIENT_REPORT: usize = 4 << 10;
/// Most entries of a client's report: more do not fit.
const MOST_DISCARDED: usize = 200;

/// What a user wrote about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserReport {
    /// Which event.
    pub event_id: EventId,
    /// Who.
    pub name: String,
    /// Where to answer.
    pub email: String,
    /// The text.
    pub comments: String,
}

/// Events that a client did not send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discarded {
    /// Why.
    pub reason: String,
    /// Of what.
    pub category: String,
    /// How many.
    pub quantity: i64,
}

/// Reads what a user wrote.
pub fn user_report(payload: &[u8]) -> Option<UserReport> {
    if payload.len() > LONGEST_USER_REPORT {
        return None;
    }
    let report: Value = serde_json::from_slice(payload).ok()?;
    let text = |key: &str| report[key].as_str().unwrap_or_default().replace('\0', "\u{fffd}");
    let event_id = report["event_id"].as_str()?.parse().ok()?;
    Some(UserReport { event_id, name: text("name"), email: text("email"), comments: text("comments") })
}

/// Reads what a client discarded.
pub fn client_report(payload: &[u8]) -> Vec<Discarded> {
    if payload.len() > LONGEST_CLIENT_REPORT {
        return Vec::new();
    }
    let Ok(report) = serde_json::from_slice::<Value>(payload) else { return Vec::new() };
    let lists = ["discarded_events", "rate_limited_events", "filtered_events"];
    let entries = lists.iter().filter_map(|key| report[*key].as_array()).flatten();
    entries
        .filter_map(|entry| {
            let text = |key: &str| entry[key].as_str().map(|text| text.replace('\0', "\u{fffd}"));
            let quantity = entry["quantity"].as_i64().filter(|quantity| (1..=1 << 40).contains(quantity))?;
            Some(Discarded { reason: text("reason")?, category: text("category")?, quantity })
        })
        .take(MOST_DISCARDED)
        .collect()
}
