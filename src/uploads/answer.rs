//! What a client asks of one file, and what it is answered. It decides nothing.

use crate::cache::RememberedState;
use crate::types::{AssemblyState, DebugFile, Sha1};

/// One file of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Checksum of the whole file.
    pub sha1: Sha1,
    /// Name the client gave.
    pub name: String,
    /// Debug id the client gave, as it wrote it.
    pub debug_id: Option<String>,
    /// Chunks in order, with repeats. Empty: only asks where it stands.
    pub chunks: Vec<Sha1>,
}

/// Where one file stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The project has it. The detail is what the uploader should know all the same.
    Ok {
        /// The file.
        file: Box<DebugFile>,
        /// A remark.
        detail: Option<String>,
    },
    /// It waits, is worked on, or failed.
    State(RememberedState),
    /// It was queued just now.
    Queued,
    /// These chunks are not there for this organization; each is named once.
    NotFound(Vec<Sha1>),
}

/// The answer of a file that cannot be had, with the reason.
pub fn refused(reason: &str) -> Answer {
    Answer::State(RememberedState { state: AssemblyState::Error, detail: Some(reason.to_owned()) })
}
