//! Events whose symbolication lacked modules: found by the ids that they lack, and read with what came with them.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};

use crate::db::engine::Tx;
use crate::db::rows::{blob, json};
use crate::db::sql::{Sql, on_db, on_tx, sql};
use crate::db::{Db, DbError};
use crate::types::{BlobRef, JobKind, NewDebugFile};

/// Which events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking<'a> {
    /// Of which project.
    pub project_id: i64,
    /// That lack this debug id; any without it.
    pub debug_id: Option<&'a str>,
    /// That were received since.
    pub since: DateTime<Utc>,
}

/// An event to be processed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LackingEvent {
    /// Row id.
    pub id: i64,
    /// Its id.
    pub event_id: String,
    /// When it was received.
    pub received_at: DateTime<Utc>,
    /// Its JSON, compressed.
    pub payload: Vec<u8>,
    /// Its dump or report, by its type, if it came with one that is kept.
    pub crash: Option<(String, BlobRef)>,
}

/// What was stored of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPayload {
    /// Its JSON, compressed.
    pub payload: Vec<u8>,
    /// Its flat and its hierarchical hashes.
    pub hashes: Vec<String>,
}

#[derive(sqlx::FromRow)]
struct LackingRow {
    id: i64,
    event_id: String,
    received_at: DateTime<Utc>,
    payload: Vec<u8>,
}

impl Db {
    /// The newest event with this id.
    #[tracing::instrument(level = "debug", skip_all, name = "db.events.payload")]
    pub async fn event_payload(&self, project_id: i64, event_id: &str) -> Result<Option<EventPayload>, DbError> {
        const SQL: Sql = sql!(
            "
            select p.payload, cast(e.hashes as text), cast(e.deep_hashes as text) from events e
            join event_payloads p on p.event_row_id = e.id
            where e.project_id = $1 and e.event_id = $2 order by e.day desc limit 1
        "
        );
        let row: Option<(Vec<u8>, String, String)> = on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(project_id).bind(event_id).fetch_optional(on).await
        })?;
        let Some((payload, flat, deep)) = row else { return Ok(None) };
        let mut hashes: Vec<String> = serde_json::from_str(&flat).unwrap_or_default();
        hashes.extend(serde_json::from_str::<Vec<String>>(&deep).unwrap_or_default());
        Ok(Some(EventPayload { payload, hashes }))
    }

    /// Up to `limit` such events, newest first, before the row `before`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.events.lacking")]
    pub async fn lacking_events(
        &self,
        lacking: &Lacking<'_>,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<LackingEvent>, DbError> {
        const SQL: Sql = sql!(
            "
            select e.id, e.event_id, e.received_at, p.payload from events e
            join event_payloads p on p.event_row_id = e.id
            where e.project_id = $1 and e.received_at >= $2 and e.id < $3 and exists (
                select 1 from event_missing m
                where m.event_row_id = e.id and (cast($4 as text) is null or m.debug_id = $4)
            )
            order by e.id desc limit $5
        "
        );
        const CRASHES: Sql = sql!("
            select event_id, type, blob_key, encoding, size, stored_size from attachments
            where project_id = $1 and type in ('event.minidump', 'event.applecrashreport')
                and event_id " [in_texts "$2"] " order by id
        ");
        let rows: Vec<LackingRow> = on_db!(read self, SQL, |sql, on| {
            let query = query_as(sql).bind(lacking.project_id).bind(lacking.since).bind(before.unwrap_or(i64::MAX));
            query.bind(lacking.debug_id).bind(limit).fetch_all(on).await
        })?;
        let ids: Vec<_> = rows.iter().map(|row| row.event_id.as_str()).collect();
        let crashes: Vec<(String, String, String, String, i64, i64)> = on_db!(read self, CRASHES, |sql, on| {
            query_as(sql).bind(lacking.project_id).bind(json(&ids)).fetch_all(on).await
        })?;
        let mut crash_of = std::collections::HashMap::new();
        for (event_id, kind, key, encoding, size, stored) in crashes {
            crash_of.entry(event_id).or_insert((kind, blob("attachments", key, &encoding, size, stored)?));
        }
        let event = |row: LackingRow| LackingEvent {
            crash: crash_of.remove(&row.event_id),
            id: row.id,
            event_id: row.event_id,
            received_at: row.received_at,
            payload: row.payload,
        };
        Ok(rows.into_iter().map(event).collect())
    }
}

/// Has events of the project processed again that lacked this file, as part of its registration: one job for a project, however
/// many events and files.
pub async fn queue_for(tx: &mut Tx, file: &NewDebugFile, now: DateTime<Utc>) -> Result<(), DbError> {
    const SQL: Sql = sql!("
        insert into jobs (kind, organization_id, project_id, dedup_key, payload, attempt, due_at, created_at)
        select $4, p.organization_id, p.id, cast(p.id as text), " [json "'{}'"] ", 0, $3, $3 from projects p
        where p.id = $1 and exists (
            select 1 from event_missing m where m.project_id = p.id and m.debug_id " [in_texts "$2"] "
        )
        on conflict (kind, dedup_key) do update set
            rerun = case when jobs.lease_token is null then jobs.rerun else 1 end
    ");
    let mut ids = vec![file.debug_id.as_str()];
    ids.extend(file.debug_id_alias.as_ref().map(|id| id.as_str()));
    on_tx!(tx, SQL, |sql, on| {
        let query = query(sql).bind(file.project_id).bind(json(&ids)).bind(now);
        query.bind(JobKind::Reprocess.as_str()).execute(on).await.map(drop)
    })?;
    Ok(())
}
