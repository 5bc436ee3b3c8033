//! From a debug id to its symcache: the row if it stands, a job if it does not, a reason if there can be none.
//!
//! Nothing is made here and no row is deleted. A symcache of another file or format version is never answered; one of
//! another converter is, until that of today's is there.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Symcaches;
use super::mappings::Mappings;
use super::queue::{BuildTask, Urgency, Waited, Wanted};
use super::sandbox::FORMAT_VERSION;
use crate::blobs::BlobError;
use crate::db::{DbError, SymcacheKey};
use crate::debug_files::{WantedId, best};
use crate::types::child_protocol::Statistics;
use crate::types::{
    ArtifactKind, BlobRef, CodeId, DebugFile, DebugId, Features, Format, Sha1, Symcache, SymcacheState,
};

/// Files whose symcaches are queued again when their supplement arrives; those of further files on the next request.
const MAX_REFRESHED: i64 = 1000;

/// A symcache whose bytes are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Row id.
    pub id: i64,
    /// The debug file that it was made from.
    pub debug_file_id: i64,
    /// Checksum of the bytes.
    pub sha1: Sha1,
    /// The bytes.
    pub blob: BlobRef,
    /// Version of the symcache format.
    pub format_version: i64,
    /// Features of the debug file.
    pub features: Features,
    /// What it holds, if that was counted.
    pub statistics: Option<Statistics>,
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
    /// The build failed for a reason that is not the file's; it is queued again when asked again.
    #[error("the symcache could not be built: {0}")]
    Build(String),
    /// The same of another file that is made of debug files.
    #[error("a derived file could not be made: {0}")]
    Make(String),
    /// It is being made, and the longest wait is over.
    #[error("it is not made yet")]
    NotYet,
    /// The organization has as many jobs as it may have.
    #[error("the queue of builds is full")]
    QueueFull,
}

/// What stands of a symcache that is wanted.
enum Found {
    /// This is the answer.
    Settled(Lookup),
    /// It is to be built; until then another version's symcache is the answer.
    Older(Ready, Wanted),
    /// It is to be built.
    Absent(Wanted),
}

impl Symcaches {
    /// Finds the symcache of a debug id, or has it built and waits up to `wait` for it. While the one of today's version
    /// is not there yet, one of another version is answered.
    pub async fn lookup(&self, project_id: i64, debug_id: &DebugId, wait: Duration) -> Result<Lookup, LookupError> {
        let question = (project_id, debug_id.clone());
        if let Some(lookup) = self.recent.get(&question).await {
            return Ok(lookup);
        }
        let until = Instant::now() + wait;
        let lookup = match self.find_now(project_id, debug_id).await? {
            Found::Settled(lookup) => lookup,
            Found::Older(ready, wanted) => {
                self.queue_quietly(&[wanted]).await;
                Lookup::Ready(ready)
            }
            Found::Absent(wanted) => self.build_and_wait(project_id, debug_id, &wanted, until).await?,
        };
        if let Lookup::Ready(_) | Lookup::Malformed(_) = lookup {
            self.recent.set(question, lookup.clone()).await;
        }
        Ok(lookup)
    }

    /// What stands under a debug id, with bytes that are there.
    async fn find_now(&self, project_id: i64, debug_id: &DebugId) -> Result<Found, LookupError> {
        let files = self.db.debug_files_by_id(project_id, std::slice::from_ref(debug_id)).await?;
        let Some(file) = candidate(&files) else { return Ok(Found::Settled(no_candidate(&files))) };
        let mut rows = self.db.symcaches_of(&[file.id]).await?;
        loop {
            let found = self.find_in_use(file, debug_id, &files, &rows).await?;
            match &found {
                Found::Settled(Lookup::Ready(ready)) | Found::Older(ready, _) if !self.bytes_stand(ready).await? => {
                    tracing::warn!(symcache.id = ready.id, "the bytes of a symcache were lost and will be made again");
                    // Its row stays until the job that makes it again replaces it.
                    let lost = ready.id;
                    rows.retain(|row| row.id != lost);
                }
                _ => return Ok(found),
            }
        }
    }

