//! From a debug id to its symcache: the row if it stands, a build if it does not, a reason if there can be none.
//!
//! A symcache of another file, format version or converter is never answered.

use std::collections::HashMap;
use std::time::Duration;

use super::mappings::{MappingError, Mappings};
use super::store::{StoreError, store};
use super::{Symcaches, sandbox};
use crate::blobs::{BlobError, BlobKey};
use crate::db::{DbError, SymcacheKey};
use crate::debug_files::best;
use crate::types::{BlobRef, DebugFile, DebugId, Features, Format, Sha1, Symcache, SymcacheState};

/// A symcache whose bytes are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Row id.
    pub id: i64,
    /// Checksum of the bytes.
    pub sha1: Sha1,
    /// The bytes.
    pub blob: BlobRef,
    /// Version of the symcache format.
    pub format_version: i64,
}

/// What a look-up comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Here it is.
    Ready(Ready),
    /// It is being made.
    Building,
    /// The debug file cannot be converted; the sentence says why.
    Malformed(String),
    /// There is a file of this id and none that could have a symcache; the sentence says why.
    Unsupported(String),
    /// There is no file of this id.
    Missing,
}

/// A surprise during a look-up.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// Rows.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Bytes.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The build failed for a reason that is not the file's; it is begun anew when asked again.
    #[error("the symcache could not be built: {0}")]
    Build(String),
    /// The same of another file that is made of debug files.
    #[error("a derived file could not be made: {0}")]
    Make(String),
}

/// What a build came to. The error is a sentence, because several askers share it.
pub(super) type Landing = Result<Symcache, String>;

/// What is found before anything is built.
enum Found {
    Settled(Lookup),
    Absent(Box<Absent>),
}

/// A symcache that is to be built.
struct Absent {
    file: DebugFile,
    mappings: Mappings,
    key: SymcacheKey,
}

impl Symcaches {
    /// Finds the symcache of a debug id, or has it built and waits up to `wait` for it.
    pub async fn lookup(&self, project_id: i64, debug_id: &DebugId, wait: Duration) -> Result<Lookup, LookupError> {
        let question = (project_id, debug_id.clone());
        if let Some(lookup) = self.recent.get(&question).await {
            return Ok(lookup);
        }
        let files = self.db.debug_files_by_id(project_id, std::slice::from_ref(debug_id)).await?;
        let Some(file) = candidate(&files) else { return Ok(no_candidate(&files)) };
        let rows = self.db.symcaches_of(&[file.id]).await?;
        let mut found = self.find_in_use(file, &files, &rows).await?;
        if let Found::Settled(Lookup::Ready(ready)) = &found
            && !self.bytes_stand(ready).await?
        {
            self.forget_lost(ready, &BlobError::Missing(ready.blob.key.clone())).await;
            found = self.find(file, &files, &[]).await?;
        }
        let lookup = match found {
            Found::Settled(lookup) => lookup,
            Found::Absent(absent) => self.build_and_wait(*absent, wait).await?,
        };
        if let Lookup::Ready(_) | Lookup::Malformed(_) = lookup {
            self.recent.set(question, lookup.clone()).await;
        }
        Ok(lookup)
    }

    /// Where the symcaches of many debug ids stand. Absent ones are begun; nobody waits for them.
    pub async fn status(
        &self,
        project_id: i64,
        debug_ids: &[DebugId],
    ) -> Result<HashMap<DebugId, Lookup>, LookupError> {
        let by_id = by_id(debug_ids, self.db.debug_files_by_id(project_id, debug_ids).await?);
        let candidates: Vec<_> = by_id.values().filter_map(|files| candidate(files)).map(|file| file.id).collect();
        let mut rows: HashMap<i64, Vec<Symcache>> = HashMap::new();
        for row in self.db.symcaches_of(&candidates).await? {
            rows.entry(row.debug_file_id).or_default().push(row);
        }
        let mut answers = HashMap::with_capacity(by_id.len());
        for (id, same_id) in by_id {
            let lookup = match candidate(&same_id) {
                None => no_candidate(&same_id),
                Some(file) => {
                    let rows = rows.get(&file.id).map_or(&[][..], Vec::as_slice);
                    match self.find_in_use(file, &same_id, rows).await? {
                        Found::Settled(lookup) => lookup,
                        Found::Absent(absent) => self.build_and_wait(*absent, Duration::ZERO).await?,
                    }
                }
            };
            answers.insert(id.clone(), lookup);
        }
        Ok(answers)
    }

