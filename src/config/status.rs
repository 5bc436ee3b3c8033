//! The section `status`: where states of assemblies are remembered.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConfigError, mask_url, refuse};

/// Where states of assemblies are remembered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Status {
    /// `memory`. `SYMDEPOT_STATUS__URL`
    pub url: String,
    /// How long a state is remembered. `SYMDEPOT_STATUS__TTL`
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
}

impl Default for Status {
    fn default() -> Self {
        Self { url: "memory".to_owned(), ttl: Duration::from_secs(300) }
    }
}

impl Status {
    /// Refuses what no cache answers to.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self.url.as_str() {
            "memory" => Ok(()),
            url => refuse("status.url", mask_url(url), "`memory`"),
        }
    }
}
