//! The tables of the modules that a stack goes through: found in the projects that the asker may read, queued where they are
//! not there yet, and a reason for each that cannot be had. It never makes one module wait for the fault of another.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;

use super::lookup::candidate;
use super::{Lookup, LookupError, Symcaches, Table};
use crate::types::{DebugFile, DebugId};

/// Tables that one question finds or waits for at a time.
const AT_A_TIME: usize = 8;

/// Why a module has no table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absence {
    /// There is no debug file of its id.
    NoDebugFile,
    /// There is one, of which no table can be made; the sentence says why.
    Unusable(String),
    /// None of its files has what a table is made of; the sentence says what to upload.
    Unsupported(String),
    /// It is being made, or could not be made just now.
    NotYet(String),
}

/// The tables of modules by debug id, or why there is none.
pub type Tables = HashMap<DebugId, Result<Table, Absence>>;

impl Symcaches {
    /// The tables of these debug ids, from the newest debug files in these projects. Waits up to `wait` for what is built.
    pub async fn tables(
        &self,
        project_ids: &[i64],
        debug_ids: &[DebugId],
        wait: Duration,
    ) -> Result<Tables, LookupError> {
        let files = self.db.debug_files_of_projects(project_ids, debug_ids, &[]).await?;
        let until = Instant::now() + wait;
        let files = files.as_slice();
        // All are queued before the first is waited for.
        for (project_id, ids) in asked_in(files, debug_ids) {
            self.status(project_id, &ids).await?;
        }
        let found = stream::iter(debug_ids.to_vec()).map(|id| async move {
            let table = self.table_of(files, &id, until).await?;
            Ok::<_, LookupError>((id, table))
        });
        found.buffer_unordered(AT_A_TIME).try_collect().await
    }

    async fn table_of(
        &self,
        files: &[DebugFile],
        id: &DebugId,
        until: Instant,
    ) -> Result<Result<Table, Absence>, LookupError> {
        let Some(file) = file_of(files, id) else { return Ok(Err(Absence::NoDebugFile)) };
        let wait = until.saturating_duration_since(Instant::now());
        let ready = match self.lookup(file.project_id, id, wait).await {
            Ok(Lookup::Ready(ready)) => ready,
            Ok(Lookup::Malformed(reason)) => return Ok(Err(Absence::Unusable(reason))),
            Ok(Lookup::Unsupported(reason)) => return Ok(Err(Absence::Unsupported(reason))),
            Ok(Lookup::Missing) => return Ok(Err(Absence::NoDebugFile)),
            Ok(Lookup::Building) => {
                let sentence = "The symcache of this module is being built. Ask again.";
                return Ok(Err(Absence::NotYet(sentence.to_owned())));
            }
            Err(LookupError::Build(_) | LookupError::QueueFull) => return Ok(Err(later())),
            Err(error) => return Err(error),
        };
        self.table(&ready)
            .await
            .map_err(|error| {
                tracing::warn!(symcache.id = ready.id, %error, "a symcache could not be opened");
                later()
            })
            .map_or_else(|absence| Ok(Err(absence)), |table| Ok(Ok(table)))
    }
}

/// The file of an id that is looked at first.
fn file_of(files: &[DebugFile], id: &DebugId) -> Option<DebugFile> {
    let is_of = |file: &&DebugFile| file.debug_id == *id || file.debug_id_alias.as_ref() == Some(id);
    let mut of_id: Vec<_> = files.iter().filter(is_of).cloned().collect();
    let best = candidate(&of_id).map_or(0, |best| of_id.iter().position(|file| file.id == best.id).unwrap_or(0));
    (!of_id.is_empty()).then(|| of_id.swap_remove(best))
}

/// The ids that have a file, by the project that their file is in.
fn asked_in(files: &[DebugFile], debug_ids: &[DebugId]) -> BTreeMap<i64, Vec<DebugId>> {
    let mut asked: BTreeMap<i64, Vec<DebugId>> = BTreeMap::new();
    for id in debug_ids {
        if let Some(file) = file_of(files, id) {
            asked.entry(file.project_id).or_default().push(id.clone());
        }
    }
    asked
}

fn later() -> Absence {
    Absence::NotYet("The symcache of this module could not be had just now. Ask again.".to_owned())
}
