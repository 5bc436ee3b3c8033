//! Events are processed again when debug files arrive that they lacked: named, grouped, and moved where they belong now. It is no
//! new occurrence, so nothing is counted again, and doing it twice changes nothing more.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::Events;
use super::assign::Fate;
use super::digest::digest_round;
use super::prepare::{self, Prepared, Symbolicated};
use super::record::{NewAttachment, Record};
use crate::db::{DbError, Lacking, LackingEvent};
use crate::types::Duplicates;

/// Events that are read at a time.
const PAGE: i64 = 50;
/// How often a page is tried again when others change the same rows.
const ROUNDS: usize = 8;

/// Which events, and how many at most.
#[derive(Clone, Debug)]
pub struct Reprocess {
    /// Of which project.
    pub project_id: i64,
    /// Of which organization.
    pub organization_id: i64,
    /// That lack this debug id; any without it.
    pub debug_id: Option<String>,
    /// That were received since.
    pub since: DateTime<Utc>,
    /// How many at most.
    pub most: u64,
    /// Whether nothing is written.
    pub dry_run: bool,
}

/// What became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reprocessed {
    /// Events that were changed.
    pub changed: u64,
    /// Of them, those that are in another issue now.
    pub moved: u64,
    /// Events that stayed as they were.
    pub unchanged: u64,
}

impl Events {
    /// Processes events again, newest first.
    pub async fn reprocess(&self, order: &Reprocess) -> Result<Reprocessed, DbError> {
        let mut done = Reprocessed::default();
        let (mut before, mut left) = (None, order.most);
        let lacking = Lacking { project_id: order.project_id, debug_id: order.debug_id.as_deref(), since: order.since };
        loop {
            let limit = PAGE.min(i64::try_from(left).unwrap_or(PAGE));
            let page = self.db.lacking_events(&lacking, before, limit).await?;
            let Some(last) = page.last() else { return Ok(done) };
            before = Some(last.id);
            left = left.saturating_sub(page.len() as u64);
            let mut changed = Vec::new();
            for event in &page {
                match self.again(order, event).await? {
                    Some(prepared) => changed.push(prepared),
                    None => done.unchanged += 1,
                }
            }
            done.changed += changed.len() as u64;
            if !order.dry_run {
                done.moved += self.replace(&changed).await?;
            }
            if left == 0 {
                return Ok(done);
            }
        }
    }

    /// The event as it is now; `None` if it is as before.
    async fn again(&self, order: &Reprocess, stored: &LackingEvent) -> Result<Option<Prepared>, DbError> {
        let bad = |reason: String| DbError::BadRow { table: "event_payloads", reason };
        let text = prepare::decompressed(&stored.payload).map_err(|error| bad(error.to_string()))?;
        let Ok(Value::Object(before)) = serde_json::from_slice(&text) else {
            return Err(bad("it is no JSON object".to_owned()));
        };
        let record = record(order, stored);
        let mut event = super::native::without_inlines(&before);
        let named = tokio::time::timeout(self.settings.symbolication_wait, self.name_frames(&record, &mut event)).await;
        let missing = match named {
            Ok(Ok(missing)) => missing,
            Ok(Err(reason)) => {
                tracing::info!(
                    project.id = order.project_id,
                    event.id = stored.event_id,
                    reason,
                    "an event could not be symbolicated again"
                );
                return Ok(None);
            }
            Err(_elapsed) => return Ok(None),
        };
        let treatment = self.treatments.of(order.project_id).await?;
        let symbolicated = Symbolicated { state: "done", missing };
        let grouping = tokio::task::spawn_blocking(move || {
            let mut prepared = prepare::grouped(event, &record, &treatment, symbolicated);
            prepared.duplicates = Duplicates::Last;
            prepared.keeps_issue = true;
            prepared
        });
        let prepared = grouping.await.map_err(|_| DbError::Contended("an event could not be grouped"))?;
        let is_same = prepare::decompressed(&prepared.new.payload).is_ok_and(|now| now == text);
        Ok((!is_same).then_some(prepared))
    }

    /// Puts events in the place of what they were. Returns how many are in another issue.
    async fn replace(&self, events: &[Prepared]) -> Result<u64, DbError> {
        if events.is_empty() {
            return Ok(0);
        }
        let mut round = 1;
        loop {
            let replaced = async {
                let mut work = self.db.unit_of_work().await?;
                let mut uncounted = BTreeMap::new();
                let placements = digest_round(&mut work, events.to_vec(), self.clock.now(), &mut uncounted).await?;
                // An event that was deleted meanwhile stays deleted.
                let is_gone = placements.iter().any(|placement| !matches!(placement.fate, Fate::Replaces(_)));
                if is_gone {
                    return Err(DbError::Contended("events were deleted while they were processed again"));
                }
                work.commit().await?;
                let moved = placements.iter().filter(|one| one.before.is_some_and(|(issue, ..)| issue != one.issue_id));
                Ok(moved.count() as u64)
            };
            match replaced.await {
                Err(error) if super::digest::is_contended(&error) && round < ROUNDS => round += 1,
                ended => return ended,
            }
        }
    }
}

fn record(order: &Reprocess, stored: &LackingEvent) -> Record {
    let attachments = stored.crash.iter().map(|(kind, blob)| NewAttachment {
        kind: kind.clone(),
        name: String::new(),
        content_type: String::new(),
        sha1: String::new(),
        blob: blob.clone(),
    });
    Record {
        organization_id: order.organization_id,
        project_id: order.project_id,
        event_id: stored.event_id.clone(),
        received_at: stored.received_at,
        sent_at: None,
        client_ip: None,
        is_event: true,
        crash: stored.crash.as_ref().map(|(kind, _)| kind.clone()),
        attachments: attachments.collect(),
        user_report: None,
        outcomes: Vec::new(),
        payload: bytes::Bytes::new(),
    }
}
