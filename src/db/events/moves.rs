//! Hashes with their events move between issues, within a unit of work: merging and taking apart. Counts follow hashes, so both
//! are exact without counting anew.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};

use super::UnitOfWork;
use crate::db::DbError;
use crate::db::rows::{fitted, json};
use crate::db::sql::{Sql, on_tx, sql};
use crate::types::limits;

/// A hash of an issue, locked.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct LockedHash {
    /// Row id.
    pub id: i64,
    /// The hash.
    pub hash: String,
    /// Events under it.
    pub events: i64,
}

/// An occurrence that is replaced.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct OccurrenceBefore {
    /// Its issue.
    pub issue_id: i64,
    /// All of it as JSON.
    pub payload: String,
    /// When it was counted.
    pub created_at: DateTime<Utc>,
}

impl UnitOfWork {
    /// Locks all hashes of issues, in order.
    #[tracing::instrument(level = "debug", skip_all, name = "db.group_hashes.lock_of_issues")]
    pub async fn lock_hashes_of(&mut self, issue_ids: &[i64]) -> Result<Vec<LockedHash>, DbError> {
        const SQL: Sql = sql!("
            select g.id, g.hash, cast(coalesce((
                select sum(h.events) from hash_hours h where h.hash_id = g.id
            ), 0) as bigint) as events
            from group_hashes g where g.issue_id " [in_numbers "$1"] " order by g.project_id, g.hash" [lock_of_g]);
        Ok(on_tx!(&mut self.tx, SQL, |sql, on| query_as(sql).bind(json(issue_ids)).fetch_all(on).await)?)
    }

    /// Moves hashes and the events under them to an issue.
    #[tracing::instrument(level = "debug", skip_all, name = "db.group_hashes.move")]
    pub async fn move_hashes(&mut self, hash_ids: &[i64], to: i64) -> Result<(), DbError> {
        const HASHES: Sql = sql!("update group_hashes set issue_id = $2 where id " [in_numbers "$1"]);
        const EVENTS: Sql = sql!("update events set issue_id = $2 where hash_id " [in_numbers "$1"]);
        for statement in [HASHES, EVENTS] {
            on_tx!(&mut self.tx, statement, |sql, on| {
                query(sql).bind(json(hash_ids)).bind(to).execute(on).await.map(drop)
            })?;
        }
        Ok(())
    }

    /// Sets counts and times of an issue to what its hashes say.
    #[tracing::instrument(level = "debug", skip_all, name = "db.issues.recount")]
    pub async fn recount(&mut self, issue_id: i64) -> Result<(), DbError> {
        const SQL: Sql = sql!(
            "
            update issues set version = version + 1,
                event_count = cast(coalesce((
                    select sum(h.events) from hash_hours h join group_hashes g on g.id = h.hash_id
                    where g.issue_id = issues.id
                ), 0) as bigint),
                first_seen = coalesce((
                    select min(g.first_at) from group_hashes g where g.issue_id = issues.id
                ), first_seen),
                last_seen = coalesce((
                    select max(g.last_at) from group_hashes g where g.issue_id = issues.id
                ), last_seen),
                last_received_at = coalesce((
                    select max(g.last_received_at) from group_hashes g where g.issue_id = issues.id
                ), last_received_at)
            where id = $1
        "
        );
        on_tx!(&mut self.tx, SQL, |sql, on| query(sql).bind(issue_id).execute(on).await.map(drop))?;
        Ok(())
    }

    /// Gives an issue title and the like of its newest stored event.
    #[tracing::instrument(level = "debug", skip_all, name = "db.issues.face")]
    pub async fn face_of_newest(&mut self, issue_id: i64) -> Result<(), DbError> {
        const NEWEST: Sql = sql!(
            "
            select title, culprit, level, platform, cast(metadata as text), message from events
            where issue_id = $1 order by received_at desc, id desc limit 1
        "
        );
        const SET: Sql = sql!(
            "
            update issues set title = $2, culprit = $3, level = $4, platform = $5, type = $6, value = $7 where id = $1
        "
        );
        let newest: Option<(String, String, String, String, String, String)> =
            on_tx!(&mut self.tx, NEWEST, |sql, on| query_as(sql).bind(issue_id).fetch_optional(on).await)?;
        let Some((title, culprit, level, platform, metadata, message)) = newest else { return Ok(()) };
        let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap_or_default();
        let kind = metadata["type"].as_str().unwrap_or_default();
        let value = metadata["value"].as_str().unwrap_or(&message);
        on_tx!(&mut self.tx, SET, |sql, on| {
            let query = query(sql).bind(issue_id).bind(title).bind(culprit).bind(level).bind(platform);
            let query = query.bind(fitted(kind, limits::MESSAGE)).bind(fitted(value, limits::MESSAGE));
            query.execute(on).await.map(drop)
        })?;
        Ok(())
    }

    /// Adds tags and users of one issue to another one.
    #[tracing::instrument(level = "debug", skip_all, name = "db.issues.add_tags")]
    pub async fn add_tags_of(&mut self, from: i64, to: i64) -> Result<(), DbError> {
        const TAGS: Sql = sql!(
            "
            insert into issue_tags (issue_id, key, value, events, last_seen)
            select $2, key, value, events, last_seen from issue_tags where issue_id = $1
            on conflict (issue_id, key, value) do update set events = issue_tags.events + excluded.events,
                last_seen = case when issue_tags.last_seen > excluded.last_seen then issue_tags.last_seen
                    else excluded.last_seen end
        "
        );
        const USERS: Sql = sql!(
            "
            insert into issue_users (issue_id, user_key) select $2, user_key from issue_users where issue_id = $1
            on conflict do nothing
        "
        );
        for statement in [TAGS, USERS] {
            on_tx!(&mut self.tx, statement, |sql, on| query(sql).bind(from).bind(to).execute(on).await.map(drop))?;
        }
        Ok(())
    }

    /// Tags of the stored events of an issue, and its level and the like from its first event: for an issue that was taken out of
    /// another one.
    #[tracing::instrument(level = "debug", skip_all, name = "db.events.tags_of_issue")]
    pub async fn tags_of_events(&mut self, issue_id: i64) -> Result<Vec<(String, DateTime<Utc>)>, DbError> {
        const SQL: Sql = sql!("select cast(tags as text), happened_at from events where issue_id = $1 order by id");
        Ok(on_tx!(&mut self.tx, SQL, |sql, on| query_as(sql).bind(issue_id).fetch_all(on).await)?)
    }

    /// Sets the state of a hash of an issue. False if it has none of them.
    #[tracing::instrument(level = "debug", skip_all, name = "db.group_hashes.split")]
    pub async fn split_hash(&mut self, issue_id: i64, hash: &str) -> Result<bool, DbError> {
        const SQL: Sql = sql!("update group_hashes set state = 'split' where issue_id = $1 and hash = $2 returning id");
        let row: Option<i64> =
            on_tx!(&mut self.tx, SQL, |sql, on| query_scalar(sql).bind(issue_id).bind(hash).fetch_optional(on).await)?;
        Ok(row.is_some())
    }

    /// Stores an occurrence. Returns what one of its id was before, if it was there.
    #[tracing::instrument(level = "debug", skip_all, name = "db.occurrences.put")]
    pub async fn put_occurrence(
        &mut self,
        (project_id, id): (i64, &str),
        issue_id: i64,
        event_id: Option<&str>,
        payload: &str,
        (detected_at, now): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<Option<OccurrenceBefore>, DbError> {
        const BEFORE: Sql =
            sql!("select issue_id, payload, created_at from occurrences where project_id = $1 and id = $2"[lock]);
        const PUT: Sql = sql!(
            "
            insert into occurrences (project_id, id, issue_id, event_id, payload, detected_at, created_at)
            values ($1, $2, $3, $4, $5, $6, $7)
            on conflict (project_id, id) do update set issue_id = excluded.issue_id, event_id = excluded.event_id,
                payload = excluded.payload, detected_at = excluded.detected_at
        "
        );
        let before: Option<OccurrenceBefore> =
            on_tx!(&mut self.tx, BEFORE, |sql, on| query_as(sql).bind(project_id).bind(id).fetch_optional(on).await)?;
        on_tx!(&mut self.tx, PUT, |sql, on| {
            let query = query(sql).bind(project_id).bind(id).bind(issue_id).bind(event_id).bind(payload);
            query.bind(detected_at).bind(now).execute(on).await.map(drop)
        })?;
        Ok(before)
    }
}
