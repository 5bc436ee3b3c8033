//! Takes the packing off a file that came: what the answer says, and what its first bytes say. However often it is
//! packed, it never grows beyond the limit.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use tokio::task::spawn_blocking;

use super::door::{Received, Refusal};
use crate::symcaches::sandbox::{OnBehalf, Sandbox};

/// Most packings around a file.
const MOST_LAYERS: usize = 4;

/// Largest zstd window in powers of two.
const WINDOW_LOG: u32 = 25;

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Gzip,
    Zstd,
    Cabinet,
}

/// The file itself.
pub(super) async fn unpacked(
    sandbox: &Sandbox,
    received: Received,
    temp_dir: &Path,
    max_size: u64,
    on_behalf: OnBehalf,
) -> Result<File, Refusal> {
    let Received { mut file, encodings, .. } = received;
    let cannot = |error: io::Error| Refusal::Ours(format!("a temp file cannot be read: {error}"));
    let mut said = encodings.iter().map(|encoding| match encoding.as_str() {
        "gzip" | "x-gzip" => Ok(Packing::Gzip),
        "zstd" => Ok(Packing::Zstd),
        other => Err(Refusal::No(format!("it packs the file as `{other}`, which nobody asked for"))),
    });
    for _ in 0..MOST_LAYERS {
        let packing = match said.next() {
            Some(packing) => packing?,
            None => match packing_of(&file).map_err(cannot)? {
                Some(packing) => packing,
                None => return Ok(file),
            },
        };
        file = match packing {
            Packing::Cabinet => match sandbox.uncab(&file, max_size, on_behalf).await {
                Ok(outcome) => outcome.map_err(Refusal::No)?,
                Err(error) => return Err(Refusal::Ours(error.to_string())),
            },
            _ => inflated(file, packing, temp_dir, max_size).await?,
        };
    }
    Err(Refusal::No(format!("it packs the file more than {MOST_LAYERS} times")))
}

/// What the first bytes say.
fn packing_of(file: &File) -> io::Result<Option<Packing>> {
    let mut magic = [0; 4];
    let read = file.read_at(&mut magic, 0)?;
    Ok(match &magic[..read] {
        [0x1f, 0x8b, ..] => Some(Packing::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd] => Some(Packing::Zstd),
        b"MSCF" => Some(Packing::Cabinet),
        _ => None,
    })
}

async fn inflated(mut file: File, packing: Packing, temp_dir: &Path, max_size: u64) -> Result<File, Refusal> {
    let ours = |error: io::Error| Refusal::Ours(format!("a temp file cannot be used: {error}"));
    let out = tempfile::tempfile_in(temp_dir).map_err(ours)?;
    let work = move || {
        file.rewind().map_err(ours)?;
        let packed = BufReader::with_capacity(128 << 10, file);
        match packing {
            Packing::Gzip => copy(MultiGzDecoder::new(packed), out, max_size),
            Packing::Zstd | Packing::Cabinet => {
                let mut unpacked = zstd::Decoder::with_buffer(packed).map_err(ours)?;
                unpacked.window_log_max(WINDOW_LOG).map_err(ours)?;
                copy(unpacked, out, max_size)
            }
        }
    };
    spawn_blocking(work).await.unwrap_or_else(|error| Err(Refusal::Ours(error.to_string())))
}

/// Copies to the end, `max_size` bytes at most.
fn copy(mut unpacked: impl Read, mut out: File, max_size: u64) -> Result<File, Refusal> {
    let ours = |error: io::Error| Refusal::Ours(format!("a temp file cannot be written: {error}"));
    let (mut size, mut buffer) = (0, vec![0; 128 << 10]);
    loop {
        let read = match unpacked.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Refusal::No(format!("what it sent cannot be unpacked: {error}"))),
        };
        size += read as u64;
        if size > max_size {
            return Err(Refusal::No(format!(
                "the file is larger than {max_size} bytes when unpacked (setting `upstreams.max_size`)"
            )));
        }
        out.write_all(&buffer[..read]).map_err(ours)?;
    }
    out.rewind().map_err(ours)?;
    Ok(out)
}
