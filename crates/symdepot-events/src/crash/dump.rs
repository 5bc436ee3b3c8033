//! Minidumps as they are uploaded: bare, packed, or inside of a multipart body of their own.
//!
//! It never writes more than the limit, and never holds a dump in memory.

use std::cell::Cell;
use std::io::{self, Read, Write};

use super::bzip2::Bzip2Reader;
use super::first_file::{FirstFile, MAX_BEFORE};

/// Most memory that unpacking xz may take, in KiB; its strongest setting takes 65 MiB.
const XZ_MEMORY: u32 = 128 << 10;

/// Largest window of zstd as a power of two: what its tools write without `--long`, and read by default.
const ZSTD_WINDOW: u32 = 27;

/// Bytes that decide what a file is.
const HEAD: usize = 6;

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpKind {
    /// A minidump, of either byte order.
    Minidump,
    /// A multipart body, as old versions of Electron store it.
    Multipart,
    /// Packed by gzip.
    Gzip,
    /// Packed by zstd.
    Zstd,
    /// Packed by xz.
    Xz,
    /// Packed by bzip2.
    Bzip2,
    /// Anything else.
    Other,
}

/// Why there is no dump.
#[derive(Debug, thiserror::Error)]
pub enum DumpFault {
    /// The dump is larger than the limit.
    #[error("The minidump is too large.")]
    TooLarge,
    /// The packed data cannot be unpacked.
    #[error("The minidump cannot be unpacked: {0}.")]
    Broken(String),
    /// The content is something else.
    #[error("The file is not a minidump.")]
    NoDump,
    /// The input could not be read or the output could not be written.
    #[error(transparent)]
    Io(io::Error),
}

/// What a file is that begins with these bytes. Six bytes are enough.
pub fn kind(first: &[u8]) -> DumpKind {
    match first {
        [b'M', b'D', b'M', b'P', ..] | [b'P', b'M', b'D', b'M', ..] => DumpKind::Minidump,
        [b'-', b'-', ..] => DumpKind::Multipart,
        [0x1f, 0x8b, ..] => DumpKind::Gzip,
        // The second is a frame that decoders skip; some compressors begin with one.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => DumpKind::Zstd,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => DumpKind::Xz,
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => DumpKind::Bzip2,
        _ => DumpKind::Other,
    }
}

/// Writes the dump in `input` to `output` and returns its length, which is at most `max`.
///
/// At most one packing and at most one multipart body are taken off, in either order. Nothing is written before the first bytes
/// are known to be those of a dump; after an error the output may have a part of it.
pub fn unpack(input: impl Read, output: &mut impl Write, max: u64) -> Result<u64, DumpFault> {
    let seen = Seen::default();
    let mut reader: Box<dyn Read + '_> = Box::new(Watched { inner: input, seen: &seen });
    let (mut unpacked, mut unwrapped) = (false, false);
    loop {
        let head = peek(&mut reader).map_err(|error| seen.fault(&error))?;
        let kind = kind(&head);
        reader = Box::new(io::Cursor::new(head).chain(reader));
        match kind {
            DumpKind::Minidump => return copy(reader, output, max, &seen),
            DumpKind::Multipart if !unwrapped => {
                unwrapped = true;
                let file = FirstFile::open(reader).map_err(|error| seen.fault(&error))?;
                reader = Box::new(file.ok_or(DumpFault::NoDump)?);
            }
            DumpKind::Multipart | DumpKind::Other => return Err(DumpFault::NoDump),
            _ if unpacked => return Err(DumpFault::NoDump),
            _ => {
                unpacked = true;
                let decoder = decoder(kind, reader).map_err(DumpFault::Io)?;
                // A multipart body may be around the dump.
                let left = max.saturating_add(MAX_BEFORE as u64);
                reader = Box::new(Capped { inner: decoder, left, seen: &seen });
            }
        }
    }
}

fn decoder<'a>(kind: DumpKind, packed: Box<dyn Read + 'a>) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match kind {
        DumpKind::Gzip => Box::new(flate2::read::MultiGzDecoder::new(packed)),
        DumpKind::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(packed)?;
            decoder.window_log_max(ZSTD_WINDOW)?;
            Box::new(decoder)
        }
        DumpKind::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(io::BufReader::new(packed), true, XZ_MEMORY)),
        DumpKind::Bzip2 => Box::new(Bzip2Reader::new(packed)),
        DumpKind::Minidump | DumpKind::Multipart | DumpKind::Other => packed,
    })
}

fn peek(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD);
    reader.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

fn copy(mut dump: impl Read, output: &mut impl Write, max: u64, seen: &Seen) -> Result<u64, DumpFault> {
    let mut buffer = vec![0; 64 << 10];
    let mut length = 0;
    loop {
        let read = match dump.read(&mut buffer) {
            Ok(0) => return Ok(length),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(seen.fault(&error)),
        };
        length += read as u64;
        if length > max {
            return Err(DumpFault::TooLarge);
        }
        output.write_all(&buffer[..read]).map_err(DumpFault::Io)?;
    }
}

/// What happened below or above a decoder: its own errors do not distinguish these.
#[derive(Default)]
struct Seen {
    input_failed: Cell<bool>,
    too_large: Cell<bool>,
}

impl Seen {
    fn fault(&self, error: &io::Error) -> DumpFault {
        if self.too_large.get() {
            DumpFault::TooLarge
        } else if self.input_failed.get() {
            DumpFault::Io(io::Error::new(error.kind(), error.to_string()))
        } else {
            DumpFault::Broken(error.to_string())
        }
    }
}

/// The input; notes that it failed.
struct Watched<'a, R> {
    inner: R,
    seen: &'a Seen,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.inner.read(out).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.seen.input_failed.set(true);
            }
        })
    }
}

/// A decoder that gives no more than `left` bytes.
struct Capped<'a, R> {
    inner: R,
    left: u64,
    seen: &'a Seen,
}

impl<R: Read> Read for Capped<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            self.seen.too_large.set(true);
            io::Error::other("the limit is reached")
        })?;
        Ok(read)
    }
}
