//! Bits of a bzip2 stream and the codes that are written in them.
//!
//! It never reads beyond what a code needs by more than one buffer.

use std::io::{self, Read};

/// Longest code of a symbol, in bits.
pub(super) const MAX_CODE: usize = 20;

/// Canonical codes: those of one length are consecutive numbers.
pub(super) struct Codes {
    /// For each length: the first code, the code after the last, and where its symbols begin in `symbols`.
    lengths: [(u32, u32, u32); MAX_CODE + 1],
    symbols: Vec<u16>,
}

impl Codes {
    pub(super) fn new(of_symbols: &[usize]) -> Self {
        let mut lengths = [(0, 0, 0); MAX_CODE + 1];
        let mut symbols = Vec::with_capacity(of_symbols.len());
        let mut code = 0u32;
        for (length, entry) in lengths.iter_mut().enumerate().skip(1) {
            let first = symbols.len() as u32;
            symbols.extend((0u16..).zip(of_symbols).filter(|(_, of)| **of == length).map(|(symbol, _)| symbol));
            // At most 258 symbols, so 258 × 2^20 at the end: no overflow even if the lengths contradict each other.
            let after = code + (symbols.len() as u32 - first);
            *entry = (code, after, first);
            code = after << 1;
        }
        Self { lengths, symbols }
    }

    pub(super) fn read<R: Read>(&self, bits: &mut Bits<R>) -> io::Result<usize> {
        let ahead = bits.peek(MAX_CODE as u32)?;
        for (length, (first, after, start)) in self.lengths.iter().enumerate().skip(1) {
            let code = ahead >> (MAX_CODE - length);
            if code < *after {
                bits.skip(length as u32)?;
                let at = code.wrapping_sub(*first).wrapping_add(*start) as usize;
                return self
                    .symbols
                    .get(at)
                    .map(|symbol| usize::from(*symbol))
                    .ok_or_else(|| broken("a code is unknown"));
            }
        }
        Err(broken("a code is unknown"))
    }
}

/// Bits of a reader, the highest of a byte first.
pub(super) struct Bits<R> {
    inner: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The next `count` bits, in the low end.
    held: u64,
    count: u32,
}

impl<R: Read> Bits<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, buffer: vec![0; 8192], start: 0, end: 0, held: 0, count: 0 }
    }

    /// At most 32 bits.
    pub(super) fn take(&mut self, count: u32) -> io::Result<u32> {
        let value = self.peek(count)?;
        self.skip(count)?;
        Ok(value)
    }

    /// The next bits without passing them; those beyond the end are 0.
    fn peek(&mut self, count: u32) -> io::Result<u32> {
        while self.count < count && self.fill()? {}
        let held =
            if self.count >= count { self.held >> (self.count - count) } else { self.held << (count - self.count) };
        Ok((held & ((1 << count) - 1)) as u32)
    }

    fn skip(&mut self, count: u32) -> io::Result<()> {
        self.count = self.count.checked_sub(count).ok_or_else(|| broken("the data ends early"))?;
        Ok(())
    }

    /// Adds a byte; false at the end of the input.
    fn fill(&mut self) -> io::Result<bool> {
        if self.start == self.end {
            self.start = 0;
            self.end = read_some(&mut self.inner, &mut self.buffer)?;
            if self.end == 0 {
                return Ok(false);
            }
        }
        self.held = self.held << 8 | u64::from(self.buffer[self.start]);
        self.start += 1;
        self.count += 8;
        Ok(true)
    }

    pub(super) fn align(&mut self) {
        self.count -= self.count % 8;
    }

    pub(super) fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(self.count == 0 && !self.fill()?)
    }
}

fn read_some(inner: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match inner.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

pub(super) fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
