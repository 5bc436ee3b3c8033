//! Tables of call frame information: made of debug files by the child process, kept like every derived file, and handed to the
//! child that walks a dump. They are never read here.

use std::fs::File;
use std::time::Duration;

use super::build::{BuildError, Built, Hold};
use super::derived::Making;
use super::lookup::LookupError;
use super::queue::{BuildTask, Wanted};
use super::{Lookup, Symcaches, sandbox};
use crate::types::{DebugFile, DebugId, DerivedKey, DerivedSort};

impl Symcaches {
    /// The table of a debug file in a nameless temp file, or a sentence why there is none.
    pub async fn cfi_table(&self, file: &DebugFile) -> Result<Result<File, String>, LookupError> {
        let key = key(file);
        let task = BuildTask::Cfi { debug_file_id: file.id, version: key.version.clone() };
        match self.derived(&key, &Wanted { project_id: file.project_id, task }).await? {
            Making::Malformed(reason) => Ok(Err(reason)),
            Making::Made(derived) => Ok(Ok(self.derived_copy(&derived).await?)),
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
            Lookup::Ready(ready) => {
                let copied = self.symcache_copy(&ready).await;
                copied.map(Some).map_err(|error| LookupError::Make(error.to_string()))
            }
            _ => Ok(None),
        }
    }

    /// Makes the table that a job asks for.
    pub(super) async fn build_cfi(&self, file: &DebugFile, hold: &Hold<'_>) -> Result<Built, BuildError> {
        let make = async {
            let content = self.whole_file(file).await?;
            Ok(self.sandbox.cfi(&content, &file.debug_id).await?)
        };
        self.build_derived(key(file), sandbox::CFI_VERSION, hold, make).await
    }
}

/// What makes the table of a file.
fn key(file: &DebugFile) -> DerivedKey {
    DerivedKey { debug_file_id: file.id, sort: DerivedSort::Cfi, version: sandbox::CFI_VERSION.to_owned() }
}
