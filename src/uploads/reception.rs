//! [`Reception`]: the chunks of one upload request, taken in one after the other as they arrive.
//!
//! Chunks before a refused one stay. It never holds a chunk in memory and knows nothing of HTTP.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::chunks::{ChunkError, accept_chunk_for_good, has_chunk};
use super::intake::{Feed, IntakeError, Packing, Portion, Taken, take_in};
use crate::accounts::{Allowance, QuotaError};
use crate::blobs::{BlobError, BlobStore, SpoolWriter};
use crate::clock::Clock;
use crate::config::{Compression, Uploads};
use crate::db::Db;
use crate::types::Sha1;

/// Why an upload was refused. The texts that Sentry has are exactly Sentry's.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// A chunk has more bytes than one may have.
    #[error("Chunk size too large")]
    ChunkTooLarge,
    /// The chunks have more bytes than those of one request may have.
    #[error("Request too large")]
    RequestTooLarge,
    /// There are more chunks than one request may have.
    #[error("Too many chunks")]
    TooManyChunks,
    /// A chunk is not named by the checksum of its content.
    #[error("Checksum mismatch")]
    ChecksumMismatch,
    /// A chunk cannot be inflated.
    #[error("Invalid gzip payload")]
    InvalidGzip,
    /// A chunk cannot be decompressed.
    #[error("Invalid zstd payload")]
    InvalidZstd,
    /// The request ended, or its sender gave up, in the middle of a chunk.
    #[error("The upload ended in the middle of a chunk. Send it again.")]
    Cut,
    /// The organization has as much as it may have.
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// The chunk could not be stored.
    #[error(transparent)]
    Store(#[from] ChunkError),
}

/// Takes in the chunks of one request of one organization.
#[derive(Debug)]
pub struct Reception {
    db: Db,
    blobs: Arc<dyn BlobStore>,
    clock: Clock,
    limits: Uploads,
    compression: Compression,
    allowance: Allowance,
    tasks: TaskTracker,
    chunks: u64,
    content: u64,
}

/// A chunk whose bytes are arriving. Dropped before [`Reception::finish`], nothing of it stays.
#[derive(Debug)]
pub struct Arriving {
    claimed: Option<Sha1>,
    portions: mpsc::Sender<Portion>,
    intake: JoinHandle<Result<Taken, IntakeError>>,
}

impl Reception {
    /// Opens for one request, which may add as much as it is allowed.
    pub fn open(
        db: &Db,
        blobs: &Arc<dyn BlobStore>,
        clock: &Clock,
        limits: &Uploads,
        compression: Compression,
        allowance: Allowance,
        tasks: &TaskTracker,
    ) -> Self {
        Self {
            db: db.clone(),
            blobs: Arc::clone(blobs),
            clock: clock.clone(),
            limits: limits.clone(),
            compression,
            allowance,
            tasks: tasks.clone(),
            chunks: 0,
            content: 0,
        }
    }

    /// Begins the next chunk, which its sender named `name`.
    pub async fn begin(&mut self, name: &str, packing: Packing) -> Result<Arriving, UploadError> {
        self.chunks += 1;
        if self.chunks > self.limits.chunks_per_request {
            return Err(UploadError::TooManyChunks);
        }
        let claimed: Option<Sha1> = name.parse().ok();
        // What cannot be kept or is there already is only looked at.
        let owner = self.allowance.organization_id();
        let spool = match claimed {
            Some(sha1) if !has_chunk(&self.db, &*self.blobs, &self.clock, owner, sha1).await? => {
                self.allowance.may_send().await?;
                Some(self.blobs.spool().await?)
            }
            _ => None,
        };
        let (portions, feed) = Feed::new();
        let (limit, compression) = (self.limits.chunk_size, self.compression);
        let intake = tokio::task::spawn_blocking(move || {
            let sink = spool.map(|spool| SpoolWriter::new(spool, compression)).transpose()?;
            take_in(feed, packing, limit, sink)
        });
        Ok(Arriving { claimed, portions, intake })
    }

    /// Ends a chunk whose bytes have all arrived. When this returns well the chunk is durable and the organization's.
    pub async fn finish(&mut self, arriving: Arriving) -> Result<(), UploadError> {
        let Arriving { claimed, portions, intake } = arriving;
        // If nobody takes it, the intake has ended and says why.
        let _ = portions.send(Portion::End).await;
        let taken = match intake.await {
            Ok(taken) => taken?,
            Err(error) => return Err(BlobError::io("take in a chunk", std::io::Error::other(error)).into()),
        };
        self.content = self.content.saturating_add(taken.size);
        if self.content > self.limits.max_request_size {
            return Err(UploadError::RequestTooLarge);
        }
        let Some(sha1) = claimed.filter(|claimed| *claimed == taken.sha1) else {
            return Err(UploadError::ChecksumMismatch);
        };
        if let Some(spooled) = taken.spooled {
            let Self { tasks, db, blobs, clock, .. } = &*self;
            let owner = self.allowance.organization_id();
            // Until the row stands.
            let _room = self.allowance.chunk(taken.size).await?;
            accept_chunk_for_good(tasks, db, blobs, clock, owner, sha1, spooled).await?;
        }
        Ok(())
    }
}

impl Arriving {
    /// Hands the next bytes on; false if they are not wanted any more, and then [`Reception::finish`] says why.
    pub async fn push(&self, bytes: Bytes) -> bool {
        self.portions.send(Portion::Bytes(bytes)).await.is_ok()
    }
}

impl From<IntakeError> for UploadError {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::TooLarge => Self::ChunkTooLarge,
            IntakeError::Malformed(Packing::Zstd) => Self::InvalidZstd,
            IntakeError::Malformed(_) => Self::InvalidGzip,
            IntakeError::Cut => Self::Cut,
            IntakeError::Blob(error) => error.into(),
        }
    }
}

impl From<BlobError> for UploadError {
    fn from(error: BlobError) -> Self {
        Self::Store(error.into())
    }
}