    /// Has a symcache built and waits for it.
    async fn build_and_wait(
        &self,
        project_id: i64,
        debug_id: &DebugId,
        wanted: &Wanted,
        until: Instant,
    ) -> Result<Lookup, LookupError> {
        match self.queue_and_wait(wanted, until).await? {
            Waited::GoesOn => Ok(Lookup::Building),
            Waited::Failed(reason) => Err(LookupError::Build(reason)),
            Waited::Ended => {
                // The worker has read what stands, and replaced it if it was lost.
                for row in self.db.symcaches_of(&[wanted.task.debug_file_id()]).await? {
                    self.trust(row.blob.as_ref()).await;
                }
                match self.find_now(project_id, debug_id).await? {
                    Found::Settled(lookup) => Ok(lookup),
                    Found::Older(ready, _) => Ok(Lookup::Ready(ready)),
                    Found::Absent(_) => Err(LookupError::Build("the log of the worker says why".to_owned())),
                }
            }
        }
    }

    /// Where the symcaches of many debug ids stand. Absent ones are queued; no request waits for them.
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
        let (mut absent, mut older) = (Vec::new(), Vec::new());
        let mut answers = HashMap::with_capacity(by_id.len());
        for (id, same_id) in by_id {
            let lookup = match candidate(&same_id) {
                None => no_candidate(&same_id),
                Some(file) => {
                    let rows = rows.get(&file.id).map_or(&[][..], Vec::as_slice);
                    match self.find_in_use(file, id, &same_id, rows).await? {
                        Found::Settled(lookup) => lookup,
                        Found::Older(ready, wanted) => {
                            older.push(wanted);
                            Lookup::Ready(ready)
                        }
                        Found::Absent(wanted) => {
                            absent.push(wanted);
                            Lookup::Building
                        }
                    }
                }
            };
            answers.insert(id.clone(), lookup);
        }
        self.register_interest(&absent, Urgency::Client).await?;
        self.queue_quietly(&older).await;
        Ok(answers)
    }

    /// Queues the builds that are wanted now that `file`, a name map, has arrived.
    pub async fn refresh_mapped(&self, map: &DebugFile) -> Result<(), LookupError> {
        let ids = match (&map.debug_id_alias, map.format) {
            (_, Format::BcSymbolMap) => {
                // A uuid map may lead from a dSYM's id to this one.
                let maps = self.db.debug_files_by_id(map.project_id, std::slice::from_ref(&map.debug_id)).await?;
                maps.into_iter().map(|file| file.debug_id).chain([map.debug_id.clone()]).collect()
            }
            _ => vec![map.debug_id.clone()],
        };
        let by_id = by_id(&ids, self.db.debug_files_by_id(map.project_id, &ids).await?);
        let mapped = by_id.iter().filter_map(|(id, files)| Some((*id, candidate(files)?)));
        let wanted: Vec<_> = mapped.map(|(id, file)| self.wanted(file, id)).collect();
        // A build that runs at the moment may not know the map.
        match self.queue_builds(&wanted, Urgency::Background).await {
            // The next who asks has it queued.
            Err(LookupError::QueueFull) => Ok(()),
            queued => queued,
        }
    }

    /// Queues the builds that are wanted now that `supplement`, which `dwz` made for other files, has arrived.
    pub async fn refresh_supplemented(&self, supplement: &DebugFile) -> Result<(), LookupError> {
        let Some(code_id) = &supplement.code_id else { return Ok(()) };
        let files = self.db.supplemented_files(supplement.project_id, code_id, MAX_REFRESHED).await?;
        let wanted: Vec<_> = files.iter().map(|file| self.wanted(file, &file.debug_id)).collect();
        match self.queue_builds(&wanted, Urgency::Background).await {
            Err(LookupError::QueueFull) => Ok(()),
            queued => queued,
        }
    }

    /// Counts that a file with debug information is missing that `dwz` moved there.
    pub(super) fn note_missing_supplement(&self, project_id: i64, code_id: &CodeId) {
        let id = WantedId::Code(code_id.as_str().to_owned());
        self.misses.note(project_id, &id, ArtifactKind::DebugInfo.into(), None, "symcache");
    }

    /// What stands of the symcache of `file`, if anything does; nothing is queued.
    pub(super) async fn standing(
        &self,
        file: &DebugFile,
        same_id: &[DebugFile],
        rows: &[Symcache],
    ) -> Result<Option<Lookup>, DbError> {
        let mappings = self.mappings(&file.into(), same_id).await?;
        Ok(match self.find_with(file, &file.debug_id, &mappings, rows)? {
            Found::Settled(lookup) => Some(lookup),
            Found::Older(ready, _) => Some(Lookup::Ready(ready)),
            Found::Absent(_) => None,
        })
    }

    /// The row that is wanted now of `file` and its name maps, out of `rows`. Both count as used.
    async fn find_in_use(
        &self,
        file: &DebugFile,
        debug_id: &DebugId,
        same_id: &[DebugFile],
        rows: &[Symcache],
    ) -> Result<Found, DbError> {
        let mappings = self.mappings(&file.into(), same_id).await?;
        if let Some(id) = mappings.missing_supplement() {
            self.note_missing_supplement(file.project_id, id);
        }
        self.uses.note(mappings.ids().chain([file.id]));
        self.find_with(file, debug_id, &mappings, rows)
    }

    fn find_with(
        &self,
        file: &DebugFile,
        debug_id: &DebugId,
        mappings: &Mappings,
        rows: &[Symcache],
    ) -> Result<Found, DbError> {
        let key = self.key(file.id, mappings.key());
        if let Some(row) = rows.iter().find(|row| is_of(row, &key)) {
            return Ok(Found::Settled(without_names(file, from_row(file, row.clone())?)));
        }
        let wanted = self.wanted(file, debug_id);
        Ok(match older(&key, rows).map(|row| from_row(file, row.clone())).transpose()? {
            Some(Lookup::Ready(ready)) => Found::Older(ready, wanted),
            _ => Found::Absent(wanted),
        })
    }

    /// The symcache of `file` in today's version, with the name maps of the id.
    fn wanted(&self, file: &DebugFile, debug_id: &DebugId) -> Wanted {
        Wanted { project_id: file.project_id, task: self.task_of(file, debug_id) }
    }

    pub(super) fn task_of(&self, file: &DebugFile, debug_id: &DebugId) -> BuildTask {
        BuildTask::Symcache {
            debug_file_id: file.id,
            debug_id: debug_id.clone(),
            format_version: FORMAT_VERSION,
            converter_version: self.converter_version.clone(),
        }
    }

    /// Whether the bytes that a row speaks of are there.
    async fn bytes_stand(&self, ready: &Ready) -> Result<bool, LookupError> {
        self.stands(&ready.blob).await
    }
}

