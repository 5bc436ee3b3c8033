//! The section `blobs.s3`: how a store that speaks S3 is reached, how long it may take, how often it is asked again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConfigError, MIB, refuse};
use crate::types::mask_url;

/// Parts of one blob that are sent at a time.
pub const PARTS_AT_A_TIME: u64 = 4;

/// How the bucket of an `s3://` URL is reached.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3 {
    /// Address of the server; empty means Amazon's. `SYMDEPOT_BLOBS__S3__ENDPOINT`
    pub endpoint: String,
    /// Region of the bucket; empty means what the AWS chain says, or `us-east-1`. `SYMDEPOT_BLOBS__S3__REGION`
    pub region: String,
    /// The bucket stands in the path, not in the host name. `SYMDEPOT_BLOBS__S3__PATH_STYLE`
    pub path_style: bool,
    /// Access key; empty means what the AWS chain finds. `SYMDEPOT_BLOBS__S3__ACCESS_KEY_ID`
    pub access_key_id: String,
    /// Its secret. `SYMDEPOT_BLOBS__S3__SECRET_ACCESS_KEY`
    pub secret_access_key: String,
    /// Longest wait for a connection. `SYMDEPOT_BLOBS__S3__CONNECT_TIMEOUT`
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Longest wait for the answer to one try of a request, its upload included. `SYMDEPOT_BLOBS__S3__ATTEMPT_TIMEOUT`
    #[serde(with = "humantime_serde")]
    pub attempt_timeout: Duration,
    /// Longest time in which no byte of a body comes. `SYMDEPOT_BLOBS__S3__STALL_TIMEOUT`
    #[serde(with = "humantime_serde")]
    pub stall_timeout: Duration,
    /// How often a request is tried, and a body that broke off continued. `SYMDEPOT_BLOBS__S3__ATTEMPTS`
    pub attempts: u32,
    /// Wait before the second try, on average; each further one is twice as long. `SYMDEPOT_BLOBS__S3__BACK_OFF`
    #[serde(with = "humantime_serde")]
    pub back_off: Duration,
    /// Blobs of more bytes are sent in parts. `SYMDEPOT_BLOBS__S3__MULTIPART_THRESHOLD`
    pub multipart_threshold: u64,
    /// Bytes of a part; the server wants at least 5 MiB. `SYMDEPOT_BLOBS__S3__PART_SIZE`
    pub part_size: u64,
    /// Ask the server itself to refuse a key that exists; `false` for servers that do not know the condition.
    /// `SYMDEPOT_BLOBS__S3__CONDITIONAL_PUT`
    pub conditional_put: bool,
    /// Send who fetches a whole file on to the bucket, where the file stands there as it is.
    /// `SYMDEPOT_BLOBS__S3__REDIRECT`
    pub redirect: bool,
}

impl Default for S3 {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            region: String::new(),
            path_style: false,
            access_key_id: String::new(),
            secret_access_key: String::new(),
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(20),
            attempts: 5,
            back_off: Duration::from_millis(500),
            multipart_threshold: 64 * MIB,
            part_size: 16 * MIB,
            conditional_put: true,
            redirect: false,
        }
    }
}

impl S3 {
    /// Refuses what no server can be reached with.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !self.endpoint.is_empty() && !self.endpoint.starts_with("http://") && !self.endpoint.starts_with("https://")
        {
            return refuse("blobs.s3.endpoint", self.endpoint.clone(), "`http://…` or `https://…`");
        }
        if self.access_key_id.is_empty() != self.secret_access_key.is_empty() {
            let allowed = "it and `blobs.s3.secret_access_key`, or neither";
            return refuse("blobs.s3.access_key_id", mask(&self.access_key_id), allowed);
        }
        for (key, time) in [
            ("blobs.s3.connect_timeout", self.connect_timeout),
            ("blobs.s3.attempt_timeout", self.attempt_timeout),
            ("blobs.s3.stall_timeout", self.stall_timeout),
        ] {
            if time.is_zero() {
                return refuse(key, "0s".to_owned(), "more than nothing");
            }
        }
        if self.attempts == 0 {
            return refuse("blobs.s3.attempts", "0".to_owned(), "at least 1");
        }
        if self.part_size < 5 * MIB || self.part_size > 5 << 30 {
            return refuse("blobs.s3.part_size", self.part_size.to_string(), "5 MiB to 5 GiB");
        }
        if self.multipart_threshold > 5 << 30 {
            return refuse("blobs.s3.multipart_threshold", self.multipart_threshold.to_string(), "up to 5 GiB");
        }
        Ok(())
    }

    /// The longest time that storing so many bytes may take, each request with all its tries.
    pub fn longest_put(&self, size: u64) -> Duration {
        let rounds = match size <= self.multipart_threshold {
            true => 1,
            // Two more requests begin and end an upload in parts.
            false => size.div_ceil(self.part_size.max(1)).div_ceil(PARTS_AT_A_TIME) + 2,
        };
        let waits = self.back_off.saturating_mul(2u32.saturating_pow(self.attempts.min(7)));
        let one = self.attempt_timeout.saturating_mul(self.attempts).saturating_add(waits);
        one.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX))
    }

    /// The same without secrets.
    pub(super) fn masked(&self) -> Self {
        let mut masked = self.clone();
        masked.endpoint = mask_url(&self.endpoint);
        masked.access_key_id = mask(&self.access_key_id);
        masked.secret_access_key = mask(&self.secret_access_key);
        masked
    }
}

fn mask(secret: &str) -> String {
    if secret.is_empty() { String::new() } else { "***".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_put_counts_every_try_of_every_part() {
        let settings =
            S3 { attempts: 2, attempt_timeout: Duration::from_secs(10), back_off: Duration::ZERO, ..S3::default() };
        assert_eq!(settings.longest_put(1), Duration::from_secs(20));
        assert_eq!(settings.longest_put(settings.multipart_threshold), Duration::from_secs(20));
        assert_eq!(settings.longest_put(settings.part_size * 9), Duration::from_secs(20 * (3 + 2)));
        assert!(settings.longest_put(u64::MAX) > Duration::from_secs(1 << 30));
    }
}
