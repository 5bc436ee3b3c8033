//! A file that is on this machine already becomes chunks, as if a client had sent them. It never changes the file.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::chunk_decoder::{ChunkEncoding, receive};
use super::chunks::{ChunkError, accept_chunk_for_good};
use crate::accounts::Quotas;
use crate::blobs::{BlobError, BlobStore, SpoolWriter};
use crate::clock::Clock;
use crate::config::Compression;
use crate::db::Db;

/// The handles and sizes that cutting a file needs.
#[derive(Clone, Debug)]
pub struct LocalFiles {
    /// The rows.
    pub db: Db,
    /// The bytes.
    pub blobs: Arc<dyn BlobStore>,
    /// The time.
    pub clock: Clock,
    /// How chunks stand at rest.
    pub compression: Compression,
    /// Size of a chunk in bytes.
    pub chunk_size: u64,
    /// Where chunks are stored to the end.
    pub tasks: TaskTracker,
    /// How much may be added.
    pub quotas: Quotas,
}

/// A part of a file, read without moving anybody's place in it.
struct Part {
    file: File,
    at: u64,
    end: u64,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..wanted], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl LocalFiles {
    /// Stores the `size` bytes of `file` as chunks of the organization; returns their row ids in order.
    pub async fn store(&self, organization_id: i64, file: &File, size: u64) -> Result<Vec<i64>, ChunkError> {
        let mut ids = Vec::new();
        let mut at = 0;
        while at < size {
            let end = size.min(at + self.chunk_size);
            let cannot = |error| ChunkError::Blob(BlobError::io("read a file to store", error));
            let part = Part { file: file.try_clone().map_err(cannot)?, at, end };
            let (spool, compression, limit) = (self.blobs.spool().await?, self.compression, self.chunk_size);
            let taken = tokio::task::spawn_blocking(move || {
                let sink = SpoolWriter::new(spool, compression).map_err(io::Error::other)?;
                receive(BufReader::with_capacity(128 << 10, part), ChunkEncoding::Plain, limit, Some(sink))
                    .map_err(io::Error::other)
            });
            let taken = taken.await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(cannot)?;
            let content = taken.spooled.ok_or_else(|| cannot(io::Error::other("the chunk was not spooled")))?;
            let Self { tasks, db, blobs, clock, .. } = self;
            let chunk = accept_chunk_for_good(tasks, db, blobs, clock, organization_id, taken.sha1, content).await?;
            ids.push(chunk.id);
            at = end;
        }
        Ok(ids)
    }
}
