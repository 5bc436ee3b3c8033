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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// What is read of a list behind five bytes of content.
    async fn read(list: &[u8], length: u64) -> io::Result<usize> {
        let mut content = tempfile::tempfile().unwrap();
        content.write_all(b"12345").unwrap();
        content.write_all(list).unwrap();
        content.set_len(5 + length.max(list.len() as u64)).unwrap();
        Ok(Unzipped::read(content, 5, std::env::temp_dir()).await?.entries().len())
    }

    #[tokio::test]
    async fn sizes_that_do_not_add_up_are_refused() {
        let list = |sizes: &[u64]| {
            let entries: Vec<_> = sizes.iter().map(|size| format!("{{\"name\":\"a\",\"size\":{size}}}")).collect();
            format!("[{}]", entries.join(",")).into_bytes()
        };
        assert_eq!(read(&list(&[2, 3]), 0).await.unwrap(), 2);
        assert_eq!(read(&list(&[0; 20_000]), 0).await.unwrap(), 20_000);
        for sizes in [vec![6], vec![5, 1], vec![u64::MAX], vec![1, u64::MAX], vec![u64::MAX; 3]] {
            assert!(read(&list(&sizes), 0).await.is_err(), "{sizes:?}");
        }
        assert!(read(b"[", LONGEST_LIST + 1000).await.is_err(), "a list without an end is not read to its end");
    }
}
