//! The content of a compressed section while it streams by, a buffer at a time. It believes neither the size that the
//! section names nor the stream, and never makes more than was promised: a step decodes at most [`BUFFER`] bytes.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use flate2::{Decompress, FlushDecompress};
use futures_util::stream::{self, Stream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zstd::stream::raw::{DParameter, InBuffer, Operation as _, OutBuffer};

use super::elf_section::SectionCompression;
use crate::blobs::{BlobError, BlobReader};

/// Content bytes per buffer.
const BUFFER: usize = 256 << 10;

/// How far back a zstd frame may reach, as a power of two: what compilers make stays below.
const WINDOW: u32 = 25;

/// Decoding steps that may run at a time, one for each core. Steps of different sections run in the order in which
/// they ask.
#[derive(Clone, Debug)]
pub(super) struct Steps(Arc<Semaphore>);

/// A section on its way through the decoder.
struct Unpacking {
    decoder: Decoder,
    /// Compressed bytes not yet decoded.
    input: Bytes,
    /// Content bytes made so far.
    made: u64,
    /// The last buffer was filled, so there may be more without further input.
    filled: bool,
    wanted: Range<u64>,
    size: u64,
    steps: Steps,
}

/// A decoder of either kind.
pub(super) enum Decoder {
    Zlib(Box<Decompress>),
    Zstd(zstd::stream::raw::Decoder<'static>),
}

/// The bytes `wanted` of a content of `size` bytes, of which `packed` is the compressed stream. Content that is not
/// what was promised is an error of the kind [`io::ErrorKind::InvalidData`].
pub(super) fn unpack(
    packed: BlobReader,
    compression: SectionCompression,
    size: u64,
    wanted: Range<u64>,
    steps: Steps,
) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static {
    let begin = async move {
        let decoder = Decoder::new(compression).map_err(failed)?;
        let wanted = wanted.start.min(size)..wanted.end.min(size);
        let unpacking = Unpacking { decoder, input: Bytes::new(), made: 0, filled: false, wanted, size, steps };
        Ok::<_, BlobError>(stream::try_unfold((packed, unpacking), |(packed, unpacking)| unpacking.next(packed)))
    };
    stream::once(begin).try_flatten()
}

/// Whether the content is at fault, and not the machine.
fn failed(error: io::Error) -> BlobError {
    BlobError::io("decompress a section", error)
}

impl Unpacking {
    /// The next bytes of what is wanted, and what is left.
    async fn next(mut self, mut packed: BlobReader) -> Result<Option<(Bytes, (BlobReader, Self))>, BlobError> {
        while self.made < self.wanted.end {
            if self.input.is_empty() && !self.filled {
                match packed.next().await {
                    Some(bytes) => self.input = bytes?,
                    None => return Err(failed(io::ErrorKind::InvalidData.into())),
                }
            }
            let permit = self.steps.permit().await;
            let step = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                let made = self.step();
                (self, made)
            });
            let (unpacking, made) = step.await.map_err(|error| failed(io::Error::other(error)))?;
            self = unpacking;
            let bytes = made.map_err(failed)?;
            if !bytes.is_empty() {
                return Ok(Some((bytes, (packed, self))));
            }
        }
        Ok(None)
    }

    /// Decodes one buffer, or less if the input ends before, and cuts it to what is wanted.
    fn step(&mut self) -> io::Result<Bytes> {
        let (mut output, mut length) = (vec![0; BUFFER], 0);
        let begin = self.made;
        loop {
            let (read, made) = self.decoder.run(&self.input, &mut output[length..])?;
            self.input.advance(read);
            length += made;
            self.filled = length == BUFFER;
            if self.filled || self.input.is_empty() {
                break;
            }
            if read == 0 && made == 0 {
                // It neither reads nor writes: its stream has ended, and the rest fills the section up.
                if self.made + length as u64 == self.size {
                    break;
                }
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        output.truncate(length);
        self.made += output.len() as u64;
        if self.made > self.size {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let within = |at: u64| usize::try_from(at.clamp(begin, self.made) - begin).unwrap_or_default();
        Ok(Bytes::from(output).slice(within(self.wanted.start)..within(self.wanted.end)))
    }
}

impl Default for Steps {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from))))
    }
}

