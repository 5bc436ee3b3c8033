//! Reading a file that is stored in pieces: decoded, by range, in buffers of bounded size.
//!
//! A piece that is not what its row says ends the stream with an error; no byte too few or too many is ever made up.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc;

use super::unpack::{Pace, unpack};
use super::{BlobError, BlobKey, BlobReader, BlobStore};
use crate::types::{BlobRef, Encoding};

/// Pieces of a job that are decoded at the same time.
const PIECES_AT_A_TIME: usize = 2;

/// Buffers of one piece that are decoded before a job wants them.
const AHEAD: usize = 4;

/// The content bytes `range` of the concatenation of `pieces`, decoded, in buffers of bounded size.
///
/// Pieces outside the range are not opened; what lies behind the end of the content is not there. The stream ends
/// with its first error.
pub fn read_pieces(
    store: Arc<dyn BlobStore>,
    pieces: Vec<BlobRef>,
    range: Range<u64>,
) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static {
    let mut at = 0u64;
    let parts = pieces.into_iter().filter_map(move |piece| {
        let begin = at;
        at = at.saturating_add(piece.size);
        let part = range.start.clamp(begin, at) - begin..range.end.clamp(begin, at) - begin;
        (part.start < part.end).then_some((piece, part))
    });
    let opened = stream::iter(parts).then(move |(piece, part)| {
        let store = Arc::clone(&store);
        async move { open_piece(&*store, piece, part, Pace::Response).await }
    });
    until_error(opened.try_flatten())
}

/// The whole content of `pieces`, for a job that takes it as fast as it comes.
///
/// The next piece is decoded while one is read, in larger buffers. That costs about ten megabytes.
pub fn read_ahead(
    store: Arc<dyn BlobStore>,
    pieces: Vec<BlobRef>,
) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static {
    let begun = stream::iter(pieces).filter(|piece| std::future::ready(piece.size > 0)).map(move |piece| {
        let store = Arc::clone(&store);
        async move { begin(store, piece) }
    });
    until_error(begun.buffered(PIECES_AT_A_TIME).flatten())
}

/// The bytes of `pieces` as they stand at rest, one piece behind the other.
pub fn read_at_rest(
    store: Arc<dyn BlobStore>,
    pieces: Vec<BlobRef>,
) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static {
    let opened = stream::iter(pieces).then(move |piece| {
        let store = Arc::clone(&store);
        async move {
            let reader = store.open(&BlobKey::from_row(&piece.key), None).await?;
            let size = piece.stored_size;
            Ok(whole(BlobRef { encoding: Encoding::Raw, size, ..piece }, reader))
        }
    });
    until_error(opened.try_flatten())
}

/// Begins to decode `piece`, which goes on until a few buffers wait.
fn begin(store: Arc<dyn BlobStore>, piece: BlobRef) -> BlobReader {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let decode = async move {
        let whole = 0..piece.size;
        let mut content = match open_piece(&*store, piece, whole, Pace::Job).await {
            Ok(content) => content,
            Err(error) => stream::once(async { Err(error) }).boxed(),
        };
        while let Some(read) = content.next().await {
            // The rest is not wanted any more.
            if sender.send(read).await.is_err() {
                return;
            }
        }
    };
    // On no tracker: it ends by itself when its reader goes away.
    tokio::spawn(decode);
    stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|read| (read, receiver)) }).boxed()
}

/// Ends with the first error.
fn until_error(
    content: impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static {
    let mut failed = false;
    content.take_while(move |read| {
        let goes_on = !failed;
        failed = read.is_err();
        std::future::ready(goes_on)
    })
}

/// The bytes `part` of the content of `piece`, which is not empty.
async fn open_piece(
    store: &dyn BlobStore,
    piece: BlobRef,
    part: Range<u64>,
    pace: Pace,
) -> Result<BlobReader, BlobError> {
    let key = BlobKey::from_row(&piece.key);
    match piece.encoding {
        Encoding::Zstd => {
            let reader = store.open(&key, None).await?;
            unpack(piece, part, pace, reader)
        }
        Encoding::Raw if part == (0..piece.size) => Ok(whole(piece, store.open(&key, None).await?)),
        Encoding::Raw => store.open(&key, Some(part)).await,
    }
}

/// Passes a raw piece through and makes sure that it is as long as it should be.
fn whole(piece: BlobRef, reader: BlobReader) -> BlobReader {
    let read = stream::unfold(Some((reader, piece, 0)), |state| async move {
        let (mut reader, piece, mut seen) = state?;
        match reader.next().await {
            Some(Ok(bytes)) => {
                seen += bytes.len() as u64;
                match seen > piece.size {
                    true => Some((Err(wrong_size(&piece, "longer")), None)),
                    false => Some((Ok(bytes), Some((reader, piece, seen)))),
                }
            }
            Some(Err(error)) => Some((Err(error), None)),
            None if seen < piece.size => Some((Err(wrong_size(&piece, "shorter")), None)),
            None => None,
        }
    });
    read.boxed()
}

/// The piece is `longer` or `shorter` than its row says.
pub(super) fn wrong_size(piece: &BlobRef, how: &str) -> BlobError {
    BlobError::Damaged { key: piece.key.clone(), reason: format!("its content is {how} than {} bytes", piece.size) }
}
