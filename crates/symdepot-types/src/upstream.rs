//! Other symbol servers that a project asks, and what they could not bring.

use chrono::{DateTime, Utc};

use super::identity::{UnknownWord, words};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

words! {
    /// The protocol of a symbol server.
    UpstreamKind {
        /// Files by build id, as elfutils serves them.
        Debuginfod = "debuginfod",
        /// `name/key/name`: `SymStore`, and the same with more kinds of keys.
        Ssqp = "ssqp",
        /// Breakpad text symbols.
        Breakpad = "breakpad",
        /// Folders as debuggers look into them, such as a bucket that is served over HTTP.
        Native = "native",
    }
}

/// Another symbol server that a project asks for what it does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Row id.
    pub id: i64,
    /// Whose.
    pub project_id: i64,
    /// What it speaks.
    pub kind: UpstreamKind,
    /// Its base; it may hold a user and a password.
    pub url: String,
    /// When it was named.
    pub created_at: DateTime<Utc>,
}

/// What an upstream could not bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamAnswer {
    /// Which upstream.
    pub upstream_id: i64,
    /// The first path that it was asked for.
    pub path: String,
    /// The debug id or code id that was meant.
    pub file_id: String,
    /// Whether the same question may have another answer soon.
    pub trouble: bool,
    /// What it said, in a sentence.
    pub reason: String,
    /// How often in a row it was so.
    pub misses: u64,
    /// When it was asked last.
    pub asked_at: DateTime<Utc>,
    /// Nobody asks again before.
    pub next_at: DateTime<Utc>,
}
