//! [`Spool`]: a temp file on its way into a store, and [`SpoolWriter`], which fills it and compresses while it does.
//!
//! Everything here blocks: it is called from blocking threads and never from a task.

use std::fs::File;
use std::io::{self, BufReader, Seek as _, Write};
use std::path::Path;

use futures_util::StreamExt as _;
use tempfile::TempPath;
use zstd::stream::raw::{CParameter, Encoder};
use zstd::stream::zio;

use super::{BlobError, BlobReader, BlobStore, named_temp_file};
use crate::config::Compression;
use crate::types::Encoding;

/// A named temp file. It removes itself unless a store takes it in.
#[derive(Debug)]
pub struct Spool {
    file: File,
    path: TempPath,
}

/// A spool that is complete, and how the content stands in it.
#[derive(Debug)]
pub struct Spooled {
    /// The bytes as they will be at rest.
    pub spool: Spool,
    /// How they stand there.
    pub encoding: Encoding,
    /// Size of the content in bytes, after decoding.
    pub size: u64,
    /// Size at rest in bytes.
    pub stored_size: u64,
}

/// Fills a spool with content, compressing while it streams. Costs about a megabyte.
pub struct SpoolWriter {
    sink: Sink,
    size: u64,
}

/// Level 1: half the speed of hashing, and debug data shrinks to a third already.
const LEVEL: i32 = 1;
/// What the name of a spool begins with.
const PREFIX: &str = "spool-";
const OUTPUT_BUFFER: usize = 128 * 1024;

enum Sink {
    Raw(Spool),
    Zstd(zio::Writer<Spool, Encoder<'static>>),
}

/// A spool of `store` with everything that is in `file`, from its beginning.
pub async fn spool_file(store: &dyn BlobStore, mut file: File) -> Result<Spool, BlobError> {
    let spool = store.spool().await?;
    super::blocking(move || {
        file.rewind()
            .and_then(|()| io::copy(&mut file, &mut &spool.file))
            .map_err(|error| BlobError::io("write a temp file", error))?;
        Ok(spool)
    })
    .await
}

/// A spool of `store` with everything that comes.
pub async fn spool_stream(store: &dyn BlobStore, mut bytes: BlobReader) -> Result<Spool, BlobError> {
    let mut spool = store.spool().await?;
    while let Some(read) = bytes.next().await {
        let read = read?;
        spool = super::blocking(move || {
            spool.write_all(&read).map_err(|error| BlobError::io("write a temp file", error))?;
            Ok(spool)
        })
        .await?;
    }
    Ok(spool)
}

impl Spool {
    /// A fresh, empty temp file in `folder`.
    pub fn create_in(folder: &Path) -> Result<Self, BlobError> {
        let named = named_temp_file(folder, PREFIX).map_err(|error| BlobError::io("create a temp file", error))?;
        let (file, path) = named.into_parts();
        Ok(Self { file, path })
    }

    /// The file, for someone who fills it without a [`SpoolWriter`].
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Its size by now.
    pub fn size(&self) -> Result<u64, BlobError> {
        let metadata = self.file.metadata().map_err(|error| BlobError::io("look at a temp file", error))?;
        Ok(metadata.len())
    }

    pub(super) fn into_parts(self) -> (File, TempPath) {
        (self.file, self.path)
    }

    /// A second temp file beside this one with the content that stands compressed in this one.
    fn decompressed(&self) -> io::Result<Self> {
        let mut compressed = &self.file;
        compressed.rewind()?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let (mut file, path) = named_temp_file(folder, PREFIX)?.into_parts();
        zstd::stream::copy_decode(BufReader::with_capacity(OUTPUT_BUFFER, compressed), &mut file)?;
        Ok(Self { file, path })
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl SpoolWriter {
    /// Begins to fill an empty spool.
    pub fn new(spool: Spool, compression: Compression) -> Result<Self, BlobError> {
        let sink = match compression {
            Compression::None => Sink::Raw(spool),
            Compression::Zstd => {
                let encoder = encoder().map_err(|error| BlobError::io("begin to compress", error))?;
                Sink::Zstd(zio::Writer::new_with_capacity(spool, encoder, OUTPUT_BUFFER))
            }
        };
        Ok(Self { sink, size: 0 })
    }

    /// Ends the content. If compressing did not save more than a tenth, it is written again as it is.
    pub fn finish(self) -> Result<Spooled, BlobError> {
        let size = self.size;
        let (spool, encoding) = match self.sink {
            Sink::Raw(spool) => (spool, Encoding::Raw),
            Sink::Zstd(mut writer) => {
                writer.finish().map_err(|error| BlobError::io("write a temp file", error))?;
                let (spool, _) = writer.into_inner();
                if worth_it(size, spool.size()?) {
                    (spool, Encoding::Zstd)
                } else {
                    let raw = spool.decompressed().map_err(|error| BlobError::io("write a temp file", error))?;
                    (raw, Encoding::Raw)
                }
            }
        };
        let stored_size = spool.size()?;
        Ok(Spooled { spool, encoding, size, stored_size })
    }
}

impl Write for SpoolWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.sink {
            Sink::Raw(spool) => spool.write(bytes)?,
            Sink::Zstd(writer) => writer.write(bytes)?,
        };
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Raw(spool) => spool.flush(),
            Sink::Zstd(writer) => writer.flush(),
        }
    }
}

impl std::fmt::Debug for SpoolWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpoolWriter").field("size", &self.size).finish_non_exhaustive()
    }
}

fn encoder() -> io::Result<Encoder<'static>> {
    let mut encoder = Encoder::new(LEVEL)?;
    // The frame's own checksum is what finds damage when a file is downloaded.
    encoder.set_parameter(CParameter::ChecksumFlag(true))?;
    Ok(encoder)
}

/// Whether `stored` bytes instead of `size` save more than a tenth.
fn worth_it(size: u64, stored: u64) -> bool {
    u128::from(stored) * 10 < u128::from(size) * 9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saving_exactly_a_tenth_is_not_enough() {
        assert!(worth_it(100, 89));
        assert!(!worth_it(100, 90));
        assert!(!worth_it(0, 9));
        assert!(worth_it(u64::MAX, u64::MAX / 2));
    }
}
