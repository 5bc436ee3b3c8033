//! [`Sandbox`]: untrusted bytes are parsed in a child process with limits; its death is an answer with a reason.
//!
//! The parent never reads what the file says, only what the child reports of it.

use std::fs::File;
use std::io::{self, Seek as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::permits::Permits;
use super::sources::Source;
use super::start::{read_only, run};
use super::unzipped::Unzipped;
use crate::admission::Overloaded;
use crate::types::child_protocol::{
    AppleReport, DumpSurvey, DumpTask, Isolation, MAX_JSON, Report, SourceLines, SourceWant, Statistics, Task,
    WalkModule, WalkedDump, Work,
};
use crate::types::{DebugId, Sha1};

pub use super::permits::{ConversionPermit, OnBehalf, ShortPermit};
pub use crate::types::child_protocol::{
    BREAKPAD_VERSION, BreakpadText, CFI_VERSION, CONVERTER_VERSION, Detection, FORMAT_VERSION, Hints, ObjectInfo,
    PROGUARD_VERSION, VERB,
};

/// Runs the child. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sandbox {
    settings: Arc<SandboxSettings>,
    permits: Permits,
}

/// What the child may use.
#[derive(Clone, Debug)]
pub struct SandboxSettings {
    /// Executable to run, which knows the hidden verb. One that stands in front of it ends with `exec`.
    pub program: PathBuf,
    /// Where temp files are made.
    pub temp_dir: PathBuf,
    /// Address space in bytes beyond the program itself and the mapped files.
    pub memory: u64,
    /// Longest time for one file.
    pub timeout: Duration,
    /// Conversions at a time.
    pub concurrency: usize,
    /// Threads of a conversion that runs alone.
    pub threads: usize,
    /// Short tasks at a time beside them.
    pub short_concurrency: usize,
    /// Makes conversions `panic`, `memory`, `deep`, `hang` or `abort`, with `detect-` in front detections, with `dump-`
    /// Breakpad text.
    #[cfg(feature = "testing")]
    pub test_fault: String,
}

/// Name maps to apply, as files.
#[derive(Debug, Default)]
pub struct MappingFiles {
    /// `BCSymbolMap`.
    pub bcsymbolmap: Option<File>,
    /// il2cpp line mapping.
    pub il2cpp: Option<File>,
    /// The file that `dwz` moved a part of the debug information to.
    pub supplement: Option<File>,
}

/// What goes into Breakpad text besides the debug file, as files.
#[derive(Debug, Default)]
pub struct BreakpadFiles {
    /// The file with the code.
    pub unwinding: Option<File>,
    /// `BCSymbolMap`.
    pub bcsymbolmap: Option<File>,
    /// The file that `dwz` moved a part of the debug information to.
    pub supplement: Option<File>,
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
        /// Of a symcache: what it holds, if that was counted.
        statistics: Option<Statistics>,
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
    /// Something other than the child itself ended it.
    #[error("the converter was ended from outside: {0}")]
    Ended(String),
    /// Too much of the same kind of work waits. The caller is to come again.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
}

impl Sandbox {
    /// A sandbox with these limits.
    pub fn new(settings: SandboxSettings) -> Self {
        let permits = Permits::new(settings.concurrency, settings.short_concurrency);
        Self { settings: Arc::new(settings), permits }
    }

    /// Leave to convert, to be had before the file is put together. It is waited for as long as it takes, by no more
    /// callers than their own limit lets in.
    pub async fn conversion_permit(&self) -> ConversionPermit {
        self.permits.conversion().await
    }

    /// Leave for short tasks, to be had before their first temp file.
    pub async fn short_permit(&self, on_behalf: OnBehalf) -> Result<ShortPermit, SandboxError> {
        self.permits.short(on_behalf).await
    }

    /// Says what `file` is, for a job.
    pub async fn detect(&self, file: &File, hints: &Hints) -> Result<Detection, SandboxError> {
        self.detect_for(OnBehalf::job(), file, hints).await
    }

