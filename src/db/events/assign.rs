//! Hashes and the issues to which they belong, within a unit of work. A hash gets its issue by one conditional statement.
//!
//! Which issue that is is decided elsewhere.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{query, query_as};

use super::UnitOfWork;
use crate::db::DbError;
use crate::db::rows::{fitted, json, time};
use crate::db::sql::{Sql, on_tx, sql};
use crate::types::limits;

/// A locked hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashRow {
    /// Row id.
    pub id: i64,
    /// In which project.
    pub project_id: i64,
    /// The hash.
    pub hash: String,
    /// The issue that it belongs to.
    pub issue_id: Option<i64>,
    /// Whether events go one level deeper from here.
    pub is_split: bool,
}

/// What an issue shows of the event that opened it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewIssue {
    /// In which project.
    pub project_id: i64,
    /// Its number there.
    pub number: i64,
    /// Title of the event.
    pub title: String,
    /// Type of its last exception, else empty.
    pub kind: String,
    /// Value of its last exception, else its message.
    pub value: String,
    /// Where it happened.
    pub culprit: String,
    /// Its level.
    pub level: String,
    /// Its platform.
    pub platform: String,
    /// When it happened.
    pub first_seen: DateTime<Utc>,
    /// When it was received.
    pub received_at: DateTime<Utc>,
}

/// A locked issue, as far as deciding about events needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueState {
    /// Row id.
    pub id: i64,
    /// Events digested into it.
    pub event_count: i64,
    /// When its newest event was received.
    pub last_received_at: DateTime<Utc>,
}