    /// Begins the builds that are wanted now that `file`, a name map, has arrived.
    pub async fn refresh_mapped(&self, map: &DebugFile) -> Result<(), LookupError> {
        let ids = match (&map.debug_id_alias, map.format) {
            (_, Format::BcSymbolMap) => {
                // A uuid map may lead from a dSYM's id to this one.
                let maps = self.db.debug_files_by_id(map.project_id, std::slice::from_ref(&map.debug_id)).await?;
                maps.into_iter().map(|file| file.debug_id).chain([map.debug_id.clone()]).collect()
            }
            _ => vec![map.debug_id.clone()],
        };
        self.status(map.project_id, &ids).await?;
        Ok(())
    }

    /// What stands of the symcache of `file`, if anything does; nothing is begun.
    pub(super) async fn standing(
        &self,
        file: &DebugFile,
        same_id: &[DebugFile],
        rows: &[Symcache],
    ) -> Result<Option<Lookup>, DbError> {
        Ok(match self.find(file, same_id, rows).await? {
            Found::Settled(lookup) => Some(lookup),
            Found::Absent(_) => None,
        })
    }

    /// The row that is wanted now of `file` and its name maps, out of `rows`.
    async fn find(&self, file: &DebugFile, same_id: &[DebugFile], rows: &[Symcache]) -> Result<Found, DbError> {
        let mappings = self.mappings(file.project_id, file.format, same_id).await?;
        self.find_with(file, mappings, rows)
    }

    /// The same for somebody who uses it, and its name maps with it.
    async fn find_in_use(&self, file: &DebugFile, same_id: &[DebugFile], rows: &[Symcache]) -> Result<Found, DbError> {
        let mappings = self.mappings(file.project_id, file.format, same_id).await?;
        self.uses.note(mappings.ids().chain([file.id]));
        self.find_with(file, mappings, rows)
    }

    fn find_with(&self, file: &DebugFile, mappings: Mappings, rows: &[Symcache]) -> Result<Found, DbError> {
        let key = self.key(file.id, mappings.key());
        Ok(match rows.iter().find(|row| is_of(row, &key)) {
            Some(row) => Found::Settled(without_names(file, from_row(row.clone())?)),
            None => Found::Absent(Box::new(Absent { file: file.clone(), mappings, key })),
        })
    }

    /// Whether the bytes that a row speaks of are there.
    async fn bytes_stand(&self, ready: &Ready) -> Result<bool, LookupError> {
        let stored = self.blobs.stored_size(&BlobKey::from_row(&ready.blob.key)).await?;
        Ok(stored == Some(ready.blob.stored_size))
    }

    async fn build_and_wait(&self, absent: Absent, wait: Duration) -> Result<Lookup, LookupError> {
        let Absent { file, mappings, key } = absent;
        let this = self.clone();
        let (file_id, wanted) = (file.id, key.clone());
        let mut landing = self.flights.join(&key, &self.tracker, || async move {
            this.build(&file, &mappings, &wanted).await.map_err(|error| {
                tracing::warn!(debug_file.id = file_id, error = %error, "a symcache could not be built");
                error.to_string()
            })
        });
        let landed = tokio::time::timeout(wait, landing.wait_for(Option::is_some)).await;
        match landed {
            Err(_elapsed) => Ok(Lookup::Building),
            Ok(Ok(landed)) => landing_to_lookup(landed.as_ref()),
            Ok(Err(_gone)) => Err(LookupError::Build("the build was interrupted; ask again".to_owned())),
        }
    }