/// The row to be answered while that of `key` is not there: of another converter, before or after this one, in the same
/// format. Best with the same name maps; else with some of them, and never with one that does not apply any more.
fn older<'a>(key: &SymcacheKey, rows: &'a [Symcache]) -> Option<&'a Symcache> {
    let applies = |row: &&Symcache| {
        let mut maps = row.mappings.split('+').filter(|map| !map.is_empty());
        row.debug_file_id == key.debug_file_id
            && row.state == SymcacheState::Ready
            && row.format_version == key.format_version
            && row.converter_version != key.converter_version
            && maps.all(|map| key.mappings.split('+').any(|wanted| wanted == map))
    };
    rows.iter().filter(applies).max_by_key(|row| (row.mappings == key.mappings, row.id))
}

/// The newest file with debug information, or else the newest with a table of symbols.
pub fn candidate(same_id: &[DebugFile]) -> Option<&DebugFile> {
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

fn from_row(file: &DebugFile, row: Symcache) -> Result<Lookup, DbError> {
    match (row.state, row.sha1, row.blob) {
        (SymcacheState::Ready, Some(sha1), Some(blob)) => {
            let (id, debug_file_id, format_version) = (row.id, row.debug_file_id, row.format_version);
            let (features, statistics) = (file.features, row.statistics);
            Ok(Lookup::Ready(Ready { id, debug_file_id, sha1, blob, format_version, features, statistics }))
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
        (Some(file), _) if file.is_supplement => Lookup::Unsupported(
            "`dwz` made this file: it has what the debug information of other files has in common, and no addresses."
                .to_owned(),
        ),
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
