//! Taking one chunk in: inflate it, hash it, spool it, all while it arrives and never more than the limit of it.
//!
//! Everything here blocks: it runs on a blocking thread and is fed through [`Feed`]. It does not know whose chunk it
//! is, nor whether the checksum is the right one.

use std::io::{self, BufRead, Read, Write as _};

use bytes::{Buf as _, Bytes};
use flate2::bufread::MultiGzDecoder;
use sha1::Digest as _;
use tokio::sync::mpsc;

use crate::blobs::{BlobError, SpoolWriter, Spooled};
use crate::types::Sha1;

/// How the bytes of a chunk stand on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As they are.
    Plain,
    /// As a gzip file.
    Gzip,
    /// As zstd frames.
    Zstd,
}

/// A chunk that arrived whole.
#[derive(Debug)]
pub struct Taken {
    /// Checksum of the content.
    pub sha1: Sha1,
    /// Size of the content in bytes.
    pub size: u64,
    /// The content, unless it was only to be looked at.
    pub spooled: Option<Spooled>,
}

/// Why a chunk was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The content is larger than the limit; the rest of it was not looked at.
    #[error("the content is larger than the limit")]
    TooLarge,
    /// The packed bytes are cut, damaged, followed by something else, or not packed this way at all.
    #[error("the bytes cannot be unpacked")]
    Malformed(Packing),
    /// Whoever fed it gave up in the middle.
    #[error("the bytes stopped coming")]
    Cut,
    /// The content cannot be spooled.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// The packed bytes of one chunk, as they arrive from a task.
#[derive(Debug)]
pub struct Feed {
    portions: mpsc::Receiver<Portion>,
    current: Bytes,
    ended: bool,
}

/// What is fed.
#[derive(Debug)]
pub enum Portion {
    /// The next bytes.
    Bytes(Bytes),
    /// There are no more. Without it the bytes are taken for cut.
    End,
}

/// Portions that may be under way to an intake: enough to keep it busy, few enough to cost nothing.
const UNDER_WAY: usize = 2;
/// Content is handled in pieces of this size, which is also the block size of zstd.
const BUFFER: usize = 128 * 1024;
/// Largest zstd window in powers of two: the 8 MiB that RFC 9659 allows a sender to use.
const WINDOW_LOG: u32 = 23;

impl Feed {
    /// A feed and the end that fills it.
    pub fn new() -> (mpsc::Sender<Portion>, Self) {
        let (sender, portions) = mpsc::channel(UNDER_WAY);
        (sender, Self { portions, current: Bytes::new(), ended: false })
    }
}

/// Takes in one chunk of at most `limit` bytes of content. Without a `sink` it is only hashed.
pub fn take_in(
    mut packed: impl BufRead,
    packing: Packing,
    limit: u64,
    sink: Option<SpoolWriter>,
) -> Result<Taken, IntakeError> {
    let mut meter = Meter { limit, size: 0, hash: sha1::Sha1::new(), sink };
    match packing {
        Packing::Plain => meter.pass(packed)?,
        Packing::Gzip => meter.pump(packing, MultiGzDecoder::new(packed))?,
        Packing::Zstd => {
            // Nothing at all is no frame, though the decoder would take it for the end of the last one.
            if packed.fill_buf().map_err(|_| IntakeError::Cut)?.is_empty() {
                return Err(IntakeError::Malformed(packing));
            }
            let mut unpacked = zstd::Decoder::with_buffer(packed).map_err(begin_to_unpack)?;
            unpacked.window_log_max(WINDOW_LOG).map_err(begin_to_unpack)?;
            meter.pump(packing, unpacked)?;
        }
    }
    meter.finish()
}

/// Measures, hashes and spools content.
struct Meter {
    limit: u64,
    size: u64,
    hash: sha1::Sha1,
    sink: Option<SpoolWriter>,
}

impl Meter {
    fn take(&mut self, content: &[u8]) -> Result<(), IntakeError> {
        self.size += content.len() as u64;
        if self.size > self.limit {
            return Err(IntakeError::TooLarge);
        }
        self.hash.update(content);
        if let Some(sink) = &mut self.sink {
            sink.write_all(content).map_err(|error| BlobError::io("write a temp file", error))?;
        }
        Ok(())
    }

    /// Takes content that needs no unpacking, without copying it.
    fn pass(&mut self, mut content: impl BufRead) -> Result<(), IntakeError> {
        loop {
            let bytes = content.fill_buf().map_err(|_| IntakeError::Cut)?;
            if bytes.is_empty() {
                return Ok(());
            }
            // Hashed and compressed block by block, so that the second of both finds it in the processor's cache.
            let block = &bytes[..bytes.len().min(BUFFER)];
            let taken = block.len();
            self.take(block)?;
            content.consume(taken);
        }
    }

