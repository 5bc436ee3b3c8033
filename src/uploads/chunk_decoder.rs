//! [`ChunkDecoder`]: one chunk is decoded, hashed and written to a staging file, buffer by buffer as it arrives.
//!
//! Everything here computes or blocks: it runs on blocking threads. It never waits for more bytes, and does not know whose
//! chunk it is, nor whether the checksum is the right one.

use std::io::{self, BufRead, Write};

use flate2::write::MultiGzDecoder;
use sha1::Digest as _;
use zstd::stream::raw::{DParameter, Decoder, Operation as _};

use crate::blobs::{BlobError, SpoolWriter, Spooled};
use crate::types::Sha1;

/// Transfer encoding of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkEncoding {
    /// The bytes of the chunk.
    Plain,
    /// A gzip file.
    Gzip,
    /// Zstd frames.
    Zstd,
}

/// A chunk that arrived whole.
#[derive(Debug)]
pub struct ReceivedChunk {
    /// Checksum of the content.
    pub sha1: Sha1,
    /// Size of the content in bytes.
    pub size: u64,
    /// The content, unless it was only to be hashed.
    pub spooled: Option<Spooled>,
}

/// Why a chunk was refused.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The content is larger than the limit; the rest of it was not looked at.
    #[error("the content is larger than the limit")]
    TooLarge,
    /// The encoded bytes are cut, damaged, followed by something else, or of another encoding.
    #[error("the bytes cannot be decoded")]
    Malformed(ChunkEncoding),
    /// The content cannot be written, or cannot be read from where it is.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// Content is handled in pieces of this size, which is also the block size of zstd.
const BUFFER: usize = 128 * 1024;
/// Largest zstd window in powers of two: the 8 MiB that RFC 9659 allows a sender to use.
const WINDOW_LOG: u32 = 23;

/// Decodes one chunk.
pub struct ChunkDecoder(Box<State>);

#[expect(clippy::large_enum_variant, reason = "one for each chunk in hand, and in a box already")]
enum State {
    Plain(HashingSink),
    Gzip(MultiGzDecoder<HashingSink>),
    Zstd(Zstd, HashingSink),
}

struct Zstd {
    decoder: Decoder<'static>,
    buffer: Vec<u8>,
    /// Whether the last frame is complete.
    complete: bool,
}

impl ChunkDecoder {
    /// Begins a chunk of at most `limit` bytes of content. Without a `sink` it is only hashed.
    pub fn new(encoding: ChunkEncoding, limit: u64, sink: Option<SpoolWriter>) -> Result<Self, DecodeError> {
        let sink = HashingSink { limit, size: 0, hash: sha1::Sha1::new(), sink, failure: None };
        Ok(Self(Box::new(match encoding {
            ChunkEncoding::Plain => State::Plain(sink),
            ChunkEncoding::Gzip => State::Gzip(MultiGzDecoder::new(sink)),
            ChunkEncoding::Zstd => State::Zstd(Zstd::new()?, sink),
        })))
    }

    /// Decodes the next bytes. After an error the chunk is worthless.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        match &mut *self.0 {
            State::Plain(sink) => {
                // Hashed and compressed block by block, so that the second of both finds it in the processor's cache.
                bytes.chunks(BUFFER).try_for_each(|block| sink.take(block))
            }
            State::Gzip(decoder) => {
                let written = decoder.write_all(bytes);
                written.map_err(|_| failure_of(decoder.get_mut(), ChunkEncoding::Gzip))
            }
            State::Zstd(zstd, sink) => zstd.push(bytes, sink),
        }
    }

    /// Ends the chunk: all of its bytes were pushed.
    pub fn finish(self) -> Result<ReceivedChunk, DecodeError> {
        match *self.0 {
            State::Plain(sink) => sink.finish(),
            State::Gzip(mut decoder) => {
                let ended = decoder.try_finish();
                ended.map_err(|_| failure_of(decoder.get_mut(), ChunkEncoding::Gzip))?;
                decoder.finish().map_err(|_| DecodeError::Malformed(ChunkEncoding::Gzip))?.finish()
            }
            State::Zstd(zstd, _) if !zstd.complete => Err(DecodeError::Malformed(ChunkEncoding::Zstd)),
            State::Zstd(_, sink) => sink.finish(),
        }
    }
}

impl std::fmt::Debug for ChunkDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkDecoder").finish_non_exhaustive()
    }
}

