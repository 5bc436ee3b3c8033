//! Decompresses a section into a file, segment by segment, and publishes each segment once it will not change any more.
//! It believes neither the size that the section names nor the stream, and never writes more than was promised.

use std::fs::File;
use std::io::{self, Write as _};

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::StreamExt as _;
use memmap2::{Mmap, MmapOptions};
use tokio::sync::watch;

use super::elf_section::SectionCompression;
use super::unpack_section::{Decoder, Steps};
use crate::blobs::{BlobError, BlobReader};

/// Content bytes of a segment. All but the last are full; a multiple of the size of a page.
pub(super) const SEGMENT: u64 = 2 << 20;

/// Compressed bytes that are handed to the decoder at a time.
const INPUT: usize = 512 << 10;

/// What there is of a section.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    segments: Vec<Bytes>,
    failure: Option<Failure>,
}

/// Why there is no more.
#[derive(Clone, Debug)]
struct Failure {
    kind: io::ErrorKind,
    reason: String,
}

/// A section on its way to the disk.
pub(super) struct Fill {
    decoder: Decoder,
    file: File,
    /// Compressed bytes not yet decoded.
    input: Bytes,
    /// The segment that is being made, and how much of it is there.
    output: Vec<u8>,
    made: usize,
    /// The last run of the decoder filled its output, so that it may hold more without further input.
    filled: bool,
    /// Content bytes on the disk.
    written: u64,
    size: u64,
}

/// The pages of one finished segment.
struct Pages(Mmap);

impl State {
    /// Whether a segment is there, or will never be.
    pub fn has(&self, number: usize) -> bool {
        number < self.segments.len() || self.failure.is_some()
    }

