//! Retention: the files that a rule of their project takes away. Found by reading alone, a batch at a time, and looked at
//! again by the unit of work that deletes them.
//!
//! Nothing goes within an hour of its last upload, whatever the rules say.

use chrono::{DateTime, TimeDelta, Utc};

use super::dry_run::DryRun;
use super::gc::{Freed, Mode};
use super::{Upkeep, UpkeepError};
use crate::db::{Leaving, Reason, RetainingProject};
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

/// Where the next files of a rule are found.
enum Cursor {
    Files(Option<Leaving>),
    Names(String),
}

impl Upkeep {
    /// Takes away what the rules of all projects say, each rule in turn.
    pub(super) async fn expire(
        &self,
        mode: Mode,
        dry: &mut DryRun,
        now: DateTime<Utc>,
    ) -> Result<Vec<Expired>, UpkeepError> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page = self.db.retaining_projects(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(all) };
            after = last.id;
            for project in &page {
                for rule in project.retention.rules() {
                    let files = self.apply(mode, project, *rule, dry, now).await?;
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
        dry: &mut DryRun,
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
        while let Some(mut found) = self.next_page(project.id, rule, &reason, &mut cursor).await? {
            found.retain(|file| !dry.files.contains(&file.id));
            for batch in found.chunks(usize::try_from(PAGE).unwrap_or(usize::MAX)) {
                match mode {
                    Mode::Remove => self.remove(project, batch, &reason, &mut freed, now).await?,
                    Mode::DryRun => dry.count_expired(&self.db, project.id, batch, &mut freed).await?,
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
}
