//! [`CfiTable`]: the form of a table, and look-ups in it. Nothing that a table says of itself is believed before it was checked.
//!
//! Little-endian: the magic, the number of rows of `STACK CFI`, of `STACK WIN`, of signal ranges and of end ranges (`u64` each),
//! then the rows: begin, end, and for the first two sorts offset and length of the text (`u64` each), then the text.

use std::io::{self, Write};

/// What a table begins with, and the version of its form.
const MAGIC: &[u8; 8] = b"SDCFI\0\0\x01";

/// Numbers of the head.
const HEAD: usize = 8 + 4 * 8;

/// Bytes of a row with text, and of one without.
const TEXT_ROW: usize = 32;
const RANGE_ROW: usize = 16;

/// The rules of one range of addresses, from the beginning of the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub begin: u64,
    pub end: u64,
    pub text: String,
}

/// The parts of a table that is to be written.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub cfi: Vec<Block>,
    pub win: Vec<Block>,
    pub signals: Vec<(u64, u64)>,
    pub ends: Vec<(u64, u64)>,
}

impl Parts {
    /// Writes the table.
    pub(super) fn write(mut self, output: &mut impl Write) -> io::Result<()> {
        self.cfi.sort_by_key(|block| (block.begin, block.end));
        self.win.sort_by_key(|block| (block.begin, block.end));
        self.signals.sort_unstable();
        self.ends.sort_unstable();
        output.write_all(MAGIC)?;
        for count in [self.cfi.len(), self.win.len(), self.signals.len(), self.ends.len()] {
            output.write_all(&(count as u64).to_le_bytes())?;
        }
        let mut offset = 0_u64;
        for block in self.cfi.iter().chain(&self.win) {
            let length = block.text.len() as u64;
            for number in [block.begin, block.end, offset, length] {
                output.write_all(&number.to_le_bytes())?;
            }
            offset += length;
        }
        for (begin, end) in self.signals.iter().chain(&self.ends) {
            output.write_all(&begin.to_le_bytes())?;
            output.write_all(&end.to_le_bytes())?;
        }
        self.cfi.iter().chain(&self.win).try_for_each(|block| output.write_all(block.text.as_bytes()))
    }
}

/// A table that is open.
#[derive(Clone, Copy, Debug)]
pub struct CfiTable<'a> {
    cfi: &'a [u8],
    win: &'a [u8],
    signals: &'a [u8],
    ends: &'a [u8],
    text: &'a [u8],
}

impl<'a> CfiTable<'a> {
    /// Opens the bytes of a table; `None` if they are none.
    pub fn open(bytes: &'a [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let count = |at: usize| usize::try_from(number(rest, at * 8)?).ok();
        let (cfi, win, signals, ends) = (count(0)?, count(1)?, count(2)?, count(3)?);
        let mut rest = bytes.get(HEAD..)?;
        let mut take = |rows: usize, size: usize| {
            let (part, left) = rest.split_at_checked(rows.checked_mul(size)?)?;
            rest = left;
            Some(part)
        };
        let (cfi, win) = (take(cfi, TEXT_ROW)?, take(win, TEXT_ROW)?);
        let (signals, ends) = (take(signals, RANGE_ROW)?, take(ends, RANGE_ROW)?);
        Some(Self { cfi, win, signals, ends, text: rest })
    }

    /// The `STACK` records that apply at an address from the beginning of the module: those of Windows before the others.
    pub fn rules(&self, address: u64) -> Option<&'a str> {
        self.text_at(self.win, address).or_else(|| self.text_at(self.cfi, address))
    }

    /// Whether any rules apply at an address.
    pub fn covers(&self, address: u64) -> bool {
        row(self.win, TEXT_ROW, address).or_else(|| row(self.cfi, TEXT_ROW, address)).is_some()
    }

    /// Where the code begins that a signal handler returns through, if an address is in such code.
    pub fn signal(&self, address: u64) -> Option<u64> {
        row(self.signals, RANGE_ROW, address).and_then(|row| number(row, 0))
    }

    /// Whether the stack ends at an address: what is there has no caller.
    pub fn is_end(&self, address: u64) -> bool {
        row(self.ends, RANGE_ROW, address).is_some()
    }

    fn text_at(&self, rows: &'a [u8], address: u64) -> Option<&'a str> {
        let row = row(rows, TEXT_ROW, address)?;
        let (offset, length) = (usize::try_from(number(row, 16)?).ok()?, usize::try_from(number(row, 24)?).ok()?);
        std::str::from_utf8(self.text.get(offset..offset.checked_add(length)?)?).ok()
    }
}

/// The last row that begins at or below an address, if it has not ended there.
fn row(rows: &[u8], size: usize, address: u64) -> Option<&[u8]> {
    let begin = |at: usize| number(rows, at * size).unwrap_or(u64::MAX);
    let (mut low, mut high) = (0, rows.len() / size);
    while low < high {
        let middle = low + (high - low) / 2;
        if begin(middle) <= address { low = middle + 1 } else { high = middle }
    }
    let row = rows.get(low.checked_sub(1)? * size..)?.get(..size)?;
    (address < number(row, 8)?).then_some(row)
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<u8> {
        let block = |begin, end, text: &str| Block { begin, end, text: text.to_owned() };
        let parts = Parts {
            cfi: vec![block(0x20, 0x30, "second\n"), block(0x10, 0x20, "first\n")],
            win: vec![block(0x100, 0x110, "win\n")],
            signals: vec![(0x40, 0x50)],
            ends: vec![(0x10, 0x12)],
        };
        let mut bytes = Vec::new();
        parts.write(&mut bytes).expect("memory can be written");
        bytes
    }

    #[test]
    fn rules_are_found_by_their_range() {
        let bytes = table();
        let table = CfiTable::open(&bytes).expect("a table");
        let found: Vec<_> =
            [0xf, 0x10, 0x1f, 0x20, 0x2f, 0x30, 0x100, 0x110].map(|address| table.rules(address)).into();
        let (first, second, win) = (Some("first\n"), Some("second\n"), Some("win\n"));
        assert_eq!(found, [None, first, first, second, second, None, win, None]);
        assert_eq!((table.signal(0x4f), table.signal(0x50)), (Some(0x40), None));
        assert_eq!((table.is_end(0x11), table.is_end(0x12)), (true, false));
    }

    #[test]
    fn a_table_that_lies_is_none_or_says_nothing() {
        let bytes = table();
        for end in 0..bytes.len() {
            if let Some(table) = CfiTable::open(&bytes[..end]) {
                let _either = (table.rules(0x10), table.signal(0x40));
            }
        }
        for at in 8..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0xff;
            if let Some(table) = CfiTable::open(&bytes) {
                let _either = (table.rules(0x10), table.rules(0x28), table.signal(0x40), table.is_end(0x10));
            }
        }
        assert!(CfiTable::open(b"").is_none());
    }
}
