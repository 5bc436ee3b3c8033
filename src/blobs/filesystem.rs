//! [`Filesystem`]: blobs as files below one folder, named by their keys.
//!
//! A blob appears whole or not at all: it is filled under `tmp`, fsynced, renamed, and its folder fsynced. No file
//! is ever written to after it has its name.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::file_stream::FileStream;
use super::{BlobError, BlobKey, BlobReader, BlobStore, Listed, Spool, TEMP, TempSweep};

/// Blobs in a folder. A clone is the same store.
#[derive(Clone, Debug)]
pub struct Filesystem {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    temp: PathBuf,
    /// Folders whose own entries this process has made durable.
    durable: Mutex<HashSet<PathBuf>>,
}

impl Filesystem {
    /// The store in `root`, which is made if it is not there.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, BlobError> {
        let root = root.into();
        let temp = root.join(TEMP);
        fs::create_dir_all(&temp)
            .and_then(|()| sync_folder(&root))
            .map_err(|error| BlobError::io(format!("make the folder {}", temp.display()), error))?;
        Ok(Self { inner: Arc::new(Inner { root, temp, durable: Mutex::default() }) })
    }

    /// Runs `work` on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, BlobError> {
        let inner = Arc::clone(&self.inner);
        super::blocking(move || work(&inner)).await
    }
}

#[async_trait]
impl BlobStore for Filesystem {
    async fn spool(&self) -> Result<Spool, BlobError> {
        self.blocking(|inner| Spool::create_in(&inner.temp)).await
    }

    async fn put(&self, key: &BlobKey, spool: Spool) -> Result<(), BlobError> {
        let key = key.clone();
        self.blocking(move |inner| {
            let path = inner.path_of(&key)?;
            inner.put(&path, spool).map_err(|error| BlobError::io(format!("store blob {key}"), error))
        })
        .await
    }

    async fn open(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<BlobReader, BlobError> {
        let key = key.clone();
        let stream = self
            .blocking(move |inner| {
                let path = inner.path_of(&key)?;
                let file = File::open(path).map_err(|error| missing_or(&key, "open", error))?;
                let size = file.metadata().map_err(|error| missing_or(&key, "look at", error))?.len();
                let range = range.unwrap_or(0..size);
                if range.start > range.end || range.end > size {
                    let reason = format!("it has {size} bytes and {} to {} are wanted", range.start, range.end);
                    return Err(BlobError::Damaged { key: key.to_string(), reason });
                }
                FileStream::begin(key, file, range)
            })
            .await?;
        Ok(stream.into_reader())
    }

    async fn stored_size(&self, key: &BlobKey) -> Result<Option<u64>, BlobError> {
        let key = key.clone();
        self.blocking(move |inner| match fs::metadata(inner.path_of(&key)?) {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BlobError::io(format!("look at blob {key}"), error)),
        })
        .await
    }

    async fn delete(&self, keys: &[BlobKey]) -> Result<(), BlobError> {
        let keys = keys.to_vec();
        self.blocking(move |inner| {
            for key in &keys {
                match fs::remove_file(inner.path_of(key)?) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        return Err(BlobError::io(format!("delete blob {key}"), error));
                    }
                    _ => {}
                }
            }
            Ok(())
        })
        .await
    }

    async fn list(&self, after: Option<&BlobKey>, limit: usize) -> Result<Vec<Listed>, BlobError> {
        let after = after.map(|key| key.as_str().to_owned());
        self.blocking(move |inner| {
            let mut found = Vec::new();
            walk(&inner.root, "", after.as_deref(), limit, &mut found)
                .map_err(|error| BlobError::io("list the blobs", error))?;
            Ok(found)
        })
        .await
    }

    async fn sweep_temp(&self, sweep: &TempSweep) -> Result<u64, BlobError> {
        super::sweep_folder(&self.inner.temp, sweep).await
    }
}

impl Inner {
    /// Where the blob's file is. A key that is not one of ours has no bytes.
    fn path_of(&self, key: &BlobKey) -> Result<PathBuf, BlobError> {
        if key.is_ours() { Ok(self.root.join(key.as_str())) } else { Err(BlobError::Missing(key.to_string())) }
    }

    fn put(&self, path: &Path, spool: Spool) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        self.make_durable(folder)?;
        let (file, temp) = spool.into_parts();
        file.sync_all()?;
        temp.persist_noclobber(path).map_err(|error| error.error)?;
        sync_folder(folder)
    }

    /// Makes `folder` and what lies between it and the root. Once this returned, a crash does not lose them.
    fn make_durable(&self, folder: &Path) -> io::Result<()> {
        let durable = || self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if folder == self.root || durable().contains(folder) {
            return Ok(());
        }
        let parent = folder.parent().unwrap_or(&self.root);
        self.make_durable(parent)?;
        match fs::create_dir(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // Also when it existed: whoever made it may not have got so far.
        sync_folder(parent)?;
        durable().insert(folder.to_owned());
        Ok(())
    }
}

fn missing_or(key: &BlobKey, verb: &str, error: io::Error) -> BlobError {
    match error.kind() {
        ErrorKind::NotFound => BlobError::Missing(key.to_string()),
        _ => BlobError::io(format!("{verb} blob {key}"), error),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Adds the files below `folder` to `found` in key order. `prefix` is the folder's part of their keys.
fn walk(folder: &Path, prefix: &str, after: Option<&str>, limit: usize, found: &mut Vec<Listed>) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (kind, Ok(name)) = (entry.file_type()?, entry.file_name().into_string()) else { continue };
        // With its slash a folder sorts where its keys do.
        if kind.is_dir() && !(prefix.is_empty() && name == TEMP) {
            names.push(format!("{prefix}{name}/"));
        } else if kind.is_file() {
            names.push(format!("{prefix}{name}"));
        }
    }
    names.sort_unstable();
    for name in names {
        if found.len() >= limit {
            break;
        }
        let (leaf, begun) = (&name[prefix.len()..], after.is_some_and(|after| after.starts_with(&name)));
        if after.is_some_and(|after| name.as_str() <= after) && !(name.ends_with('/') && begun) {
            continue;
        }
        let path = folder.join(leaf);
        if name.ends_with('/') {
            ignore_vanished(walk(&path, &name, after, limit, found))?;
        } else if let Some(metadata) = ignore_vanished(fs::symlink_metadata(path))? {
            let modified = metadata.modified()?.into();
            found.push(Listed { key: BlobKey::from_row(&name), stored_size: metadata.len(), modified });
        }
    }
    Ok(())
}

/// What was deleted while a listing ran is not in it.
fn ignore_vanished<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