    /// The segment with this number, or why it is not there.
    pub fn segment(&self, number: usize) -> io::Result<Bytes> {
        match (self.segments.get(number), &self.failure) {
            (Some(bytes), _) => Ok(bytes.clone()),
            (None, Some(failure)) => Err(io::Error::new(failure.kind, failure.reason.clone())),
            (None, None) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

/// Decompresses `packed` and publishes what comes of it in `state`, to the end or until no reader is left. Compressed
/// bytes are read while the ones before are decoded; no thread waits for them.
pub(super) async fn fill(mut packed: BlobReader, mut work: Fill, state: watch::Sender<State>, steps: Steps) {
    let mut input = gather(&mut packed).await;
    while !work.is_done() && !state.is_closed() {
        let ready = match input {
            Ok(bytes) => bytes,
            Err(error) => return fail(&state, &error),
        };
        // An empty input is the end of the stream: nothing more will come of it.
        let at_end = ready.is_empty();
        work.input = ready;
        let decode = async {
            while (work.filled || !work.input.is_empty()) && !work.is_done() {
                work = work.step_on(&steps, &state).await?;
            }
            Ok::<_, io::Error>(work)
        };
        let (decoded, next) = tokio::join!(decode, gather(&mut packed));
        work = match decoded {
            Ok(work) if at_end && !work.is_done() => {
                return fail(&state, &BlobError::io("decompress a section", io::ErrorKind::InvalidData.into()));
            }
            Ok(work) => work,
            Err(error) => return fail(&state, &BlobError::io("decompress a section", error)),
        };
        input = next;
    }
}

/// The next compressed bytes; none at the end.
async fn gather(packed: &mut BlobReader) -> Result<Bytes, BlobError> {
    let mut gathered = BytesMut::new();
    while gathered.len() < INPUT {
        match packed.next().await {
            Some(bytes) => gathered.extend_from_slice(&bytes?),
            None => break,
        }
    }
    Ok(gathered.freeze())
}

fn fail(state: &watch::Sender<State>, error: &BlobError) {
    let kind = match error {
        BlobError::Io { source, .. } => source.kind(),
        _ => io::ErrorKind::Other,
    };
    let failure = Failure { kind, reason: error.to_string() };
    state.send_modify(|state| state.failure = Some(failure));
}

impl Fill {
    /// A section with `size` bytes of content, to be written to `file`.
    pub fn new(compression: SectionCompression, size: u64, file: File) -> io::Result<Self> {
        let decoder = Decoder::new(compression)?;
        let output = vec![0; usize::try_from(size.min(SEGMENT)).unwrap_or_default() + 1];
        Ok(Self { decoder, file, input: Bytes::new(), output, made: 0, filled: false, written: 0, size })
    }

    fn is_done(&self) -> bool {
        self.written >= self.size
    }

    /// One step where blocking is allowed; publishes the segment if it completed one.
    async fn step_on(mut self, steps: &Steps, state: &watch::Sender<State>) -> io::Result<Self> {
        let _permit = steps.permit().await;
        let step = tokio::task::spawn_blocking(move || {
            let segment = self.step();
            (self, segment)
        });
        let (work, segment) = step.await.map_err(io::Error::other)?;
        if let Some(segment) = segment? {
            state.send_modify(|state| state.segments.push(segment));
        }
        Ok(work)
    }

    /// Decodes up to one segment. Returns it if it is complete.
    fn step(&mut self) -> io::Result<Option<Bytes>> {
        let left = self.size - self.written;
        let wanted = usize::try_from(left.min(SEGMENT)).unwrap_or(usize::MAX);
        // One byte more than was promised shows that there is too much.
        let limit = if left <= SEGMENT { wanted + 1 } else { wanted };
        loop {
            let (read, made) = self.decoder.run(&self.input, &mut self.output[self.made..limit])?;
            self.input.advance(read);
            self.made += made;
            self.filled = self.made == limit;
            if self.filled || read == 0 && made == 0 {
                break;
            }
        }
        if !self.filled {
            // Everything was taken in, or the stream has ended and the rest fills the section up.
            self.input.clear();
        }
        if self.made > wanted {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if self.made < wanted {
            return Ok(None);
        }
        self.write().map(Some)
    }

    /// Writes the segment and maps its pages, which are never written again.
    #[expect(unsafe_code, reason = "a mapped file must not change, and these pages of a nameless file do not")]
    fn write(&mut self) -> io::Result<Bytes> {
        let made = std::mem::take(&mut self.made);
        self.file.write_all(&self.output[..made])?;
        let mut options = MmapOptions::new();
        options.offset(self.written).len(made);
        // SAFETY: no other process has the file, it never becomes shorter, and what follows is written behind these pages.
        let pages = unsafe { options.map(&self.file)? };
        self.written += made as u64;
        Ok(Bytes::from_owner(Pages(pages)))
    }
}

impl AsRef<[u8]> for Pages {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debug_files::unpack_section::tests::{content, packed};

    /// What is published of `packed`, given in pieces of `piece` bytes, and how the decompression ended.
    async fn filled(
        compression: SectionCompression,
        packed: &[u8],
        piece: usize,
        size: u64,
    ) -> (Vec<u8>, Option<io::ErrorKind>) {
        let pieces: Vec<_> = packed.chunks(piece).map(|bytes| Ok(Bytes::copy_from_slice(bytes))).collect();
        let work = Fill::new(compression, size, tempfile::tempfile().unwrap()).unwrap();
        let (sender, state) = watch::channel(State::default());
        fill(futures_util::stream::iter(pieces).boxed(), work, sender, Steps::default()).await;
        let state = state.borrow().clone();
        let lengths: Vec<_> = state.segments.iter().map(Bytes::len).collect();
        assert!(lengths.iter().rev().skip(1).all(|length| *length as u64 == SEGMENT), "{lengths:?}");
        (state.segments.concat(), state.failure.map(|failure| failure.kind))
    }

    #[tokio::test]
    async fn a_section_is_on_the_disk_as_it_was_compressed() {
        for numbers in [1, 100, 1 << 19, 1_500_001] {
            let content = content(numbers);
            for compression in [SectionCompression::Zlib, SectionCompression::Zstd] {
                let packed = packed(compression, &content);
                for piece in [usize::MAX, 100_000] {
                    let size = content.len() as u64;
                    let (found, failure) = filled(compression, &packed, piece.min(packed.len()), size).await;
                    assert!(found == content && failure.is_none(), "{numbers} {compression:?} {piece} {failure:?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn what_is_not_as_promised_fails_and_is_never_longer() {
        let content = content(1_500_001);
        let size = content.len() as u64;
        for compression in [SectionCompression::Zlib, SectionCompression::Zstd] {
            let packed = packed(compression, &content);
            let mut damaged = packed.clone();
            damaged[..8].fill(0xee);
            for (bytes, size) in [
                (&packed[..packed.len() / 2], size),
                (&packed[..], size + 1),
                (&packed[..], size - 1),
                (&packed[..], SEGMENT),
                (&damaged[..], size),
            ] {
                let (found, failure) = filled(compression, bytes, 1000, size).await;
                assert!(found.len() as u64 <= size, "{compression:?} {size}");
                assert_eq!(failure, Some(io::ErrorKind::InvalidData), "{compression:?} {size}");
            }
        }
    }

    #[tokio::test]
    async fn a_section_that_inflates_without_end_is_written_up_to_its_promise() {
        let bomb = packed(SectionCompression::Zlib, &vec![0; 64 << 20]);
        let (found, failure) = filled(SectionCompression::Zlib, &bomb, 4096, 3 << 20).await;
        assert_eq!((found.len(), failure), (SEGMENT as usize, Some(io::ErrorKind::InvalidData)));
    }
}
