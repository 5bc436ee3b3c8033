//! Which events go: by age, by number, by quota, and what belongs to none any more. The first event of an issue stays as long as
//! the issue, and no count is lowered.

use chrono::TimeDelta;

use super::Events;
use super::settings::EventRule;
use crate::blobs::{BlobError, BlobKey};
use crate::db::DbError;

/// Events that are deleted at a time.
const BATCH: i64 = 1_000;
/// How long what could not be digested is kept.
const REJECTED: TimeDelta = TimeDelta::days(7);

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpiredEvents {
    /// Events.
    pub events: u64,
    /// Attachments without an event.
    pub attachments: u64,
    /// Records that could not be digested.
    pub rejected: u64,
}

/// Why nothing more went.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// Rows.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Bytes.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl Events {
    /// Deletes what rules and quotas of projects take away.
    pub async fn expire(&self) -> Result<ExpiredEvents, RetentionError> {
        let now = self.clock.now();
        let mut gone =
            ExpiredEvents { rejected: self.db.delete_old_rejected(now - REJECTED).await?, ..Default::default() };
        for project_id in self.db.projects_with_event_settings().await? {
            let settings = self.db.event_settings(project_id).await?;
            for rule in settings.event_retention.iter().filter_map(|rule| EventRule::of(rule)) {
                gone.events += self.expire_by(project_id, rule).await?;
            }
            gone.events +=
                self.expire_over_quota(project_id, settings.quota_events, settings.quota_event_bytes).await?;
        }
        let grace = TimeDelta::from_std(self.settings.attachment_grace).unwrap_or(TimeDelta::days(1));
        loop {
            let keys = self.db.delete_orphaned_attachments(now - grace, BATCH).await?;
            if keys.is_empty() {
                return Ok(gone);
            }
            gone.attachments += keys.len() as u64;
            self.delete_bytes(&keys).await?;
        }
    }

    async fn expire_by(&self, project_id: i64, rule: EventRule) -> Result<u64, RetentionError> {
        let mut gone = 0;
        loop {
            let ids = match rule {
                EventRule::Keep => return Ok(gone),
                EventRule::Days(days) => {
                    let before = self.clock.now() - TimeDelta::days(days.into());
                    self.db.events_received_before(project_id, before, BATCH).await?
                }
                EventRule::Newest(keep) => self.db.events_behind_newest(project_id, keep.into(), BATCH).await?,
                EventRule::NewestOfIssue(keep) => {
                    self.db.events_behind_newest_of_issue(project_id, keep.into(), BATCH).await?
                }
            };
            if ids.is_empty() {
                return Ok(gone);
            }
            gone += self.delete(&ids).await?;
        }
    }

    async fn expire_over_quota(&self, project_id: i64, most: i64, bytes: i64) -> Result<u64, RetentionError> {
        let mut gone = 0;
        loop {
            let (events, size) = self.db.stored_events(project_id).await?;
            let over = if most > 0 { events - most } else { 0 };
            // By the average: the next look says whether it was enough.
            let over_bytes = if bytes > 0 && size > bytes { (size - bytes) * events / size.max(1) + 1 } else { 0 };
            let over = over.max(over_bytes).min(BATCH);
            if over <= 0 {
                return Ok(gone);
            }
            let ids = self.db.events_received_before(project_id, self.clock.now() + TimeDelta::days(1), over).await?;
            if ids.is_empty() {
                return Ok(gone);
            }
            gone += self.delete(&ids).await?;
        }
    }

    /// Deletes events with what came with them. Counts stay.
    pub async fn delete(&self, ids: &[i64]) -> Result<u64, RetentionError> {
        let (events, keys) = self.db.delete_events(ids).await?;
        self.delete_bytes(&keys).await?;
        Ok(events)
    }

    /// Deletes bytes that no row refers to any more.
    pub async fn delete_bytes(&self, keys: &[String]) -> Result<(), BlobError> {
        let keys: Vec<_> = keys.iter().map(|key| BlobKey::from_row(key)).collect();
        self.blobs.delete(&keys).await
    }
}
