//! `MiniDebugInfo`: a small ELF file with nothing but a table of symbols, packed by xz into the section `.gnu_debugdata`.
//! What it says of its sizes is never believed: memory and output have limits of their own.

use std::io::Read as _;

use lzma_rust2::XzReader;

use crate::detect::elf::Elf;

/// Most bytes that it may unpack to; those of large programs have a few megabytes.
const LONGEST: u64 = 256 << 20;

/// Most memory that unpacking may take, in KiB; xz at its strongest takes 65 MiB.
const MEMORY: u32 = 128 << 10;

/// The small file inside of `data`; `None` if there is none or it cannot be had within the limits.
pub(super) fn unpack(data: &[u8], memory: u64) -> Option<Vec<u8>> {
    unpacked(Elf::read(data)?.section(b".gnu_debugdata")?.data, LONGEST.min(memory / 4))
}

/// At most `most` bytes that are packed here, if they are an ELF file.
pub(super) fn unpacked(packed: &[u8], most: u64) -> Option<Vec<u8>> {
    let mut inner = Vec::new();
    // A file that is cut off still has its first symbols, but they lie behind its end: nothing is left then.
    XzReader::new_mem_limit(packed, false, MEMORY).take(most + 1).read_to_end(&mut inner).ok()?;
    (inner.len() as u64 <= most && inner.starts_with(b"\x7fELF")).then_some(inner)
}
