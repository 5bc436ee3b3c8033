//! Issues are merged and taken apart by moving hashes, whose counts and events go along. Both happen in one unit of work under the
//! locks of the hashes.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::Events;
use super::digest::is_contended;
use crate::db::{DbError, Issue, NewIssue, TagCount, UnitOfWork};

/// How often a move is tried when others change the same rows.
const ROUNDS: usize = 8;

/// What came of taking hashes out of an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmerge {
    /// They are in this issue now.
    Done(i64),
    /// None of them belongs to the issue.
    NoneOfIssue,
    /// All of the issue are among them.
    AllOfIssue,
    /// No event is counted under any of them.
    NoEvents,
}

impl Events {
    /// Takes hashes with their events out of an issue, into a new one.
    pub async fn unmerge(&self, project_id: i64, issue_id: i64, named: &BTreeSet<String>) -> Result<Unmerge, DbError> {
        let Some(issue) = self.db.issue(issue_id).await? else { return Ok(Unmerge::NoneOfIssue) };
        let mut round = 1;
        loop {
            match self.unmerge_once(project_id, &issue, named).await {
                Err(error) if is_contended(&error) && round < ROUNDS => round += 1,
                ended => return ended,
            }
        }
    }

    async fn unmerge_once(&self, project_id: i64, issue: &Issue, named: &BTreeSet<String>) -> Result<Unmerge, DbError> {
        let mut work = self.db.unit_of_work().await?;
        let hashes = work.lock_hashes_of(&[issue.id]).await?;
        let (taken, left): (Vec<_>, Vec<_>) = hashes.into_iter().partition(|hash| named.contains(&hash.hash));
        if taken.is_empty() {
            return Ok(Unmerge::NoneOfIssue);
        }
        if left.is_empty() {
            return Ok(Unmerge::AllOfIssue);
        }
        if taken.iter().all(|hash| hash.events == 0) {
            return Ok(Unmerge::NoEvents);
        }
        let numbers = work.take_issue_numbers(&[(project_id, 1)]).await?;
        let number = numbers.first().map(|(_, number)| *number).ok_or(DbError::Contended("the project was removed"))?;
        let new = NewIssue {
            project_id,
            number,
            title: issue.title.clone(),
            kind: issue.kind.clone(),
            value: issue.value.clone(),
            culprit: issue.culprit.clone(),
            level: issue.level.clone(),
            platform: issue.platform.clone(),
            first_seen: issue.last_seen,
            received_at: issue.last_seen,
        };
        let ids = work.insert_issues(&[new]).await?;
        let to = ids.first().copied().ok_or(DbError::Contended("the project was removed"))?;
        work.lock_issues(&[issue.id, to]).await?;
        let hash_ids: Vec<i64> = taken.iter().map(|hash| hash.id).collect();
        work.move_hashes(&hash_ids, to).await?;
        work.face_of_newest(to).await?;
        work.recount(issue.id).await?;
        work.recount(to).await?;
        count_tags(&mut work, to).await?;
        work.commit().await?;
        Ok(Unmerge::Done(to))
    }

    /// Merges issues into another one. Their ids and numbers lead there for good.
    pub async fn merge(&self, target: i64, others: &[i64]) -> Result<(), DbError> {
        let mut round = 1;
        loop {
            match self.merge_once(target, others).await {
                Err(error) if is_contended(&error) && round < ROUNDS => round += 1,
                ended => return ended,
            }
        }
    }

    async fn merge_once(&self, target: i64, others: &[i64]) -> Result<(), DbError> {
        let mut work = self.db.unit_of_work().await?;
        let mut all: Vec<i64> = others.iter().copied().chain([target]).collect();
        all.sort_unstable();
        work.lock_hashes_of(&all).await?;
        if work.lock_issues(&all).await?.len() != all.len() {
            return Err(DbError::Contended("one of the issues was merged into another one meanwhile"));
        }
        for from in others {
            work.add_tags_of(*from, target).await?;
        }
        let pairs: Vec<(i64, i64)> = others.iter().map(|from| (*from, target)).collect();
        work.fold_issues(&pairs).await?;
        work.recount(target).await?;
        work.commit().await
    }

    /// Has events of a hierarchical hash go one level deeper. False if it is none, or the deepest.
    pub async fn split(&self, project_id: i64, issue_id: i64, hash: &str) -> Result<bool, DbError> {
        if !self.db.has_deeper_hash(project_id, issue_id, hash).await? {
            return Ok(false);
        }
        let mut work = self.db.unit_of_work().await?;
        let is_split = work.split_hash(issue_id, hash).await?;
        work.commit().await?;
        Ok(is_split)
    }
}

/// Counts the tags of the stored events of an issue that was taken out of another one.
async fn count_tags(work: &mut UnitOfWork, issue_id: i64) -> Result<(), DbError> {
    let mut counts: BTreeMap<(String, String), (i64, DateTime<Utc>)> = BTreeMap::new();
    let mut users = BTreeSet::new();
    for (tags, at) in work.tags_of_events(issue_id).await? {
        let pairs: Vec<(String, String)> = serde_json::from_str(&tags).unwrap_or_default();
        for (key, value) in pairs {
            if key == "user" {
                users.insert(value.clone());
            }
            let (events, last) = counts.entry((key, value)).or_insert((0, at));
            *events += 1;
            *last = (*last).max(at);
        }
    }
    let tags: Vec<TagCount<'_>> = counts
        .iter()
        .map(|((key, value), (events, last_seen))| TagCount {
            issue_id,
            key,
            value,
            events: *events,
            last_seen: *last_seen,
        })
        .collect();
    work.count_tags(&tags).await?;
    let users: Vec<(i64, &str)> = users.iter().map(|user| (issue_id, user.as_str())).collect();
    work.count_users(&users).await
}
