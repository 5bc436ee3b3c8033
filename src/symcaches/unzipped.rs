//! [`Unzipped`]: what the child took out of a zip, one file after the other in a nameless temp file.
//!
//! It believes no size that the child reports: each is checked against the file.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use tokio::task::spawn_blocking;

use crate::types::child_protocol::{LONGEST_LIST, ZipEntry};

/// The files of a zip.
#[derive(Debug)]
pub struct Unzipped {
    content: File,
    entries: Vec<Entry>,
    temp_dir: PathBuf,
}

/// One file of a zip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path in the zip.
    pub name: String,
    at: u64,
    size: u64,
}

impl Unzipped {
    /// Reads the list that begins at `list_at`.
    pub(super) async fn read(mut content: File, list_at: u64, temp_dir: PathBuf) -> io::Result<Self> {
        let work = move || {
            content.seek(SeekFrom::Start(list_at))?;
            let mut list = Vec::new();
            (&content).take(LONGEST_LIST).read_to_end(&mut list)?;
            let listed: Vec<ZipEntry> = serde_json::from_slice(&list)?;
            let mut entries = Vec::with_capacity(listed.len());
            let mut at: u64 = 0;
            for ZipEntry { name, size } in listed {
                entries.push(Entry { name, at, size });
                at = at.checked_add(size).filter(|end| *end <= list_at).ok_or(io::ErrorKind::InvalidData)?;
            }
            Ok(Self { content, entries, temp_dir })
        };
        spawn_blocking(work).await.map_err(io::Error::other)?
    }

    /// The files in the order of the zip.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The content of one file, in a nameless temp file of its own.
    pub async fn content(&self, entry: &Entry) -> io::Result<File> {
        let (source, temp_dir) = (self.content.try_clone()?, self.temp_dir.clone());
        let Entry { mut at, size, .. } = *entry;
        let work = move || {
            let mut copy = tempfile::tempfile_in(temp_dir)?;
            let end = at + size;
            let mut buffer = vec![0; 256 << 10];
            while at < end {
                let wanted = buffer.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
                match source.read_at(&mut buffer[..wanted], at)? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    read => {
                        io::Write::write_all(&mut copy, &buffer[..read])?;
                        at += read as u64;
                    }
                }
            }
            copy.rewind()?;
            Ok(copy)
        };
        spawn_blocking(work).await.map_err(io::Error::other)?
    }
}