impl Steps {
    /// Waits until one more step may run; the permit ends when this is dropped.
    pub async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        // No permit is to be had of a semaphore that is closed, which this one never is.
        Arc::clone(&self.0).acquire_owned().await.ok()
    }
}

impl Decoder {
    /// A decoder for a compressed section.
    pub fn new(compression: SectionCompression) -> io::Result<Self> {
        Ok(match compression {
            SectionCompression::Zstd => {
                let mut decoder = zstd::stream::raw::Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(WINDOW))?;
                Self::Zstd(decoder)
            }
            SectionCompression::Zlib | SectionCompression::None => Self::Zlib(Box::new(Decompress::new(true))),
        })
    }

    /// Moves what it can from `input` to `output`; returns how much it read and wrote.
    pub fn run(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<(usize, usize)> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        match self {
            Self::Zlib(decoder) => {
                let (read, made) = (decoder.total_in(), decoder.total_out());
                decoder.decompress(input, output, FlushDecompress::None).map_err(|_| invalid())?;
                let since = |total: u64, before: u64| usize::try_from(total - before).unwrap_or_default();
                Ok((since(decoder.total_in(), read), since(decoder.total_out(), made)))
            }
            Self::Zstd(decoder) => {
                let (mut from, mut to) = (InBuffer::around(input), OutBuffer::around(output));
                decoder.run(&mut from, &mut to).map_err(|_| invalid())?;
                Ok((from.pos(), to.pos()))
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write as _;

    use super::*;

    /// As many numbers, of which every seven are equal.
    pub fn content(numbers: u32) -> Vec<u8> {
        (0..numbers).flat_map(|number| (number / 7).to_le_bytes()).collect()
    }

    /// The same compressed.
    pub fn packed(compression: SectionCompression, content: &[u8]) -> Vec<u8> {
        match compression {
            SectionCompression::Zstd => zstd::encode_all(content, 3).expect("memory can be written"),
            _ => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(content).expect("memory can be written");
                encoder.finish().expect("memory can be written")
            }
        }
    }

    /// What comes out of `packed`, given in pieces of `piece` bytes.
    async fn unpacked(
        compression: SectionCompression,
        packed: &[u8],
        piece: usize,
        size: u64,
        wanted: Range<u64>,
    ) -> Result<Vec<u8>, BlobError> {
        let pieces: Vec<_> = packed.chunks(piece).map(|bytes| Ok(Bytes::copy_from_slice(bytes))).collect();
        let parts: Vec<Bytes> =
            unpack(stream::iter(pieces).boxed(), compression, size, wanted, Steps::default()).try_collect().await?;
        assert!(parts.iter().all(|part| !part.is_empty() && part.len() <= BUFFER));
        Ok(parts.concat())
    }

    #[tokio::test]
    async fn every_part_comes_out_as_it_went_in() {
        let content = content(200_000);
        let size = content.len() as u64;
        for compression in [SectionCompression::Zlib, SectionCompression::Zstd] {
            let packed = packed(compression, &content);
            for (piece, wanted) in
                [(usize::MAX, 0..size), (1000, 0..size), (1000, 5..6), (1000, 300_000..size), (7, 0..0)]
            {
                let expected = &content[wanted.start as usize..wanted.end as usize];
                let found = unpacked(compression, &packed, piece.min(packed.len()), size, wanted.clone())
                    .await
                    .expect("it is whole");
                assert!(found == expected, "{compression:?} {piece} {wanted:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_not_as_promised_is_an_error_of_the_content() {
        let content = content(200_000);
        let size = content.len() as u64;
        for compression in [SectionCompression::Zlib, SectionCompression::Zstd] {
            let packed = packed(compression, &content);
            let mut damaged = packed.clone();
            damaged[..8].fill(0xee);
            for (bytes, size) in [
                (&packed[..packed.len() / 2], size),
                (&packed[..], size + 1),
                (&packed[..], size - 1),
                (&packed[..], 10),
                (&damaged[..], size),
            ] {
                let error = unpacked(compression, bytes, 1000, size, 0..size).await.expect_err("it is damaged");
                let invalid =
                    matches!(&error, BlobError::Io { source, .. } if source.kind() == io::ErrorKind::InvalidData);
                assert!(invalid, "{compression:?} {size}: {error}");
            }
        }
    }
}
