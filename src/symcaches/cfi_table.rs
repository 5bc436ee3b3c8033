//! Tables of call frame information: made of debug files by the child process, kept like every derived file, and handed to the
//! child that walks a dump. They are never read here.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use super::build::{BuildError, Built, Hold};
use super::derived::Making;
use super::lookup::LookupError;
use super::queue::{BuildTask, Wanted};
use super::table::TableError;
use super::{Lookup, Symcaches, sandbox};
use crate::types::{BlobRef, DebugFile, DebugId, DerivedKey, DerivedSort};
use crate::uploads::write_pieces;

impl Symcaches {
    /// The table of a debug file in a nameless temp file, or a sentence why there is none.
    pub async fn cfi_table(&self, file: &DebugFile) -> Result<Result<File, String>, LookupError> {
        let key = key(file);
        let task = BuildTask::Cfi { debug_file_id: file.id, version: key.version.clone() };
        match self.derived(&key, &Wanted { project_id: file.project_id, task }).await? {
            Making::Malformed(reason) => Ok(Err(reason)),
            Making::Made(derived) => Ok(Ok(self.copy_of(derived.blob()).await?)),
        }
    }

    /// The symcache of a debug id in a nameless temp file, if there is one in time.
    pub async fn symcache_file(
        &self,
        project_id: i64,
        id: &DebugId,
        wait: Duration,
    ) -> Result<Option<File>, LookupError> {
        match self.lookup(project_id, id, wait).await? {
            Lookup::Ready(ready) => Ok(Some(self.copy_of(&ready.blob).await?)),
            _ => Ok(None),
        }
    }

    async fn copy_of(&self, blob: &BlobRef) -> Result<File, LookupError> {
        let copied = write_pieces(Arc::clone(&self.blobs), &self.temp_dir, vec![blob.clone()]).await;
        let copied = copied.map_err(TableError::from);
        copied.map(|(file, _)| file).map_err(|error| LookupError::Make(error.to_string()))
    }

    /// Makes the table that a job asks for.
    pub(super) async fn build_cfi(&self, file: &DebugFile, hold: &Hold<'_>) -> Result<Built, BuildError> {
        let key = key(file);
        let lease = hold.unless_foreign(&key.version).cloned();
        let Ok(replaces) = self.derived_to_replace(&key).await? else {
            return Ok(Built::standing(lease.as_ref()));
        };
        let conversion = {
            let content = self.whole_file(file).await?;
            self.sandbox.cfi(&content, &file.debug_id).await?
        };
        let this = self.clone();
        let storing =
            async move { this.store_derived(&key, sandbox::CFI_VERSION, replaces, lease.as_ref(), &conversion).await };
        self.to_the_end(storing).await
    }
}

/// What makes the table of a file.
fn key(file: &DebugFile) -> DerivedKey {
    DerivedKey { debug_file_id: file.id, sort: DerivedSort::Cfi, version: sandbox::CFI_VERSION.to_owned() }
}
