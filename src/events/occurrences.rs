//! A problem that another program found joins the issue of its hash, or opens it. The same id again changes it and counts nothing.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::Value;
use symdepot_events::grouping;

use super::Events;
use super::assign::hour;
use super::digest::is_contended;
use crate::db::{DbError, HashHours, HashSeen, IssueCount, NewIssue};

/// How often it is tried again when others change the same rows.
const ROUNDS: usize = 8;

/// A problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOccurrence {
    /// In which project.
    pub project_id: i64,
    /// 32 lower-case hex digits.
    pub id: String,
    /// The event in which it was found.
    pub event_id: Option<String>,
    /// What it has in common with others.
    pub fingerprint: Vec<String>,
    /// Its type.
    pub kind: String,
    /// Title of its issue.
    pub title: String,
    /// More of it.
    pub subtitle: String,
    /// Where it was found.
    pub culprit: String,
    /// Its level.
    pub level: String,
    /// All of it as JSON.
    pub payload: String,
    /// When it was found.
    pub detected_at: DateTime<Utc>,
}

/// Where an occurrence came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutOccurrence {
    /// Its issue.
    pub issue_id: i64,
    /// Whether none of its id was there.
    pub is_new: bool,
}

/// The hash of a stored occurrence.
fn hash_of(payload: &str) -> Option<String> {
    let payload: Value = serde_json::from_str(payload).ok()?;
    let values = payload["fingerprint"].as_array()?;
    let fingerprint: Vec<String> = values.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    Some(grouping::occurrence(payload["type"].as_str()?, &fingerprint).hash)
}

impl Events {
    /// Stores an occurrence.
    pub async fn put_occurrence(&self, new: &NewOccurrence) -> Result<PutOccurrence, DbError> {
        let mut round = 1;
        loop {
            match self.put_once(new).await {
                Err(error) if is_contended(&error) && round < ROUNDS => round += 1,
                ended => return ended,
            }
        }
    }

    async fn put_once(&self, new: &NewOccurrence) -> Result<PutOccurrence, DbError> {
        let now = self.clock.now();
        let own = grouping::occurrence(&new.kind, &new.fingerprint).hash;
        let known = self.db.occurrences(new.project_id, std::slice::from_ref(&new.id)).await?;
        let known = known.into_iter().next().map(|known| known.payload);
        let old = known.as_deref().and_then(hash_of);
        let hashes: BTreeSet<(i64, String)> =
            old.iter().chain([&own]).map(|hash| (new.project_id, hash.clone())).collect();
        let mut work = self.db.unit_of_work().await?;
        let rows = work.lock_hashes(&hashes.into_iter().collect::<Vec<_>>()).await?;
        let row = |text: &str| rows.iter().find(|row| row.hash == text).cloned();
        let hash = row(&own).ok_or(DbError::Contended("a hash was removed meanwhile"))?;
        let issue_id = match hash.issue_id {
            Some(issue_id) => issue_id,
            None => {
                let numbers = work.take_issue_numbers(&[(new.project_id, 1)]).await?;
                let number = numbers.first().map(|(_, last)| *last);
                let issue = NewIssue {
                    project_id: new.project_id,
                    number: number.ok_or(DbError::Contended("the project was removed"))?,
                    title: new.title.chars().take(255).collect(),
                    kind: new.title.clone(),
                    value: new.subtitle.clone(),
                    culprit: new.culprit.clone(),
                    level: new.level.clone(),
                    platform: "other".to_owned(),
                    first_seen: new.detected_at,
                    received_at: now,
                };
                let ids = work.insert_issues(&[issue]).await?;
                let id = ids.first().copied().ok_or(DbError::Contended("the project was removed"))?;
                if work.give_hashes(&[(hash.id, id)]).await? != 1 {
                    return Err(DbError::Contended("a hash was given to another issue meanwhile"));
                }
                id
            }
        };
        work.lock_issues(&[issue_id]).await?;
        let key = (new.project_id, new.id.as_str());
        let times = (new.detected_at, now);
        let before = work.put_occurrence(key, issue_id, new.event_id.as_deref(), &new.payload, times).await?;
        if before.as_ref().map(|before| &before.payload) != known.as_ref() {
            return Err(DbError::Contended("the same occurrence was changed meanwhile"));
        }
        let moved = before.as_ref().filter(|before| before.issue_id != issue_id);
        if let Some(before) = moved {
            let old = old.as_deref().and_then(row).ok_or(DbError::Contended("a hash was removed meanwhile"))?;
            let back = HashHours { hash_id: old.id, hour: hour(before.created_at), events: -1 };
            work.count_hashes(&[back], &[]).await?;
            work.count_issues(&[IssueCount { issue_id: before.issue_id, events: -1, seen: None }]).await?;
        }
        if before.is_none() || moved.is_some() {
            let now = before.as_ref().map_or(now, |before| before.created_at);
            let seen = HashSeen {
                hash_id: hash.id,
                first_at: new.detected_at,
                last_at: new.detected_at,
                first_received_at: now,
                last_received_at: now,
            };
            work.count_hashes(&[HashHours { hash_id: hash.id, hour: hour(now), events: 1 }], &[seen]).await?;
            let seen = Some((new.detected_at, new.detected_at, now));
            work.count_issues(&[IssueCount { issue_id, events: 1, seen }]).await?;
        }
        work.commit().await?;
        Ok(PutOccurrence { issue_id, is_new: before.is_none() })
    }
}
