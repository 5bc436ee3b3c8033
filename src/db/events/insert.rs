//! Events and their payloads, within a unit of work: inserted, replaced, moved.
//!
//! What a payload says is not looked at.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::{query, query_as};

use super::UnitOfWork;
use crate::db::DbError;
use crate::db::rows::{fitted, json, number, time};
use crate::db::sql::{Sql, on_tx, sql};
use crate::types::limits;

/// An event to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// In which project.
    pub project_id: i64,
    /// 32 lower-case hex digits.
    pub event_id: String,
    /// UTC day of its time, counted from 1970.
    pub day: i64,
    /// When it happened.
    pub happened_at: DateTime<Utc>,
    /// When it was received.
    pub received_at: DateTime<Utc>,
    /// To which issue it belongs.
    pub issue_id: i64,
    /// Under which hash it is counted.
    pub hash_id: i64,
    /// Its flat hashes.
    pub hashes: Vec<String>,
    /// Its hierarchical ones.
    pub deep_hashes: Vec<String>,
    /// The hash of its addresses.
    pub raw_hash: Option<String>,
    /// By which version of the algorithm it was grouped.
    pub config: &'static str,
    /// `error`, `csp` or `default`.
    pub kind: &'static str,
    /// Its level.
    pub level: String,
    /// Its platform.
    pub platform: String,
    /// Its title.
    pub title: String,
    /// Where it happened.
    pub culprit: String,
    /// The file in which it happened.
    pub location: Option<String>,
    /// Its message.
    pub message: String,
    /// Its release.
    pub release: Option<String>,
    /// Its environment.
    pub environment: Option<String>,
    /// Its user.
    pub user: Option<Value>,
    /// Its tags, as a list of pairs.
    pub tags: Value,
    /// Type and value.
    pub metadata: Value,
    /// Bytes of its JSON.
    pub size: u64,
    /// What became of its frames: `none`, `done` or `failed`.
    pub symbolication: &'static str,
    /// Modules that were missing: debug id and file.
    pub missing: Vec<(String, Option<String>)>,
    /// Its JSON, compressed.
    pub payload: Vec<u8>,
}

/// An event that is there, as far as replacing it needs.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct EventRow {
    /// Row id.
    pub id: i64,
    /// In which project.
    pub project_id: i64,
    /// Its id.
    pub event_id: String,
    /// Its day.
    pub day: i64,
    /// When it was received.
    pub received_at: DateTime<Utc>,
    /// Its issue.
    pub issue_id: i64,
    /// The hash under which it is counted.
    pub hash_id: i64,
}

