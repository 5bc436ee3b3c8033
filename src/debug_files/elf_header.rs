//! The fixed fields of ELF headers, in either width and byte order. It reads numbers out of checked slices and never
//! follows one of them.

use std::ops::Range;

/// The type of a section without bytes in the file.
const NOBITS: u64 = 8;

/// How a file writes its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words {
    /// 64 bits.
    pub wide: bool,
    /// Most significant byte first.
    pub big: bool,
}

/// What the file header says about the section headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SectionTable {
    /// How the file writes its numbers.
    pub words: Words,
    /// Where the headers begin.
    pub at: u64,
    /// Size of one header.
    pub entry: u64,
    /// Number of headers.
    pub count: u64,
    /// Index of the section with the names.
    pub names: u64,
}

/// One section header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SectionHeader {
    /// Where its name begins among the names.
    pub name: u64,
    /// Its type.
    pub sort: u64,
    /// Its flags.
    pub flags: u64,
    /// Where its bytes begin in the file.
    pub at: u64,
    /// Number of its bytes.
    pub size: u64,
    /// A further section.
    pub link: u64,
}

impl Words {
    /// The number of `length` bytes at `at`.
    pub fn number(self, bytes: &[u8], at: usize, length: usize) -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(length)?)?;
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
    }

    /// The number at one of two places, as long as an address.
    pub fn address(self, bytes: &[u8], narrow: usize, wide: usize) -> Option<u64> {
        if self.wide { self.number(bytes, wide, 8) } else { self.number(bytes, narrow, 4) }
    }
}

impl SectionTable {
    /// Reads a file header; `None` if it is not that of an ELF file with section headers.
    pub fn of(header: &[u8]) -> Option<Self> {
        if header.get(..4)? != b"\x7fELF" {
            return None;
        }
        let second = |at: usize| match header.get(at)? {
            1 => Some(false),
            2 => Some(true),
            _ => None,
        };
        let words = Words { wide: second(4)?, big: second(5)? };
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

    /// Whether the first section header has the numbers that are too large for the file header.
    pub fn is_extended(&self) -> bool {
        self.count == 0 || self.names == 0xffff
    }

    /// The same with those numbers.
    pub fn extended(self, first: SectionHeader) -> Self {
        let count = if self.count == 0 { first.size } else { self.count };
        let names = if self.names == 0xffff { first.link } else { self.names };
        Self { count, names, ..self }
    }

    /// Where `count` headers are, from the `first` on.
    pub fn headers(&self, first: u64, count: u64) -> Range<u64> {
        let at = |header: u64| self.at.saturating_add(self.entry.saturating_mul(header));
        at(first)..at(first.saturating_add(count))
    }

    /// The header with this index among `headers`, the bytes of all of them.
    pub fn header(&self, headers: &[u8], index: u64) -> Option<SectionHeader> {
        let entry = usize::try_from(self.entry).ok()?;
        let begin = usize::try_from(index).ok()?.checked_mul(entry)?;
        SectionHeader::of(headers.get(begin..begin.checked_add(entry)?)?, self.words)
    }

    /// All of `headers`, in order.
    pub fn iter(&self, headers: &[u8]) -> impl Iterator<Item = SectionHeader> {
        let entry = usize::try_from(self.entry).unwrap_or(usize::MAX);
        headers.chunks_exact(entry).filter_map(|header| SectionHeader::of(header, self.words))
    }
}

impl SectionHeader {
    /// Reads a header; `None` if it is cut off.
    pub fn of(bytes: &[u8], words: Words) -> Option<Self> {
        Some(Self {
            name: words.number(bytes, 0, 4)?,
            sort: words.number(bytes, 4, 4)?,
            flags: words.address(bytes, 8, 8)?,
            at: words.address(bytes, 16, 24)?,
            size: words.address(bytes, 20, 32)?,
            link: words.number(bytes, if words.wide { 40 } else { 24 }, 4)?,
        })
    }

    /// Whether the section has no bytes in the file.
    pub fn has_no_bytes(&self) -> bool {
        self.sort == NOBITS
    }

    /// Where the bytes of the section are.
    pub fn range(&self) -> Range<u64> {
        self.at..self.at.saturating_add(self.size)
    }

    /// Where the first `length` bytes of the section are, or all that it has.
    pub fn beginning(&self, length: u64) -> Range<u64> {
        self.at..self.range().end.min(self.at.saturating_add(length))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A file header of 64 bytes with `count` section headers at 64, the second of which has the names.
    pub fn header(class: u8, order: u8, count: u16) -> Vec<u8> {
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
                SectionTable::of(&header(class, order, 3)),
                Some(SectionTable { words, at: 64, entry, count: 3, names: 1 }),
                "{class} {order}"
            );
        }
    }

    #[test]
    fn a_header_that_is_none_is_none() {
        let good = header(2, 1, 3);
        for length in 0..good.len() {
            assert_eq!(SectionTable::of(&good[..length]), None, "{length}");
        }
        for (at, byte) in [(0, 0), (3, b'f'), (4, 0), (4, 3), (5, 0), (5, 9), (40, 0), (58, 63)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert_eq!(SectionTable::of(&bad), None, "{at}");
        }
    }

    #[test]
    fn no_number_of_a_hostile_file_is_beyond_counting() {
        let words = Words { wide: true, big: false };
        let table = SectionTable { words, at: u64::MAX - 1, entry: 0xffff, count: u64::MAX, names: 0xffff };
        assert_eq!(table.headers(0, u64::MAX), u64::MAX - 1..u64::MAX);
        assert_eq!(table.header(&[0xff; 64], u64::MAX), None);
        let header = SectionHeader::of(&[0xff; 64], words).expect("64 bytes are a header");
        assert_eq!(header.range(), u64::MAX..u64::MAX);
        assert_eq!(SectionHeader::of(&[0xff; 43], words), None);
    }
}
