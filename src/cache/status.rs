//! [`StatusCache`]: where assemblies stand, remembered for a while so that pollers do not ask the rows.
//!
//! It is cleared on success, because from then on the debug file itself answers. It never decides anything, and whoever
//! uses it never learns that it failed: what is not remembered is asked of the rows.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::shared_status::{SharedStatus, StatusError};
use crate::config;
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
    /// When it was found to be so, by the clock of whoever found it.
    pub since: DateTime<Utc>,
}

/// States by project and checksum. Losing it all loses time, never data.
#[derive(Clone, Debug)]
pub enum StatusCache {
    /// In this process.
    Local(moka::future::Cache<(i64, Sha1), Remembered>),
    /// In Redis, for all processes of an installation.
    Shared(SharedStatus),
}

impl StatusCache {
    /// The cache that the settings name. One that cannot be reached is opened all the same: it remembers nothing until
    /// it answers.
    pub fn open(settings: &config::Status) -> Result<Self, StatusError> {
        match settings.url.as_str() {
            "memory" => Ok(Self::local(settings.ttl)),
            _ => SharedStatus::open(settings).map(Self::Shared),
        }
    }

    /// A cache in this process that forgets after `ttl`.
    pub fn local(ttl: Duration) -> Self {
        Self::Local(moka::future::Cache::builder().max_capacity(200_000).time_to_live(ttl).build())
    }

    /// Redis, if there is one.
    pub fn shared(&self) -> Option<&SharedStatus> {
        match self {
            Self::Local(_) => None,
            Self::Shared(shared) => Some(shared),
        }
    }

    /// What is remembered.
    pub async fn get(&self, project_id: i64, sha1: Sha1) -> Option<Remembered> {
        self.get_many(project_id, &[sha1]).await.remove(&sha1)
    }

    /// What is remembered of many, in one question.
    pub async fn get_many(&self, project_id: i64, sha1s: &[Sha1]) -> HashMap<Sha1, Remembered> {
        match self {
            Self::Local(cache) => {
                let mut found = HashMap::new();
                for &sha1 in sha1s {
                    if let Some(remembered) = cache.get(&(project_id, sha1)).await {
                        found.insert(sha1, remembered);
                    }
                }
                found
            }
            Self::Shared(shared) => shared.get_many(project_id, sha1s).await,
        }
    }

    /// Remembers a state, for the whole time anew.
    pub async fn set(&self, project_id: i64, sha1: Sha1, state: RememberedState, since: DateTime<Utc>) {
        self.set_many(project_id, vec![(sha1, Remembered { state, since })]).await;
    }

    /// Remembers many states, for the whole time anew. Of several for one checksum the last one stays.
    pub async fn set_many(&self, project_id: i64, states: Vec<(Sha1, Remembered)>) {
        match self {
            Self::Local(cache) => {
                for (sha1, remembered) in states {
                    cache.insert((project_id, sha1), remembered).await;
                }
            }
            Self::Shared(shared) => shared.set_many(project_id, &states).await,
        }
    }

    /// Forgets a state: rows and files answer from now on.
    pub async fn clear(&self, project_id: i64, sha1: Sha1) {
        match self {
            Self::Local(cache) => cache.invalidate(&(project_id, sha1)).await,
            Self::Shared(shared) => shared.clear(project_id, sha1).await,
        }
    }

    /// Asks for a sign of life, whatever came of the last questions.
    pub async fn ping(&self) -> Result<(), StatusError> {
        match self {
            Self::Local(_) => Ok(()),
            Self::Shared(shared) => shared.ping().await,
        }
    }
}
