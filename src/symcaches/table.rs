//! [`Table`]: a symcache that is open, so that addresses can be looked up in it. Its bytes are mapped from a nameless copy,
//! which takes room on the disk and not in memory; the least asked for is closed when there are too many.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::sync::Arc;

use memmap2::Mmap;
use symbolic::symcache::SymCache;

use super::{Ready, Symcaches};
use crate::blobs::BlobError;
use crate::types::{BlobRef, Sha1};
use crate::uploads::{PiecesError, write_pieces};

/// Room for all symcaches that are open, in bytes.
pub(super) const ROOM: u64 = 2 << 30;

/// An open symcache. Cheap to clone.
#[derive(Clone)]
pub struct Table(Arc<Inner>);

struct Inner {
    bytes: Mmap,
    /// Where functions begin, in order.
    entries: Vec<u32>,
}

/// Why a symcache cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Its bytes cannot be had.
    #[error(transparent)]
    Pieces(#[from] PiecesError),
    /// They are not what the row says.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// They cannot be mapped, or are no symcache.
    #[error("the symcache cannot be opened: {0}")]
    Open(#[from] io::Error),
}

impl Symcaches {
    /// Opens a symcache, or gives the one that is open.
    pub(super) async fn table(&self, ready: &Ready) -> Result<Table, Arc<TableError>> {
        self.tables.get(&ready.blob.key, self.open(ready)).await
    }

    /// The bytes of a symcache in a nameless temp file, verified. Lost bytes are queued to be made again.
    pub(super) async fn symcache_copy(&self, ready: &Ready) -> Result<File, TableError> {
        let copied = verified_copy(self, &ready.blob, ready.sha1).await;
        if let Err(TableError::Blob(error) | TableError::Pieces(PiecesError::Blob { source: error, .. })) = &copied {
            self.report_lost(ready, error).await;
        }
        copied
    }

    async fn open(&self, ready: &Ready) -> Result<Table, TableError> {
        let copy = self.symcache_copy(ready).await?;
        let opened = tokio::task::spawn_blocking(move || Table::map(&copy)).await;
        Ok(opened.unwrap_or_else(|error| Err(io::Error::other(error)))?)
    }
}

/// The bytes of a blob in a nameless temp file, if they have the checksum of its row.
pub(super) async fn verified_copy(symcaches: &Symcaches, blob: &BlobRef, sha1: Sha1) -> Result<File, TableError> {
    let pieces = vec![blob.clone()];
    let (copy, found) = write_pieces(Arc::clone(&symcaches.blobs), &symcaches.temp_dir, pieces).await?;
    if found != sha1 {
        let reason = "its content does not have its checksum".to_owned();
        return Err(BlobError::Damaged { key: blob.key.clone(), reason }.into());
    }
    Ok(copy)
}

impl Table {
    #[expect(unsafe_code, reason = "a mapped file must not change, and nobody else has this one")]
    fn map(file: &File) -> io::Result<Self> {
        // SAFETY: the file is nameless, was written by this process, and is never written again.
        let bytes = unsafe { Mmap::map(file)? };
        let functions = SymCache::parse(&bytes).map_err(io::Error::other)?.functions();
        let entries: BTreeSet<_> = functions.map(|function| function.entry_pc()).collect();
        Ok(Self(Arc::new(Inner { bytes, entries: entries.into_iter().collect() })))
    }

    /// The reader.
    pub(super) fn reader(&self) -> Option<SymCache<'_>> {
        SymCache::parse(&self.0.bytes).ok()
    }

    /// Where the next function behind `entry` begins.
    pub(super) fn next_entry(&self, entry: u32) -> Option<u32> {
        let behind = self.0.entries.partition_point(|other| *other <= entry);
        self.0.entries.get(behind).copied()
    }

    /// Bytes that it takes.
    pub(super) fn takes(&self) -> u64 {
        (self.0.bytes.len() + self.0.entries.len() * size_of::<u32>()) as u64
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("takes", &self.takes()).finish_non_exhaustive()
    }
}
