//! The section `uploads`: limits of uploads.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConfigError, MIB, refuse};

/// Limits of uploads.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Uploads {
    /// Largest chunk in bytes, after inflating; a power of two for old clients. `SYMDEPOT_UPLOADS__CHUNK_SIZE`
    pub chunk_size: u64,
    /// Most chunks in one request. `SYMDEPOT_UPLOADS__CHUNKS_PER_REQUEST`
    pub chunks_per_request: u64,
    /// Most bytes in one request, after inflating. `SYMDEPOT_UPLOADS__MAX_REQUEST_SIZE`
    pub max_request_size: u64,
    /// Largest whole file in bytes. `SYMDEPOT_UPLOADS__MAX_FILE_SIZE`
    pub max_file_size: u64,
    /// Parallel uploads that each client is told to make. `SYMDEPOT_UPLOADS__CONCURRENCY`
    pub concurrency: u8,
    /// Longest time a client is told to wait for an assembly. `SYMDEPOT_UPLOADS__MAX_WAIT`
    #[serde(with = "humantime_serde")]
    pub max_wait: Duration,
    /// How long a chunk that nobody uses is kept. `SYMDEPOT_UPLOADS__CHUNK_GRACE`
    #[serde(with = "humantime_serde")]
    pub chunk_grace: Duration,
    /// Upload requests worked on at a time. `SYMDEPOT_UPLOADS__PARALLEL`
    pub parallel: usize,
    /// Upload requests that may wait for a turn; further ones get 503. `SYMDEPOT_UPLOADS__QUEUE`
    pub queue: usize,
    /// Longest wait for a turn, then 503. `SYMDEPOT_UPLOADS__QUEUE_WAIT`
    #[serde(with = "humantime_serde")]
    pub queue_wait: Duration,
}

impl Default for Uploads {
    fn default() -> Self {
        Self {
            chunk_size: 8 * MIB,
            chunks_per_request: 64,
            max_request_size: 32 * MIB,
            max_file_size: 4096 * MIB,
            concurrency: 8,
            max_wait: Duration::from_secs(300),
            chunk_grace: Duration::from_secs(24 * 3600),
            parallel: 16,
            queue: 256,
            queue_wait: Duration::from_secs(30),
        }
    }
}

impl Uploads {
    /// Refuses values that would make clients loop or overflow.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !self.chunk_size.is_power_of_two() || self.chunk_size > 1 << 30 {
            return refuse("uploads.chunk_size", self.chunk_size.to_string(), "a power of two up to 1 GiB");
        }
        if self.chunks_per_request == 0 {
            return refuse("uploads.chunks_per_request", "0".to_owned(), "at least 1");
        }
        if self.max_request_size < self.chunk_size {
            return refuse("uploads.max_request_size", self.max_request_size.to_string(), "at least one chunk");
        }
        if self.concurrency == 0 || self.concurrency > 16 {
            return refuse("uploads.concurrency", self.concurrency.to_string(), "1 to 16");
        }
        if self.parallel == 0 {
            return refuse("uploads.parallel", "0".to_owned(), "at least 1");
        }
        Ok(())
    }
}
