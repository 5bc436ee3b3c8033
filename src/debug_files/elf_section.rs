//! Where a section of a stored ELF file lies, found by reading the header, the table of sections and their names, and
//! nothing else of the file.
//!
//! This is the one reader of uploaded bytes in the server's own process. A debugger asks for a few kilobytes out of
//! gigabytes, by ranges of chunks that only the server can open, and handing those to a child would mean to stitch
//! the file together first. So it is small enough to be looked through: it knows fixed fields at fixed places, takes
//! each by a checked slice, believes no size beyond its own limits, and uses no parser. It never reads what a section
//! means.

use std::ops::Range;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};

use super::OpenFile;
use super::unpack_section::unpack;
use crate::blobs::BlobError;

/// Most bytes of a table of sections: as many as fit into the header's count.
const LONGEST_TABLE: u64 = 64 << 16;

/// Most bytes of the names of sections.
const LONGEST_NAMES: u64 = 4 << 20;

/// Size of the longest header of a file, and of a section, and of a compressed section.
const FILE_HEADER: u64 = 64;
const COMPRESSED_HEADER: u64 = 24;
const LEGACY_HEADER: u64 = 12;

/// A section without bytes in the file.
const NOBITS: u64 = 8;

/// The flag of compressed sections, and the two ways.
const COMPRESSED: u64 = 0x800;
const ZLIB: u64 = 1;
const ZSTD: u64 = 2;

/// How the bytes of a section stand in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As they are.
    None,
    /// One zlib stream.
    Zlib,
    /// zstd frames.
    Zstd,
}

/// A section that has bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Size of its content.
    pub size: u64,
    at: Range<u64>,
    packing: Packing,
}

/// How a file writes its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Words {
    /// 64 bits.
    wide: bool,
    /// Most significant byte first.
    big: bool,
}

/// What the header says of the table of sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Table {
    words: Words,
    at: u64,
    entry: u64,
    count: u64,
    names: u64,
}

/// A line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    name: u64,
    sort: u64,
    flags: u64,
    at: u64,
    size: u64,
    link: u64,
}

/// The section `name` of an ELF file; `None` if the file is no ELF file, has no such section, or has no bytes of it.
/// No content is larger than `max_size`.
pub async fn find_section(file: &OpenFile, name: &str, max_size: u64) -> Result<Option<Section>, BlobError> {
    let Some(mut table) = Table::of(&read(file, 0..FILE_HEADER).await?) else { return Ok(None) };
    if table.is_extended() {
        let first = read(file, table.lines(0, 1)).await?;
        let Some(first) = Line::of(&first, table.words) else { return Ok(None) };
        table = table.extended(first);
    }
    if table.count.saturating_mul(table.entry) > LONGEST_TABLE {
        return Ok(None);
    }
    let lines = read(file, table.lines(0, table.count)).await?;
    let lines: Vec<_> =
        lines.chunks_exact(table.entry as usize).filter_map(|line| Line::of(line, table.words)).collect();
    let Some(names) = usize::try_from(table.names).ok().and_then(|names| lines.get(names)) else { return Ok(None) };
    if names.size > LONGEST_NAMES || names.sort == NOBITS {
        return Ok(None);
    }
    let names = read(file, names.range()).await?;
    let named = |name: &str| lines.iter().find(|line| name_at(&names, line.name) == Some(name.as_bytes()));
    let full = |line: &&Line| line.sort != NOBITS && line.range().end <= file.file.size;
    let section = match named(name).filter(full) {
        Some(line) if line.flags & COMPRESSED != 0 => {
            line.compressed(&read(file, line.beginning(COMPRESSED_HEADER)).await?, table.words)
        }
        Some(line) => return Ok(Some(Section { size: line.size, at: line.range(), packing: Packing::None })),
        // Before there was a flag, compressed sections had another name and a header of their own.
        None => match legacy_name(name).and_then(|name| named(&name)).filter(full) {
            Some(line) => line.legacy(&read(file, line.beginning(LEGACY_HEADER)).await?),
            None => None,
        },
    };
    Ok(section.filter(|section| section.size <= max_size))
}