impl UnitOfWork {
    /// Makes sure that these hashes have rows, and locks them in the order of project and hash. `hashes` is sorted so, each
    /// once.
    #[tracing::instrument(level = "debug", skip_all, name = "db.group_hashes.lock")]
    pub async fn lock_hashes(&mut self, hashes: &[(i64, String)]) -> Result<Vec<HashRow>, DbError> {
        const INSERT: Sql = sql!("
            insert into group_hashes (project_id, hash)
            select cast(value ->> 0 as bigint), value ->> 1 from " [rows "$1"] " where true order by 1, 2
            on conflict (project_id, hash) do nothing
        ");
        const LOCK: Sql = sql!("
            select g.id, g.project_id, g.hash, g.issue_id, g.state = 'split' as is_split from group_hashes g
            join (
                select cast(value ->> 0 as bigint) as project_id, value ->> 1 as hash from " [rows "$1"] "
            ) w on w.project_id = g.project_id and w.hash = g.hash
            order by g.project_id, g.hash" [lock_of_g]);
        let list = json(hashes);
        on_tx!(&mut self.tx, INSERT, |sql, on| query(sql).bind(list.as_str()).execute(on).await.map(drop))?;
        let rows: Vec<(i64, i64, String, Option<i64>, bool)> =
            on_tx!(&mut self.tx, LOCK, |sql, on| query_as(sql).bind(list.as_str()).fetch_all(on).await)?;
        Ok(rows
            .into_iter()
            .map(|(id, project_id, hash, issue_id, is_split)| HashRow { id, project_id, hash, issue_id, is_split })
            .collect())
    }

    /// Gives hashes that have no issue one: pairs of the row ids of hash and issue. Returns how many had none.
    #[tracing::instrument(level = "debug", skip_all, name = "db.group_hashes.give")]
    pub async fn give_hashes(&mut self, pairs: &[(i64, i64)]) -> Result<u64, DbError> {
        const SQL: Sql = sql!("
            update group_hashes set issue_id = cast(item.value ->> 1 as bigint) from " [rows "$1"] " as item
            where group_hashes.id = cast(item.value ->> 0 as bigint) and group_hashes.issue_id is null
        ");
        if pairs.is_empty() {
            return Ok(0);
        }
        Ok(on_tx!(&mut self.tx, SQL, |sql, on| query(sql).bind(json(pairs)).execute(on).await?.rows_affected()))
    }

    /// Takes the next numbers of issues in projects: pairs of project and how many. Returns the last number of each.
    #[tracing::instrument(level = "debug", skip_all, name = "db.projects.take_issue_numbers")]
    pub async fn take_issue_numbers(&mut self, counts: &[(i64, i64)]) -> Result<Vec<(i64, i64)>, DbError> {
        // Locked in order, so that two of these never wait for each other.
        const LOCK: Sql = sql!("
            select id from projects where id in (
                select cast(value ->> 0 as bigint) from " [rows "$1"] "
            ) order by id" [lock_values]);
        const SQL: Sql = sql!("
            update projects set last_issue_number = last_issue_number + cast(item.value ->> 1 as bigint)
            from " [rows "$1"] " as item where projects.id = cast(item.value ->> 0 as bigint)
            returning projects.id, projects.last_issue_number
        ");
        let list = json(counts);
        on_tx!(&mut self.tx, LOCK, |sql, on| query(sql).bind(list.as_str()).execute(on).await.map(drop))?;
        Ok(on_tx!(&mut self.tx, SQL, |sql, on| query_as(sql).bind(list).fetch_all(on).await)?)
    }

    /// Stores new issues without events; returns their row ids in the same order.
    #[tracing::instrument(level = "debug", skip_all, name = "db.issues.insert")]
    pub async fn insert_issues(&mut self, issues: &[NewIssue]) -> Result<Vec<i64>, DbError> {
        const SQL: Sql = sql!("
            insert into issues (project_id, number, title, type, value, culprit, level, platform, event_count, first_seen,
                last_seen, last_received_at, created_at)
            select cast(value ->> 0 as bigint), cast(value ->> 1 as bigint), value ->> 2, value ->> 3, value ->> 4,
                value ->> 5, value ->> 6, value ->> 7, 0, " [time "value ->> 8"] ", " [time "value ->> 8"] ",
                " [time "value ->> 9"] ", " [time "value ->> 9"] "
            from " [rows "$1"] " where true returning id, project_id, number
        ");
        if issues.is_empty() {
            return Ok(Vec::new());
        }
        let list: Vec<_> = issues
            .iter()
            .map(|issue| {
                json!([
                    issue.project_id,
                    issue.number,
                    fitted(&issue.title, limits::NAME),
                    fitted(&issue.kind, limits::MESSAGE),
                    fitted(&issue.value, limits::MESSAGE),
                    fitted(&issue.culprit, limits::MESSAGE),
                    fitted(&issue.level, limits::WORD),
                    fitted(&issue.platform, limits::WORD),
                    time(issue.first_seen),
                    time(issue.received_at),
                ])
            })
            .collect();
        let rows: Vec<(i64, i64, i64)> =
            on_tx!(&mut self.tx, SQL, |sql, on| query_as(sql).bind(json(&list)).fetch_all(on).await)?;
        let id = |issue: &NewIssue| {
            let same = |row: &&(i64, i64, i64)| (row.1, row.2) == (issue.project_id, issue.number);
            rows.iter().find(same).map(|row| row.0).ok_or(DbError::Sqlx(sqlx::Error::RowNotFound))
        };
        issues.iter().map(id).collect()
    }

    /// Locks issues in the order of their ids; those that are gone are left out.
    #[tracing::instrument(level = "debug", skip_all, name = "db.issues.lock")]
    pub async fn lock_issues(&mut self, ids: &[i64]) -> Result<Vec<IssueState>, DbError> {
        const SQL: Sql = sql!("
            select id, event_count, last_received_at from issues where id " [in_numbers "$1"] " order by id"
                [lock_values]);
        let rows: Vec<(i64, i64, DateTime<Utc>)> =
            on_tx!(&mut self.tx, SQL, |sql, on| query_as(sql).bind(json(ids)).fetch_all(on).await)?;
        Ok(rows
            .into_iter()
            .map(|(id, event_count, last_received_at)| IssueState { id, event_count, last_received_at })
            .collect())
    }

    /// Removes issues whose last counted event moved away: the hashes that are left of each go to where it went, and so do
    /// its id and number. Pairs of the issue and where it went.
    #[tracing::instrument(level = "debug", skip_all, name = "db.issues.fold")]
    pub async fn fold_issues(&mut self, pairs: &[(i64, i64)]) -> Result<(), DbError> {
        const HASHES: Sql = sql!("update group_hashes set issue_id = $2 where issue_id = $1");
        const EVENTS: Sql = sql!("update events set issue_id = $2 where issue_id = $1");
        const OCCURRENCES: Sql = sql!("update occurrences set issue_id = $2 where issue_id = $1");
        const REDIRECTS: Sql = sql!("update issue_redirects set issue_id = $2 where issue_id = $1");
        const REDIRECT: Sql = sql!(
            "
            insert into issue_redirects (id, project_id, number, issue_id)
            select id, project_id, number, $2 from issues where id = $1
        "
        );
        const DELETE: Sql = sql!("delete from issues where id = $1 and $2 = $2");
        for (from, to) in pairs {
            for sql in [HASHES, EVENTS, OCCURRENCES, REDIRECTS, REDIRECT, DELETE] {
                on_tx!(&mut self.tx, sql, |sql, on| query(sql).bind(from).bind(to).execute(on).await.map(drop))?;
            }
        }
        Ok(())
    }
}
