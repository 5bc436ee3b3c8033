//! The section `upstreams`: how other symbol servers are asked for what a project does not have.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConfigError, MIB, refuse};

/// How other symbol servers are asked for what a project does not have.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Upstreams {
    /// Whether addresses that are not public may be asked, such as those of an own network.
    /// `SYMDEPOT_UPSTREAMS__ALLOW_PRIVATE`
    pub allow_private: bool,
    /// Whether clients without a credential may have upstreams of a public project asked. `SYMDEPOT_UPSTREAMS__ANONYMOUS`
    pub anonymous: bool,
    /// Longest time to a connection, the look-up of the name included. `SYMDEPOT_UPSTREAMS__CONNECT_TIMEOUT`
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Longest time to the head of an answer. `SYMDEPOT_UPSTREAMS__HEAD_TIMEOUT`
    #[serde(with = "humantime_serde")]
    pub head_timeout: Duration,
    /// Longest time for one file, with all its redirects. `SYMDEPOT_UPSTREAMS__TOTAL_TIMEOUT`
    #[serde(with = "humantime_serde")]
    pub total_timeout: Duration,
    /// How long a client that asked for a file waits until it is there. `SYMDEPOT_UPSTREAMS__MAX_WAIT`
    #[serde(with = "humantime_serde")]
    pub max_wait: Duration,
    /// Largest file that is taken, in bytes after unpacking. `SYMDEPOT_UPSTREAMS__MAX_SIZE`
    pub max_size: u64,
    /// Most redirects that are followed. `SYMDEPOT_UPSTREAMS__MAX_REDIRECTS`
    pub max_redirects: u32,
    /// How long an upstream that does not have a file is not asked for it again; each time twice as long.
    /// `SYMDEPOT_UPSTREAMS__FIRST_BACK_OFF`
    #[serde(with = "humantime_serde")]
    pub first_back_off: Duration,
    /// The longest of these times. `SYMDEPOT_UPSTREAMS__LONGEST_BACK_OFF`
    #[serde(with = "humantime_serde")]
    pub longest_back_off: Duration,
    /// How long an upstream in trouble is left alone at first. `SYMDEPOT_UPSTREAMS__TROUBLE_BACK_OFF`
    #[serde(with = "humantime_serde")]
    pub trouble_back_off: Duration,
    /// Downloads at a time. `SYMDEPOT_UPSTREAMS__PARALLEL`
    pub parallel: usize,
}

impl Default for Upstreams {
    fn default() -> Self {
        Self {
            allow_private: false,
            anonymous: false,
            connect_timeout: Duration::from_secs(5),
            head_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(300),
            max_wait: Duration::from_secs(60),
            max_size: 4096 * MIB,
            max_redirects: 5,
            first_back_off: Duration::from_secs(600),
            longest_back_off: Duration::from_secs(24 * 3600),
            trouble_back_off: Duration::from_secs(30),
            parallel: 8,
        }
    }
}

impl Upstreams {
    /// Refuses values with which nothing would ever come, or everything would be asked all the time.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let times = [
            ("upstreams.connect_timeout", self.connect_timeout),
            ("upstreams.head_timeout", self.head_timeout),
            ("upstreams.total_timeout", self.total_timeout),
            ("upstreams.first_back_off", self.first_back_off),
            ("upstreams.longest_back_off", self.longest_back_off),
            ("upstreams.trouble_back_off", self.trouble_back_off),
        ];
        for (key, time) in times {
            if time.is_zero() || time > Duration::from_secs(365 * 24 * 3600) {
                return refuse(key, shown(time), "more than 0s and up to 365days");
            }
        }
        if self.longest_back_off < self.first_back_off {
            return refuse(
                "upstreams.longest_back_off",
                shown(self.longest_back_off),
                "at least `upstreams.first_back_off`",
            );
        }
        if self.parallel == 0 {
            return refuse("upstreams.parallel", "0".to_owned(), "at least 1");
        }
        Ok(())
    }
}

fn shown(time: Duration) -> String {
    humantime_serde::re::humantime::format_duration(time).to_string()
}
