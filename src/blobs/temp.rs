//! Temp files with a name: made so that every process can see whether they are in use, and removed once they are not.
//!
//! The process that makes one holds a lock on it until it has closed the file. Locks end with their process, however it
//! ends. A sweep never removes a file that a running process holds, of whichever age it is.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;

use chrono::{DateTime, Utc};
use tempfile::NamedTempFile;

use super::{BlobError, blocking};

/// Whether a sweep removes what it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweepMode {
    /// It is removed.
    Remove,
    /// It is only counted.
    Count,
}

/// What a sweep takes for left over by a process that died.
#[derive(Clone, Debug)]
pub struct TempSweep {
    /// Whether it goes.
    pub mode: SweepMode,
    /// Files that no process holds, last written before this. Processes of versions without locks may still fill younger
    /// ones.
    pub unused_before: DateTime<Utc>,
    /// What may be in use without a sign of it, older than this: uploads to a store, and files on a volume without locks.
    pub any_before: DateTime<Utc>,
    /// Whether unfinished uploads to the store are swept too.
    pub uploads: bool,
}

/// A fresh, empty temp file in `folder` whose name begins with `prefix`, in use until it is closed; blocks.
pub fn named_temp_file(folder: &Path, prefix: &str) -> io::Result<NamedTempFile> {
    let named = tempfile::Builder::new().prefix(prefix).tempfile_in(folder)?;
    // Nothing else knows it yet, so the only failure is a volume without locks, where age alone decides.
    let _unlocked = named.as_file().try_lock();
    Ok(named)
}

/// Sweeps the temp files that lie in `folder`, without the folders in it. Returns how many were left over.
pub async fn sweep_folder(folder: &Path, sweep: &TempSweep) -> Result<u64, BlobError> {
    let (folder, sweep) = (folder.to_owned(), sweep.clone());
    blocking(move || sweep_files(&folder, &sweep).map_err(|error| BlobError::io("sweep the temp files", error))).await
}

fn sweep_files(folder: &Path, sweep: &TempSweep) -> io::Result<u64> {
    let mut left_over = 0;
    let Some(entries) = unless_gone(fs::read_dir(folder))? else { return Ok(0) };
    for entry in entries {
        let entry = entry?;
        let Some(metadata) = unless_gone(entry.metadata())? else { continue };
        let written: DateTime<Utc> = metadata.modified()?.into();
        // What may not be opened belongs to another user, whose process removes it.
        if !metadata.is_file() || written >= sweep.unused_before {
            continue;
        }
        let Ok(file) = File::open(entry.path()) else { continue };
        let unused = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(_)) => written < sweep.any_before,
        };
        if unused && (sweep.mode == SweepMode::Count || unless_gone(fs::remove_file(entry.path()))?.is_some()) {
            left_over += 1;
        }
    }
    Ok(left_over)
}

fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_once_it_is_old_and_no_process_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let held = named_temp_file(folder.path(), "held-").unwrap();
        let name = folder.path().join("left over");
        fs::write(&name, "of a process that died").unwrap();
        let at = |seconds| DateTime::<Utc>::from(std::time::SystemTime::now()) + chrono::TimeDelta::seconds(seconds);
        let sweep = |mode, before| {
            sweep_files(folder.path(), &TempSweep { mode, unused_before: before, any_before: before, uploads: false })
        };
        assert_eq!(sweep(SweepMode::Remove, at(-60)).unwrap(), 0, "it is young");
        assert_eq!(sweep(SweepMode::Count, at(60)).unwrap(), 1);
        assert!(name.exists(), "it was only counted");
        assert_eq!(sweep(SweepMode::Remove, at(60)).unwrap(), 1);
        assert!(held.path().exists() && !name.exists());
        let path = held.into_temp_path();
        assert_eq!(sweep(SweepMode::Remove, at(60)).unwrap(), 1, "it was closed");
        assert!(!path.exists());
        assert_eq!(sweep_files(&name, &sweep_all(at(60))).unwrap(), 0, "a folder that is gone has nothing left over");
    }

    fn sweep_all(before: DateTime<Utc>) -> TempSweep {
        TempSweep { mode: SweepMode::Remove, unused_before: before, any_before: before, uploads: true }
    }
}
