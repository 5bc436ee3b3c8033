//! Issues and their hashes as they are read.

use chrono::{DateTime, Utc};
use sqlx::query_as;

use crate::db::rows::json;
use crate::db::sql::{Sql, on_db, sql};
use crate::db::{Db, DbError};

/// An issue.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Issue {
    /// Row id.
    pub id: i64,
    /// In which project.
    pub project_id: i64,
    /// Its number there.
    pub number: i64,
    /// Title.
    pub title: String,
    /// Type of the exception.
    #[sqlx(rename = "type")]
    pub kind: String,
    /// Its value, or the message.
    pub value: String,
    /// Where it happened.
    pub culprit: String,
    /// Level.
    pub level: String,
    /// Platform.
    pub platform: String,
    /// `open`.
    pub status: String,
    /// Events ever digested into it.
    pub event_count: i64,
    /// When the first happened.
    pub first_seen: DateTime<Utc>,
    /// When the last happened.
    pub last_seen: DateTime<Utc>,
    /// Users whom it met.
    pub user_count: i64,
}

/// A hash of an issue.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct IssueHash {
    /// Row id.
    pub id: i64,
    /// The hash.
    pub hash: String,
    /// `live` or `split`.
    pub state: String,
    /// Events under it.
    pub events: i64,
    /// When its last event was received.
    pub last_received_at: Option<DateTime<Utc>>,
}

/// A problem that another program found.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct StoredOccurrence {
    /// Its id.
    pub id: String,
    /// All of it as JSON.
    pub payload: String,
    /// Its issue.
    pub issue_id: i64,
    /// The event in which it was found, if that is stored.
    pub event_id: Option<String>,
}

macro_rules! issue_columns {
    () => {
        "i.id, i.project_id, i.number, i.title, i.type, i.value, i.culprit, i.level, i.platform, i.status, i.event_count,
            i.first_seen, i.last_seen, (select count(*) from issue_users u where u.issue_id = i.id) as user_count"
    };
}

impl Db {
    /// The issue with this id, or the one into which it was merged.
    #[tracing::instrument(level = "debug", skip_all, name = "db.issues.by_id")]
    pub async fn issue(&self, id: i64) -> Result<Option<Issue>, DbError> {
        const SQL: Sql = sql!("
            select " (issue_columns) " from issues i
            where i.id = coalesce((select r.issue_id from issue_redirects r where r.id = $1), $1)
        ");
        Ok(on_db!(read self, SQL, |sql, on| query_as(sql).bind(id).fetch_optional(on).await)?)
    }

    /// The issue with this number in a project, or the one into which it was merged.
    #[tracing::instrument(level = "debug", skip_all, name = "db.issues.by_number")]
    pub async fn issue_by_number(&self, project_id: i64, number: i64) -> Result<Option<Issue>, DbError> {
        const SQL: Sql = sql!("
            select " (issue_columns) " from issues i
            where i.project_id = $1 and i.number = $2
                or i.id = (select r.issue_id from issue_redirects r where r.project_id = $1 and r.number = $2)
        ");
        Ok(on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(project_id).bind(number).fetch_optional(on).await
        })?)
    }

    /// Issues of a project, last seen first.
    #[tracing::instrument(level = "debug", skip_all, name = "db.issues.of_project")]
    pub async fn issues_of_project(&self, project_id: i64, offset: i64, limit: i64) -> Result<Vec<Issue>, DbError> {
        const SQL: Sql = sql!("
            select " (issue_columns) " from issues i where i.project_id = $1
            order by i.last_seen desc, i.id desc limit $3 offset $2
        ");
        Ok(on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(project_id).bind(offset).bind(limit).fetch_all(on).await
        })?)
    }

    /// Hashes of an issue, newest first by their last event.
    #[tracing::instrument(level = "debug", skip_all, name = "db.group_hashes.of_issue")]
    pub async fn issue_hashes(&self, issue_id: i64, offset: i64, limit: i64) -> Result<Vec<IssueHash>, DbError> {
        const SQL: Sql = sql!(
            "
            select g.id, g.hash, g.state, g.last_received_at, cast(coalesce((
                select sum(h.events) from hash_hours h where h.hash_id = g.id
            ), 0) as bigint) as events
            from group_hashes g left join hash_latest l
                on l.project_id = g.project_id and l.bucket = ((g.id % 16) + 16) % 16 and l.hash_id = g.id
            where g.issue_id = $1
            order by case when coalesce(l.processed_at, g.last_received_at) is null then 1 else 0 end,
                coalesce(l.processed_at, g.last_received_at) desc, g.id desc limit $3 offset $2
        "
        );
        Ok(on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(issue_id).bind(offset).bind(limit).fetch_all(on).await
        })?)
    }

    /// Whether a stored event of an issue has a hierarchical hash behind this one.
    #[tracing::instrument(level = "debug", skip_all, name = "db.events.has_deeper")]
    pub async fn has_deeper_hash(&self, project_id: i64, issue_id: i64, hash: &str) -> Result<bool, DbError> {
        const SQL: Sql = sql!(
            "
            select cast(deep_hashes as text) from events where project_id = $1 and issue_id = $2
            order by id desc limit 100
        "
        );
        let rows: Vec<(String,)> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(project_id).bind(issue_id).fetch_all(on).await)?;
        let is_above = |(text,): &(String,)| {
            let hashes: Vec<String> = serde_json::from_str(text).unwrap_or_default();
            hashes.iter().position(|one| one == hash).is_some_and(|at| at + 1 < hashes.len())
        };
        Ok(rows.iter().any(is_above))
    }

    /// Outcomes of a project since an hour: kind, reason, category, how many.
    #[tracing::instrument(level = "debug", skip_all, name = "db.outcomes.sum")]
    pub async fn outcomes(
        &self,
        project_id: i64,
        since_hour: i64,
    ) -> Result<Vec<(String, String, String, i64)>, DbError> {
        const SQL: Sql = sql!(
            "
            select kind, reason, category, cast(sum(quantity) as bigint) from outcomes
            where project_id = $1 and hour >= $2 group by kind, reason, category order by kind, reason, category
        "
        );
        Ok(on_db!(read self, SQL, |sql, on| query_as(sql).bind(project_id).bind(since_hour).fetch_all(on).await)?)
    }

    /// Occurrences of a project by their ids.
    #[tracing::instrument(level = "debug", skip_all, name = "db.occurrences.by_ids")]
    pub async fn occurrences(&self, project_id: i64, ids: &[String]) -> Result<Vec<StoredOccurrence>, DbError> {
        const SQL: Sql = sql!("
            select o.id, o.payload, o.issue_id, (
                select max(e.event_id) from events e where e.project_id = o.project_id and e.event_id = o.event_id
            ) as event_id from occurrences o where o.project_id = $1 and o.id " [in_texts "$2"]);
        Ok(on_db!(read self, SQL, |sql, on| query_as(sql).bind(project_id).bind(json(ids)).fetch_all(on).await)?)
    }

    /// The newest occurrence that names an event.
    #[tracing::instrument(level = "debug", skip_all, name = "db.occurrences.of_event")]
    pub async fn occurrence_of_event(&self, project_id: i64, event_id: &str) -> Result<Option<(String, i64)>, DbError> {
        const SQL: Sql = sql!(
            "
            select payload, issue_id from occurrences where project_id = $1 and event_id = $2
            order by created_at desc limit 1
        "
        );
        Ok(on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(project_id).bind(event_id).fetch_optional(on).await
        })?)
    }
}
