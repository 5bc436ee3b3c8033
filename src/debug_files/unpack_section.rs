//! The content of a compressed section while it streams by, a buffer at a time. It believes neither the size that the
//! section names nor the stream, and never makes more than was promised.

use std::io;
use std::ops::Range;

use bytes::{Buf as _, Bytes};
use flate2::{Decompress, FlushDecompress};
use futures_util::stream::{self, Stream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use zstd::stream::raw::{DParameter, InBuffer, Operation as _, OutBuffer};

use super::elf_section::Packing;
use crate::blobs::{BlobError, BlobReader};

/// Content bytes per buffer.
const BUFFER: usize = 256 << 10;

/// How far back a zstd frame may reach, as a power of two: what compilers make stays below.
const WINDOW: u32 = 25;

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
}

enum Decoder {
    Zlib(Box<Decompress>),
    Zstd(zstd::stream::raw::Decoder<'static>),
}

/// The bytes `wanted` of a content of `size` bytes, of which `packed` is the compressed stream. Content that is not
/// what was promised is an error of the kind [`io::ErrorKind::InvalidData`].
pub(super) fn unpack(
    packed: BlobReader,
    packing: Packing,
    size: u64,
    wanted: Range<u64>,
) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static {
    let begin = async move {
        let decoder = Decoder::new(packing).map_err(failed)?;
        let wanted = wanted.start.min(size)..wanted.end.min(size);
        let unpacking = Unpacking { decoder, input: Bytes::new(), made: 0, filled: false, wanted, size };
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
            let step = tokio::task::spawn_blocking(move || {
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
        let mut output = Vec::with_capacity(BUFFER);
        let begin = self.made;
        loop {
            let (before, input) = (output.len(), self.input.len());
            let read = self.decoder.run(&self.input, &mut output)?;
            self.input.advance(read.min(input));
            self.filled = output.len() == output.capacity();
            if self.filled || self.input.is_empty() {
                break;
            }
            if read == 0 && output.len() == before {
                // It neither eats nor gives: its stream has ended, and the rest fills the section up.
                if self.made + output.len() as u64 == self.size {
                    break;
                }
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        self.made += output.len() as u64;
        if self.made > self.size {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let within = |at: u64| usize::try_from(at.clamp(begin, self.made) - begin).unwrap_or_default();
        Ok(Bytes::from(output).slice(within(self.wanted.start)..within(self.wanted.end)))
    }
}

impl Decoder {
    fn new(packing: Packing) -> io::Result<Self> {
        Ok(match packing {
            Packing::Zstd => {
                let mut decoder = zstd::stream::raw::Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(WINDOW))?;
                Self::Zstd(decoder)
            }
            Packing::Zlib | Packing::None => Self::Zlib(Box::new(Decompress::new(true))),
        })
    }

    /// Moves what it can from `input` to the free room behind `output`; says how much it read.
    fn run(&mut self, input: &[u8], output: &mut Vec<u8>) -> io::Result<usize> {
        let invalid = |_| io::Error::from(io::ErrorKind::InvalidData);
        match self {
            Self::Zlib(decoder) => {
                let before = decoder.total_in();
                decoder.decompress_vec(input, output, FlushDecompress::None).map_err(|_| io::ErrorKind::InvalidData)?;
                Ok(usize::try_from(decoder.total_in() - before).unwrap_or(input.len()))
            }
            Self::Zstd(decoder) => {
                let filled = output.len();
                let mut from = InBuffer::around(input);
                decoder.run(&mut from, &mut OutBuffer::around_pos(output, filled)).map_err(invalid)?;
                Ok(from.pos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn content() -> Vec<u8> {
        (0..200_000_u32).flat_map(|number| (number / 7).to_le_bytes()).collect()
    }

    fn packed(packing: Packing, content: &[u8]) -> Vec<u8> {
        match packing {
            Packing::Zstd => zstd::encode_all(content, 3).unwrap(),
            _ => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(content).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    /// What comes out of `packed`, given in pieces of `piece` bytes.
    async fn unpacked(
        packing: Packing,
        packed: &[u8],
        piece: usize,
        size: u64,
        wanted: Range<u64>,
    ) -> Result<Vec<u8>, BlobError> {
        let pieces: Vec<_> = packed.chunks(piece).map(|bytes| Ok(Bytes::copy_from_slice(bytes))).collect();
        let parts: Vec<Bytes> = unpack(stream::iter(pieces).boxed(), packing, size, wanted).try_collect().await?;
        assert!(parts.iter().all(|part| !part.is_empty() && part.len() <= BUFFER));
        Ok(parts.concat())
    }

    #[tokio::test]
    async fn every_part_comes_out_as_it_went_in() {
        let content = content();
        let size = content.len() as u64;
        for packing in [Packing::Zlib, Packing::Zstd] {
            let packed = packed(packing, &content);
            for (piece, wanted) in
                [(usize::MAX, 0..size), (1000, 0..size), (1000, 5..6), (1000, 300_000..size), (7, 0..0)]
            {
                let expected = &content[wanted.start as usize..wanted.end as usize];
                let found = unpacked(packing, &packed, piece.min(packed.len()), size, wanted.clone()).await.unwrap();
                assert!(found == expected, "{packing:?} {piece} {wanted:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_not_as_promised_is_an_error_of_the_content() {
        let content = content();
        let size = content.len() as u64;
        for packing in [Packing::Zlib, Packing::Zstd] {
            let packed = packed(packing, &content);
            let mut damaged = packed.clone();
            damaged[..8].fill(0xee);
            for (bytes, size) in [
                (&packed[..packed.len() / 2], size),
                (&packed[..], size + 1),
                (&packed[..], size - 1),
                (&packed[..], 10),
                (&damaged[..], size),
            ] {
                let error = unpacked(packing, bytes, 1000, size, 0..size).await.unwrap_err();
                let invalid =
                    matches!(&error, BlobError::Io { source, .. } if source.kind() == io::ErrorKind::InvalidData);
                assert!(invalid, "{packing:?} {size}: {error}");
            }
        }
    }
}