impl Zstd {
    fn new() -> Result<Self, BlobError> {
        let failed = |error| BlobError::io("begin to decode a chunk", error);
        let mut decoder = Decoder::new().map_err(failed)?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).map_err(failed)?;
        Ok(Self { decoder, buffer: vec![0; BUFFER], complete: false })
    }

    fn push(&mut self, mut bytes: &[u8], sink: &mut HashingSink) -> Result<(), DecodeError> {
        let malformed = |_| DecodeError::Malformed(ChunkEncoding::Zstd);
        // Each round consumes a byte, fills the buffer or ends the loop.
        while !bytes.is_empty() {
            if std::mem::take(&mut self.complete) {
                self.decoder.reinit().map_err(malformed)?;
            }
            let status = self.decoder.run_on_buffers(bytes, &mut self.buffer).map_err(malformed)?;
            bytes = &bytes[status.bytes_read..];
            sink.take(&self.buffer[..status.bytes_written])?;
            self.complete = status.remaining == 0;
            if status.bytes_read == 0 && status.bytes_written == 0 {
                return Err(DecodeError::Malformed(ChunkEncoding::Zstd));
            }
            if bytes.is_empty() && !self.complete && status.bytes_written == self.buffer.len() {
                self.drain(sink)?;
            }
        }
        Ok(())
    }

    /// Takes what the decoder still has although all bytes were consumed: a short block may hold much.
    fn drain(&mut self, sink: &mut HashingSink) -> Result<(), DecodeError> {
        loop {
            let status = self.decoder.run_on_buffers(&[], &mut self.buffer);
            let status = status.map_err(|_| DecodeError::Malformed(ChunkEncoding::Zstd))?;
            sink.take(&self.buffer[..status.bytes_written])?;
            self.complete = status.remaining == 0;
            if self.complete || status.bytes_written < self.buffer.len() {
                return Ok(());
            }
        }
    }
}

/// Receives a chunk that can be read from here.
pub fn receive(
    mut reader: impl BufRead,
    encoding: ChunkEncoding,
    limit: u64,
    sink: Option<SpoolWriter>,
) -> Result<ReceivedChunk, DecodeError> {
    let mut decoder = ChunkDecoder::new(encoding, limit, sink)?;
    loop {
        let bytes = reader.fill_buf().map_err(|error| BlobError::io("read a chunk", error))?;
        if bytes.is_empty() {
            return decoder.finish();
        }
        decoder.push(bytes)?;
        let read = bytes.len();
        reader.consume(read);
    }
}

/// Measures, hashes and writes content.
struct HashingSink {
    limit: u64,
    size: u64,
    hash: sha1::Sha1,
    sink: Option<SpoolWriter>,
    /// Why it refused content that a decoder wrote.
    failure: Option<DecodeError>,
}

impl HashingSink {
    fn take(&mut self, content: &[u8]) -> Result<(), DecodeError> {
        self.size += content.len() as u64;
        if self.size > self.limit {
            return Err(DecodeError::TooLarge);
        }
        self.hash.update(content);
        if let Some(sink) = &mut self.sink {
            sink.write_all(content).map_err(|error| BlobError::io("write a temp file", error))?;
        }
        Ok(())
    }

    fn finish(self) -> Result<ReceivedChunk, DecodeError> {
        let spooled = self.sink.map(SpoolWriter::finish).transpose()?;
        Ok(ReceivedChunk { sha1: Sha1::from_bytes(self.hash.finalize().into()), size: self.size, spooled })
    }
}

