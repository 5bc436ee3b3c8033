//! Takes gzip or zstd off a dump or report. It never grows beyond a limit, and never holds more than a buffer.

use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::path::Path;

use flate2::read::MultiGzDecoder;

/// Largest window of zstd, in powers of two.
const WINDOW_LOG: u32 = 25;

/// Why a file cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It is larger than it may be.
    #[error("The file is larger than `symbolication.max_dump_size` allows.")]
    TooLarge,
    /// Its packing is damaged.
    #[error("The file cannot be unpacked: {0}.")]
    Broken(io::Error),
    /// A temp file.
    #[error("a temp file cannot be written: {0}")]
    Temp(#[from] io::Error),
}

/// The file without its packing, `limit` bytes at most, at its beginning. It blocks.
pub fn unpacked(mut file: File, limit: u64, temp_dir: &Path) -> Result<File, UnpackError> {
    let mut begin = [0; 4];
    file.rewind()?;
    let read = file.read(&mut begin)?;
    file.rewind()?;
    if file.metadata()?.len() > limit {
        return Err(UnpackError::TooLarge);
    }
    match &begin[..read] {
        [0x1f, 0x8b, ..] => inflated(MultiGzDecoder::new(io::BufReader::new(file)), limit, temp_dir),
        [0x28, 0xb5, 0x2f, 0xfd] => {
            let mut decoder = zstd::Decoder::new(file)?;
            decoder.window_log_max(WINDOW_LOG)?;
            inflated(decoder, limit, temp_dir)
        }
        _ => Ok(file),
    }
}

fn inflated(reader: impl Read, limit: u64, temp_dir: &Path) -> Result<File, UnpackError> {
    let mut file = tempfile::tempfile_in(temp_dir)?;
    let broken = |error: io::Error| match error.kind() {
        io::ErrorKind::StorageFull => UnpackError::Temp(error),
        _ => UnpackError::Broken(error),
    };
    let size = io::copy(&mut reader.take(limit.saturating_add(1)), &mut file).map_err(broken)?;
    if size > limit {
        return Err(UnpackError::TooLarge);
    }
    file.rewind()?;
    Ok(file)
}
