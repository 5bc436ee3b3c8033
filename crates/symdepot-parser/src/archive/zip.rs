//! The entries of an uploaded zip, one after the other into one writer, within bounds. Runs in the child process.
//!
//! Names are only names: nothing is ever written under one.

use std::io::{Cursor, Read as _, Write};

use symdepot_types::child_protocol::ZipEntry;
use zip::ZipArchive;

/// Most entries of one zip.
const MOST_ENTRIES: usize = 20_000;

/// Writes the content of every file of `zip` to `out`, `max_size` bytes in all at most. Folders and names
/// that lead out of the zip are skipped. The error is a sentence for the uploader.
pub fn unzip(zip: &[u8], out: &mut impl Write, max_size: u64) -> Result<Vec<ZipEntry>, String> {
    let mut archive = ZipArchive::new(Cursor::new(zip)).map_err(|error| format!("Not a zip file: {error}"))?;
    if archive.len() > MOST_ENTRIES {
        return Err(format!("The zip has {} entries; at most {MOST_ENTRIES} are taken.", archive.len()));
    }
    let mut entries = Vec::new();
    let mut left = max_size;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| format!("Entry {index} of the zip is damaged: {error}"))?;
        let Ok(name) = entry.name().map(|name| name.replace('\\', "/")) else { continue };
        if entry.is_dir() || name.starts_with('/') || name.split('/').any(|part| part == "..") {
            continue;
        }
        let mut content = entry.take(left + 1);
        let size =
            std::io::copy(&mut content, out).map_err(|error| format!("{name} in the zip is damaged: {error}"))?;
        if size > left {
            return Err(format!("The zip holds more than {max_size} bytes."));
        }
        left -= size;
        entries.push(ZipEntry { name, size });
    }
    Ok(entries)
}
