//! From a record of the spool to an event with its hashes: read, normalize, filter, scrub, group. Pure work of the processor.
//!
//! It never asks the database and never fails because of what an event says: what cannot be an event is a value.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use symdepot_events::envelope::{EventId, read_event};
use symdepot_events::summary::Summary;
use symdepot_events::{Object, crash, grouping, normalize, summary};

use super::record::Record;
use super::treatment::Treatment;
use crate::db::NewEvent;
use crate::types::{Duplicates, EventSampling};

/// An event that is ready to be assigned to an issue.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The row, still without issue and hash.
    pub new: NewEvent,
    /// What an issue shows of it besides.
    pub face: Face,
    /// Tags by name.
    pub tags: Vec<(String, String)>,
    /// How its user is told from others.
    pub user_key: Option<String>,
    /// Which payload of a repeated event id stays.
    pub duplicates: Duplicates,
    /// Whether all events are stored.
    pub sampling: EventSampling,
    /// Whether it stays in the issue it is in where none of its hashes has one: it is processed again, and not new.
    pub keeps_issue: bool,
}

/// What an issue shows of the event that opened it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Face {
    /// Type of its last exception, else empty.
    pub kind: String,
    /// Value of its last exception, else its message.
    pub value: String,
}

/// What became of a record.
#[derive(Debug)]
pub enum Outcome {
    /// An event.
    Event(Box<Prepared>),
    /// Its frames have no names yet, and files of the project may give them some.
    Waiting,
    /// A filter of the project takes it out.
    Filtered(&'static str),
    /// It is no event, for this reason.
    Invalid(String),
}

/// What symbolication did to an event.
#[derive(Clone, Debug, Default)]
pub struct Symbolicated {
    /// `none`, `done` or `failed`.
    pub state: &'static str,
    /// Modules that were missing: debug id and file.
    pub missing: Vec<(String, Option<String>)>,
}

impl Prepared {
    /// Project, event id and day, of which there is one event.
    pub fn key(&self) -> (i64, &str, i64) {
        (self.new.project_id, &self.new.event_id, self.new.day)
    }

    /// Its flat and its hierarchical hashes.
    pub fn all_hashes(&self) -> impl Iterator<Item = &str> {
        self.new.hashes.iter().chain(&self.new.deep_hashes).map(String::as_str)
    }
}

/// Reads, normalizes, filters and scrubs the event of a record.
pub fn normalized(record: &Record, treatment: &Treatment, max_event: u64) -> Result<Object, Outcome> {
    let invalid = |reason: &dyn std::fmt::Display| Outcome::Invalid(reason.to_string());
    let object = match record.is_event {
        true => read_event(&record.payload, max_event).map_err(|fault| invalid(&fault))?,
        false => Object::new(),
    };
    let event_id: EventId =
        record.event_id.parse().map_err(|_| invalid(&"The event id of a record cannot be read."))?;
    let receipt = normalize::Receipt {
        event_id,
        received_at: record.received_at,
        sent_at: record.sent_at,
        client_ip: record.client_ip,
    };
    let mut event = normalize::event(object, &receipt);
    if let Some(kind) = &record.crash {
        crash::mark_crash(&mut event, kind.trim_start_matches("event."));
    }
    if let Some(reason) = treatment.filters.reason(&event, record.client_ip) {
        return Err(Outcome::Filtered(reason));
    }
    treatment.scrubber.scrub(&mut event);
    Ok(event)
}

/// Groups an event and makes its row.
pub fn grouped(mut event: Object, record: &Record, treatment: &Treatment, symbolicated: Symbolicated) -> Prepared {
    grouping::apply_in_app(&mut event, &treatment.rules);
    let grouping = grouping::group(&event, &treatment.rules, treatment.mode);
    let summary = summary::summary(&event, grouping.title.as_deref());
    let happened_at = normalize::happened_at(&event);
    let text = Value::Object(event).to_string();
    let Summary { title, culprit, location, kind, metadata, message, tags, user, user_key, .. } = summary;
    let face = Face {
        kind: text_of(&metadata, "type").unwrap_or_default(),
        value: text_of(&metadata, "value").unwrap_or_else(|| message.clone()),
    };
    let new = NewEvent {
        project_id: record.project_id,
        event_id: record.event_id.clone(),
        day: day(happened_at),
        happened_at,
        received_at: record.received_at,
        issue_id: 0,
        hash_id: 0,
        hashes: grouping.hashes,
        deep_hashes: grouping.hierarchical,
        raw_hash: grouping.raw,
        config: grouping::CONFIG,
        kind,
        level: summary.level,
        platform: summary.platform,
        title,
        culprit,
        location,
        message,
        release: summary.release,
        environment: summary.environment,
        user: user.map(Value::Object),
        tags: json!(tags),
        metadata: Value::Object(metadata),
        size: text.len() as u64,
        symbolication: symbolicated.state,
        missing: symbolicated.missing,
        payload: compressed(text.as_bytes()),
    };
    let Treatment { settings, .. } = treatment;
    let (duplicates, sampling) = (settings.duplicates, settings.event_sampling);
    Prepared { new, face, tags, user_key, duplicates, sampling, keeps_issue: false }
}

/// All of it for an event that needs no symbolication; one that does waits.
pub fn prepare(record: &Record, treatment: &Treatment, max_event: u64) -> Outcome {
    let event = match normalized(record, treatment, max_event) {
        Ok(event) => event,
        Err(outcome) => return outcome,
    };
    if record.crash.is_some() || super::native::wants_names(&event) {
        return Outcome::Waiting;
    }
    let symbolicated = Symbolicated { state: "none", missing: Vec::new() };
    Outcome::Event(Box::new(grouped(event, record, treatment, symbolicated)))
}

/// The JSON of a stored event.
pub fn decompressed(payload: &[u8]) -> std::io::Result<Vec<u8>> {
    zstd::decode_all(payload)
}

fn compressed(text: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(text, 3).expect("memory takes any bytes")
}

fn text_of(object: &Object, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// The UTC day of a time, counted from 1970.
pub fn day(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(86_400)
}
