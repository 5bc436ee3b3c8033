//! The section `status`: where states of assemblies are remembered.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConfigError, refuse};

/// Where states of assemblies are remembered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Status {
    /// `memory`, or `redis://…` or `rediss://…` for several processes. `SYMDEPOT_STATUS__URL`
    pub url: String,
    /// How long a state is remembered. `SYMDEPOT_STATUS__TTL`
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
    /// How long Redis may take for an answer before the rows are asked instead. `SYMDEPOT_STATUS__TIMEOUT`
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// What keys in Redis begin with: its own for each installation that shares one. `SYMDEPOT_STATUS__PREFIX`
    pub prefix: String,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            url: "memory".to_owned(),
            ttl: Duration::from_secs(300),
            timeout: Duration::from_millis(250),
            prefix: "symdepot".to_owned(),
        }
    }
}

impl Status {
    /// Refuses what no cache answers to.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let known = self.url == "memory" || self.url.starts_with("redis://") || self.url.starts_with("rediss://");
        if !known {
            return refuse("status.url", self.url.clone(), "`memory`, `redis://…` or `rediss://…`");
        }
        if self.timeout < Duration::from_millis(1) {
            return refuse("status.timeout", format!("{:?}", self.timeout), "at least 1ms");
        }
        if self.prefix.is_empty() {
            return refuse("status.prefix", self.prefix.clone(), "any text");
        }
        Ok(())
    }
}
