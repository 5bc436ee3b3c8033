//! [`Sandbox`]: untrusted bytes are parsed in a child process with limits; its death is an answer with a reason.
//!
//! The parent never reads what the file says, only what the child reports of it.

use std::fs::File;
use std::io::{self, Seek as _};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tempfile::NamedTempFile;
use tokio::io::AsyncReadExt as _;
use tokio::process::{ChildStderr, Command};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::sources::Source;
use super::unzipped::Unzipped;
use super::verdict::{Death, judge};
use crate::types::child_protocol::{DumpTask, Report, Task, Work};
use crate::types::{DebugId, Sha1};

pub use crate::types::child_protocol::{
    BREAKPAD_VERSION, BreakpadText, CONVERTER_VERSION, Detection, FORMAT_VERSION, Hints, ObjectInfo, VERB,
};

/// How much of what the child says is kept.
const LONGEST_REPORT: usize = 256 << 10;

/// The longest name that is handed on, counted from its end, which is what decides.
const LONGEST_NAME: usize = 1024;

/// The longest text that can be a debug id.
const LONGEST_ID: usize = 64;

/// Runs the child. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sandbox {
    settings: Arc<SandboxSettings>,
    permits: Arc<Semaphore>,
}

/// What the child may use.
#[derive(Clone, Debug)]
pub struct SandboxSettings {
    /// Executable to run, which knows the hidden verb.
    pub program: PathBuf,
    /// Where temp files are made.
    pub temp_dir: PathBuf,
    /// Address space in bytes beyond the program itself and the mapped files.
    pub memory: u64,
    /// Longest time for one file.
    pub timeout: Duration,
    /// Children at a time.
    pub concurrency: usize,
    /// For tests: makes conversions `panic`, `memory`, `deep`, `hang` or `abort`, with `detect-` in front
    /// detections, with `dump-` Breakpad text.
    pub test_fault: String,
}

/// Name maps to apply, as files.
#[derive(Debug, Default)]
pub struct MappingFiles {
    /// `BCSymbolMap`.
    pub bcsymbolmap: Option<File>,
    /// il2cpp line mapping.
    pub il2cpp: Option<File>,
}

/// What goes into Breakpad text besides the debug file, as files.
#[derive(Debug, Default)]
pub struct BreakpadFiles {
    /// The file with the code.
    pub unwinding: Option<File>,
    /// `BCSymbolMap`.
    pub bcsymbolmap: Option<File>,
}

/// What came of a conversion.
#[derive(Debug)]
pub enum Conversion {
    /// The bytes of what was asked for, in a nameless temp file.
    Made {
        /// The bytes, to be read from the beginning.
        file: File,
        /// How many.
        size: u64,
        /// Their checksum.
        sha1: Sha1,
    },
    /// The file cannot be converted; the sentence says why.
    Malformed(String),
}

/// A surprise that is not the file's fault: worth another try.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The child could not be run, or could not do its part.
    #[error("the converter cannot be run: {0}")]
    Run(#[from] io::Error),
    /// Somebody else ended the child.
    #[error("the converter was ended from outside: {0}")]
    Ended(String),
}

impl Sandbox {
    /// A sandbox with these limits.
    pub fn new(settings: SandboxSettings) -> Self {
        let permits = Arc::new(Semaphore::new(settings.concurrency));
        Self { settings: Arc::new(settings), permits }
    }

    /// Says what `file` is.
    pub async fn detect(&self, file: &File, hints: &Hints) -> Result<Detection, SandboxError> {
        let work = Work::Detect(bounded(hints));
        match self.run(work, file, Stdio::null()).await? {
            Report::Detected(detection) => Ok(detection),
            Report::Refused(reason) => Ok(Detection::Rejected(reason)),
            _ => Err(unexpected()),
        }
    }

    /// Makes a symcache of the object `debug_id` in `file`.
    pub async fn convert(
        &self,
        file: &File,
        debug_id: &DebugId,
        mappings: &MappingFiles,
    ) -> Result<Conversion, SandboxError> {
        let output = tempfile::tempfile_in(&self.settings.temp_dir)?;
        // The child opens them by name. They go when this is dropped.
        let bcsymbolmap = self.by_name(mappings.bcsymbolmap.as_ref()).await?;
        let il2cpp = self.by_name(mappings.il2cpp.as_ref()).await?;
        let path = |file: &Option<NamedTempFile>| file.as_ref().map(|file| file.path().to_owned());
        let work = Work::Convert {
            debug_id: debug_id.clone(),
            bcsymbolmap: path(&bcsymbolmap),
            il2cpp: path(&il2cpp),
            supplementary: None,
            threads: 1,
        };
        let report = self.run(work, file, output.try_clone()?.into()).await?;
        conversion(report, output)
    }

    /// Makes Breakpad text of a debug file, and of the file with its code if there is one.
    pub async fn dump(
        &self,
        file: &File,
        text: &BreakpadText,
        others: &BreakpadFiles,
    ) -> Result<Conversion, SandboxError> {
        let output = tempfile::tempfile_in(&self.settings.temp_dir)?;
        let unwinding = self.by_name(others.unwinding.as_ref()).await?;
        let bcsymbolmap = self.by_name(others.bcsymbolmap.as_ref()).await?;
        let path = |file: &Option<NamedTempFile>| file.as_ref().map(|file| file.path().to_owned());
        let task = DumpTask { text: text.clone(), unwinding: path(&unwinding), bcsymbolmap: path(&bcsymbolmap) };
        let report = self.run(Work::Dump(task), file, output.try_clone()?.into()).await?;
        conversion(report, output)
    }

