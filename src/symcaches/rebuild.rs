//! Having old symcaches made again by today's converter before anybody asks for them. It queues a few files at a time, so
//! that uploads and clients never wait behind a rebuild, and converts nothing itself.

use std::collections::HashSet;

use super::lookup::candidate;
use super::queue::{Urgency, Wanted};
use super::sandbox::FORMAT_VERSION;
use super::{LookupError, Symcaches};
use crate::db::{DbError, StaleFiles};
use crate::types::{DebugFile, JobKind};

/// Files that are looked at in one go, and queued at most at a time.
const PAGE: i64 = 16;

/// A page of files whose symcaches are old.
#[derive(Debug, Default)]
pub struct RebuildPage {
    /// Row id of the last file, where the next page begins; `None` after the last page.
    pub last: Option<i64>,
    /// Files that were looked at.
    pub files: usize,
    queued: Vec<(DebugFile, String)>,
}

impl Symcaches {
    /// How many files of a project, or of all, have no symcache of today's converter.
    pub async fn stale_files(&self, project_id: Option<i64>) -> Result<i64, DbError> {
        self.db.count_stale_files(&self.stale(project_id)).await
    }

    /// Queues the next page of them behind the file `after`.
    pub async fn queue_rebuild(&self, project_id: Option<i64>, after: i64) -> Result<RebuildPage, LookupError> {
        let files = self.db.stale_files(&self.stale(project_id), after, PAGE).await?;
        let mut page = RebuildPage { last: files.last().map(|file| file.id), files: files.len(), queued: Vec::new() };
        for file in files {
            let same_id = self.db.debug_files_by_id(file.project_id, std::slice::from_ref(&file.debug_id)).await?;
            // Of the others of an id no symcache is made.
            if candidate(&same_id).is_none_or(|newest| newest.id != file.id) {
                continue;
            }
            let task = self.task_of(&file, &file.debug_id);
            let key = task.key();
            self.queue_builds(&[Wanted { project_id: file.project_id, task }], Urgency::Background).await?;
            page.queued.push((file, key));
        }
        Ok(page)
    }

    /// How many files of a page still wait for a worker, or are being worked on.
    pub async fn waiting_rebuilds(&self, page: &RebuildPage) -> Result<usize, DbError> {
        let keys: Vec<_> = page.queued.iter().map(|(_, key)| key.clone()).collect();
        Ok(self.db.queued_jobs(JobKind::Symcache, &keys, self.clock.now()).await?.len())
    }

    /// Of a page that no job waits for: how many files have a symcache of today's converter now, or the reason why not.
    pub async fn rebuilt(&self, page: &RebuildPage) -> Result<usize, DbError> {
        let ids: Vec<_> = page.queued.iter().map(|(file, _)| file.id).collect();
        let rows = self.db.symcaches_of(&ids).await?;
        let ours = rows
            .iter()
            .filter(|row| row.format_version == FORMAT_VERSION && row.converter_version == self.converter_version);
        Ok(ours.map(|row| row.debug_file_id).collect::<HashSet<_>>().len())
    }

    fn stale(&self, project_id: Option<i64>) -> StaleFiles {
        let converter_version = self.converter_version.clone();
        StaleFiles { project_id, format_version: FORMAT_VERSION, converter_version }
    }
}

impl RebuildPage {
    /// Files whose symcaches were queued.
    pub fn queued(&self) -> usize {
        self.queued.len()
    }
}
