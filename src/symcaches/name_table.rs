//! ProGuard tables: made of mappings by the child process, kept like every derived file, and mapped to be looked up in. It never
//! looks a name up.

use std::fs::File;
use std::io;
use std::sync::Arc;

use memmap2::Mmap;

use super::build::{BuildError, Built, Hold};
use super::derived::{Derived, Making};
use super::lookup::LookupError;
use super::queue::{BuildTask, Wanted};
use super::{Symcaches, sandbox};
use crate::types::{DebugFile, DerivedKey, DerivedSort};

/// Room for all tables that are open, in bytes.
pub(super) const ROOM: u64 = 1 << 30;

/// A table that is open. Cheap to clone.
#[derive(Clone)]
pub struct NameTable(Arc<Mmap>);

impl Symcaches {
    /// The table of a mapping, or a sentence why there is none.
    pub async fn name_table(&self, file: &DebugFile) -> Result<Result<NameTable, String>, LookupError> {
        let key = key(file);
        let task = BuildTask::Proguard { debug_file_id: file.id, version: key.version.clone() };
        match self.derived(&key, &Wanted { project_id: file.project_id, task }).await? {
            Making::Malformed(reason) => Ok(Err(reason)),
            Making::Made(derived) => match self.name_tables.get(derived.blob_key(), self.open_names(&derived)).await {
                Ok(table) => Ok(Ok(table)),
                Err(error) => Err(LookupError::Make(error.to_string())),
            },
        }
    }

    async fn open_names(&self, derived: &Derived) -> Result<NameTable, LookupError> {
        let copy = self.derived_copy(derived).await?;
        NameTable::map(&copy).map_err(|error| LookupError::Make(format!("the table cannot be mapped: {error}")))
    }

    /// Makes the table that a job asks for.
    pub(super) async fn build_names(&self, file: &DebugFile, hold: &Hold<'_>) -> Result<Built, BuildError> {
        let make = async {
            let content = self.whole_file(file).await?;
            Ok(self.sandbox.proguard(&content).await?)
        };
        self.build_derived(key(file), sandbox::PROGUARD_VERSION, hold, make).await
    }
}

impl NameTable {
    #[expect(unsafe_code, reason = "a mapped file must not change, and no other process has this one")]
    fn map(file: &File) -> io::Result<Self> {
        // SAFETY: the file is nameless, was written by this process, and is never written again.
        Ok(Self(Arc::new(unsafe { Mmap::map(file)? })))
    }

    /// The bytes, as the child wrote them.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Bytes that it takes.
    pub(super) fn takes(&self) -> u64 {
        self.0.len() as u64
    }
}

impl std::fmt::Debug for NameTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NameTable").field("takes", &self.takes()).finish()
    }
}

/// What makes the table of a mapping.
fn key(file: &DebugFile) -> DerivedKey {
    let version = sandbox::PROGUARD_VERSION.to_owned();
    DerivedKey { debug_file_id: file.id, sort: DerivedSort::Proguard, version }
}
