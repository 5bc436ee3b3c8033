//! The section `http`: connections, and how slowly a client may send.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConfigError, refuse};

/// Connections, and how slowly a client may send.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Open connections at a time. Further ones are answered 503, except for `/health/…`. `SYMDEPOT_HTTP__MAX_CONNECTIONS`
    pub max_connections: usize,
    /// Longest time from the first byte of a request to the end of its header. `SYMDEPOT_HTTP__HEADER_TIMEOUT`
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// How long a connection without a request stays open. `SYMDEPOT_HTTP__IDLE_TIMEOUT`
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// How long a client may take nothing of a response before its connection is closed. `SYMDEPOT_HTTP__WRITE_TIMEOUT`
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// Bytes a second that the body of a request must have on average; a slower one is answered 408. 0 means any.
    /// `SYMDEPOT_HTTP__MIN_RATE`
    pub min_rate: u64,
    /// How long a body may be slower at its beginning. `SYMDEPOT_HTTP__RATE_GRACE`
    #[serde(with = "humantime_serde")]
    pub rate_grace: Duration,
    /// The time over which the average is taken. `SYMDEPOT_HTTP__RATE_WINDOW`
    #[serde(with = "humantime_serde")]
    pub rate_window: Duration,
    /// Longest time in which the body of a request must arrive, however fast it is. `SYMDEPOT_HTTP__BODY_TIMEOUT`
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            header_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(300),
            min_rate: 16 << 10,
            rate_grace: Duration::from_secs(10),
            rate_window: Duration::from_secs(30),
            body_timeout: Duration::from_secs(3600),
        }
    }
}

impl Http {
    /// Refuses values with which no request would ever arrive.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.max_connections == 0 {
            return refuse("http.max_connections", "0".to_owned(), "at least 1");
        }
        let times = [
            ("http.header_timeout", self.header_timeout),
            ("http.idle_timeout", self.idle_timeout),
            ("http.write_timeout", self.write_timeout),
            ("http.rate_window", self.rate_window),
            ("http.body_timeout", self.body_timeout),
        ];
        for (key, time) in times {
            if time < Duration::from_millis(1) || time > Duration::from_secs(365 * 24 * 3600) {
                return refuse(key, format!("{time:?}"), "1ms to 365days");
            }
        }
        Ok(())
    }
}
