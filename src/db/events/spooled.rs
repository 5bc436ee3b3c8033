//! Accepted events that wait: rows of a spool, how far segments on disk are digested, and what could not be digested.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{query, query_as, query_scalar};

use super::UnitOfWork;
use crate::db::rows::{fitted, json};
use crate::db::sql::{Sql, on_db, on_tx, sql};
use crate::db::{Db, DbError};
use crate::types::{SpoolStage, limits};

/// A record that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSpooled {
    /// Of which organization.
    pub organization_id: i64,
    /// What it waits for.
    pub stage: SpoolStage,
    /// Its bytes.
    pub record: Vec<u8>,
}

/// A row that a digester holds.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct SpooledRow {
    /// Row id.
    pub id: i64,
    /// Of which organization.
    pub organization_id: i64,
    /// Its bytes.
    pub record: Vec<u8>,
    /// Which attempt this is, from 1 on.
    pub attempt: i64,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
}

const INSERT: Sql = sql!("
    insert into spooled (organization_id, stage, record, due_at, created_at)
    select cast(value ->> 'organization' as bigint), value ->> 'stage', " [unhex "value ->> 'record'"] ", $2, $3
    from " [rows "$1"]);

fn listed(rows: &[NewSpooled]) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "organization": row.organization_id,
                "stage": row.stage.as_str(),
                "record": hex::encode(&row.record),
            })
        })
        .collect();
    json(&rows)
}

