//! Retention: the files that a rule of their project takes away. Found by reading alone, a batch at a time, and looked at
//! again by the unit of work that deletes them.
//!
//! Nothing goes within an hour of its last upload, whatever the rules say.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::gc::{Freed, Mode};
use super::{Upkeep, UpkeepError};
use crate::db::{Leaving, Reason, RetainingProject, Weight};
use crate::types::Rule;

/// How long every file stays after it was uploaded or asked for with an upload. Longer than the time between two renewals
/// of a file that is asked for all the time.
const KEPT_AT_LEAST: TimeDelta = TimeDelta::hours(1);

/// How much later the use of a file may be than its row says.
const USES_WRITTEN_EVERY: TimeDelta = TimeDelta::hours(1);

/// Longer than any rule.
const FOREVER: TimeDelta = TimeDelta::days(40_000);

/// Projects, files and names looked at with one question.
const PAGE: i64 = 200;

/// A chunk that so many files have, or more, is not counted as one that could become free.
const SHARED_BY_MANY: u64 = 1000;

/// What one rule of one project took away, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// `ORG/PROJECT`.
    pub project: String,
    /// The rule.
    pub rule: Rule,
    /// Files, and the bytes at rest that nobody needs without them. Bytes of chunks go after their grace.
    pub files: Freed,
}

/// What was counted already, when nothing is removed and so everything is met as it was.
#[derive(Debug, Default)]
struct Counted {
    files: HashSet<i64>,
    /// How many files that stay have a chunk, of those that others have too.
    chunks: HashMap<i64, u64>,
}

/// Where the next files of a rule are found.
enum Cursor {
    Files(Option<Leaving>),
    Names(String),
}

impl Upkeep {
    /// Takes away what the rules of all projects say, each rule in turn.
    pub(super) async fn expire(&self, mode: Mode, now: DateTime<Utc>) -> Result<Vec<Expired>, UpkeepError> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page = self.db.retaining_projects(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(all) };
            after = last.id;
            for project in &page {
                let mut counted = Counted::default();
                for rule in project.retention.rules() {
                    let files = self.apply(mode, project, *rule, &mut counted, now).await?;
                    if files.count > 0 {
                        all.push(Expired { project: project.path.clone(), rule: *rule, files });
                    }
                }
            }
        }
    }

    /// Takes away what one rule says.
    async fn apply(
        &self,
        mode: Mode,
        project: &RetainingProject,
        rule: Rule,
        counted: &mut Counted,
        now: DateTime<Utc>,
    ) -> Result<Freed, UpkeepError> {
        let words = rule.to_string();
        let days = |days: u32| TimeDelta::days(days.into());
        let (uploaded_before, used_before) = match rule {
            Rule::Newest(_) => (now - KEPT_AT_LEAST, now + FOREVER),
            Rule::Days(limit) => (now - days(limit), now + FOREVER),
            Rule::Idle(limit) => (now - KEPT_AT_LEAST, now - days(limit) - USES_WRITTEN_EVERY),
        };
        let retention = Some(&project.retention);
        let reason = Reason { words: &words, uploaded_before, used_before, retention };
        let mut freed = Freed::default();
        let mut cursor = match rule {
            Rule::Newest(_) => Cursor::Names(String::new()),
            Rule::Days(_) | Rule::Idle(_) => Cursor::Files(None),
        };
        while let Some(found) = self.next_page(project.id, rule, &reason, &mut cursor).await? {
            for batch in found.chunks(usize::try_from(PAGE).unwrap_or(usize::MAX)) {
                match mode {
                    Mode::Remove => self.remove(project, batch, &reason, &mut freed, now).await?,
                    Mode::DryRun => self.count(batch, counted, &mut freed).await?,
                }
            }
        }
        Ok(freed)
    }

    /// The next files that a rule applies to; `None` behind the last ones.
    async fn next_page(
        &self,
        project_id: i64,
        rule: Rule,
        reason: &Reason<'_>,
        cursor: &mut Cursor,
    ) -> Result<Option<Vec<Leaving>>, UpkeepError> {
        let found = match (rule, &mut *cursor) {
            (Rule::Newest(builds), Cursor::Names(after)) => {
                let names = self.db.crowded_names(project_id, builds, after, PAGE).await?;
                let Some(last) = names.last() else { return Ok(None) };
                last.clone_into(after);
                self.db.older_builds(project_id, &names, builds, reason.uploaded_before).await?
            }
            (Rule::Idle(_), Cursor::Files(after)) => {
                let found = self.db.files_used_before(project_id, reason.used_before, *after, PAGE).await?;
                *after = found.last().copied();
                found
            }
            (_, Cursor::Files(after)) => {
                let found = self.db.files_uploaded_before(project_id, reason.uploaded_before, *after, PAGE).await?;
                *after = found.last().copied();
                found
            }
            (_, Cursor::Names(_)) => return Ok(None),
        };
        let at_end = matches!(cursor, Cursor::Files(None));
        Ok((!at_end).then_some(found))
    }

    /// Deletes a batch: rows first, bytes after.
    async fn remove(
        &self,
        project: &RetainingProject,
        batch: &[Leaving],
        reason: &Reason<'_>,
        freed: &mut Freed,
        now: DateTime<Utc>,
    ) -> Result<(), UpkeepError> {
        let gone = self.db.expire_files(project.id, batch, reason, now).await?;
        if gone.files.is_empty() {
            return Ok(());
        }
        freed.count += gone.files.len() as u64;
        freed.bytes += gone.weight.freed();
        self.delete(&gone.keys).await?;
        let keys = self.db.forget_traces(project.id, &gone.files).await?;
        self.delete(&keys).await?;
        for file in &gone.files {
            tracing::debug!(debug_file.id = file.id, project = project.path, rule = reason.words, "debug file expired");
        }
        Ok(())
    }

    /// Counts a batch as if it went after those that were counted before.
    async fn count(&self, batch: &[Leaving], counted: &mut Counted, freed: &mut Freed) -> Result<(), UpkeepError> {
        let ids: Vec<_> = batch.iter().map(|file| file.id).filter(|id| counted.files.insert(*id)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let weight = self.db.weigh_files(&ids).await?;
        freed.count += ids.len() as u64;
        freed.bytes += weight.made + counted.freed(&weight);
        Ok(())
    }
}

impl Counted {
    /// Bytes of chunks that no file has any more once these files are gone too.
    fn freed(&mut self, weight: &Weight) -> u64 {
        let mut bytes = 0;
        for chunk in weight.chunks.iter().filter(|chunk| chunk.everywhere <= SHARED_BY_MANY) {
            let left = self.chunks.remove(&chunk.id).unwrap_or(chunk.everywhere).saturating_sub(chunk.here);
            match left {
                0 => bytes += chunk.stored_size,
                left => drop(self.chunks.insert(chunk.id, left)),
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::SharedChunk;

    #[test]
    fn a_chunk_counts_with_the_last_of_its_files() {
        let weight = |chunks: &[(i64, u64, u64)]| Weight {
            made: 0,
            chunks: chunks
                .iter()
                .map(|(id, here, everywhere)| SharedChunk {
                    id: *id,
                    stored_size: 10,
                    here: *here,
                    everywhere: *everywhere,
                })
                .collect(),
        };
        let mut counted = Counted::default();
        assert_eq!(counted.freed(&weight(&[(1, 2, 2), (2, 1, 3), (3, 1, 2), (4, 1, 1001)])), 10);
        assert_eq!(counted.freed(&weight(&[(2, 1, 3), (3, 1, 2)])), 10);
        assert_eq!(counted.freed(&weight(&[(2, 1, 3)])), 10);
    }
}
