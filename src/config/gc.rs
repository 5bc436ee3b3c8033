//! The section `gc`: what is cleaned up and when.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What is cleaned up and when.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gc {
    /// Time between two clean-ups; 0 means that this process leaves them to others. `SYMDEPOT_GC__INTERVAL`
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// Time between two searches for bytes without a row, which go through the whole store; 0 means at every clean-up.
    /// `SYMDEPOT_GC__STRAYS_INTERVAL`
    #[serde(with = "humantime_serde")]
    pub strays_interval: Duration,
    /// Age from which temp files and bytes without a row are taken for left over. `SYMDEPOT_GC__TEMP_GRACE`
    #[serde(with = "humantime_serde")]
    pub temp_grace: Duration,
}

impl Default for Gc {
    fn default() -> Self {
        let hour = Duration::from_secs(3600);
        Self { interval: hour, strays_interval: 24 * hour, temp_grace: hour }
    }
}