/// What `.debug_info` and its kin were called once they were compressed.
fn legacy_name(name: &str) -> Option<String> {
    name.strip_prefix(".debug_").map(|rest| format!(".zdebug_{rest}"))
}

impl Section {
    /// The bytes `range` of the content, out of `file`, in which the section was found.
    pub fn read(
        self,
        file: OpenFile,
        range: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static {
        match self.packing {
            Packing::None => {
                let within = |at: u64| self.at.start.saturating_add(at).min(self.at.end);
                file.read(within(range.start)..within(range.end)).boxed()
            }
            packing => unpack(file.read(self.at).boxed(), packing, self.size, range).boxed(),
        }
    }
}

/// The bytes `range` of a file, as far as it has them. The caller has bounded the range.
async fn read(file: &OpenFile, range: Range<u64>) -> Result<Vec<u8>, BlobError> {
    let whole = Vec::new();
    let gather = |mut whole: Vec<u8>, bytes: Bytes| async move {
        whole.extend_from_slice(&bytes);
        Ok(whole)
    };
    file.clone().read(range).try_fold(whole, gather).await
}

/// The name that begins at `at` among the names.
fn name_at(names: &[u8], at: u64) -> Option<&[u8]> {
    let name = names.get(usize::try_from(at).ok()?..)?;
    name.split(|byte| *byte == 0).next()
}

impl Words {
    /// The number of `length` bytes at `at`.
    fn number(self, bytes: &[u8], at: usize, length: usize) -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(length)?)?;
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(match self.big {
            true => bytes.iter().fold(0, add),
            false => bytes.iter().rev().fold(0, add),
        })
    }

    /// The number at one of two places, as long as an address.
    fn address(self, bytes: &[u8], narrow: usize, wide: usize) -> Option<u64> {
        if self.wide { self.number(bytes, wide, 8) } else { self.number(bytes, narrow, 4) }
    }
}

impl Table {
    fn of(header: &[u8]) -> Option<Self> {
        if header.get(..4)? != b"\x7fELF" {
            return None;
        }
        let words = Words {
            wide: match header.get(4)? {
                1 => false,
                2 => true,
                _ => return None,
            },
            big: match header.get(5)? {
                1 => false,
                2 => true,
                _ => return None,
            },
        };
        let half = |narrow, wide| words.number(header, if words.wide { wide } else { narrow }, 2);
        let table = Self {
            words,
            at: words.address(header, 32, 40)?,
            entry: half(46, 58)?,
            count: half(48, 60)?,
            names: half(50, 62)?,
        };
        let least = if words.wide { 64 } else { 40 };
        (table.at > 0 && table.entry >= least).then_some(table)
    }

    /// Whether the first line of the table holds what was too large for the header.
    fn is_extended(&self) -> bool {
        self.count == 0 || self.names == 0xffff
    }

    fn extended(self, first: Line) -> Self {
        let count = if self.count == 0 { first.size } else { self.count };
        let names = if self.names == 0xffff { first.link } else { self.names };
        Self { count, names, ..self }
    }

    /// Where `count` lines are, from the `first` on.
    fn lines(&self, first: u64, count: u64) -> Range<u64> {
        let at = |line: u64| self.at.saturating_add(self.entry.saturating_mul(line));
        at(first)..at(first.saturating_add(count))
    }
}

impl Line {
    fn of(bytes: &[u8], words: Words) -> Option<Self> {
        Some(Self {
            name: words.number(bytes, 0, 4)?,
            sort: words.number(bytes, 4, 4)?,
            flags: words.address(bytes, 8, 8)?,
            at: words.address(bytes, 16, 24)?,
            size: words.address(bytes, 20, 32)?,
            link: words.number(bytes, if words.wide { 40 } else { 24 }, 4)?,
        })
    }

    fn range(&self) -> Range<u64> {
        self.at..self.at.saturating_add(self.size)
    }

