//! Chunks become one file again: stitched in the given order and multiplicity, hashed on the way, verified as a whole.
//!
//! The file is nameless: it is gone when it is closed, however the process ends. Nothing here looks inside it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use sha1::Digest as _;
use tokio::task::JoinHandle;

use crate::blobs::{BlobError, BlobStore, read_ahead, read_pieces};
use crate::db::OwnedChunk;
use crate::types::{Assembly, BlobRef, Chunk, Sha1};

/// Bytes that are written, and hashed, in one step.
const STEP: usize = 1 << 20;

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
/// A piece that comes again is read from the file, where it stands already, and not from the store. No thread ever waits
/// for bytes: what is decoded, hashed and written goes in steps that end by themselves, side by side.
pub async fn write_pieces(
    blobs: Arc<dyn BlobStore>,
    temp_dir: &Path,
    pieces: Vec<BlobRef>,
) -> Result<(File, Sha1), PiecesError> {
    let mut seen = HashSet::new();
    let stream = read_ahead(blobs, pieces.iter().filter(|piece| seen.insert(&piece.key)).cloned().collect());
    let mut stream = std::pin::pin!(stream);
    let mut growing = Growing::begin(temp_dir).await?;
    let mut begins = HashMap::new();
    // A piece that is longer than its row says fails at the beginning of the next one.
    let failed = |at: usize, source: BlobError| {
        let named = source.key().and_then(|key| pieces.iter().position(|piece| piece.key == key));
        PiecesError::Blob { at: named.unwrap_or(at), source }
    };
    for (at, piece) in pieces.iter().enumerate() {
        let end = growing.size + piece.size;
        if let Some(begin) = begins.get(&piece.key) {
            growing.repeat(*begin, piece.size).await?;
            continue;
        }
        begins.insert(&piece.key, growing.size);
        while growing.size < end {
            let read = stream.next().await.transpose().map_err(|source| failed(at, source))?;
            growing.add(read.ok_or_else(|| std::io::Error::other("the chunks ended early"))?).await?;
        }
    }
    match stream.next().await.transpose().map_err(|source| failed(pieces.len().saturating_sub(1), source))? {
        Some(_) => Err(std::io::Error::other("the chunks did not end").into()),
        None => Ok(growing.whole().await?),
    }
}

/// A file that grows at its end, each byte of which is hashed as well.
struct Growing {
    file: Lane<File>,
    hash: Lane<sha1::Sha1>,
    /// Bytes that wait to be enough for a step.
    gathered: Vec<Bytes>,
    gathered_size: usize,
    size: u64,
}

impl Growing {
    async fn begin(temp_dir: &Path) -> std::io::Result<Self> {
        let temp_dir = PathBuf::from(temp_dir);
        let file = tokio::task::spawn_blocking(move || tempfile::tempfile_in(temp_dir)).await??;
        let (file, hash) = (Lane::new(file), Lane::new(sha1::Sha1::new()));
        Ok(Self { file, hash, gathered: Vec::new(), gathered_size: 0, size: 0 })
    }

    async fn add(&mut self, bytes: Bytes) -> std::io::Result<()> {
        self.size += bytes.len() as u64;
        self.gathered_size += bytes.len();
        self.gathered.push(bytes);
        if self.gathered_size >= STEP { self.step().await } else { Ok(()) }
    }

    /// Hands on what was gathered.
    async fn step(&mut self) -> std::io::Result<()> {
        let written = std::mem::take(&mut self.gathered);
        let hashed = written.clone();
        self.gathered_size = 0;
        let hash = move |hash: &mut sha1::Sha1| {
            hashed.iter().for_each(|bytes| hash.update(bytes));
            Ok(())
        };
        self.hash.step(hash).await?;
        self.file.step(move |file| written.iter().try_for_each(|bytes| file.write_all(bytes))).await
    }

    /// Adds so many of its own bytes from `begin` on once more.
    async fn repeat(&mut self, begin: u64, size: u64) -> std::io::Result<()> {
        // What is to be read must have been written.
        self.step().await?;
        let end = begin + size;
        for from in (begin..end).step_by(REPEATED_AT_ONCE) {
            let size = REPEATED_AT_ONCE.min(usize::try_from(end - from).unwrap_or(REPEATED_AT_ONCE));
            let (send, read) = tokio::sync::oneshot::channel();
            let read_again = move |file: &mut File| {
                let mut bytes = vec![0; size];
                file.read_exact_at(&mut bytes, from)?;
                // It is waited for, unless all of this is given up.
                let _unwanted = send.send(Bytes::from(bytes));
                Ok(())
            };
            self.file.step(read_again).await?;
            self.file.idle().await?;
            self.add(read.await.map_err(std::io::Error::other)?).await?;
            self.step().await?;
        }
        Ok(())
    }

    async fn whole(mut self) -> std::io::Result<(File, Sha1)> {
        self.step().await?;
        self.file.step(|file| file.rewind()).await?;
        let (file, hash) = (self.file.end().await?, self.hash.end().await?);
        Ok((file, Sha1::from_bytes(hash.finalize().into())))
    }
}

/// Steps of work on a state, one after the other on threads that may block. While one runs, the caller goes on.
struct Lane<T> {
    state: Option<T>,
    running: Option<JoinHandle<(T, std::io::Result<()>)>>,
}

impl<T: Send + 'static> Lane<T> {
    fn new(state: T) -> Self {
        Self { state: Some(state), running: None }
    }

    /// Begins a step as soon as the one before has ended.
    async fn step(&mut self, work: impl FnOnce(&mut T) -> std::io::Result<()> + Send + 'static) -> std::io::Result<()> {
        self.idle().await?;
        let Some(mut state) = self.state.take() else { return Err(std::io::Error::other("a step before was lost")) };
        self.running = Some(tokio::task::spawn_blocking(move || {
            let done = work(&mut state);
            (state, done)
        }));
        Ok(())
    }

    /// Waits until no step runs.
    async fn idle(&mut self) -> std::io::Result<()> {
        let Some(running) = self.running.take() else { return Ok(()) };
        let (state, done) = running.await.map_err(std::io::Error::other)?;
        self.state = Some(state);
        done
    }

    async fn end(mut self) -> std::io::Result<T> {
        self.idle().await?;
        self.state.ok_or_else(|| std::io::Error::other("a step was lost"))
    }
}
