//! Decoding one compressed piece, one buffer ahead of its consumer, where blocking is allowed.
//!
//! It trusts neither the frame nor its sizes and holds at most a buffer or two of either side. It never keeps a thread
//! while it waits for bytes.

use std::io;
use std::ops::Range;

use bytes::{Buf as _, Bytes};
use futures_util::stream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::task::JoinHandle;
use zstd::stream::raw::{Decoder, InBuffer, Operation as _, OutBuffer};

use super::pieces::wrong_size;
use super::{BlobError, BlobReader};
use crate::types::BlobRef;

/// A piece on its way through the decoder.
struct Unpacking {
    piece: BlobRef,
    part: Range<u64>,
    pace: Pace,
    decoder: Decoder<'static>,
    /// Compressed bytes not yet decoded.
    input: Bytes,
    /// Content bytes decoded so far.
    decoded: u64,
    /// The last buffer was filled, so the decoder may hold more without further input.
    filled: bool,
    /// The frame is complete.
    ended: bool,
}

/// For whom is decoded.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// A response, in small buffers: many may be under way.
    Response,
    /// A job, in large buffers: only a few are under way.
    Job,
}

/// A step that runs ahead.
type Ahead = JoinHandle<Step>;

/// The decoder after a step, and what came of it.
type Step = (Unpacking, Result<Bytes, BlobError>);

/// The bytes `part` of the content of `piece`, whose compressed bytes `reader` gives.
pub(super) fn unpack(
    piece: BlobRef,
    part: Range<u64>,
    pace: Pace,
    mut reader: BlobReader,
) -> Result<BlobReader, BlobError> {
    let decoder = Decoder::new().map_err(|error| BlobError::io("begin to decompress", error))?;
    let begin = Unpacking { piece, part, pace, decoder, input: Bytes::new(), decoded: 0, filled: false, ended: false };
    let content = stream::once(async move {
        let ahead = begin.ahead(&mut reader).await?;
        Ok(stream::unfold((reader, ahead), |(mut reader, ahead)| async move {
            match advance(&mut reader, ahead?).await {
                Ok((bytes, ahead)) => Some((Ok(bytes), (reader, ahead))),
                Err(error) => Some((Err(error), (reader, None))),
            }
        }))
    });
    // A step that ended inside what is cut away has nothing to give.
    let filled = content.try_flatten().filter(|read| {
        let empty = matches!(read, Ok(bytes) if bytes.is_empty());
        std::future::ready(!empty)
    });
    Ok(filled.boxed())
}

/// Waits for the step that runs, and lets the next one run before giving what the first one made.
async fn advance(reader: &mut BlobReader, ahead: Ahead) -> Result<(Bytes, Option<Ahead>), BlobError> {
    let (unpacking, read) = ahead.await.map_err(|error| BlobError::io("decompress a blob", io::Error::other(error)))?;
    let bytes = read?;
    Ok((bytes, unpacking.ahead(reader).await?))
}

impl Pace {
    /// Content bytes per buffer.
    fn buffer(self) -> usize {
        match self {
            Self::Response => 256 << 10,
            Self::Job => 1 << 20,
        }
    }
}

impl Unpacking {
    /// Begins the next step, unless everything wanted has been decoded.
    async fn ahead(mut self, reader: &mut BlobReader) -> Result<Option<Ahead>, BlobError> {
        // A part that ends with the piece is done when the frame is, so that a frame too long is noticed.
        if self.decoded >= self.part.end && self.part.end < self.piece.size {
            return Ok(None);
        }
        if self.input.is_empty() && (self.ended || !self.filled) {
            match reader.next().await {
                Some(read) => self.input = read?,
                None if self.ended => return Ok(None),
                None => return Err(wrong_size(&self.piece, "shorter")),
            }
        }
        if self.ended {
            return Err(self.damaged("something follows its frame"));
        }
        let step = move || {
            let read = self.step();
            (self, read)
        };
        Ok(Some(tokio::task::spawn_blocking(step)))
    }

    /// Decodes one buffer, or less if the input ends before, and cuts it to the part.
    fn step(&mut self) -> Result<Bytes, BlobError> {
        let buffer = self.pace.buffer();
        let mut output = Vec::with_capacity(buffer);
        let begin = self.decoded;
        while !self.ended && output.len() < buffer && (self.filled || !self.input.is_empty()) {
            self.decode(&mut output)?;
            self.filled = output.len() == buffer;
        }
        self.decoded += output.len() as u64;
        if self.decoded > self.piece.size {
            return Err(wrong_size(&self.piece, "longer"));
        }
        if self.ended && self.decoded < self.piece.size {
            return Err(wrong_size(&self.piece, "shorter"));
        }
        let within = |at: u64| usize::try_from(at.clamp(begin, self.decoded) - begin).unwrap_or_default();
        Ok(Bytes::from(output).slice(within(self.part.start)..within(self.part.end)))
    }

    /// Moves what it can from the input to the end of `output`.
    fn decode(&mut self, output: &mut Vec<u8>) -> Result<(), BlobError> {
        let filled = output.len();
        let mut from = InBuffer::around(&self.input);
        let hint = self.decoder.run(&mut from, &mut OutBuffer::around_pos(output, filled));
        let hint = hint.map_err(|error| self.damaged(&format!("it cannot be decoded: {error}")))?;
        let read = from.pos();
        self.input.advance(read);
        self.ended = hint == 0;
        Ok(())
    }

    fn damaged(&self, reason: &str) -> BlobError {
        BlobError::Damaged { key: self.piece.key.clone(), reason: reason.to_owned() }
    }
}