    /// The source that `path` names in a source bundle, `None` if it has none, or a sentence why it cannot be read.
    pub async fn source(&self, bundle: &File, path: &str) -> Result<Result<Option<Source>, String>, SandboxError> {
        let file = tempfile::tempfile_in(&self.settings.temp_dir)?;
        match self.run(Work::Source { path: path.to_owned() }, bundle, file.try_clone()?.into()).await? {
            Report::Made { size, sha1, .. } if file.metadata()?.len() == size => {
                Ok(Ok(Some(Source { size, sha1, file })))
            }
            Report::Absent => Ok(Ok(None)),
            Report::Refused(reason) => Ok(Err(reason)),
            _ => Err(unexpected()),
        }
    }

    /// The files in a zip, `max_size` bytes of content at most, or a sentence why they cannot be had.
    pub async fn unzip(&self, zip: &File, max_size: u64) -> Result<Result<Unzipped, String>, SandboxError> {
        let output = tempfile::tempfile_in(&self.settings.temp_dir)?;
        match self.run(Work::Unzip { max_size }, zip, output.try_clone()?.into()).await? {
            Report::Unzipped { list_at } => {
                Ok(Ok(Unzipped::read(output, list_at, self.settings.temp_dir.clone()).await?))
            }
            Report::Refused(reason) => Ok(Err(reason)),
            _ => Err(unexpected()),
        }
    }

    /// The one file of a cabinet, `max_size` bytes at most, or a sentence why it cannot be had.
    pub async fn uncab(&self, cabinet: &File, max_size: u64) -> Result<Result<File, String>, SandboxError> {
        let mut output = tempfile::tempfile_in(&self.settings.temp_dir)?;
        match self.run(Work::Uncab { max_size }, cabinet, output.try_clone()?.into()).await? {
            Report::Made { size, .. } if output.metadata()?.len() == size => {
                output.rewind()?;
                Ok(Ok(output))
            }
            Report::Refused(reason) => Ok(Err(reason)),
            _ => Err(unexpected()),
        }
    }

    async fn run(&self, work: Work, file: &File, stdout: Stdio) -> Result<Report, SandboxError> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let settings = &self.settings;
        let fault = work.fault(&settings.test_fault).to_owned();
        let task = Task { memory: settings.memory, timeout: settings.timeout, fault, work };
        // The death of the thread that spawns ends the child too, so this is never done on a thread that comes and goes.
        let mut child = Command::new(&settings.program)
            .arg(VERB)
            .arg(serde_json::to_string(&task).map_err(io::Error::other)?)
            .env_clear()
            .current_dir("/")
            .stdin(file.try_clone()?)
            .stdout(stdout)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stderr = child.stderr.take().expect("standard error is a pipe");
        let ended = async { tokio::try_join!(tail(stderr), child.wait()) };
        let death = match tokio::time::timeout(settings.timeout, ended).await {
            Ok(ended) => {
                let (said, status) = ended?;
                Death { status: Some(status), said }
            }
            Err(_) => {
                child.kill().await?;
                Death { status: None, said: Vec::new() }
            }
        };
        judge(&death, &task)
    }

    /// A copy of `file` that has a name.
    async fn by_name(&self, file: Option<&File>) -> Result<Option<NamedTempFile>, SandboxError> {
        let Some(file) = file else { return Ok(None) };
        let mut source = file.try_clone()?;
        let temp_dir = self.settings.temp_dir.clone();
        let copy = move || {
            let mut copy = NamedTempFile::new_in(temp_dir)?;
            source.rewind()?;
            io::copy(&mut source, &mut copy)?;
            Ok::<_, io::Error>(copy)
        };
        Ok(Some(spawn_blocking(copy).await.map_err(io::Error::other)??))
    }
}

/// What a child reported of the bytes that it wrote.
fn conversion(report: Report, mut output: File) -> Result<Conversion, SandboxError> {
    match report {
        Report::Made { size, sha1, .. } => {
            let written = output.metadata()?.len();
            if written != size {
                return Err(io::Error::other(format!("it reported {size} bytes and wrote {written}")).into());
            }
            output.rewind()?;
            Ok(Conversion::Made { file: output, size, sha1 })
        }
        Report::Refused(reason) => Ok(Conversion::Malformed(reason)),
        _ => Err(unexpected()),
    }
}

fn unexpected() -> SandboxError {
    io::Error::other("it answered another question").into()
}

/// The end of what the child says; the rest is read and dropped, so that the child never waits.
async fn tail(mut stderr: ChildStderr) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    while stderr.read_buf(&mut said).await? > 0 {
        if said.len() > 2 * LONGEST_REPORT {
            said.drain(..said.len() - LONGEST_REPORT);
        }
    }
    Ok(said)
}

/// The hints in a length that fits a command line.
fn bounded(hints: &Hints) -> Hints {
    let name = hints.name.as_str();
    let start = (name.len().saturating_sub(LONGEST_NAME)..=name.len()).find(|at| name.is_char_boundary(*at));
    Hints {
        name: name[start.unwrap_or(0)..].to_owned(),
        debug_id: hints.debug_id.as_ref().map(|id| id.chars().take(LONGEST_ID).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_hints_are_cut_where_nothing_is_lost() {
        let name = format!("{}/proguard/x.txt", "ü".repeat(10_000));
        let hints = bounded(&Hints { name, debug_id: Some("f".repeat(1000)) });
        assert!(hints.name.ends_with("üü/proguard/x.txt"));
        assert!(hints.name.len() <= LONGEST_NAME);
        assert_eq!(hints.debug_id.map(|id| id.len()), Some(LONGEST_ID));
        let short = Hints { name: "ü".to_owned(), debug_id: None };
        assert_eq!(bounded(&short), short);
    }
}
