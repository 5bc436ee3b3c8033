//! [`Bzip2Reader`]: unpacks bzip2, several streams one after the other too (as parallel compressors write them).
//!
//! It never holds more than one block (at most 900 000 entries of four bytes) and never trusts a number of the input.

mod codes;

use std::io::{self, Read};

use codes::{Bits, Codes, MAX_CODE, broken};

/// First bits of a block.
const BLOCK: u64 = 0x3141_5926_5359;
/// First bits of the end of a stream.
const END: u64 = 0x1772_4538_5090;
/// Symbols that one selector covers.
const GROUP: usize = 50;

/// Unpacks what `R` gives.
pub(super) struct Bzip2Reader<R> {
    bits: Bits<R>,
    state: State,
    /// Most entries of a block of this stream.
    block_size: usize,
    /// Of the open block: the byte in the low 8 bits, the index of the next entry above.
    entries: Vec<u32>,
    next: u32,
    left: usize,
    /// Run-length decoding: the last byte, how often it came in a row, how often it is to be repeated.
    last: u8,
    run: u8,
    repeat: u8,
    crc: u32,
    expected_crc: u32,
    stream_crc: u32,
}

#[derive(PartialEq)]
enum State {
    Start,
    BetweenBlocks,
    InBlock,
    Ended,
}

