//! Claims about sizes are checked before anybody allocates by them. What passes here may still be broken.
//!
//! It reads headers only and never allocates more than a fraction of the file.

use crate::detect::elf::{Elf, Method};

/// The most that zlib can inflate one byte to.
const ZLIB_RATIO: u64 = 1032;

/// Refuses compressed sections that inflate to more than they can or than `memory`.
pub(super) fn elf(bytes: &[u8], memory: u64) -> Result<(), String> {
    let Some(elf) = Elf::read(bytes) else { return Ok(()) };
    let mut total: u64 = 0;
    for section in elf.sections().iter().filter(|s| s.name.starts_with(b".debug_") || s.name.starts_with(b".zdebug_")) {
        let Some(claim) = elf.compression(section) else { continue };
        let name = String::from_utf8_lossy(section.name);
        if claim.method == Method::Other {
            return Err(format!("its section {name} is compressed in an unknown way; use zlib or zstd"));
        }
        let packed = claim.data.len() as u64;
        if claim.method == Method::Zlib && claim.inflated > (packed + 1) * ZLIB_RATIO {
            let inflated = claim.inflated;
            return Err(format!(
                "its section {name} says that it inflates to {inflated} bytes, which {packed} compressed bytes cannot"
            ));
        }
        total = total.saturating_add(claim.inflated);
    }
    if total > memory {
        let (total, memory) = (total >> 20, memory >> 20);
        return Err(format!(
            "its compressed sections inflate to {total} MiB, and it may use {memory} MiB of memory (setting \
             `converter.memory`)"
        ));
    }
    Ok(())
}

/// Refuses a PDB whose streams are larger than the file that holds them.
pub(super) fn pdb(bytes: &[u8]) -> Result<(), String> {
    let Some(streams) = stream_sizes(bytes) else { return Ok(()) };
    let length = bytes.len() as u64;
    let total = match streams {
        Streams::DirectoryOf(size) => size,
        Streams::Total(size) => size,
    };
    // A page belongs to one stream, but old linkers left pages to two.
    if total > length.saturating_mul(2) {
        return Err(format!("its streams claim {total} bytes, but the whole file has {length}"));
    }
    Ok(())
}

enum Streams {
    /// The directory alone is too large to be read.
    DirectoryOf(u64),
    /// All streams together.
    Total(u64),
}

/// What the streams of a PDB claim together; `None` if it is no PDB or its directory cannot be followed.
fn stream_sizes(bytes: &[u8]) -> Option<Streams> {
    const HEADER: usize = 52;
    if !bytes.starts_with(b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0") {
        return None;
    }
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?));
    let page = word(32)? as usize;
    let directory = word(44)? as usize;
    if !page.is_power_of_two() || page < 256 {
        return None;
    }
    if directory > bytes.len() {
        return Some(Streams::DirectoryOf(directory as u64));
    }
    // The header lists pages that list the pages of the directory.
    let in_list = |list: usize, index: usize| {
        let (page_index, offset) = (index * 4 / page, index * 4 % page);
        word((word(list + page_index * 4)? as usize).checked_mul(page)?.checked_add(offset)?)
    };
    let in_directory = |index: usize| {
        let (page_index, offset) = (index * 4 / page, index * 4 % page);
        word((in_list(HEADER, page_index)? as usize).checked_mul(page)?.checked_add(offset)?)
    };
    let count = in_directory(0)? as usize;
    let mut total: u64 = 0;
    for index in 1..=count.min(directory / 4) {
        match in_directory(index)? {
            u32::MAX => {}
            size => total += u64::from(size),
        }
    }
    Some(Streams::Total(total))
}
