//! Chunks become one file again: stitched in the given order and multiplicity, hashed on the way, verified as a whole.
//!
//! The file is nameless: it is gone when it is closed, however the process ends. Nothing here looks inside it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use bytes::Bytes;
use futures_util::StreamExt as _;
use sha1::Digest as _;

use crate::blobs::{BlobError, BlobStore, read_ahead, read_pieces};
use crate::db::OwnedChunk;
use crate::types::{Assembly, BlobRef, Chunk, Sha1};

/// Buffers written and not yet hashed. With fewer, a hash that was held up for a moment holds up everything.
const AHEAD_OF_HASH: usize = 8;

/// A whole file whose checksum is the wanted one.
#[derive(Debug)]
pub struct Stitched {
    /// The content, at its beginning, in a nameless file.
    pub file: File,
    /// Its size in bytes.
    pub size: u64,
    /// Row ids of its chunks, in order, with repeats.
    pub chunk_ids: Vec<i64>,
}

/// Why there is no whole file.
#[derive(Debug, thiserror::Error)]
pub enum StitchError {
    /// The input is at fault; the sentence is for the uploader.
    #[error("{0}")]
    Refused(String),
    /// A chunk's bytes cannot be had now.
    #[error("chunk {sha1}: {source}")]
    Chunk {
        /// Which chunk.
        sha1: Sha1,
        /// Row id of the chunk.
        chunk_id: i64,
        /// What is wrong with its bytes.
        source: BlobError,
    },
    /// The temp file cannot be written.
    #[error("temp file: {0}")]
    Temp(#[from] std::io::Error),
}

/// Writes the chunks of `assembly` into one nameless file in `temp_dir` and verifies the whole.
///
/// `owned` are the organization's chunks; the size with repeats is checked against `max_size` before a byte is
/// written.
pub async fn stitch(
    blobs: Arc<dyn BlobStore>,
    temp_dir: &Path,
    max_size: u64,
    assembly: &Assembly,
    owned: &HashMap<Sha1, OwnedChunk>,
) -> Result<Stitched, StitchError> {
    let chunks: Option<Vec<_>> = assembly.chunks.iter().map(|sha1| owned.get(sha1).map(|owned| &owned.chunk)).collect();
    let Some(chunks) = chunks else {
        return Err(StitchError::Refused("Not all chunks available for assembling".to_owned()));
    };
    let size = chunks.iter().try_fold(0u64, |sum, chunk| sum.checked_add(chunk.blob.size)).unwrap_or(u64::MAX);
    if size > max_size {
        let name = &assembly.name;
        return Err(StitchError::Refused(format!("File {name} exceeds maximum size ({size} > {max_size})")));
    }
    if size == 0 {
        return Err(StitchError::Refused("The file is empty: there is nothing to assemble.".to_owned()));
    }
    let pieces: Vec<_> = chunks.iter().map(|chunk| chunk.blob.clone()).collect();
    let chunk_ids = chunks.iter().map(|chunk| chunk.id).collect();
    let (file, sha1) = write_pieces(blobs.clone(), temp_dir, pieces).await.map_err(|error| match error {
        PiecesError::Temp(error) => StitchError::Temp(error),
        PiecesError::Blob { at, source } => StitchError::of(chunks[at], source),
    })?;
    if sha1 != assembly.sha1 {
        verify_chunks(&blobs, &chunks).await?;
        return Err(StitchError::Refused("Reported checksum mismatch".to_owned()));
    }
    Ok(Stitched { file, size, chunk_ids })
}

/// Before the uploader is blamed: whether every chunk still has the content that was acknowledged.
async fn verify_chunks(blobs: &Arc<dyn BlobStore>, chunks: &[&Chunk]) -> Result<(), StitchError> {
    let once: BTreeMap<_, _> = chunks.iter().map(|chunk| (chunk.id, *chunk)).collect();
    for chunk in once.into_values() {
        let mut hash = sha1::Sha1::new();
        let content = read_pieces(blobs.clone(), vec![chunk.blob.clone()], 0..chunk.blob.size);
        let mut content = std::pin::pin!(content);
        while let Some(bytes) = content.next().await {
            hash.update(&bytes.map_err(|source| StitchError::of(chunk, source))?);
        }
        if Sha1::from_bytes(hash.finalize().into()) != chunk.sha1 {
            let reason = "its content does not have its checksum".to_owned();
            return Err(StitchError::of(chunk, BlobError::Damaged { key: chunk.blob.key.clone(), reason }));
        }
    }
    Ok(())
}

impl StitchError {
    fn of(chunk: &Chunk, source: BlobError) -> Self {
        Self::Chunk { sha1: chunk.sha1, chunk_id: chunk.id, source }
    }
}

/// Why pieces could not be written into one file.
#[derive(Debug, thiserror::Error)]
pub enum PiecesError {
    /// The temp file cannot be written.
    #[error("temp file: {0}")]
    Temp(#[from] std::io::Error),
    /// The bytes of a piece cannot be had.
    #[error("piece {at}: {source}")]
    Blob {
        /// Which of the pieces.
        at: usize,
        /// What is wrong with its bytes.
        source: BlobError,
    },
}

/// Writes `pieces` in order into a nameless file in `temp_dir`; returns it at its beginning, and its checksum.
pub async fn write_pieces(
    blobs: Arc<dyn BlobStore>,
    temp_dir: &Path,
    pieces: Vec<BlobRef>,
) -> Result<(File, Sha1), PiecesError> {
    let temp_dir = PathBuf::from(temp_dir);
    let runtime = tokio::runtime::Handle::current();
    let ends: Vec<u64> = pieces
        .iter()
        .scan(0, |sum, piece| {
            *sum += piece.size;
            Some(*sum)
        })
        .collect();
    let keys: Vec<_> = pieces.iter().map(|piece| piece.key.clone()).collect();
    let stream = read_ahead(blobs, pieces);
    let work = move |hasher: SyncSender<Bytes>| -> Result<File, PiecesError> {
        let mut stream = std::pin::pin!(stream);
        let mut file = tempfile::tempfile_in(temp_dir)?;
        let mut written = 0;
        while let Some(bytes) = runtime.block_on(stream.next()) {
            let bytes: Bytes = bytes.map_err(|source| {
                let at = || ends.partition_point(|end| *end <= written).min(ends.len().saturating_sub(1));
                // A piece that is longer than its row says fails at the beginning of the next one.
                let named = source.key().and_then(|key| keys.iter().position(|piece| piece == key));
                PiecesError::Blob { at: named.unwrap_or_else(at), source }
            })?;
            // It goes away only by a panic, which is found when it is waited for.
            let _ = hasher.send(bytes.clone());
            file.write_all(&bytes)?;
            written += bytes.len() as u64;
        }
        if written != ends.last().copied().unwrap_or(0) {
            return Err(std::io::Error::other("the chunks ended early").into());
        }
        file.rewind()?;
        Ok(file)
    };
    tokio::task::spawn_blocking(move || beside_hashing(work))
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error).into()))
}

/// Runs `work` while another thread hashes what it hands over: decoding, hashing and writing take about as long each.
fn beside_hashing(
    work: impl FnOnce(SyncSender<Bytes>) -> Result<File, PiecesError>,
) -> Result<(File, Sha1), PiecesError> {
    let (sender, receiver) = sync_channel::<Bytes>(AHEAD_OF_HASH);
    std::thread::scope(|scope| {
        let hashing = scope.spawn(move || {
            let mut hash = sha1::Sha1::new();
            receiver.into_iter().for_each(|bytes| hash.update(&bytes));
            Sha1::from_bytes(hash.finalize().into())
        });
        let written = work(sender);
        let sha1 = hashing.join().map_err(|_| std::io::Error::other("the thread that hashes panicked"))?;
        Ok((written?, sha1))
    })
}
