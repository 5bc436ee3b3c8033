//! The section `jobs`: background work.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConfigError, refuse};

/// Background work.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jobs {
    /// How long a worker holds a job without a sign of life. `SYMDEPOT_JOBS__LEASE`
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// Jobs at a time; 0 means the number of cores. Never more than conversions at a time and one.
    /// `SYMDEPOT_JOBS__CONCURRENCY`
    pub concurrency: usize,
    /// Wait before a failed job is tried again; doubles with each attempt. `SYMDEPOT_JOBS__BACK_OFF`
    #[serde(with = "humantime_serde")]
    pub back_off: Duration,
}

impl Default for Jobs {
    fn default() -> Self {
        Self { lease: Duration::from_secs(30), concurrency: 0, back_off: Duration::from_secs(1) }
    }
}

impl Jobs {
    /// Refuses values that would have a job done twice all the time.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.lease < Duration::from_millis(100) {
            return refuse("jobs.lease", format!("{:?}", self.lease), "at least 100ms");
        }
        Ok(())
    }
}
