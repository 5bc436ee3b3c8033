//! Bytes at rest: a store of immutable blobs under fresh keys.
//!
//! Every write goes to a key that nobody had before, so a writer who loses a race deletes only its own bytes. The
//! store never knows what the bytes mean and never overwrites.

mod failing;
mod file_stream;
mod filesystem;
mod memory;
mod pieces;
mod s3;
mod spool;
mod temp;
mod unpack;

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::stream::BoxStream;

use crate::config::Config;

pub use failing::{Failing, Fault};
pub use filesystem::Filesystem;
pub use memory::Memory;
pub use pieces::{read_ahead, read_at_rest, read_pieces};
pub use s3::S3;
pub use spool::{Spool, SpoolWriter, Spooled, spool_file, spool_stream};
pub use temp::{SweepMode, TempSweep, named_temp_file, sweep_folder};

/// Name of a folder for temp files; no key begins with it.
const TEMP: &str = "tmp";

/// Where a blob is: a folder for its sort of content and a fresh id.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct BlobKey(String);

/// What went wrong with bytes.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The bytes that a row speaks of are not there.
    #[error("the bytes of blob {0} are missing")]
    Missing(String),
    /// The bytes are there and are not what the row says.
    #[error("the bytes of blob {key} are damaged: {reason}")]
    Damaged {
        /// Key of the blob.
        key: String,
        /// What is wrong with them.
        reason: String,
    },
    /// The volume has no space left.
    #[error("the volume for {0} is full")]
    Full(&'static str),
    /// Anything else that the machine says.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the machine said.
        source: std::io::Error,
    },
}

/// Stored bytes, not decoded, in buffers that are never empty.
pub type BlobReader = BoxStream<'static, Result<Bytes, BlobError>>;

/// One blob in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: BlobKey,
    /// Size at rest in bytes.
    pub stored_size: u64,
    /// When it was put there.
    pub modified: DateTime<Utc>,
}

/// A place for bytes. Open set: decorators wrap it, tests break it on purpose.
#[async_trait]
pub trait BlobStore: Send + Sync + fmt::Debug {
    /// A fresh temp file, on the volume where a `put` costs least.
    async fn spool(&self) -> Result<Spool, BlobError>;
    /// Takes a finished spool in under `key`, which must be fresh. The bytes are durable when this returns.
    async fn put(&self, key: &BlobKey, spool: Spool) -> Result<(), BlobError>;
    /// Opens stored bytes, all or a range of them. A range that does not lie inside the blob finds it damaged.
    async fn open(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<BlobReader, BlobError>;
    /// A URL at which whoever has it may fetch the bytes as they stand, without us, for a quarter of an hour. `None` from
    /// a store that has no such thing, or is told not to give it away.
    async fn elsewhere(&self, _key: &BlobKey) -> Result<Option<String>, BlobError> {
        Ok(None)
    }
    /// Size at rest, or `None` if there is no such blob.
    async fn stored_size(&self, key: &BlobKey) -> Result<Option<u64>, BlobError>;
    /// Removes blobs; one that is not there is no error.
    async fn delete(&self, keys: &[BlobKey]) -> Result<(), BlobError>;
    /// Up to `limit` blobs in key order, after `after`.
    async fn list(&self, after: Option<&BlobKey>, limit: usize) -> Result<Vec<Listed>, BlobError>;
    /// Sweeps what a process that died left over: temp files of this machine and, if asked, unfinished uploads. Returns how
    /// many.
    async fn sweep_temp(&self, sweep: &TempSweep) -> Result<u64, BlobError>;
}

/// The store that the settings name. What spools on this machine does so below the folder for temp files.
pub async fn open_store(config: &Config) -> Result<Arc<dyn BlobStore>, BlobError> {
    let url = config.blobs_url();
    let spools = config.temp_dir().join("spools");
    if let Some(path) = url.strip_prefix("file://") {
        return Ok(Arc::new(Filesystem::open(path)?));
    }
    if let Some(place) = url.strip_prefix("s3://") {
        return Ok(Arc::new(S3::open(place, &config.blobs.s3, spools).await?));
    }
    match url.as_str() {
        "memory" => Ok(Arc::new(Memory::open(spools)?)),
        _ => Err(BlobError::io(format!("open the blob store {url:?}"), io::ErrorKind::Unsupported.into())),
    }
}

/// Runs `work` on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(BlobError::io("work on a blocking thread", io::Error::other(error))),
    }
}

impl BlobError {
    /// Key of the blob whose bytes are not what a row says, if that is what went wrong.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Missing(key) | Self::Damaged { key, .. } => Some(key),
            Self::Full(_) | Self::Io { .. } => None,
        }
    }

    /// Whether the place where the bytes are does not answer just now, so that it may be asked again.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotConnected)
    }

    /// What the machine said when `what` was tried; a volume without space is told apart.
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full("blobs"),
            _ => Self::Io { what: what.into(), source },
        }
    }
}

impl BlobKey {
    /// A fresh key for content of `sort` (`chunks`, `symcaches`).
    pub fn fresh(sort: &str, id: uuid::Uuid) -> Self {
        let id = id.simple().to_string();
        // The end of a time-sorted id is random, so it spreads the folders evenly.
        Self(format!("{sort}/{}/{id}", &id[30..]))
    }

    /// Whether it has the form of a key of ours. One that has not has no bytes, wherever it leads.
    fn is_ours(&self) -> bool {
        let mut parts = self.0.split('/').peekable();
        parts.peek() != Some(&TEMP) && parts.all(|part| !matches!(part, "" | "." | "..") && !part.contains('\0'))
    }

    /// The key as written in a row.
    pub fn from_row(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text for a row.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
