//! The section `gc`: what is cleaned up and when.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What is cleaned up and when.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gc {
    /// Time between two clean-ups. `SYMDEPOT_GC__INTERVAL`
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// Age from which temp files and bytes without a row are taken for left over. `SYMDEPOT_GC__TEMP_GRACE`
    #[serde(with = "humantime_serde")]
    pub temp_grace: Duration,
}

impl Default for Gc {
    fn default() -> Self {
        Self { interval: Duration::from_secs(3600), temp_grace: Duration::from_secs(3600) }
    }
}
