//! Real debug files with known answers (`fixtures/`), and a sandbox to read them in. It never changes a fixture.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use symdepot::symcaches::sandbox::{Hints, Sandbox, SandboxSettings};
use symdepot::types::{CodeId, DebugId, Format, Kind};

/// What is known of a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// The name under which it must be sent, if that matters.
    pub name: Option<String>,
    /// The debug id that must be sent with it, if that matters.
    pub request_debug_id: Option<String>,
    /// Its objects.
    #[serde(default)]
    pub objects: Vec<KnownObject>,
    /// Why it is refused.
    pub refused: Option<String>,
}

/// What is known of an object.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct KnownObject {
    pub format: Format,
    pub kind: Kind,
    pub arch: String,
    pub debug_id: DebugId,
    pub debug_id_alias: Option<DebugId>,
    pub code_id: Option<CodeId>,
    pub features: Vec<String>,
    pub object_name: Option<String>,
    /// Whether the uploader is told something.
    pub note: bool,
    /// Address -> frames, innermost first, as `function @ file:line`.
    pub lookups: BTreeMap<String, Vec<String>>,
}

impl Known {
    /// What the uploader of the file at `path` says of it.
    pub fn hints(&self, path: &str) -> Hints {
        let base = path.rsplit('/').next().expect("a path has a last component");
        Hints { name: self.name.clone().unwrap_or_else(|| base.to_owned()), debug_id: self.request_debug_id.clone() }
    }
}

/// Everything that is known, by path.
pub fn known() -> BTreeMap<String, Known> {
    let text = fs::read_to_string(root().join("known.json")).expect("the known answers can be read");
    serde_json::from_str(&text).expect("the known answers have the agreed form")
}

/// Where a fixture lies.
pub fn path(fixture: &str) -> PathBuf {
    root().join("files").join(fixture)
}

/// A fixture, opened.
pub fn open(fixture: &str) -> File {
    File::open(path(fixture)).unwrap_or_else(|error| panic!("{fixture}: {error}"))
}

/// The bytes of a fixture.
pub fn read(fixture: &str) -> Vec<u8> {
    fs::read(path(fixture)).unwrap_or_else(|error| panic!("{fixture}: {error}"))
}

/// A nameless file with these bytes.
pub fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a temp file can be made");
    file.write_all(bytes).expect("a temp file can be written");
    file
}

/// The limits that tests use unless they are about limits.
pub fn settings() -> SandboxSettings {
    SandboxSettings {
        program: PathBuf::from(env!("CARGO_BIN_EXE_symdepot")),
        temp_dir: std::env::temp_dir(),
        memory: 256 << 20,
        timeout: Duration::from_secs(60),
        concurrency: 2,
        threads: 2,
        short_concurrency: 4,
        test_fault: String::new(),
    }
}

/// A sandbox with the usual limits.
pub fn sandbox() -> Sandbox {
    Sandbox::new(settings())
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures"))
}
