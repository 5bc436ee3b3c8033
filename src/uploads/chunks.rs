//! A chunk's bytes and its row: bytes first under a fresh key, row second, and the loser of a race removes its own.
//!
//! What another organization has is never looked at before the caller's own bytes are stored, so nobody learns from
//! the time of an answer what others have.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use crate::blobs::{BlobError, BlobKey, BlobStore, Spooled};
use crate::clock::Clock;
use crate::db::{Db, DbError};
use crate::types::{BlobRef, Chunk, Sha1};

/// Why a chunk was not stored.
#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    /// Others kept losing and replacing the bytes of the same chunk.
    #[error("the bytes of chunk {0} were replaced again and again meanwhile")]
    Contested(Sha1),
    /// Rows.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Bytes.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// How often the bytes of somebody else may turn out to be lost before giving up.
const ROUNDS: usize = 5;

/// Whether the organization has the chunk and its bytes are there. If so it is kept for as long as a new one.
pub async fn has_chunk(
    db: &Db,
    blobs: &dyn BlobStore,
    clock: &Clock,
    organization_id: i64,
    sha1: Sha1,
) -> Result<bool, ChunkError> {
    if !db.owned_chunks(organization_id, &[sha1]).await?.contains_key(&sha1) {
        return Ok(false);
    }
    // Renewed before it counts, because whoever cleans up may have been faster.
    let Some(chunk) = db.renew_chunk(organization_id, sha1, clock.now()).await? else { return Ok(false) };
    let key = BlobKey::from_row(&chunk.blob.key);
    Ok(blobs.stored_size(&key).await? == Some(chunk.blob.stored_size))
}

/// Stores content whose checksum was verified to be `sha1`, and makes the organization an owner of the chunk.
///
/// When this returns the chunk is durable. If others have it already their bytes stay, unless they were lost.
pub async fn accept_chunk(
    db: &Db,
    blobs: &dyn BlobStore,
    clock: &Clock,
    organization_id: i64,
    sha1: Sha1,
    content: Spooled,
) -> Result<Chunk, ChunkError> {
    let Spooled { spool, encoding, size, stored_size } = content;
    let key = BlobKey::fresh("chunks", clock.fresh_id());
    blobs.put(&key, spool).await?;
    // From here on an error leaves the bytes where they are: it is not known whether a row speaks of them.
    let ours = BlobRef { key: key.to_string(), encoding, size, stored_size };
    for _ in 0..ROUNDS {
        let chunk = db.add_chunk(organization_id, sha1, &ours, clock.now()).await?;
        if chunk.blob.key == ours.key {
            return Ok(chunk);
        }
        let theirs = BlobKey::from_row(&chunk.blob.key);
        if !chunk.lost && blobs.stored_size(&theirs).await? == Some(chunk.blob.stored_size) {
            remove(blobs, key).await;
            return Ok(chunk);
        }
        if db.replace_chunk_bytes(chunk.id, &chunk.blob.key, &ours, clock.now()).await? {
            tracing::warn!(chunk.id = chunk.id, blob.key = %theirs, "the bytes of a chunk were lost and are replaced");
            remove(blobs, theirs).await;
            return Ok(Chunk { blob: ours, lost: false, ..chunk });
        }
    }
    remove(blobs, key).await;
    Err(ChunkError::Contested(sha1))
}

/// The same on a task of its own, which ends what it began even if whoever waits for it goes away: between bytes and
/// row nobody may stop.
pub async fn accept_chunk_for_good(
    tasks: &TaskTracker,
    db: &Db,
    blobs: &Arc<dyn BlobStore>,
    clock: &Clock,
    organization_id: i64,
    sha1: Sha1,
    content: Spooled,
) -> Result<Chunk, ChunkError> {
    let (db, blobs, clock) = (db.clone(), Arc::clone(blobs), clock.clone());
    let accepting =
        tasks.spawn(async move { accept_chunk(&db, &*blobs, &clock, organization_id, sha1, content).await });
    let failed = |error| Err(BlobError::io("store a chunk", std::io::Error::other(error)).into());
    accepting.await.unwrap_or_else(failed)
}

/// Removes bytes that no row speaks of. If that fails they are only in the way.
async fn remove(blobs: &dyn BlobStore, key: BlobKey) {
    if let Err(error) = blobs.delete(std::slice::from_ref(&key)).await {
        tracing::warn!(blob.key = %key, error = %error, "bytes that nobody needs could not be removed");
    }
}