    /// Builds and stores one symcache.
    async fn build(&self, file: &DebugFile, mappings: &Mappings, key: &SymcacheKey) -> Result<Symcache, BuildError> {
        let content = self.whole_file(file).await?;
        let maps = self.mapping_files(mappings).await?;
        let conversion = self.sandbox.convert(&content, &file.debug_id, &maps).await?;
        let row = store(&self.db, &self.blobs, &self.clock, key, &conversion).await?;
        self.drop_old(key).await?;
        tracing::info!(debug_file.id = file.id, symcache.state = %row.state, "symcache built");
        Ok(row)
    }

    /// Removes the symcaches of a debug file that nobody asks for any more: rows first, bytes after.
    pub(super) async fn drop_old(&self, current: &SymcacheKey) -> Result<(), StoreError> {
        let keys = self.db.delete_other_symcaches(current).await?;
        let keys: Vec<_> = keys.iter().map(|key| BlobKey::from_row(key)).collect();
        self.blobs.delete(&keys).await?;
        Ok(())
    }
}

/// Why a build failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    /// Bytes that it is made from.
    #[error(transparent)]
    Bytes(#[from] MappingError),
    /// The child process.
    #[error(transparent)]
    Sandbox(#[from] sandbox::SandboxError),
    /// What was made cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The newest file with debug information, or else the newest with a table of symbols.
pub(super) fn candidate(same_id: &[DebugFile]) -> Option<&DebugFile> {
    same_id.iter().find(|file| file.wants_symcache()).or_else(|| same_id.iter().find(|file| file.has_names()))
}

/// Whether a row is of exactly this key.
fn is_of(row: &Symcache, key: &SymcacheKey) -> bool {
    row.debug_file_id == key.debug_file_id
        && row.format_version == key.format_version
        && row.converter_version == key.converter_version
        && row.mappings == key.mappings
}

/// The files of each id, in the order given; a file that is found under two of the ids belongs to both.
fn by_id(debug_ids: &[DebugId], files: Vec<DebugFile>) -> HashMap<&DebugId, Vec<DebugFile>> {
    let mut by_id: HashMap<_, Vec<DebugFile>> = debug_ids.iter().map(|id| (id, Vec::new())).collect();
    for file in files {
        let alias = file.debug_id_alias.as_ref().filter(|alias| **alias != file.debug_id);
        for id in [Some(&file.debug_id), alias].into_iter().flatten() {
            if let Some(same_id) = by_id.get_mut(id) {
                same_id.push(file.clone());
            }
        }
    }
    by_id
}

fn landing_to_lookup(landing: Option<&Landing>) -> Result<Lookup, LookupError> {
    match landing {
        Some(Ok(row)) => Ok(from_row(row.clone())?),
        Some(Err(reason)) => Err(LookupError::Build(reason.clone())),
        None => Ok(Lookup::Building),
    }
}

fn from_row(row: Symcache) -> Result<Lookup, DbError> {
    match (row.state, row.sha1, row.blob) {
        (SymcacheState::Ready, Some(sha1), Some(blob)) => {
            Ok(Lookup::Ready(Ready { id: row.id, sha1, blob, format_version: row.format_version }))
        }
        (SymcacheState::Malformed, ..) => Ok(Lookup::Malformed(row.detail.unwrap_or_default())),
        (SymcacheState::Ready, ..) => {
            Err(DbError::BadRow { table: "symcaches", reason: format!("row {} is ready and has no bytes", row.id) })
        }
    }
}

/// A file without debug information whose table of symbols names no code is no fault of the uploader: it is a stripped one.
fn without_names(file: &DebugFile, lookup: Lookup) -> Lookup {
    match lookup {
        Lookup::Malformed(_) if !file.wants_symcache() => no_candidate(std::slice::from_ref(file)),
        other => other,
    }
}

/// Why none of the files of an id can have a symcache.
fn no_candidate(same_id: &[DebugFile]) -> Lookup {
    let with_debug = best(same_id, Features::DEBUG);
    match (with_debug, same_id.first()) {
        (Some(file), _) => {
            Lookup::Unsupported(format!("A symcache maps addresses, and files of format {} have none.", file.format))
        }
        (None, Some(file)) => Lookup::Unsupported(format!(
            "The {} file of this id ({}) has no debug information; upload the file that has it.",
            file.format, file.object_name
        )),
        (None, None) => Lookup::Missing,
    }
}