    /// Takes content while it is unpacked, up to one byte more than the limit.
    fn pump(&mut self, packing: Packing, unpacked: impl Read) -> Result<(), IntakeError> {
        let mut unpacked = unpacked.take(self.limit.saturating_add(1));
        let mut buffer = vec![0; BUFFER];
        loop {
            match unpacked.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => self.take(&buffer[..read])?,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => return Err(IntakeError::Cut),
                Err(_) => return Err(IntakeError::Malformed(packing)),
            }
        }
    }

    fn finish(self) -> Result<Taken, IntakeError> {
        let spooled = self.sink.map(SpoolWriter::finish).transpose()?;
        Ok(Taken { sha1: Sha1::from_bytes(self.hash.finalize().into()), size: self.size, spooled })
    }
}

fn begin_to_unpack(error: io::Error) -> BlobError {
    BlobError::io("begin to unpack a chunk", error)
}

impl BufRead for Feed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() && !self.ended {
            match self.portions.blocking_recv() {
                Some(Portion::Bytes(bytes)) => self.current = bytes,
                Some(Portion::End) => self.ended = true,
                None => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, amount: usize) {
        self.current.advance(amount);
    }
}

impl Read for Feed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(content: &[u8]) -> Vec<u8> {
        zstd::encode_all(content, 1).unwrap()
    }

    fn taken(packed: &[u8], packing: Packing, limit: u64) -> Result<(Sha1, u64), String> {
        take_in(packed, packing, limit, None)
            .map(|taken| (taken.sha1, taken.size))
            .map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn content_is_measured_and_hashed_however_it_is_packed() {
        for size in [0, 1, 1000, BUFFER, BUFFER + 1, 1 << 20] {
            let content: Vec<u8> = (0..size).map(|at| (at / 7) as u8).collect();
            let expected = Ok((Sha1::of(&content), size as u64));
            for limit in [size as u64, 2 << 20, u64::MAX] {
                assert_eq!(taken(&content, Packing::Plain, limit), expected);
                assert_eq!(taken(&gzip(&content), Packing::Gzip, limit), expected);
                assert_eq!(taken(&zstd(&content), Packing::Zstd, limit), expected);
            }
        }
    }

    #[test]
    fn one_byte_more_than_the_limit_is_too_large() {
        let content = vec![7; 1 << 20];
        for limit in [0, 1, (1 << 20) - 1] {
            let too_large = Err("TooLarge".to_owned());
            assert_eq!(taken(&content, Packing::Plain, limit), too_large);
            assert_eq!(taken(&gzip(&content), Packing::Gzip, limit), too_large);
            assert_eq!(taken(&zstd(&content), Packing::Zstd, limit), too_large);
        }
    }

    #[test]
    fn cut_damaged_or_foreign_bytes_are_malformed() {
        let content: Vec<u8> = (0..100_000u32).flat_map(|at| at.wrapping_mul(at).to_le_bytes()).collect();
        for (packed, packing) in [(gzip(&content), Packing::Gzip), (zstd(&content), Packing::Zstd)] {
            let malformed = Err(format!("Malformed({packing:?})"));
            for end in [0, 1, 5, 17, packed.len() / 2, packed.len() - 1] {
                assert_eq!(taken(&packed[..end], packing, 1 << 20), malformed, "{packing:?} cut at {end}");
            }
            assert_eq!(taken(&[&packed[..], b"and more"].concat(), packing, 1 << 20), malformed);
            assert_eq!(taken(&content, packing, 1 << 20), malformed);
            let twice = [&packed[..], &packed].concat();
            assert_eq!(taken(&twice, packing, 1 << 20).unwrap().1, 2 * content.len() as u64);
        }
    }

    #[test]
    fn a_zstd_window_beyond_the_allowed_one_is_malformed() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(WINDOW_LOG + 1).unwrap();
        encoder.write_all(b"small").unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(taken(&packed, Packing::Zstd, 1 << 20), Err("Malformed(Zstd)".to_owned()));
    }

    #[test]
    fn a_feed_that_is_not_ended_is_cut() {
        let feed = |portions: Vec<Portion>| {
            let (sender, feed) = Feed::new();
            std::thread::spawn(move || portions.into_iter().for_each(|portion| drop(sender.blocking_send(portion))));
            feed
        };
        let bytes = |bytes: &[u8]| Portion::Bytes(Bytes::copy_from_slice(bytes));
        let packed = gzip(b"some content");
        let (first, second) = packed.split_at(9);
        let whole = feed(vec![bytes(first), bytes(second), Portion::End]);
        assert_eq!(take_in(whole, Packing::Gzip, 99, None).unwrap().sha1, Sha1::of(b"some content"));
        for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
            let cut = take_in(feed(vec![bytes(first)]), packing, 99, None);
            assert!(
                matches!(cut, Err(IntakeError::Cut | IntakeError::Malformed(Packing::Zstd))),
                "{packing:?} {cut:?}"
            );
        }
    }
}