impl Db {
    /// Stores records that may be taken from `due` on. One statement for any number.
    #[tracing::instrument(level = "debug", skip_all, name = "db.spooled.insert")]
    pub async fn insert_spooled(
        &self,
        rows: &[NewSpooled],
        due: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(), DbError> {
        on_db!(write self, INSERT, |sql, on| {
            query(sql).bind(listed(rows)).bind(due).bind(now).execute(on).await.map(drop)
        })?;
        Ok(())
    }

    /// Takes up to `limit` due rows of a stage, oldest first, and holds them until `until`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.spooled.claim")]
    pub async fn claim_spooled(
        &self,
        stage: SpoolStage,
        token: &str,
        limit: i64,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<SpooledRow>, DbError> {
        const SQL: Sql = sql!("
            update spooled set lease_token = $2, due_at = $4, attempt = attempt + 1 where id in (
                select id from spooled where stage = $1 and due_at <= $5 order by due_at, id limit $3" [lock_free] "
            ) returning id, organization_id, record, attempt, created_at
        ");
        let mut rows: Vec<SpooledRow> = on_db!(write self, SQL, |sql, on| {
            query_as(sql).bind(stage.as_str()).bind(token).bind(limit).bind(until).bind(now).fetch_all(on).await
        })?;
        rows.sort_by_key(|row| row.id);
        Ok(rows)
    }

    /// Lets go of rows that are held under a token, to be taken again from `due` on.
    #[tracing::instrument(level = "debug", skip_all, name = "db.spooled.release")]
    pub async fn release_spooled(&self, ids: &[i64], token: &str, due: DateTime<Utc>) -> Result<(), DbError> {
        const SQL: Sql = sql!("
            update spooled set lease_token = null, due_at = $3 where lease_token = $2 and id " [in_numbers "$1"]);
        on_db!(write self, SQL, |sql, on| {
            query(sql).bind(json(ids)).bind(token).bind(due).execute(on).await.map(drop)
        })?;
        Ok(())
    }

    /// When the oldest row that waits to be digested was accepted.
    #[tracing::instrument(level = "debug", skip_all, name = "db.spooled.oldest")]
    pub async fn oldest_spooled(&self) -> Result<Option<DateTime<Utc>>, DbError> {
        const SQL: Sql = sql!("select created_at from spooled where stage = 'new' order by due_at, id limit 1");
        Ok(on_db!(read self, SQL, |sql, on| query_scalar(sql).fetch_optional(on).await)?)
    }

    /// How far a segment of a spool on disk is digested, by organization.
    #[tracing::instrument(level = "debug", skip_all, name = "db.spool_progress.of_segment")]
    pub async fn spool_progress(&self, segment: &str) -> Result<HashMap<i64, u64>, DbError> {
        const SQL: Sql = sql!("select organization_id, position from spool_progress where segment = $1");
        let rows: Vec<(i64, i64)> = on_db!(read self, SQL, |sql, on| query_as(sql).bind(segment).fetch_all(on).await)?;
        Ok(rows.into_iter().map(|(id, position)| (id, u64::try_from(position).unwrap_or_default())).collect())
    }

    /// Forgets segments that are removed.
    #[tracing::instrument(level = "debug", skip_all, name = "db.spool_progress.forget")]
    pub async fn forget_segments(&self, segments: &[String]) -> Result<(), DbError> {
        const SQL: Sql = sql!("delete from spool_progress where segment " [in_texts "$1"]);
        if segments.is_empty() {
            return Ok(());
        }
        on_db!(write self, SQL, |sql, on| query(sql).bind(json(segments)).execute(on).await.map(drop))?;
        Ok(())
    }

    /// Deletes what could not be digested before `before`, and all but the newest 1 000. Returns how many.
    #[tracing::instrument(level = "debug", skip_all, name = "db.rejected.delete_old")]
    pub async fn delete_old_rejected(&self, before: DateTime<Utc>) -> Result<u64, DbError> {
        const SQL: Sql = sql!(
            "
            delete from rejected where created_at < $1
                or id <= (select id from rejected order by id desc limit 1 offset 1000)
        "
        );
        Ok(on_db!(write self, SQL, |sql, on| query(sql).bind(before).execute(on).await?.rows_affected()))
    }
}

impl UnitOfWork {
    /// Stores records that wait for something, as part of the work.
    pub async fn insert_spooled(
        &mut self,
        rows: &[NewSpooled],
        due: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(), DbError> {
        if !rows.is_empty() {
            on_tx!(&mut self.tx, INSERT, |sql, on| {
                query(sql).bind(listed(rows)).bind(due).bind(now).execute(on).await.map(drop)
            })?;
        }
        Ok(())
    }

    /// Ends rows that are held under a token. False if not all of them are.
    pub async fn end_spooled(&mut self, ids: &[i64], token: &str) -> Result<bool, DbError> {
        const SQL: Sql = sql!("delete from spooled where lease_token = $2 and id " [in_numbers "$1"]);
        let ended = on_tx!(&mut self.tx, SQL, |sql, on| {
            query(sql).bind(json(ids)).bind(token).execute(on).await?.rows_affected()
        });
        Ok(ended == ids.len() as u64)
    }

    /// Notes how far segments are digested: segment, organization, offset behind the last record.
    pub async fn advance_spool(&mut self, ends: &[(&str, i64, u64)]) -> Result<(), DbError> {
        const SQL: Sql = sql!("
            insert into spool_progress (segment, organization_id, position)
            select value ->> 0, cast(value ->> 1 as bigint), cast(value ->> 2 as bigint)
            from " [rows "$1"] " where true
            on conflict (segment, organization_id) do update set position = excluded.position
        ");
        if !ends.is_empty() {
            on_tx!(&mut self.tx, SQL, |sql, on| query(sql).bind(json(ends)).execute(on).await.map(drop))?;
        }
        Ok(())
    }

    /// Keeps an accepted event that cannot be digested.
    pub async fn reject(
        &mut self,
        (project_id, event_id): (i64, &str),
        reason: &str,
        record: &[u8],
        now: DateTime<Utc>,
    ) -> Result<(), DbError> {
        const SQL: Sql =
            sql!("insert into rejected (project_id, event_id, reason, record, created_at) values ($1, $2, $3, $4, $5)");
        on_tx!(&mut self.tx, SQL, |sql, on| {
            let query = query(sql).bind(project_id).bind(event_id).bind(fitted(reason, limits::MESSAGE));
            query.bind(record).bind(now).execute(on).await.map(drop)
        })?;
        Ok(())
    }
}