    /// Says what `file` is.
    pub async fn detect_for(&self, on_behalf: OnBehalf, file: &File, hints: &Hints) -> Result<Detection, SandboxError> {
        let _permit = self.short_permit(on_behalf).await?;
        match self.run(Work::Detect(hints.clone()), Some(file), None, []).await? {
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
        let permit = self.conversion_permit().await;
        self.convert_with(&permit, file, debug_id, mappings).await
    }

    /// The same with a permit that the caller holds.
    pub async fn convert_with(
        &self,
        _held: &ConversionPermit,
        file: &File,
        debug_id: &DebugId,
        mappings: &MappingFiles,
    ) -> Result<Conversion, SandboxError> {
        let MappingFiles { bcsymbolmap, il2cpp, supplement } = mappings;
        let work = Work::Convert {
            debug_id: debug_id.clone(),
            bcsymbolmap: bcsymbolmap.is_some(),
            il2cpp: il2cpp.is_some(),
            supplementary: supplement.is_some(),
            // One while others convert: together they never use more threads than cores.
            threads: if self.permits.others_convert() { 1 } else { self.settings.threads },
        };
        let output = self.output()?;
        let report = self
            .run(work, Some(file), Some(&output), [bcsymbolmap.as_ref(), il2cpp.as_ref(), supplement.as_ref()])
            .await?;
        conversion(report, output)
    }

    /// Makes Breakpad text of a debug file, and of the file with its code if there is one.
    pub async fn dump(
        &self,
        file: &File,
        text: &BreakpadText,
        others: &BreakpadFiles,
    ) -> Result<Conversion, SandboxError> {
        let permit = self.conversion_permit().await;
        self.dump_with(&permit, file, text, others).await
    }

    /// The same with a permit that the caller holds.
    pub async fn dump_with(
        &self,
        _held: &ConversionPermit,
        file: &File,
        text: &BreakpadText,
        others: &BreakpadFiles,
    ) -> Result<Conversion, SandboxError> {
        let BreakpadFiles { unwinding, bcsymbolmap, supplement } = others;
        let task = DumpTask {
            text: text.clone(),
            unwinding: unwinding.is_some(),
            bcsymbolmap: bcsymbolmap.is_some(),
            supplementary: supplement.is_some(),
        };
        let output = self.output()?;
        let others = [unwinding.as_ref(), bcsymbolmap.as_ref(), supplement.as_ref()];
        let report = self.run(Work::Dump(task), Some(file), Some(&output), others).await?;
        conversion(report, output)
    }

    /// The source that `path` names in a source bundle, `None` if it has none, or a sentence why it cannot be read.
    pub async fn source(
        &self,
        _held: &ShortPermit,
        bundle: &File,
        path: &str,
    ) -> Result<Result<Option<Source>, String>, SandboxError> {
        let file = self.output()?;
        match self.run(Work::Source { path: path.to_owned() }, Some(bundle), Some(&file), []).await? {
            Report::Made { size, sha1, .. } if file.metadata()?.len() == size => {
                Ok(Ok(Some(Source { size, sha1, file })))
            }
            Report::Absent => Ok(Ok(None)),
            Report::Refused(reason) => Ok(Err(reason)),
            _ => Err(unexpected()),
        }
    }

    /// Makes the table of call frame information of the object `debug_id` in `file`.
    pub async fn cfi(&self, file: &File, debug_id: &DebugId) -> Result<Conversion, SandboxError> {
        let _permit = self.conversion_permit().await;
        let output = self.output()?;
        let report = self.run(Work::Cfi { debug_id: debug_id.clone() }, Some(file), Some(&output), []).await?;
        conversion(report, output)
    }

    /// What a minidump is of, or a sentence why it cannot be read.
    pub async fn survey(&self, _held: &ShortPermit, dump: &File) -> Result<Result<DumpSurvey, String>, SandboxError> {
        let output = self.output()?;
        json(self.run(Work::Survey, Some(dump), Some(&output), []).await?, output).await
    }

    /// Walks the stacks of a minidump with the tables of these modules, in the order that the protocol gives them.
    pub async fn walk(
        &self,
        _held: &ShortPermit,
        dump: &File,
        modules: Vec<WalkModule>,
        tables: &[File],
    ) -> Result<Result<WalkedDump, String>, SandboxError> {
        let output = self.output()?;
        let tables = tables.iter().map(Some);
        json(self.run(Work::Walk(modules), Some(dump), Some(&output), tables).await?, output).await
    }

    /// Makes the table of a ProGuard mapping.
    pub async fn proguard(&self, mapping: &File) -> Result<Conversion, SandboxError> {
        let _permit = self.conversion_permit().await;
        let output = self.output()?;
        let report = self.run(Work::Proguard, Some(mapping), Some(&output), []).await?;
        conversion(report, output)
    }

    /// Lines of sources of a source bundle, or a sentence why it cannot be read.
    pub async fn source_lines(
        &self,
        _held: &ShortPermit,
        bundle: &File,
        wants: Vec<SourceWant>,
    ) -> Result<Result<Vec<SourceLines>, String>, SandboxError> {
        let output = self.output()?;
        let report = self.run(Work::SourceLines(wants), Some(bundle), Some(&output), []).await?;
        json(report, output).await
    }

    /// What a crash report of Apple's systems says, or a sentence why it cannot be read.
    pub async fn apple_report(
        &self,
        _held: &ShortPermit,
        report: &File,
    ) -> Result<Result<AppleReport, String>, SandboxError> {
        let output = self.output()?;
        json(self.run(Work::AppleReport, Some(report), Some(&output), []).await?, output).await
    }

    /// The files in a zip, `max_size` bytes of content at most, or a sentence why they cannot be had.
    pub async fn unzip(
        &self,
        zip: &File,
        max_size: u64,
        on_behalf: OnBehalf,
    ) -> Result<Result<Unzipped, String>, SandboxError> {
        let _permit = self.short_permit(on_behalf).await?;
        let output = self.output()?;
        match self.run(Work::Unzip { max_size }, Some(zip), Some(&output), []).await? {
            Report::Unzipped { list_at } => {
                Ok(Ok(Unzipped::read(output, list_at, self.settings.temp_dir.clone()).await?))
            }
            Report::Refused(reason) => Ok(Err(reason)),
            _ => Err(unexpected()),
        }
    }

    /// The one file of a cabinet, `max_size` bytes at most, or a sentence why it cannot be had.
    pub async fn uncab(
        &self,
        cabinet: &File,
        max_size: u64,
        on_behalf: OnBehalf,
    ) -> Result<Result<File, String>, SandboxError> {
        let _permit = self.short_permit(on_behalf).await?;
        let mut output = self.output()?;
        match self.run(Work::Uncab { max_size }, Some(cabinet), Some(&output), []).await? {
            Report::Made { size, .. } if output.metadata()?.len() == size => {
                output.rewind()?;
                Ok(Ok(output))
            }
            Report::Refused(reason) => Ok(Err(reason)),
            _ => Err(unexpected()),
        }
    }

    /// What a child gives up on this machine, and what it can do all the same.
    pub async fn isolation(&self) -> Result<Isolation, SandboxError> {
        match self.run(Work::Probe, None, None, []).await? {
            Report::Isolated(isolation) => Ok(isolation),
            _ => Err(unexpected()),
        }
    }

    async fn run<'f>(
        &self,
        work: Work,
        input: Option<&File>,
        output: Option<&File>,
        others: impl IntoIterator<Item = Option<&'f File>>,
    ) -> Result<Report, SandboxError> {
        let settings = &self.settings;
        let task = Task {
            memory: settings.memory,
            timeout: settings.timeout,
            server: std::process::id(),
            #[cfg(feature = "testing")]
            fault: work.fault(&settings.test_fault).to_owned(),
            work,
        };
        // What the child only reads it cannot write.
        let others = others.into_iter().flatten().map(read_only).collect::<io::Result<Vec<_>>>()?;
        let input = input.map(read_only).transpose()?;
        let files: Vec<_> = input.iter().chain(output).chain(&others).collect();
        run(settings, &task, &files).await
    }

