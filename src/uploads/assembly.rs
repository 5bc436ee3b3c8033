//! Chunks become one file again: stitched in the given order and multiplicity, hashed on the way, verified as a whole.
//!
//! The file is nameless: it is gone when it is closed, however the process ends. Nothing here looks inside it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;
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

/// Bytes of a repeated piece that are read at once.
const REPEATED_AT_ONCE: usize = 1 << 20;

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
///
/// A piece that comes again is read from the file, where it stands already, and not from the store.
pub async fn write_pieces(
    blobs: Arc<dyn BlobStore>,
    temp_dir: &Path,
    pieces: Vec<BlobRef>,
) -> Result<(File, Sha1), PiecesError> {
    let temp_dir = PathBuf::from(temp_dir);
    let runtime = tokio::runtime::Handle::current();
    let mut seen = HashSet::new();
    let stream = read_ahead(blobs, pieces.iter().filter(|piece| seen.insert(&piece.key)).cloned().collect());
    let work = move |hasher: SyncSender<Bytes>| -> Result<File, PiecesError> {
        let mut stream = std::pin::pin!(stream);
        let mut growing = Growing { file: tempfile::tempfile_in(temp_dir)?, size: 0, hasher };
        let mut next = |at: usize| match runtime.block_on(stream.next()).transpose() {
            Ok(read) => Ok(read),
            // A piece that is longer than its row says fails at the beginning of the next one.
            Err(source) => {
                let named = source.key().and_then(|key| pieces.iter().position(|piece| piece.key == key));
                Err(PiecesError::Blob { at: named.unwrap_or(at), source })
            }
        };
        let mut begins = HashMap::new();
        for (at, piece) in pieces.iter().enumerate() {
            let end = growing.size + piece.size;
            if let Some(begin) = begins.get(&piece.key) {
                growing.repeat(*begin, piece.size)?;
                continue;
            }
            begins.insert(&piece.key, growing.size);
            while growing.size < end {
                let bytes = next(at)?.ok_or_else(|| std::io::Error::other("the chunks ended early"))?;
                growing.add(bytes)?;
            }
        }
        match next(pieces.len().saturating_sub(1))? {
            Some(_) => Err(std::io::Error::other("the chunks did not end").into()),
            None => Ok(growing.whole()?),
        }
    };
    tokio::task::spawn_blocking(move || beside_hashing(work))
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error).into()))
}

/// A file that grows at its end, each byte of which is handed on to be hashed.
struct Growing {
    file: File,
    size: u64,
    hasher: SyncSender<Bytes>,
}

impl Growing {
    fn add(&mut self, bytes: Bytes) -> std::io::Result<()> {
        // It goes away only by a panic, which is found when it is waited for.
        let _ = self.hasher.send(bytes.clone());
        self.file.write_all(&bytes)?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Adds so many of its own bytes from `begin` on once more.
    fn repeat(&mut self, begin: u64, size: u64) -> std::io::Result<()> {
        let end = begin + size;
        for from in (begin..end).step_by(REPEATED_AT_ONCE) {
            let mut bytes = vec![0; REPEATED_AT_ONCE.min(usize::try_from(end - from).unwrap_or(REPEATED_AT_ONCE))];
            self.file.read_exact_at(&mut bytes, from)?;
            self.add(bytes.into())?;
        }
        Ok(())
    }

    fn whole(mut self) -> std::io::Result<File> {
        self.file.rewind()?;
        Ok(self.file)
    }
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
