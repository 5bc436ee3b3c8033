//! A debug file in a cabinet, the compressed form that debuggers of Windows ask for. It is made block by block, so that
//! memory does not grow with the file, and kept, because it has to be as long each time.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use cab::{CabinetBuilder, CompressionType};
use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use sha1::Digest as _;

use super::Symcaches;
use super::build::{BuildError, Built, Hold};
use super::derived::Making;
use super::lookup::LookupError;
use super::queue::{BuildTask, Wanted};
use super::sandbox::Conversion;
use super::store::StoreError;
use crate::blobs::BlobError;
use crate::types::{DebugFile, DerivedKey, DerivedSort, Sha1};

/// Names what makes cabinets, and everything that changes its output.
pub(super) const VERSION: &str = "cab-0.6+1";

/// The largest file that a cabinet holds: 65 535 blocks.
const LARGEST: u64 = 0x7fff_8000;

/// Where the date of the only file stands: behind the header, a folder, and the first fields of the file.
const DATE_AT: u64 = 36 + 8 + 10;

/// Longest name of the file in the cabinet.
const LONGEST_NAME: usize = 200;

impl Symcaches {
    /// The cabinet with a debug file.
    pub async fn cabinet(&self, file: &DebugFile) -> Result<Making, LookupError> {
        let key = key(file);
        let task = BuildTask::Cab { debug_file_id: file.id, version: key.version.clone() };
        self.derived(&key, &Wanted { project_id: file.project_id, task }).await
    }

    /// Makes the cabinet that a job asks for.
    pub(super) async fn build_cabinet(&self, file: &DebugFile, hold: &Hold<'_>) -> Result<Built, BuildError> {
        self.build_derived(key(file), VERSION, hold, self.make_cabinet(file)).await
    }

    async fn make_cabinet(&self, file: &DebugFile) -> Result<Conversion, BuildError> {
        if file.size > LARGEST {
            let reason = "The file is larger than 2 GiB, which no cabinet holds. Ask for it under its plain name.";
            return Ok(Conversion::Malformed(reason.to_owned()));
        }
        let content = self.whole_file(file).await?;
        let (name, at, temp_dir) = (name_within(&file.object_name), file.created_at, self.temp_dir.clone());
        let made = tokio::task::spawn_blocking(move || packed(content, &name, at, temp_dir)).await;
        let made = made.unwrap_or_else(|error| Err(io::Error::other(error)));
        Ok(made.map_err(|error| StoreError::from(BlobError::io("make a cabinet", error)))?)
    }
}

/// What makes the cabinet of a file.
fn key(file: &DebugFile) -> DerivedKey {
    DerivedKey { debug_file_id: file.id, sort: DerivedSort::Cab, version: VERSION.to_owned() }
}

fn packed(content: File, name: &str, at: DateTime<Utc>, temp_dir: PathBuf) -> io::Result<Conversion> {
    let mut builder = CabinetBuilder::new();
    builder.add_folder(CompressionType::MsZip).add_file(name);
    let output = BufWriter::with_capacity(64 << 10, tempfile::tempfile_in(temp_dir)?);
    let mut cabinet = builder.build(output)?;
    while let Some(mut file) = cabinet.next_file()? {
        io::copy(&mut BufReader::with_capacity(256 << 10, &content), &mut file)?;
    }
    let mut output = cabinet.finish()?;
    // The time of the making would make every cabinet another one.
    output.seek(SeekFrom::Start(DATE_AT))?;
    output.write_all(&date_and_time(at))?;
    let mut output = output.into_inner().map_err(io::IntoInnerError::into_error)?;
    let (size, sha1) = hashed(&mut output)?;
    Ok(Conversion::Made { file: output, size, sha1, statistics: None })
}

fn hashed(file: &mut File) -> io::Result<(u64, Sha1)> {
    file.rewind()?;
    let mut hash = sha1::Sha1::new();
    let (mut buffer, mut size) = (vec![0; 256 << 10], 0);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => {
                hash.update(&buffer[..read]);
                size += read as u64;
            }
        }
    }
    file.rewind()?;
    Ok((size, Sha1::from_bytes(hash.finalize().into())))
}

/// A time as cabinets write it, to two seconds.
fn date_and_time(at: DateTime<Utc>) -> [u8; 4] {
    let year = u32::try_from(at.year()).unwrap_or(0).clamp(1980, 2107) - 1980;
    let date = year << 9 | at.month() << 5 | at.day();
    let time = at.hour() << 11 | at.minute() << 5 | (at.second() / 2);
    let [a, b, ..] = date.to_le_bytes();
    let [c, d, ..] = time.to_le_bytes();
    [a, b, c, d]
}

/// The name with nothing in it that could lead out of the folder where the cabinet is unpacked.
fn name_within(name: &str) -> String {
    let safe = |c: char| if c.is_control() || matches!(c, '/' | '\\' | ':') { '_' } else { c };
    let mut within = String::new();
    for c in name.chars().map(safe) {
        if within.len() + c.len_utf8() > LONGEST_NAME {
            break;
        }
        within.push(c);
    }
    match within.as_str() {
        "" | "." | ".." => "_".to_owned(),
        _ => within,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else() {
        for (name, within) in [
            ("calc.pdb", "calc.pdb"),
            ("a/../b\\c:d\n", "a_.._b_c_d_"),
            ("..", "_"),
            ("", "_"),
            (&"é".repeat(300), &"é".repeat(100)),
        ] {
            assert_eq!(name_within(name), within);
        }
    }

    #[test]
    fn a_time_is_written_as_dos_did() {
        let at = |text: &str| date_and_time(text.parse().expect("a time"));
        assert_eq!(at("1980-01-01T00:00:00Z"), [0x21, 0, 0, 0]);
        assert_eq!(at("1997-03-12T11:13:52Z"), [0x6c, 0x22, 0xba, 0x59]);
        assert_eq!(at("1970-01-01T00:00:00Z"), [0x21, 0, 0, 0]);
    }
}
