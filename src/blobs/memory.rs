//! [`Memory`]: blobs in memory, for tests and for trying things out. Nothing in it outlives the process.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _, Seek as _};
use std::ops::{Bound, Range};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, stream};

use super::{BlobError, BlobKey, BlobReader, BlobStore, Listed, Spool, TempSweep};

/// Blobs in memory. A clone is the same store.
#[derive(Clone, Debug)]
pub struct Memory {
    temp: PathBuf,
    blobs: Arc<Mutex<BTreeMap<BlobKey, Blob>>>,
}

#[derive(Clone, Debug)]
struct Blob {
    bytes: Bytes,
    modified: DateTime<Utc>,
}

impl Memory {
    /// An empty store that spools in `temp`, which is made if it is not there.
    pub fn open(temp: impl Into<PathBuf>) -> Result<Self, BlobError> {
        let temp = temp.into();
        fs::create_dir_all(&temp)
            .map_err(|error| BlobError::io(format!("make the folder {}", temp.display()), error))?;
        Ok(Self { temp, blobs: Arc::default() })
    }

    fn blobs(&self) -> MutexGuard<'_, BTreeMap<BlobKey, Blob>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl BlobStore for Memory {
    async fn spool(&self) -> Result<Spool, BlobError> {
        let temp = self.temp.clone();
        super::blocking(move || Spool::create_in(&temp)).await
    }

    async fn put(&self, key: &BlobKey, spool: Spool) -> Result<(), BlobError> {
        let what = format!("store blob {key}");
        let blob = super::blocking(move || read_whole(&spool).map_err(|error| BlobError::io(what, error))).await?;
        match self.blobs().entry(key.clone()) {
            std::collections::btree_map::Entry::Vacant(place) => place.insert(blob),
            std::collections::btree_map::Entry::Occupied(_) => {
                return Err(BlobError::io(format!("store blob {key}"), io::ErrorKind::AlreadyExists.into()));
            }
        };
        Ok(())
    }

    async fn open(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<BlobReader, BlobError> {
        let Some(Blob { bytes, .. }) = self.blobs().get(key).cloned() else {
            return Err(BlobError::Missing(key.to_string()));
        };
        let range = range.unwrap_or(0..bytes.len() as u64);
        if range.start > range.end || range.end > bytes.len() as u64 {
            let reason = format!("it has {} bytes and {} to {} are wanted", bytes.len(), range.start, range.end);
            return Err(BlobError::Damaged { key: key.to_string(), reason });
        }
        // Both ends lie inside a buffer, so they fit its index.
        let bytes = bytes.slice(range.start as usize..range.end as usize);
        let buffers = if bytes.is_empty() { Vec::new() } else { vec![Ok(bytes)] };
        Ok(stream::iter(buffers).boxed())
    }

    async fn stored_size(&self, key: &BlobKey) -> Result<Option<u64>, BlobError> {
        Ok(self.blobs().get(key).map(|blob| blob.bytes.len() as u64))
    }

    async fn delete(&self, keys: &[BlobKey]) -> Result<(), BlobError> {
        let mut blobs = self.blobs();
        for key in keys {
            blobs.remove(key);
        }
        Ok(())
    }

    async fn list(&self, after: Option<&BlobKey>, limit: usize) -> Result<Vec<Listed>, BlobError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let blobs = self.blobs();
        let listed = blobs.range((from, Bound::Unbounded)).take(limit).map(|(key, blob)| Listed {
            key: key.clone(),
            stored_size: blob.bytes.len() as u64,
            modified: blob.modified,
        });
        Ok(listed.collect())
    }

    async fn sweep_temp(&self, sweep: &TempSweep) -> Result<u64, BlobError> {
        super::sweep_folder(&self.temp, sweep).await
    }
}

fn read_whole(spool: &Spool) -> io::Result<Blob> {
    let mut bytes = Vec::new();
    let mut file = spool.file();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(Blob { bytes: bytes.into(), modified: file.metadata()?.modified()?.into() })
}