impl<R: Read> Bzip2Reader<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            bits: Bits::new(inner),
            state: State::Start,
            block_size: 0,
            entries: Vec::new(),
            next: 0,
            left: 0,
            last: 0,
            run: 0,
            repeat: 0,
            crc: 0,
            expected_crc: 0,
            stream_crc: 0,
        }
    }

    fn read_stream_header(&mut self) -> io::Result<()> {
        let magic = self.bits.take(24)?;
        let level = self.bits.take(8)?.wrapping_sub(u32::from(b'0'));
        if magic != 0x42_5a68 || !(1..=9).contains(&level) {
            return Err(broken("a stream does not begin with BZh"));
        }
        self.block_size = level as usize * 100_000;
        self.stream_crc = 0;
        self.state = State::BetweenBlocks;
        Ok(())
    }

    fn read_block_header(&mut self) -> io::Result<()> {
        let magic = u64::from(self.bits.take(24)?) << 24 | u64::from(self.bits.take(24)?);
        match magic {
            BLOCK => {
                self.read_block()?;
                self.state = State::InBlock;
            }
            END => {
                if self.bits.take(32)? != self.stream_crc {
                    return Err(broken("the checksum of a stream is wrong"));
                }
                self.bits.align();
                self.state = if self.bits.is_at_end()? { State::Ended } else { State::Start };
            }
            _ => return Err(broken("a block does not begin with its marker")),
        }
        Ok(())
    }

    fn read_block(&mut self) -> io::Result<()> {
        self.expected_crc = self.bits.take(32)?;
        if self.bits.take(1)? != 0 {
            return Err(broken("randomized blocks are not supported"));
        }
        let origin = self.bits.take(24)? as usize;
        let mut symbols = self.read_symbols()?;
        let tables = self.bits.take(3)? as usize;
        if !(2..=6).contains(&tables) {
            return Err(broken("the number of code tables is wrong"));
        }
        let selectors = self.read_selectors(tables)?;
        let mut codes = Vec::with_capacity(tables);
        for _ in 0..tables {
            codes.push(self.read_codes(symbols.len() + 2)?);
        }
        let counts = self.read_entries(&mut symbols, &selectors, &codes)?;
        self.link(counts, origin)?;
        (self.last, self.run, self.repeat, self.crc) = (0, 0, 0, u32::MAX);
        Ok(())
    }

    /// The bytes that occur in the block, in order.
    fn read_symbols(&mut self) -> io::Result<Vec<u8>> {
        let ranges = self.bits.take(16)?;
        let mut symbols = Vec::with_capacity(256);
        for range in 0..16u8 {
            if ranges >> (15 - range) & 1 == 1 {
                let used = self.bits.take(16)?;
                symbols.extend((0..16u8).filter(|at| used >> (15 - at) & 1 == 1).map(|at| range * 16 + at));
            }
        }
        if symbols.is_empty() { Err(broken("a block uses no bytes")) } else { Ok(symbols) }
    }

    fn read_selectors(&mut self, tables: usize) -> io::Result<Vec<u8>> {
        let count = self.bits.take(15)?;
        let mut order: Vec<u8> = vec![0, 1, 2, 3, 4, 5];
        let mut selectors = Vec::new();
        for _ in 0..count {
            let mut at = 0;
            while self.bits.take(1)? == 1 {
                at += 1;
                if at >= tables {
                    return Err(broken("a selector is out of range"));
                }
            }
            order[..=at].rotate_right(1);
            selectors.push(order[0]);
        }
        Ok(selectors)
    }

    fn read_codes(&mut self, symbols: usize) -> io::Result<Codes> {
        let mut lengths = Vec::with_capacity(symbols);
        let mut length = self.bits.take(5)?;
        for _ in 0..symbols {
            loop {
                if !(1..=MAX_CODE as u32).contains(&length) {
                    return Err(broken("the length of a code is wrong"));
                }
                if self.bits.take(1)? == 0 {
                    break;
                }
                // Never below 0: `length` is at least 1 here.
                length = if self.bits.take(1)? == 0 { length + 1 } else { length - 1 };
            }
            lengths.push(length as usize);
        }
        Ok(Codes::new(&lengths))
    }

    /// Reads the bytes of the block in their sorted order. Returns how often each occurs.
    fn read_entries(&mut self, symbols: &mut [u8], selectors: &[u8], codes: &[Codes]) -> io::Result<[u32; 256]> {
        let end = symbols.len() + 1;
        let mut counts = [0u32; 256];
        let (mut run, mut weight) = (0u32, 1u32);
        self.entries.clear();
        for selector in selectors {
            let codes = &codes[usize::from(*selector)];
            for _ in 0..GROUP {
                let symbol = codes.read(&mut self.bits)?;
                if symbol < 2 {
                    run += weight << symbol;
                    weight <<= 1;
                    if run as usize > self.block_size {
                        return Err(broken("a block is too long"));
                    }
                    continue;
                }
                self.push(symbols[0], run as usize, &mut counts)?;
                (run, weight) = (0, 1);
                if symbol == end {
                    return Ok(counts);
                }
                symbols[..symbol].rotate_right(1);
                self.push(symbols[0], 1, &mut counts)?;
            }
        }
        Err(broken("a block has no end"))
    }

    fn push(&mut self, byte: u8, times: usize, counts: &mut [u32; 256]) -> io::Result<()> {
        if times > self.block_size - self.entries.len() {
            return Err(broken("a block is too long"));
        }
        self.entries.resize(self.entries.len() + times, u32::from(byte));
        counts[usize::from(byte)] += times as u32;
        Ok(())
    }

    /// Links each entry to the one that follows it in the text (the inverse of the Burrows-Wheeler transform).
    fn link(&mut self, counts: [u32; 256], origin: usize) -> io::Result<()> {
        if origin >= self.entries.len() {
            return Err(broken("the origin of a block is out of range"));
        }
        let mut starts = [0u32; 256];
        let mut sum = 0;
        for (start, count) in starts.iter_mut().zip(counts) {
            *start = sum;
            sum += count;
        }
        for at in 0..self.entries.len() {
            let start = &mut starts[(self.entries[at] & 0xff) as usize];
            self.entries[*start as usize] |= (at as u32) << 8;
            *start += 1;
        }
        self.next = self.entries[origin] >> 8;
        self.left = self.entries.len();
        Ok(())
    }

    /// The next byte of the open block; `None` at its end.
    fn byte(&mut self) -> Option<u8> {
        loop {
            if self.repeat > 0 {
                self.repeat -= 1;
                return Some(self.last);
            }
            self.left = self.left.checked_sub(1)?;
            let entry = self.entries[self.next as usize];
            self.next = entry >> 8;
            let byte = (entry & 0xff) as u8;
            if self.run == 4 {
                self.run = 0;
                self.repeat = byte;
                continue;
            }
            self.run = if self.run > 0 && byte == self.last { self.run + 1 } else { 1 };
            self.last = byte;
            return Some(byte);
        }
    }

    fn end_block(&mut self) -> io::Result<()> {
        if !self.crc != self.expected_crc {
            return Err(broken("the checksum of a block is wrong"));
        }
        self.stream_crc = self.stream_crc.rotate_left(1) ^ self.expected_crc;
        self.state = State::BetweenBlocks;
        Ok(())
    }
}

impl<R: Read> Read for Bzip2Reader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            match self.state {
                State::Start => self.read_stream_header()?,
                State::BetweenBlocks => self.read_block_header()?,
                State::Ended => return Ok(0),
                State::InBlock => {
                    let mut written = 0;
                    while written < out.len() {
                        let Some(byte) = self.byte() else { break };
                        self.crc = self.crc << 8 ^ CRC[usize::from((self.crc >> 24) as u8 ^ byte)];
                        out[written] = byte;
                        written += 1;
                    }
                    if written > 0 {
                        return Ok(written);
                    }
                    self.end_block()?;
                }
            }
        }
    }
}

/// Table of the CRC-32 that takes the highest bit first.
const CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut value = (at as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            value = if value >> 31 == 1 { value << 1 ^ 0x04c1_1db7 } else { value << 1 };
            bit += 1;
        }
        table[at] = value;
        at += 1;
    }
    table
};
