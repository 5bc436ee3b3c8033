//! How events of a project are treated, and where accepted ones wait. It never reads an event.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::identity::{UnknownWord, words};

words! {
    /// What a spooled row waits for.
    SpoolStage {
        /// To be digested.
        New = "new",
        /// For the names of its frames, and then to be digested.
        Symbolication = "symbolication",
    }
}

words! {
    /// By which hashes events are grouped.
    GroupingMode {
        /// By those of the whole stack.
        Flat = "flat",
        /// By those of the last frames, from few to many.
        Hierarchical = "hierarchical",
    }
}

words! {
    /// Which payload of a repeated event id stays.
    Duplicates {
        /// The one accepted last.
        Last = "last",
        /// The one accepted first.
        First = "first",
    }
}

words! {
    /// Whether all events of an issue are stored.
    EventSampling {
        /// All are.
        Off = "off",
        /// The more there are, the fewer of them.
        Decay = "decay",
    }
}

/// How events of a project are treated. Limits of 0 are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSettings {
    /// Rules that give events fingerprints, as text.
    pub fingerprinting_rules: String,
    /// Rules for the frames of stacks, as text.
    pub grouping_enhancements: String,
    /// By which hashes events are grouped.
    pub grouping_mode: GroupingMode,
    /// Which payload of a repeated event id stays.
    pub duplicates: Duplicates,
    /// Whether all events are stored.
    pub event_sampling: EventSampling,
    /// Accepted events per minute.
    pub event_rate: i64,
    /// Rules such as `90d`, `newest:1000`, `issue:newest:500`, `keep`.
    pub event_retention: Vec<String>,
    /// Most stored events.
    pub quota_events: i64,
    /// Most bytes of stored events.
    pub quota_event_bytes: i64,
    /// What is filtered out, as on the wire.
    pub inbound_filters: Value,
    /// What is scrubbed, as on the wire.
    pub scrub: Value,
}

impl Default for EventSettings {
    fn default() -> Self {
        Self {
            fingerprinting_rules: String::new(),
            grouping_enhancements: String::new(),
            grouping_mode: GroupingMode::Flat,
            duplicates: Duplicates::Last,
            event_sampling: EventSampling::Off,
            event_rate: 0,
            event_retention: vec!["keep".to_owned()],
            quota_events: 0,
            quota_event_bytes: 0,
            inbound_filters: Value::Array(Vec::new()),
            scrub: serde_json::json!({
                "defaults": true, "ipAddresses": false, "sensitiveFields": [], "safeFields": [],
            }),
        }
    }
}

/// A key with which a client sends events to a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectKey {
    /// Row id.
    pub id: i64,
    /// Of which project.
    pub project_id: i64,
    /// Of which organization.
    pub organization_id: i64,
    /// 32 lower-case hex digits.
    pub public_key: String,
    /// A name for people.
    pub name: String,
    /// Accepted events per minute; 0 for any number.
    pub rate: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}
