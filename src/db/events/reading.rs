//! Stored events as they are read: lists of projects and issues, one event, its neighbours, and what came with it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{query_as, query_scalar};

use super::counters::bucket;
use crate::db::rows::{blob, json, parse};
use crate::db::sql::{Sql, on_db, sql};
use crate::db::{Db, DbError};
use crate::types::BlobRef;

/// An event without its payload.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// Row id.
    pub id: i64,
    /// In which project.
    pub project_id: i64,
    /// Its id.
    pub event_id: String,
    /// When it happened.
    pub happened_at: DateTime<Utc>,
    /// When it was received.
    pub received_at: DateTime<Utc>,
    /// Its issue.
    pub issue_id: i64,
    /// Flat hashes.
    pub hashes: Vec<String>,
    /// Hierarchical hashes.
    pub deep_hashes: Vec<String>,
    /// The hash under which it is counted.
    pub own_hash: String,
    /// By which version of the algorithm it was grouped.
    pub config: String,
    /// `error`, `csp` or `default`.
    pub kind: String,
    /// Level.
    pub level: String,
    /// Platform.
    pub platform: String,
    /// Title.
    pub title: String,
    /// Where it happened.
    pub culprit: String,
    /// The file in which it happened.
    pub location: Option<String>,
    /// Message.
    pub message: String,
    /// Release.
    pub release: Option<String>,
    /// Environment.
    pub environment: Option<String>,
    /// User.
    pub user: Value,
    /// Tags, as a list of pairs.
    pub tags: Value,
    /// Type and value.
    pub metadata: Value,
    /// Bytes of its JSON.
    pub size: i64,
    /// What became of its frames.
    pub symbolication: String,
}

/// An attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAttachment {
    /// Row id.
    pub id: i64,
    /// Of which event.
    pub event_id: String,
    /// Such as `event.attachment`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// What its sender says it is.
    pub content_type: String,
    /// Checksum of its content.
    pub sha1: String,
    /// Where its bytes are.
    pub blob: BlobRef,
    /// When it was received.
    pub created_at: DateTime<Utc>,
}

/// What a user wrote.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct StoredReport {
    /// Who.
    pub name: String,
    /// Where to answer.
    pub email: String,
    /// The text.
    pub comments: String,
    /// When it was received.
    pub created_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    project_id: i64,
    event_id: String,
    happened_at: DateTime<Utc>,
    received_at: DateTime<Utc>,
    issue_id: i64,
    hashes: String,
    deep_hashes: String,
    own_hash: String,
    config: String,
    kind: String,
    level: String,
    platform: String,
    title: String,
    culprit: String,
    location: Option<String>,
    message: String,
    release: Option<String>,
    environment: Option<String>,
    user_data: Option<String>,
    tags: String,
    metadata: String,
    size: i64,
    symbolication: String,
}

impl TryFrom<Row> for StoredEvent {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self, DbError> {
        let read = |text: &str| -> Result<Value, DbError> { parse("events", text) };
        let list = |text: &str| -> Result<Vec<String>, DbError> {
            let bad = |error: serde_json::Error| DbError::BadRow { table: "events", reason: error.to_string() };
            serde_json::from_str(text).map_err(bad)
        };
        Ok(Self {
            hashes: list(&row.hashes)?,
            deep_hashes: list(&row.deep_hashes)?,
            user: row.user_data.as_deref().map(read).transpose()?.unwrap_or_default(),
            tags: read(&row.tags)?,
            metadata: read(&row.metadata)?,
            own_hash: row.own_hash,
            id: row.id,
            project_id: row.project_id,
            event_id: row.event_id,
            happened_at: row.happened_at,
            received_at: row.received_at,
            issue_id: row.issue_id,
            config: row.config,
            kind: row.kind,
            level: row.level,
            platform: row.platform,
            title: row.title,
            culprit: row.culprit,
            location: row.location,
            message: row.message,
            release: row.release,
            environment: row.environment,
            size: row.size,
            symbolication: row.symbolication,
        })
    }
}

macro_rules! event_columns {
    () => {
        "e.id, e.project_id, e.event_id, e.happened_at, e.received_at, e.issue_id, cast(e.hashes as text) as hashes,
            cast(e.deep_hashes as text) as deep_hashes,
            (select g.hash from group_hashes g where g.id = e.hash_id) as own_hash, e.config, e.kind, e.level, e.platform, e.title, e.culprit,
            e.location, e.message, e.release, e.environment, cast(e.user_data as text) as user_data,
            cast(e.tags as text) as tags, cast(e.metadata as text) as metadata, e.size, e.symbolication"
    };
}

