//! Many files deleted at once, by a filter. What is acknowledged to an uploader after the deletion began stays: whoever
//! asks for one of the files then renews it, and a file that was renewed since it was found is left alone.

use chrono::{DateTime, TimeDelta, Utc};

use super::glob_matches;
use crate::blobs::{BlobError, BlobKey, BlobStore};
use crate::cache::StatusCache;
use crate::clock::Clock;
use crate::db::{Db, DbError, Leaving, Reason};
use crate::types::{DebugFile, DebugId};

/// Files looked at, or deleted, with one question.
const BATCH: i64 = 200;

/// What is kept of a file that went this way, where a rule would stand.
const WORDS: &str = "files delete";

/// Longer than any file is kept.
const FOREVER: TimeDelta = TimeDelta::days(40_000);

/// Which files are meant. Empty fields do not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BulkFilter {
    /// Those that were last uploaded before.
    pub uploaded_before: Option<DateTime<Utc>>,
    /// Those of this debug id, own or alias.
    pub debug_id: Option<DebugId>,
    /// Those whose name this pattern describes.
    pub name: Option<String>,
}

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BulkDeleted {
    /// Files.
    pub files: u64,
    /// Bytes at rest that nobody needs any more.
    pub freed: u64,
}

/// Why a deletion was broken off. It can be begun anew at any time.
#[derive(Debug, thiserror::Error)]
pub enum BulkError {
    /// Rows.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Bytes.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl BulkFilter {
    /// Whether it means all files.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

/// Announces a deletion and returns when it was announced. Files that are uploaded or asked for from now on stay.
pub async fn announce(db: &Db, clock: &Clock, project_id: i64) -> Result<DateTime<Utc>, DbError> {
    let now = clock.now();
    db.begin_deletes(project_id, now).await?;
    Ok(now)
}

/// The files that the filter means, of those that were uploaded before `now`. `each` hears of every one.
pub async fn find_many(
    db: &Db,
    project_id: i64,
    filter: &BulkFilter,
    now: DateTime<Utc>,
    mut each: impl FnMut(&DebugFile, DateTime<Utc>),
) -> Result<Vec<Leaving>, DbError> {
    let before = filter.uploaded_before.map_or(now, |before| before.min(now));
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let page =
            db.files_to_delete(project_id, before, filter.debug_id.as_ref(), filter.name.as_deref(), after, BATCH);
        let page = page.await?;
        let Some((last, _)) = page.last() else { return Ok(found) };
        after = last.id;
        for (file, leaving) in &page {
            if filter.name.as_deref().is_none_or(|name| glob_matches(name, &file.object_name)) {
                each(file, leaving.at);
                found.push(*leaving);
            }
        }
    }
}

/// Deletes those of the files that are as they were found: rows first, a batch at a time, and bytes after.
pub async fn delete_many(
    db: &Db,
    blobs: &dyn BlobStore,
    status: &StatusCache,
    clock: &Clock,
    project_id: i64,
    found: &[Leaving],
) -> Result<BulkDeleted, BulkError> {
    let mut deleted = BulkDeleted::default();
    for batch in found.chunks(usize::try_from(BATCH).unwrap_or(usize::MAX)) {
        let now = clock.now();
        let always = now + FOREVER;
        let reason = Reason { words: WORDS, uploaded_before: always, used_before: always, retention: None };
        let gone = db.expire_files(project_id, batch, &reason, now).await?;
        let traces = db.forget_traces(project_id, &gone.files).await?;
        for file in &gone.files {
            status.clear(project_id, file.sha1).await;
            tracing::info!(debug_file.id = file.id, project.id = project_id, "debug file deleted");
        }
        let keys: Vec<_> = gone.keys.iter().chain(&traces).map(|key| BlobKey::from_row(key)).collect();
        blobs.delete(&keys).await?;
        deleted.files += gone.files.len() as u64;
        deleted.freed += gone.weight.freed();
    }
    Ok(deleted)
}