impl Write for HashingSink {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        match self.take(content) {
            Ok(()) => Ok(content.len()),
            Err(error) => {
                self.failure = Some(error);
                Err(io::ErrorKind::Other.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why a decoder stopped: its sink refused the content, or else the bytes are malformed.
fn failure_of(sink: &mut HashingSink, encoding: ChunkEncoding) -> DecodeError {
    sink.failure.take().unwrap_or(DecodeError::Malformed(encoding))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(content: &[u8]) -> Vec<u8> {
        zstd::encode_all(content, 1).unwrap()
    }

    /// The same outcome whether the bytes come at once or in pieces.
    fn received(encoded: &[u8], encoding: ChunkEncoding, limit: u64) -> Result<(Sha1, u64), String> {
        let in_pieces = |size: usize| {
            let mut decoder = ChunkDecoder::new(encoding, limit, None)?;
            encoded.chunks(size).try_for_each(|piece| decoder.push(piece))?;
            decoder.finish().map(|received| (received.sha1, received.size))
        };
        let outcome = in_pieces(usize::MAX).map_err(|error| format!("{error:?}"));
        // Piece by piece is slow for large inputs.
        for size in [1, 7, 4096].into_iter().filter(|size| encoded.len() / size < 50_000) {
            assert_eq!(
                in_pieces(size).map_err(|error| format!("{error:?}")),
                outcome,
                "{encoding:?} in pieces of {size}"
            );
        }
        outcome
    }

    #[test]
    fn content_is_measured_and_hashed_however_it_is_encoded() {
        for size in [0, 1, 1000, BUFFER, BUFFER + 1, 1 << 20] {
            let content: Vec<u8> = (0..size).map(|at| (at / 7) as u8).collect();
            let expected = Ok((Sha1::of(&content), size as u64));
            for limit in [size as u64, 2 << 20, u64::MAX] {
                assert_eq!(received(&content, ChunkEncoding::Plain, limit), expected);
                assert_eq!(received(&gzip(&content), ChunkEncoding::Gzip, limit), expected);
                assert_eq!(received(&zstd(&content), ChunkEncoding::Zstd, limit), expected);
            }
        }
    }

    #[test]
    fn a_few_bytes_that_hold_much_content_are_decoded_to_the_end() {
        let content = vec![7; 5 << 20];
        let expected = Ok((Sha1::of(&content), content.len() as u64));
        assert_eq!(received(&gzip(&content), ChunkEncoding::Gzip, 8 << 20), expected);
        assert_eq!(received(&zstd(&content), ChunkEncoding::Zstd, 8 << 20), expected);
    }

    #[test]
    fn one_byte_more_than_the_limit_is_too_large() {
        let content = vec![7; 1 << 20];
        for limit in [0, 1, (1 << 20) - 1] {
            let too_large = Err("TooLarge".to_owned());
            assert_eq!(received(&content, ChunkEncoding::Plain, limit), too_large);
            assert_eq!(received(&gzip(&content), ChunkEncoding::Gzip, limit), too_large);
            assert_eq!(received(&zstd(&content), ChunkEncoding::Zstd, limit), too_large);
        }
    }

    #[test]
    fn cut_damaged_or_foreign_bytes_are_malformed() {
        let content: Vec<u8> = (0..100_000u32).flat_map(|at| at.wrapping_mul(at).to_le_bytes()).collect();
        for (encoded, encoding) in [(gzip(&content), ChunkEncoding::Gzip), (zstd(&content), ChunkEncoding::Zstd)] {
            let malformed = Err(format!("Malformed({encoding:?})"));
            for end in [0, 1, 5, 17, encoded.len() / 2, encoded.len() - 1] {
                assert_eq!(received(&encoded[..end], encoding, 1 << 20), malformed, "{encoding:?} cut at {end}");
            }
            assert_eq!(received(&[&encoded[..], b"and more"].concat(), encoding, 1 << 20), malformed);
            assert_eq!(received(&content, encoding, 1 << 20), malformed);
            let twice = [&encoded[..], &encoded].concat();
            assert_eq!(received(&twice, encoding, 1 << 20).unwrap().1, 2 * content.len() as u64);
            let mut damaged = encoded.clone();
            let at = damaged.len() / 2;
            damaged[at] ^= 0x55;
            damaged[at + 1] ^= 0x55;
            if encoding == ChunkEncoding::Gzip {
                assert_eq!(received(&damaged, encoding, 1 << 20), malformed);
            }
        }
    }

    #[test]
    fn a_zstd_window_beyond_the_allowed_one_is_malformed() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(WINDOW_LOG + 1).unwrap();
        encoder.write_all(b"small").unwrap();
        let encoded = encoder.finish().unwrap();
        assert_eq!(received(&encoded, ChunkEncoding::Zstd, 1 << 20), Err("Malformed(Zstd)".to_owned()));
    }

    #[test]
    fn a_chunk_that_cannot_be_read_is_an_error_of_the_reader() {
        struct Broken;
        impl io::Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionAborted.into())
            }
        }
        let reader = io::BufReader::new(Broken);
        assert!(matches!(receive(reader, ChunkEncoding::Plain, 99, None), Err(DecodeError::Blob(_))));
        assert_eq!(
            receive(&b"some content"[..], ChunkEncoding::Plain, 99, None).unwrap().sha1,
            Sha1::of(b"some content")
        );
    }
}
