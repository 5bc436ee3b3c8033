//! The section `database`: where rows live, and how long anything may wait for them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConfigError, refuse};

/// Where rows live. All but the URL is about `PostgreSQL`, whose connections are shared with others.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `sqlite://<path>` or `postgres://…`; empty means `sqlite://<data_dir>/symdepot.db`. `SYMDEPOT_DATABASE__URL`
    pub url: String,
    /// Connections of one process at a time. `SYMDEPOT_DATABASE__MAX_CONNECTIONS`
    pub max_connections: u32,
    /// How long a request waits for a connection before it is answered 503. `SYMDEPOT_DATABASE__ACQUIRE_TIMEOUT`
    #[serde(with = "humantime_serde")]
    pub acquire_timeout: Duration,
    /// How long one statement may take; 0 means any time. `SYMDEPOT_DATABASE__STATEMENT_TIMEOUT`
    #[serde(with = "humantime_serde")]
    pub statement_timeout: Duration,
    /// How long one statement may wait for what another has locked; 0 means any time.
    /// `SYMDEPOT_DATABASE__LOCK_TIMEOUT`
    #[serde(with = "humantime_serde")]
    pub lock_timeout: Duration,
    /// How long a connection may rest: one that nobody used for so long is closed, and the server ends a transaction that
    /// stands open with nothing to do. 0 means any time. `SYMDEPOT_DATABASE__IDLE_TIMEOUT`
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// How long a start waits for the server to come up. `SYMDEPOT_DATABASE__CONNECT_TIMEOUT`
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: String::new(),
            max_connections: 16,
            acquire_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(60),
            lock_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(60),
        }
    }
}

impl Database {
    /// Refuses values with which no request would ever get a connection.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.max_connections < 2 {
            return refuse("database.max_connections", self.max_connections.to_string(), "at least 2");
        }
        if self.acquire_timeout < Duration::from_millis(1) {
            return refuse("database.acquire_timeout", format!("{:?}", self.acquire_timeout), "at least 1ms");
        }
        Ok(())
    }
}