    /// A nameless temp file for what a child makes.
    fn output(&self) -> io::Result<File> {
        tempfile::tempfile_in(&self.settings.temp_dir)
    }
}

/// The value that a child wrote as JSON, or why it did not.
async fn json<T: DeserializeOwned + Send + 'static>(
    report: Report,
    mut output: File,
) -> Result<Result<T, String>, SandboxError> {
    match report {
        Report::Made { size, .. } if output.metadata()?.len() == size && size <= MAX_JSON => {
            let reading = move || {
                output.rewind()?;
                Ok::<T, io::Error>(serde_json::from_reader(io::BufReader::new(output))?)
            };
            let read = tokio::task::spawn_blocking(reading).await;
            Ok(Ok(read.unwrap_or_else(|error| Err(io::Error::other(error)))?))
        }
        Report::Made { .. } => Ok(Err("More comes of the file than is kept.".to_owned())),
        Report::Refused(reason) => Ok(Err(reason)),
        _ => Err(unexpected()),
    }
}

/// What a child reported of the bytes that it wrote.
fn conversion(report: Report, mut output: File) -> Result<Conversion, SandboxError> {
    match report {
        Report::Made { size, sha1, statistics } => {
            if output.metadata()?.len() != size {
                return Err(io::Error::other(format!("it reported {size} bytes and wrote others")).into());
            }
            output.rewind()?;
            Ok(Conversion::Made { file: output, size, sha1, statistics })
        }
        Report::Refused(reason) => Ok(Conversion::Malformed(reason)),
        _ => Err(unexpected()),
    }
}

fn unexpected() -> SandboxError {
    io::Error::other("it answered another question").into()
}
