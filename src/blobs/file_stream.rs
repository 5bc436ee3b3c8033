//! [`FileStream`]: a range of a file as buffers, read one ahead on threads that may block.
//!
//! A small file is read whole by whoever opens it, so it costs one change of threads and not one per step. The
//! stream never holds a thread while its consumer is slow.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::ops::Range;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::task::JoinHandle;

use super::{BlobError, BlobKey, BlobReader};

/// Large enough that changing threads does not show, small enough to stay in the processor's cache.
const BUFFER: u64 = 256 * 1024;

/// A reader on its way through a file.
pub(super) struct FileStream {
    source: Source,
    first: Bytes,
}

struct Source {
    key: BlobKey,
    file: File,
    left: u64,
}

impl FileStream {
    /// Reads the first buffer; blocks.
    pub(super) fn begin(key: BlobKey, mut file: File, range: Range<u64>) -> Result<Self, BlobError> {
        if range.start > 0 {
            let seek = file.seek(io::SeekFrom::Start(range.start));
            seek.map_err(|error| BlobError::io(format!("read blob {key}"), error))?;
        }
        let mut source = Source { key, file, left: range.end - range.start };
        let first = source.read()?;
        Ok(Self { source, first })
    }

    /// The whole range, the first buffer included.
    pub(super) fn into_reader(self) -> BlobReader {
        let Self { source, first } = self;
        let ahead = source.read_ahead();
        let rest = stream::unfold(ahead, |ahead| async move {
            let (source, read) = match ahead?.await {
                Ok(read) => read,
                Err(error) => return Some((Err(BlobError::io("read a blob", io::Error::other(error))), None)),
            };
            match read {
                Ok(bytes) => Some((Ok(bytes), source.read_ahead())),
                Err(error) => Some((Err(error), None)),
            }
        });
        match first.is_empty() {
            true => rest.boxed(),
            false => stream::once(async move { Ok(first) }).chain(rest).boxed(),
        }
    }
}

impl Source {
    fn read(&mut self) -> Result<Bytes, BlobError> {
        let wanted = self.left.min(BUFFER);
        let mut buffer = Vec::with_capacity(usize::try_from(wanted).unwrap_or_default());
        let read = (&self.file).take(wanted).read_to_end(&mut buffer);
        match read {
            Ok(read) if read as u64 == wanted => {
                self.left -= wanted;
                Ok(buffer.into())
            }
            Ok(_) => {
                let reason = "it became shorter while it was read".to_owned();
                Err(BlobError::Damaged { key: self.key.to_string(), reason })
            }
            Err(error) => Err(BlobError::io(format!("read blob {}", self.key), error)),
        }
    }

    /// Begins to read the next buffer, if there is one.
    fn read_ahead(mut self) -> Option<JoinHandle<(Self, Result<Bytes, BlobError>)>> {
        (self.left > 0).then(|| {
            tokio::task::spawn_blocking(move || {
                let read = self.read();
                (self, read)
            })
        })
    }
}
