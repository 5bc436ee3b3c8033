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
use super::table::TableError;
use super::{Symcaches, sandbox};
use crate::blobs::BlobError;
use crate::types::{DebugFile, DerivedKey, DerivedSort};
use crate::uploads::write_pieces;

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
            Making::Made(derived) => match self.name_tables.get(&derived.blob().key, self.open_names(&derived)).await {
                Ok(table) => Ok(Ok(table)),
                Err(error) => Err(LookupError::Make(error.to_string())),
            },
        }
    }

    async fn open_names(&self, derived: &Derived) -> Result<NameTable, TableError> {
        let pieces = vec![derived.blob().clone()];
        let (copy, sha1) = write_pieces(Arc::clone(&self.blobs), &self.temp_dir, pieces).await?;
        if sha1 != derived.sha1 {
            let reason = "its content does not have its checksum".to_owned();
            return Err(BlobError::Damaged { key: derived.blob().key.clone(), reason }.into());
        }
        Ok(NameTable::map(&copy)?)
    }

    /// Makes the table that a job asks for.
    pub(super) async fn build_names(&self, file: &DebugFile, hold: &Hold<'_>) -> Result<Built, BuildError> {
        let key = key(file);
        let lease = hold.unless_foreign(&key.version).cloned();
        let Ok(replaces) = self.derived_to_replace(&key).await? else {
            return Ok(Built::standing(lease.as_ref()));
        };
        let conversion = {
            let content = self.whole_file(file).await?;
            self.sandbox.proguard(&content).await?
        };
        let this = self.clone();
        let storing = async move {
            this.store_derived(&key, sandbox::PROGUARD_VERSION, replaces, lease.as_ref(), &conversion).await
        };
        self.to_the_end(storing).await
    }
}

impl NameTable {
    #[expect(unsafe_code, reason = "a mapped file must not change, and nobody else has this one")]
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
