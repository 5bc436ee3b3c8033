//! Which events go: by age, by number, by quota, and what belongs to none any more. The first event of an issue stays as long as
//! the issue, and no count is lowered.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::Events;
use super::settings::EventRule;
use crate::blobs::{BlobError, BlobKey};
use crate::db::DbError;
use crate::types::EventSettings;

/// Events that are deleted at a time.
const BATCH: usize = 1_000;
/// How long what could not be digested is kept.
const REJECTED: TimeDelta = TimeDelta::days(7);

/// Whether anything goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It goes.
    Remove,
    /// It is only counted.
    DryRun,
}

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
    /// Deletes what rules and quotas of projects take away, or only counts it.
    pub async fn expire(&self, mode: Mode) -> Result<ExpiredEvents, RetentionError> {
        let now = self.clock.now();
        let mut gone = ExpiredEvents::default();
        if mode == Mode::Remove {
            gone.rejected = self.db.delete_old_rejected(now - REJECTED).await?;
        }
        for project_id in self.db.projects_with_event_settings().await? {
            let settings = self.db.event_settings(project_id).await?;
            let leaving: Vec<i64> = self.leaving(project_id, &settings).await?.into_iter().collect();
            for batch in leaving.chunks(BATCH) {
                gone.events += match mode {
                    Mode::DryRun => batch.len() as u64,
                    Mode::Remove => self.delete(batch).await?,
                };
            }
        }
        let grace = TimeDelta::from_std(self.settings.attachment_grace).unwrap_or(TimeDelta::days(1));
        if mode == Mode::DryRun {
            gone.attachments = self.db.orphaned_attachments(now - grace).await?;
            return Ok(gone);
        }
        loop {
            let keys = self.db.delete_orphaned_attachments(now - grace, BATCH as i64).await?;
            if keys.is_empty() {
                return Ok(gone);
            }
            gone.attachments += keys.len() as u64;
            self.delete_bytes(&keys).await?;
        }
    }

    /// The events of a project that its rules and quotas take away.
    async fn leaving(&self, project_id: i64, settings: &EventSettings) -> Result<BTreeSet<i64>, DbError> {
        let now = self.clock.now();
        let mut leaving = BTreeSet::new();
        for rule in settings.event_retention.iter().filter_map(|rule| EventRule::of(rule)) {
            leaving.extend(match rule {
                EventRule::Keep => Vec::new(),
                EventRule::Days(days) => {
                    let before = now - TimeDelta::days(days.into());
                    self.db.events_received_before(project_id, before).await?.into_iter().map(|(id, _)| id).collect()
                }
                EventRule::Newest(keep) => self.db.events_behind_newest(project_id, keep.into()).await?,
                EventRule::NewestOfIssue(keep) => {
                    self.db.events_behind_newest_of_issue(project_id, keep.into()).await?
                }
            });
        }
        if settings.quota_events == 0 && settings.quota_event_bytes == 0 {
            return Ok(leaving);
        }
        let (mut events, mut bytes) = self.db.stored_events(project_id).await?;
        let oldest = self.db.events_received_before(project_id, now + TimeDelta::days(1)).await?;
        for (id, size) in &oldest {
            if leaving.contains(id) {
                (events, bytes) = (events - 1, bytes - size);
            }
        }
        let over = |limit: i64, value: i64| limit > 0 && value > limit;
        for (id, size) in oldest {
            if !over(settings.quota_events, events) && !over(settings.quota_event_bytes, bytes) {
                break;
            }
            if leaving.insert(id) {
                (events, bytes) = (events - 1, bytes - size);
            }
        }
        Ok(leaving)
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