impl UnitOfWork {
    /// Locks the events of these keys: project, event id and day.
    #[tracing::instrument(level = "debug", skip_all, name = "db.events.lock")]
    pub async fn lock_events(&mut self, keys: &[(i64, &str, i64)]) -> Result<Vec<EventRow>, DbError> {
        const SQL: Sql = sql!("
            select g.id, g.project_id, g.event_id, g.day, g.received_at, g.issue_id, g.hash_id from events g
            join (
                select cast(value ->> 0 as bigint) as project_id, value ->> 1 as event_id,
                    cast(value ->> 2 as bigint) as day from " [rows "$1"] "
            ) w on w.project_id = g.project_id and w.event_id = g.event_id and w.day = g.day
            order by g.id" [lock_of_g]);
        Ok(on_tx!(&mut self.tx, SQL, |sql, on| query_as(sql).bind(json(keys)).fetch_all(on).await)?)
    }

    /// Notes keys of events that are counted and not stored. Returns those that were not there.
    #[tracing::instrument(level = "debug", skip_all, name = "db.sampled_events.insert")]
    pub async fn insert_sampled(
        &mut self,
        keys: &[(i64, &str, i64)],
        now: DateTime<Utc>,
    ) -> Result<Vec<(i64, String, i64)>, DbError> {
        const SQL: Sql = sql!("
            insert into sampled_events (project_id, event_id, day, received_at)
            select cast(value ->> 0 as bigint), value ->> 1, cast(value ->> 2 as bigint), $2 from " [rows "$1"] "
            where true on conflict do nothing returning project_id, event_id, day
        ");
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        Ok(on_tx!(&mut self.tx, SQL, |sql, on| query_as(sql).bind(json(keys)).bind(now).fetch_all(on).await)?)
    }

    /// Which of these keys are of events that were counted and not stored.
    #[tracing::instrument(level = "debug", skip_all, name = "db.sampled_events.known")]
    pub async fn sampled(&mut self, keys: &[(i64, &str, i64)]) -> Result<Vec<(i64, String, i64)>, DbError> {
        const SQL: Sql = sql!("
            select s.project_id, s.event_id, s.day from sampled_events s
            join (
                select cast(value ->> 0 as bigint) as project_id, value ->> 1 as event_id,
                    cast(value ->> 2 as bigint) as day from " [rows "$1"] "
            ) w on w.project_id = s.project_id and w.event_id = s.event_id and w.day = s.day
        ");
        Ok(on_tx!(&mut self.tx, SQL, |sql, on| query_as(sql).bind(json(keys)).fetch_all(on).await)?)
    }

    /// Stores events with their payloads. A key that is there fails: the caller has locked those that it found.
    #[tracing::instrument(level = "debug", skip_all, name = "db.events.insert")]
    pub async fn insert_events(&mut self, events: &[&NewEvent]) -> Result<(), DbError> {
        const SQL: Sql = sql!("
            insert into events (project_id, event_id, day, happened_at, received_at, issue_id, hash_id, hashes,
                deep_hashes, raw_hash, config, kind, level, platform, title, culprit, location, message, release,
                environment, user_data, tags, metadata, size, stored_size, symbolication)
            select cast(value ->> 'project_id' as bigint), value ->> 'event_id', cast(value ->> 'day' as bigint),
                " [time "value ->> 'happened_at'"] ", " [time "value ->> 'received_at'"] ",
                cast(value ->> 'issue_id' as bigint), cast(value ->> 'hash_id' as bigint),
                " [json "value ->> 'hashes'"] ", " [json "value ->> 'deep_hashes'"] ", value ->> 'raw_hash',
                value ->> 'config', value ->> 'kind', value ->> 'level', value ->> 'platform', value ->> 'title',
                value ->> 'culprit', value ->> 'location', value ->> 'message', value ->> 'release',
                value ->> 'environment', " [json "value ->> 'user'"] ", " [json "value ->> 'tags'"] ",
                " [json "value ->> 'metadata'"] ", cast(value ->> 'size' as bigint),
                cast(value ->> 'stored_size' as bigint), value ->> 'symbolication'
            from " [rows "$1"] " where true returning id, project_id, event_id, day
        ");
        if events.is_empty() {
            return Ok(());
        }
        let list: Vec<_> = events.iter().map(|event| row(event)).collect();
        let rows: Vec<(i64, i64, String, i64)> =
            on_tx!(&mut self.tx, SQL, |sql, on| query_as(sql).bind(json(&list)).fetch_all(on).await)?;
        let ids: std::collections::HashMap<_, _> =
            rows.iter().map(|(id, project, event, day)| ((*project, event.as_str(), *day), *id)).collect();
        let mut stored = Vec::with_capacity(events.len());
        for event in events {
            let key = (event.project_id, event.event_id.as_str(), event.day);
            stored.push((*ids.get(&key).ok_or(sqlx::Error::RowNotFound)?, *event));
        }
        self.insert_payloads(&stored).await
    }

    /// Replaces events by others of the same key.
    #[tracing::instrument(level = "debug", skip_all, name = "db.events.replace")]
    pub async fn replace_events(&mut self, events: &[(i64, &NewEvent)]) -> Result<(), DbError> {
        const SQL: Sql = sql!("
            update events set happened_at = " [time "item.value ->> 'happened_at'"] ",
                received_at = " [time "item.value ->> 'received_at'"] ",
                issue_id = cast(item.value ->> 'issue_id' as bigint),
                hash_id = cast(item.value ->> 'hash_id' as bigint), hashes = " [json "item.value ->> 'hashes'"] ",
                deep_hashes = " [json "item.value ->> 'deep_hashes'"] ", raw_hash = item.value ->> 'raw_hash',
                config = item.value ->> 'config', kind = item.value ->> 'kind', level = item.value ->> 'level',
                platform = item.value ->> 'platform', title = item.value ->> 'title',
                culprit = item.value ->> 'culprit', location = item.value ->> 'location',
                message = item.value ->> 'message', release = item.value ->> 'release',
                environment = item.value ->> 'environment', user_data = " [json "item.value ->> 'user'"] ",
                tags = " [json "item.value ->> 'tags'"] ", metadata = " [json "item.value ->> 'metadata'"] ",
                size = cast(item.value ->> 'size' as bigint),
                stored_size = cast(item.value ->> 'stored_size' as bigint),
                symbolication = item.value ->> 'symbolication'
            from " [rows "$1"] " as item where events.id = cast(item.value ->> 'id' as bigint)
        ");
        const PAYLOADS: Sql = sql!("delete from event_payloads where event_row_id " [in_numbers "$1"]);
        const MISSING: Sql = sql!("delete from event_missing where event_row_id " [in_numbers "$1"]);
        if events.is_empty() {
            return Ok(());
        }
        let list: Vec<_> = events
            .iter()
            .map(|(id, event)| {
                let mut row = row(event);
                row["id"] = json!(id);
                row
            })
            .collect();
        let ids = json(&events.iter().map(|(id, _)| *id).collect::<Vec<_>>());
        on_tx!(&mut self.tx, SQL, |sql, on| query(sql).bind(json(&list)).execute(on).await.map(drop))?;
        for sql in [PAYLOADS, MISSING] {
            on_tx!(&mut self.tx, sql, |sql, on| query(sql).bind(ids.as_str()).execute(on).await.map(drop))?;
        }
        self.insert_payloads(events).await
    }

    async fn insert_payloads(&mut self, events: &[(i64, &NewEvent)]) -> Result<(), DbError> {
        const SQL: Sql = sql!("
            insert into event_payloads (event_row_id, payload)
            select cast(value ->> 0 as bigint), " [unhex "value ->> 1"] " from " [rows "$1"]);
        const MISSING: Sql = sql!("
            insert into event_missing (event_row_id, project_id, debug_id, code_file)
            select cast(value ->> 0 as bigint), cast(value ->> 1 as bigint), value ->> 2, value ->> 3
            from " [rows "$1"] " where true on conflict do nothing
        ");
        let list: Vec<_> = events.iter().map(|(id, event)| (id, hex::encode(&event.payload))).collect();
        on_tx!(&mut self.tx, SQL, |sql, on| query(sql).bind(json(&list)).execute(on).await.map(drop))?;
        let missing: Vec<_> = events
            .iter()
            .flat_map(|(id, event)| {
                event.missing.iter().map(move |(debug, file)| {
                    let file = file.as_deref().map(|file| fitted(file, limits::NAME));
                    (id, event.project_id, fitted(debug, limits::FILE_ID), file)
                })
            })
            .collect();
        if !missing.is_empty() {
            on_tx!(&mut self.tx, MISSING, |sql, on| query(sql).bind(json(&missing)).execute(on).await.map(drop))?;
        }
        Ok(())
    }
}

/// The event as an element of a list. Columns of JSON are texts in it.
fn row(event: &NewEvent) -> Value {
    json!({
        "project_id": event.project_id,
        "event_id": event.event_id,
        "day": event.day,
        "happened_at": time(event.happened_at),
        "received_at": time(event.received_at),
        "issue_id": event.issue_id,
        "hash_id": event.hash_id,
        "hashes": json(&event.hashes),
        "deep_hashes": json(&event.deep_hashes),
        "raw_hash": event.raw_hash,
        "config": event.config,
        "kind": event.kind,
        "level": fitted(&event.level, limits::WORD),
        "platform": fitted(&event.platform, limits::WORD),
        "title": fitted(&event.title, limits::NAME),
        "culprit": fitted(&event.culprit, limits::MESSAGE),
        "location": event.location.as_deref().map(|text| fitted(text, limits::NAME)),
        "message": fitted(&event.message, limits::EVENT_MESSAGE),
        "release": event.release.as_deref().map(|text| fitted(text, limits::NAME)),
        "environment": event.environment.as_deref().map(|text| fitted(text, limits::NAME)),
        "user": event.user.as_ref().map(json),
        "tags": json(&event.tags),
        "metadata": json(&event.metadata),
        "size": number(event.size),
        "stored_size": event.payload.len(),
        "symbolication": event.symbolication,
    })
}