    /// Where the first `length` bytes of the section are, or all that it has.
    fn beginning(&self, length: u64) -> Range<u64> {
        self.at..self.range().end.min(self.at.saturating_add(length))
    }

    /// The section behind the header of a compressed one of old: a word and the size, most significant byte first.
    fn legacy(&self, header: &[u8]) -> Option<Section> {
        let size = header.strip_prefix(b"ZLIB")?.first_chunk::<8>()?;
        let begin = self.at.checked_add(LEGACY_HEADER)?;
        Some(Section { size: u64::from_be_bytes(*size), at: begin..self.range().end, packing: Packing::Zlib })
    }

    /// The section behind the header of a compressed one.
    fn compressed(&self, header: &[u8], words: Words) -> Option<Section> {
        let packing = match words.number(header, 0, 4)? {
            ZLIB => Packing::Zlib,
            ZSTD => Packing::Zstd,
            _ => return None,
        };
        let length = if words.wide { 24 } else { 12 };
        let begin = self.at.checked_add(length).filter(|begin| *begin <= self.range().end)?;
        Some(Section { size: words.address(header, 4, 8)?, at: begin..self.range().end, packing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of 64 bytes with a table of `count` lines at 64.
    fn header(class: u8, order: u8, count: u16) -> Vec<u8> {
        let (wide, big) = (class == 2, order == 2);
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, order]);
        let mut put = |at: usize, number: u64, length: usize| {
            let all = number.to_le_bytes();
            let mut part = all[..length].to_vec();
            if big {
                part.reverse();
            }
            bytes[at..at + length].copy_from_slice(&part);
        };
        put(if wide { 40 } else { 32 }, 64, if wide { 8 } else { 4 });
        for (narrow, far, number) in [(46, 58, if wide { 64 } else { 40 }), (48, 60, count), (50, 62, 1)] {
            put(if wide { far } else { narrow }, number.into(), 2);
        }
        bytes
    }

    #[test]
    fn a_header_is_read_in_each_width_and_order() {
        for (class, order, wide, big) in
            [(1, 1, false, false), (1, 2, false, true), (2, 1, true, false), (2, 2, true, true)]
        {
            let words = Words { wide, big };
            let entry = if wide { 64 } else { 40 };
            assert_eq!(
                Table::of(&header(class, order, 3)),
                Some(Table { words, at: 64, entry, count: 3, names: 1 }),
                "{class} {order}"
            );
        }
    }

    #[test]
    fn a_header_that_is_none_is_none() {
        let good = header(2, 1, 3);
        for length in 0..good.len() {
            assert_eq!(Table::of(&good[..length]), None, "{length}");
        }
        for (at, byte) in [(0, 0), (3, b'f'), (4, 0), (4, 3), (5, 0), (5, 9), (40, 0), (58, 63)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert_eq!(Table::of(&bad), None, "{at}");
        }
    }

    #[test]
    fn no_number_of_a_hostile_file_is_beyond_counting() {
        let words = Words { wide: true, big: false };
        let table = Table { words, at: u64::MAX - 1, entry: 0xffff, count: u64::MAX, names: 0xffff };
        assert_eq!(table.lines(0, u64::MAX), u64::MAX - 1..u64::MAX);
        let line = Line::of(&[0xff; 64], words).unwrap();
        assert_eq!(line.range(), u64::MAX..u64::MAX);
        assert_eq!(line.compressed(&[1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0], words), None);
        assert_eq!(line.compressed(&[], words), None);
        assert_eq!(Line::of(&[0xff; 43], words), None);
        assert_eq!(name_at(b"\0.text\0", u64::MAX), None);
        assert_eq!(name_at(b"\0.text\0", 1), Some(&b".text"[..]));
        assert_eq!(name_at(b"\0.te", 1), Some(&b".te"[..]));
        assert_eq!(name_at(b"\0.te", 4), Some(&b""[..]));
        assert_eq!(name_at(b"\0.te", 5), None);
    }
}
