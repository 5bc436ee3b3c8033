//! [`StatusCache`]: where assemblies stand, remembered for a while so that pollers do not ask the rows.
//!
//! It is cleared on success, because from then on the debug file itself answers. It never decides anything.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::types::{AssemblyState, Sha1};

/// A state as pollers hear it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RememberedState {
    /// Where the assembly stands.
    pub state: AssemblyState,
    /// Why it failed.
    pub detail: Option<String>,
}

/// A state and since when it is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The state.
    pub state: RememberedState,
    /// When it was found to be so.
    pub since: DateTime<Utc>,
}

/// States by project and checksum. Losing it all loses time, never data.
#[derive(Clone, Debug)]
pub enum StatusCache {
    /// In this process.
    Local(moka::future::Cache<(i64, Sha1), Remembered>),
}

impl StatusCache {
    /// A cache in this process that forgets after `ttl`.
    pub fn local(ttl: Duration) -> Self {
        Self::Local(moka::future::Cache::builder().max_capacity(200_000).time_to_live(ttl).build())
    }

    /// What is remembered.
    pub async fn get(&self, project_id: i64, sha1: Sha1) -> Option<Remembered> {
        match self {
            Self::Local(cache) => cache.get(&(project_id, sha1)).await,
        }
    }

    /// Remembers a state, for the whole time anew.
    pub async fn set(&self, project_id: i64, sha1: Sha1, state: RememberedState, since: DateTime<Utc>) {
        match self {
            Self::Local(cache) => cache.insert((project_id, sha1), Remembered { state, since }).await,
        }
    }

    /// Forgets a state: rows and files answer from now on.
    pub async fn clear(&self, project_id: i64, sha1: Sha1) {
        match self {
            Self::Local(cache) => cache.invalidate(&(project_id, sha1)).await,
        }
    }
}