fn events(rows: Vec<Row>) -> Result<Vec<StoredEvent>, DbError> {
    rows.into_iter().map(TryInto::try_into).collect()
}

impl Db {
    /// Events of a project, newest first by time of receipt.
    #[tracing::instrument(level = "debug", skip_all, name = "db.events.of_project")]
    pub async fn events_of_project(
        &self,
        project_id: i64,
        offset: i64,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, DbError> {
        const SQL: Sql = sql!("
            select " (event_columns) " from events e where e.project_id = $1
            order by e.received_at desc, e.id desc limit $3 offset $2
        ");
        events(on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(project_id).bind(offset).bind(limit).fetch_all(on).await
        })?)
    }

    /// Events of an issue, newest first by time of receipt, or oldest first.
    #[tracing::instrument(level = "debug", skip_all, name = "db.events.of_issue")]
    pub async fn events_of_issue(
        &self,
        issue_id: i64,
        offset: i64,
        limit: i64,
        oldest_first: bool,
    ) -> Result<Vec<StoredEvent>, DbError> {
        const NEWEST: Sql = sql!("
            select " (event_columns) " from events e where e.issue_id = $1
            order by e.received_at desc, e.id desc limit $3 offset $2
        ");
        const OLDEST: Sql = sql!("
            select " (event_columns) " from events e where e.issue_id = $1
            order by e.received_at, e.id limit $3 offset $2
        ");
        let statement = if oldest_first { OLDEST } else { NEWEST };
        events(on_db!(read self, statement, |sql, on| {
            query_as(sql).bind(issue_id).bind(offset).bind(limit).fetch_all(on).await
        })?)
    }

    /// The newest event with this id in one of these projects.
    #[tracing::instrument(level = "debug", skip_all, name = "db.events.by_id")]
    pub async fn stored_event(&self, project_ids: &[i64], event_id: &str) -> Result<Option<StoredEvent>, DbError> {
        const SQL: Sql = sql!("
            select " (event_columns) " from events e where e.event_id = $2 and e.project_id " [in_numbers "$1"] "
            order by e.happened_at desc, e.id desc limit 1
        ");
        let row: Option<Row> = on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(json(project_ids)).bind(event_id).fetch_optional(on).await
        })?;
        row.map(TryInto::try_into).transpose()
    }

    /// The newest event with this id in an issue.
    #[tracing::instrument(level = "debug", skip_all, name = "db.events.by_id_in_issue")]
    pub async fn stored_event_of_issue(&self, issue_id: i64, event_id: &str) -> Result<Option<StoredEvent>, DbError> {
        const SQL: Sql = sql!("
            select " (event_columns) " from events e where e.issue_id = $1 and e.event_id = $2
            order by e.happened_at desc, e.id desc limit 1
        ");
        let row: Option<Row> = on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(issue_id).bind(event_id).fetch_optional(on).await
        })?;
        row.map(TryInto::try_into).transpose()
    }

