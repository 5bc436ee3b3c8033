//! [`ChunkReceiver`]: the chunks of one upload request, received one after the other as they arrive.
//!
//! ```text
//! body ─▶ push: a few buffers are collected ─▶ permit ─▶ blocking thread: ChunkDecoder ─▶ staging file ─▶ blob, row
//!         (no permit, no thread, no file)      (one piece of work at a time for each request)
//! ```
//!
//! Chunks before a refused one stay. It never holds a chunk in memory, never holds a permit or a thread while bytes are
//! awaited, and knows nothing of HTTP.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::task::TaskTracker;

use super::chunk_decoder::{ChunkDecoder, ChunkEncoding, DecodeError};
use super::chunks::{ChunkError, accept_chunk_for_good, has_chunk};
use super::limits::UploadLimits;
use crate::accounts::{Allowance, QuotaError};
use crate::admission::{Overloaded, WorkPermit};
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
    /// Other uploads have all permits.
    #[error("The server is busy with other uploads. Try again in some seconds.")]
    Overloaded(#[from] Overloaded),
    /// The organization has as much as it may have.
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// The chunk could not be stored.
    #[error(transparent)]
    Store(#[from] ChunkError),
}

/// Bytes that are worth a piece of work.
const BATCH: usize = 64 * 1024;

/// The handles that receiving chunks needs.
#[derive(Clone, Debug)]
pub struct ChunkStorage {
    /// The rows.
    pub db: Db,
    /// The bytes.
    pub blobs: Arc<dyn BlobStore>,
    /// The time.
    pub clock: Clock,
    /// Where chunks are stored to the end.
    pub tasks: TaskTracker,
    /// How chunks are stored.
    pub compression: Compression,
}

/// Receives the chunks of one request of one organization.
#[derive(Debug)]
pub struct ChunkReceiver {
    storage: ChunkStorage,
    settings: Uploads,
    limits: UploadLimits,
    allowance: Allowance,
    /// From the first buffer to the end of the request.
    slot: Option<WorkPermit>,
    chunks: u64,
    content: u64,
}

/// A chunk whose bytes are arriving. If it is dropped before [`ChunkReceiver::finish`], nothing of it stays.
#[derive(Debug)]
pub struct IncomingChunk {
    claimed: Option<Sha1>,
    encoding: ChunkEncoding,
    /// Buffers that wait for a permit.
    batch: Vec<Bytes>,
    batch_size: usize,
    decoding: Decoding,
}

#[derive(Debug)]
enum Decoding {
    /// Nothing was decoded yet.
    NotBegun,
    /// The batch before this one, which may still be under work.
    Working(JoinHandle<Result<ChunkDecoder, DecodeError>>),
}

impl ChunkReceiver {
    /// Begins one request, which may add as much as it is allowed. It takes no slot before the first buffer.
    pub fn new(storage: ChunkStorage, settings: &Uploads, limits: &UploadLimits, allowance: Allowance) -> Self {
        let (settings, limits) = (settings.clone(), limits.clone());
        Self { storage, settings, limits, allowance, slot: None, chunks: 0, content: 0 }
    }

    /// Begins the next chunk, which its sender named `name`.
    pub fn begin(&mut self, name: &str, encoding: ChunkEncoding) -> Result<IncomingChunk, UploadError> {
        self.chunks += 1;
        if self.chunks > self.settings.chunks_per_request {
            return Err(UploadError::TooManyChunks);
        }
        let claimed: Option<Sha1> = name.parse().ok();
        Ok(IncomingChunk { claimed, encoding, batch: Vec::new(), batch_size: 0, decoding: Decoding::NotBegun })
    }

    /// Receives the next bytes of a chunk. An error says why no more are wanted.
    pub async fn push(&mut self, chunk: &mut IncomingChunk, bytes: Bytes) -> Result<(), UploadError> {
        chunk.batch_size += bytes.len();
        chunk.batch.push(bytes);
        if chunk.batch_size < BATCH {
            return Ok(());
        }
        let (decoder, permit) = self.ready(chunk).await?;
        let batch = std::mem::take(&mut chunk.batch);
        chunk.batch_size = 0;
        chunk.decoding = Decoding::Working(spawn_blocking(move || {
            let _permit = permit;
            decode(decoder, &batch)
        }));
        Ok(())
    }

    /// Ends a chunk whose bytes have all arrived. When this returns `Ok` the chunk is durable and the organization's.
    pub async fn finish(&mut self, mut chunk: IncomingChunk) -> Result<(), UploadError> {
        let (decoder, permit) = self.ready(&mut chunk).await?;
        let batch = chunk.batch;
        let received = spawn_blocking(move || decode(decoder, &batch)?.finish()).await.map_err(panicked)??;
        self.content = self.content.saturating_add(received.size);
        if self.content > self.settings.max_request_size {
            return Err(UploadError::RequestTooLarge);
        }
        let Some(sha1) = chunk.claimed.filter(|claimed| *claimed == received.sha1) else {
            return Err(UploadError::ChecksumMismatch);
        };
        if let Some(spooled) = received.spooled {
            let ChunkStorage { db, blobs, clock, tasks, .. } = &self.storage;
            let owner = self.allowance.organization_id();
            // Until the row is there.
            let _reserved = self.allowance.chunk(received.size).await?;
            accept_chunk_for_good(tasks, db, blobs, clock, owner, sha1, spooled).await?;
        }
        drop(permit);
        Ok(())
    }

    /// The decoder of a chunk, once it has done the batch before, and a permit for the next one.
    async fn ready(&mut self, chunk: &mut IncomingChunk) -> Result<(ChunkDecoder, WorkPermit), UploadError> {
        let owner = self.allowance.organization_id();
        if self.slot.is_none() {
            self.slot = Some(self.limits.begin(owner).await?);
        }
        match std::mem::replace(&mut chunk.decoding, Decoding::NotBegun) {
            Decoding::Working(decoding) => {
                let decoder = decoding.await.map_err(panicked)??;
                Ok((decoder, self.limits.work(owner).await?))
            }
            Decoding::NotBegun => {
                let permit = self.limits.work(owner).await?;
                Ok((self.decoder(chunk).await?, permit))
            }
        }
    }

    /// A decoder that writes what has to be stored. What cannot be stored or is there already is only hashed.
    async fn decoder(&self, chunk: &IncomingChunk) -> Result<ChunkDecoder, UploadError> {
        let ChunkStorage { db, blobs, clock, compression, .. } = &self.storage;
        let owner = self.allowance.organization_id();
        let sink = match chunk.claimed {
            Some(sha1) if !has_chunk(db, &**blobs, clock, owner, sha1).await? => {
                self.allowance.may_send().await?;
                Some(SpoolWriter::new(blobs.spool().await?, *compression)?)
            }
            _ => None,
        };
        Ok(ChunkDecoder::new(chunk.encoding, self.settings.chunk_size, sink)?)
    }
}

fn decode(mut decoder: ChunkDecoder, batch: &[Bytes]) -> Result<ChunkDecoder, DecodeError> {
    batch.iter().try_for_each(|bytes| decoder.push(bytes))?;
    Ok(decoder)
}

fn panicked(error: tokio::task::JoinError) -> UploadError {
    BlobError::io("decode a chunk", std::io::Error::other(error)).into()
}

impl From<DecodeError> for UploadError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::TooLarge => Self::ChunkTooLarge,
            DecodeError::Malformed(ChunkEncoding::Zstd) => Self::InvalidZstd,
            DecodeError::Malformed(_) => Self::InvalidGzip,
            DecodeError::Blob(error) => error.into(),
        }
    }
}

impl From<BlobError> for UploadError {
    fn from(error: BlobError) -> Self {
        Self::Store(error.into())
    }
}
