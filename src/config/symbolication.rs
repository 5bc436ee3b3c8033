//! The section `symbolication`: how many requests name frames at a time, and for how long.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConfigError, MIB, refuse};

/// Naming the frames of stacks, dumps and reports.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Symbolication {
    /// Longest time for one request. `SYMDEPOT_SYMBOLICATION__TIMEOUT`
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Largest dump or report in bytes, unpacked. `SYMDEPOT_SYMBOLICATION__MAX_DUMP_SIZE`
    pub max_dump_size: u64,
    /// Requests at a time. `SYMDEPOT_SYMBOLICATION__PARALLEL`
    pub parallel: usize,
    /// Requests that wait beside them. `SYMDEPOT_SYMBOLICATION__QUEUE`
    pub queue: usize,
    /// How long a response is kept for a client that asks again. `SYMDEPOT_SYMBOLICATION__RESULTS_TTL`
    #[serde(with = "humantime_serde")]
    pub results_ttl: Duration,
    /// Bytes of such responses in a process. `SYMDEPOT_SYMBOLICATION__RESULTS_MEMORY`
    pub results_memory: u64,
}

impl Default for Symbolication {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            max_dump_size: 256 * MIB,
            parallel: 16,
            queue: 256,
            results_ttl: Duration::from_secs(90),
            results_memory: 256 * MIB,
        }
    }
}

impl Symbolication {
    /// Refuses what would answer no request.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.parallel == 0 {
            return refuse("symbolication.parallel", "0".to_owned(), "at least 1");
        }
        if self.timeout.is_zero() {
            return refuse("symbolication.timeout", "0s".to_owned(), "more than 0s");
        }
        Ok(())
    }
}