    /// Events of a project with these ids.
    #[tracing::instrument(level = "debug", skip_all, name = "db.events.by_ids")]
    pub async fn stored_events_by_id(
        &self,
        project_id: i64,
        event_ids: &[String],
    ) -> Result<Vec<StoredEvent>, DbError> {
        const SQL: Sql = sql!("
            select " (event_columns) " from events e where e.project_id = $1 and e.event_id " [in_texts "$2"] "
            order by e.happened_at, e.id
        ");
        events(on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(project_id).bind(json(event_ids)).fetch_all(on).await
        })?)
    }

    /// Ids of the events before and behind one in its issue, by time.
    #[tracing::instrument(level = "debug", skip_all, name = "db.events.neighbours")]
    pub async fn event_neighbours(&self, event: &StoredEvent) -> Result<(Option<String>, Option<String>), DbError> {
        const BEFORE: Sql = sql!(
            "
            select event_id from events where issue_id = $1 and (happened_at < $2 or happened_at = $2 and id < $3)
            order by happened_at desc, id desc limit 1
        "
        );
        const BEHIND: Sql = sql!(
            "
            select event_id from events where issue_id = $1 and (happened_at > $2 or happened_at = $2 and id > $3)
            order by happened_at, id limit 1
        "
        );
        let mut found = [None, None];
        for (place, statement) in found.iter_mut().zip([BEFORE, BEHIND]) {
            *place = on_db!(read self, statement, |sql, on| {
                let query = query_scalar(sql).bind(event.issue_id).bind(event.happened_at).bind(event.id);
                query.fetch_optional(on).await
            })?;
        }
        let [before, behind] = found;
        Ok((before, behind))
    }

    /// The compressed JSON of an event by its row.
    #[tracing::instrument(level = "debug", skip_all, name = "db.events.payload_of_row")]
    pub async fn payload_of_row(&self, id: i64) -> Result<Option<Vec<u8>>, DbError> {
        const SQL: Sql = sql!("select payload from event_payloads where event_row_id = $1");
        Ok(on_db!(read self, SQL, |sql, on| query_scalar(sql).bind(id).fetch_optional(on).await)?)
    }

    /// Modules that the symbolication of an event lacked: debug id and file.
    #[tracing::instrument(level = "debug", skip_all, name = "db.event_missing.of_event")]
    pub async fn missing_of_event(&self, id: i64) -> Result<Vec<(String, Option<String>)>, DbError> {
        const SQL: Sql =
            sql!("select debug_id, code_file from event_missing where event_row_id = $1 order by debug_id");
        Ok(on_db!(read self, SQL, |sql, on| query_as(sql).bind(id).fetch_all(on).await)?)
    }

    /// What a user wrote about an event.
    #[tracing::instrument(level = "debug", skip_all, name = "db.user_reports.of_event")]
    pub async fn user_report(&self, project_id: i64, event_id: &str) -> Result<Option<StoredReport>, DbError> {
        const SQL: Sql =
            sql!("select name, email, comments, created_at from user_reports where project_id = $1 and event_id = $2");
        Ok(on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(project_id).bind(event_id).fetch_optional(on).await
        })?)
    }

    /// Attachments of an event, oldest first.
    #[tracing::instrument(level = "debug", skip_all, name = "db.attachments.of_event")]
    pub async fn attachments(&self, project_id: i64, event_id: &str) -> Result<Vec<StoredAttachment>, DbError> {
        const SQL: Sql = sql!(
            "
            select id, event_id, type, name, content_type, sha1, blob_key, encoding, size, stored_size, created_at
            from attachments where project_id = $1 and event_id = $2 order by id
        "
        );
        type Columns = (i64, String, String, String, String, String, String, String, i64, i64, DateTime<Utc>);
        let rows: Vec<Columns> = on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(project_id).bind(event_id).fetch_all(on).await
        })?;
        let attachment = |row: Columns| {
            let (id, event_id, kind, name, content_type, sha1, key, encoding, size, stored, created_at) = row;
            let blob = blob("attachments", key, &encoding, size, stored)?;
            Ok(StoredAttachment { id, event_id, kind, name, content_type, sha1, blob, created_at })
        };
        rows.into_iter().map(attachment).collect()
    }

    /// Deletes an attachment; the key of its bytes.
    #[tracing::instrument(level = "debug", skip_all, name = "db.attachments.delete")]
    pub async fn delete_attachment(&self, id: i64) -> Result<Option<String>, DbError> {
        const SQL: Sql = sql!("delete from attachments where id = $1 returning blob_key");
        Ok(on_db!(write self, SQL, |sql, on| query_scalar(sql).bind(id).fetch_all(on).await?.pop()))
    }

    /// The event that was last processed under each hash, in the order asked; `None` for a hash without one. One query for any
    /// number.
    #[tracing::instrument(level = "debug", skip_all, name = "db.hash_latest.load")]
    pub async fn latest_events(&self, project_id: i64, hash_ids: &[i64]) -> Result<Vec<Option<String>>, DbError> {
        const SQL: Sql = sql!("
            select l.hash_id, l.event_id from hash_latest l
            join (
                select cast(value ->> 0 as bigint) as bucket, cast(value ->> 1 as bigint) as hash_id
                from " [rows "$2"] "
            ) w on w.bucket = l.bucket and w.hash_id = l.hash_id where l.project_id = $1
        ");
        let keys: Vec<_> = hash_ids.iter().map(|id| (bucket(*id), *id)).collect();
        let rows: Vec<(i64, String)> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(project_id).bind(json(&keys)).fetch_all(on).await)?;
        let found: std::collections::HashMap<i64, String> = rows.into_iter().collect();
        Ok(hash_ids.iter().map(|id| found.get(id).cloned()).collect())
    }
}
