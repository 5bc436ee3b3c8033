//! Background jobs as their rows describe them. What a payload says is known to the module that queues and does the work;
//! nothing here reads one.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::identity::{UnknownWord, words};

words! {
    /// What a job does. Each kind is a file in `src/jobs`; assemblies have a table of their own.
    JobKind {
        /// Makes something from a stored debug file: its symcache, its Breakpad text, a cabinet of it.
        Symcache = "symcache",
        /// Processes events again that lacked a debug file which is there now.
        Reprocess = "reprocess",
    }
}

/// A job that a worker holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Row id.
    pub id: i64,
    /// What it does.
    pub kind: JobKind,
    /// For whom; organizations share the workers fairly.
    pub organization_id: i64,
    /// In which project, if in one.
    pub project_id: Option<i64>,
    /// What makes it the same work as another one.
    pub dedup_key: Option<String>,
    /// What to do, as JSON.
    pub payload: String,
    /// Which attempt this is, from 1 on.
    pub attempt: i64,
    /// When it was queued.
    pub created_at: DateTime<Utc>,
}

/// A hold on a job: only its owner may end the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobLease {
    /// Row id of the job.
    pub job_id: i64,
    /// The token in its row.
    pub token: String,
}
