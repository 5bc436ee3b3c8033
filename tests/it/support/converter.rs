//! [`WatchedConverter`]: the real converter behind a script that counts its children and can hold them up.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::until;

/// A program for the setting `converter.program`. Dropped, it lets go of what it holds up.
pub struct WatchedConverter(TempDir);

impl WatchedConverter {
    /// One that holds nothing up.
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        // Links, because a program that was just written may still be open in a child of another test.
        symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/converter.sh"), folder.path().join("run"))
            .unwrap();
        symlink(env!("CARGO_BIN_EXE_symdepot"), folder.path().join("symdepot")).unwrap();
        Self(folder)
    }

    /// One that holds every conversion up.
    pub fn holding() -> Self {
        let converter = Self::new();
        converter.hold();
        converter
    }

    /// What the setting takes.
    pub fn program(&self) -> PathBuf {
        self.0.path().join("run")
    }

    /// Holds up conversions that begin from now on.
    pub fn hold(&self) {
        fs::write(self.0.path().join("hold"), "").unwrap();
    }

    /// Lets conversions go on.
    pub fn release(&self) {
        fs::remove_file(self.0.path().join("hold")).unwrap();
    }

    /// How many conversions were begun.
    pub fn conversions(&self) -> usize {
        self.children().iter().filter(|task| task["work"].get("Convert").is_some()).count()
    }

    /// How many times Breakpad text was made.
    pub fn texts(&self) -> usize {
        self.children().iter().filter(|task| task["work"].get("Dump").is_some()).count()
    }

    /// How many files were looked at.
    pub fn detections(&self) -> usize {
        self.children().iter().filter(|task| task["work"].get("Detect").is_some()).count()
    }

    /// Waits until so many conversions were begun.
    pub async fn begun(&self, conversions: usize) {
        until("a conversion begins", || async { (self.conversions() >= conversions).then_some(()) }).await;
    }

    fn children(&self) -> Vec<Value> {
        let Ok(text) = fs::read_to_string(self.0.path().join("children")) else { return Vec::new() };
        // A line that is being written has no end yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
