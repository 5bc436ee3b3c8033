//! [`Sandbox`]: untrusted bytes are parsed in a child process with limits; its death is an answer with a reason.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::types::{CodeId, DebugId, Features, Format, Kind, Sha1};

/// Version of the symcache format that this converter writes.
pub const FORMAT_VERSION: i64 = 0;

/// Names the converter and everything that changes its output.
pub const CONVERTER_VERSION: &str = "symbolic-13.9.0+1";

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
    /// Address space in bytes beyond the mapped file.
    pub memory: u64,
    /// Longest time for one file.
    pub timeout: Duration,
    /// Children at a time.
    pub concurrency: usize,
    /// For tests: `panic`, `memory`, `hang` or `abort`.
    pub test_fault: String,
}

/// What the uploader said of a file, which some formats need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Name as sent: a base name, or `/proguard/<uuid>.txt`, or a path inside a zip.
    pub name: String,
    /// Debug id as sent.
    pub debug_id: Option<String>,
}

/// What one object in a file is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ObjectInfo {
    /// Debug id, the age of the request put in.
    pub debug_id: DebugId,
    /// Second spelling of the id (WASM).
    pub debug_id_alias: Option<DebugId>,
    /// Code id.
    pub code_id: Option<CodeId>,
    /// Architecture.
    pub cpu_name: String,
    /// Format.
    pub format: Format,
    /// Kind.
    pub kind: Kind,
    /// Features.
    pub features: Features,
    /// Name to register, if the kind dictates one (`proguard-mapping`), else `None`.
    pub object_name: Option<String>,
    /// What the uploader should know although the file is taken.
    pub note: Option<String>,
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Detection {
    /// A debug file with these objects (0 or several only in archives such as fat Mach-O).
    Objects(Vec<ObjectInfo>),
    /// No debug file; the sentence says why.
    Rejected(String),
}

/// Name maps to apply, as files.
#[derive(Debug, Default)]
pub struct MappingFiles {
    /// `BCSymbolMap`.
    pub bcsymbolmap: Option<File>,
    /// Property list that ties the ids.
    pub uuidmap: Option<File>,
    /// il2cpp line mapping.
    pub il2cpp: Option<File>,
}

/// What came of a conversion.
#[derive(Debug)]
pub enum Conversion {
    /// Symcache bytes, in a nameless temp file.
    Made {
        /// The bytes.
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
    /// The child could not be run.
    #[error("the converter cannot be run: {0}")]
    Run(#[from] std::io::Error),
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
        let _ = (file, hints, &self.settings, &self.permits);
        todo!()
    }

    /// Makes a symcache of the object `debug_id` in `file`.
    pub async fn convert(
        &self,
        file: &File,
        debug_id: &DebugId,
        mappings: &MappingFiles,
    ) -> Result<Conversion, SandboxError> {
        let _ = (file, debug_id, mappings);
        todo!()
    }
}

/// The child's own `main`, behind the hidden verb `sandbox`.
pub fn child_main() -> std::process::ExitCode {
    std::process::ExitCode::FAILURE
}
