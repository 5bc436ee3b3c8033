//! What is made from a debug file besides its symcaches.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::identity::{UnknownWord, words};
use super::{BlobRef, Sha1};

words! {
    /// What sort of file is made.
    DerivedSort {
        /// Breakpad text symbols.
        Breakpad = "breakpad",
        /// The file itself, packed into a cabinet.
        Cab = "cab",
        /// Call frame information as a table for look-ups.
        Cfi = "cfi",
        /// A ProGuard mapping as a table for look-ups.
        Proguard = "proguard",
    }
}

/// What makes one derived file another one than the next. Unique.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DerivedKey {
    /// The debug file it is made from.
    pub debug_file_id: i64,
    /// What sort of file it is.
    pub sort: DerivedSort,
    /// Names whatever else its content depends on: the converter, and other files that went into it.
    pub version: String,
}

/// What came of making it: checksum and bytes, or the reason why there are none.
pub type DerivedOutcome = Result<(Sha1, BlobRef), String>;

/// A file that was made from a debug file, or the reason why it cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedFile {
    /// Row id.
    pub id: i64,
    /// What it is.
    pub key: DerivedKey,
    /// What came of it.
    pub outcome: DerivedOutcome,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last asked for, to the hour.
    pub used_at: DateTime<Utc>,
}
