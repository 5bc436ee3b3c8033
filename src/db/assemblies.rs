//! The durable state of assemblies: who wants a file, who works on it, why it failed. These rows are the queue.
//!
//! One column, `due_at`, says when a worker may take a row: at once, after a back-off, or when a lease has run out. How it is
//! taken stands in `claims`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{query, query_as, query_scalar};

use super::rows::{fitted, join_sha1s, json, parse, split_sha1s, text};
use super::sql::{Sql, on_db, sql};
use super::{Db, DbError};
use crate::types::limits;
use crate::types::{Assembly, Sha1};

/// A file that a client wants assembled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAssembly {
    /// Project that wants it.
    pub project_id: i64,
    /// Owner of the project.
    pub organization_id: i64,
    /// Checksum of the whole file.
    pub sha1: Sha1,
    /// Name the client gave.
    pub name: String,
    /// Debug id the client gave, as it wrote it.
    pub debug_id: Option<String>,
    /// Chunks in order, with repeats.
    pub chunks: Vec<Sha1>,
    /// Size of the file in bytes, as its chunks say.
    pub size: u64,
}

/// A wanted file as one element of the list that a single statement stores.
#[derive(Serialize)]
struct Wanted {
    project_id: i64,
    organization_id: i64,
    sha1: Sha1,
    name: String,
    debug_id: Option<String>,
    chunks: String,
    size: u64,
}

#[derive(sqlx::FromRow)]
pub(super) struct AssemblyRow {
    id: i64,
    project_id: i64,
    organization_id: i64,
    sha1: String,
    state: String,
    detail: Option<String>,
    name: String,
    debug_id: Option<String>,
    chunks: Vec<u8>,
    attempt: i64,
    lease_token: Option<String>,
    converter_version: Option<String>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<AssemblyRow> for Assembly {
    type Error = DbError;

    fn try_from(row: AssemblyRow) -> Result<Self, DbError> {
        const TABLE: &str = "assemblies";
        Ok(Self {
            id: row.id,
            project_id: row.project_id,
            organization_id: row.organization_id,
            sha1: parse(TABLE, &row.sha1)?,
            state: parse(TABLE, &row.state)?,
            detail: row.detail,
            name: row.name,
            debug_id: row.debug_id,
            chunks: split_sha1s(TABLE, &row.chunks)?,
            attempt: row.attempt,
            lease_token: row.lease_token,
            converter_version: row.converter_version,
            updated_at: row.updated_at,
        })
    }
}

macro_rules! assembly_columns {
    () => {
        "id, project_id, organization_id, sha1, state, detail, name, debug_id, chunks, attempt, lease_token,
            converter_version, updated_at"
    };
}
pub(super) use assembly_columns;

impl Db {
    /// Whether files of a project are on their way.
    #[tracing::instrument(level = "debug", skip_all, name = "db.assemblies.any")]
    pub async fn is_assembling(&self, project_id: i64) -> Result<bool, DbError> {
        const SQL: Sql = sql!("select id from assemblies where project_id = $1 and state <> 'error' limit 1");
        let row: Option<i64> =
            on_db!(read self, SQL, |sql, on| query_scalar(sql).bind(project_id).fetch_optional(on).await)?;
        Ok(row.is_some())
    }

    /// The assemblies of these contents in a project. One query for any number.
    #[tracing::instrument(level = "debug", skip_all, name = "db.assemblies.of")]
    pub async fn assemblies(&self, project_id: i64, sha1s: &[Sha1]) -> Result<Vec<Assembly>, DbError> {
        const SQL: Sql = sql!(
            "select " (assembly_columns) " from assemblies where project_id = $1 and sha1 " [in_texts "$2"]
        );
        if sha1s.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<AssemblyRow> = on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(project_id).bind(json(sha1s)).fetch_all(on).await
        })?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Queues files: a row that is not there is made in state `created`, one in state `error` goes back to `created`
    /// with what is wanted now, attempt 0 and no lease; one already `created` or `assembling` stays as it is. Returns
    /// the checksums that were queued by this call. One statement for any number.
    #[tracing::instrument(level = "debug", skip_all, name = "db.assemblies.queue")]
    pub async fn queue_assemblies(&self, wanted: &[NewAssembly], now: DateTime<Utc>) -> Result<Vec<Sha1>, DbError> {
        const SQL: Sql = sql!("
            insert into assemblies (project_id, organization_id, sha1, name, debug_id, chunks, size, state, attempt,
                due_at, created_at, updated_at)
            select cast(value ->> 'project_id' as bigint), cast(value ->> 'organization_id' as bigint),
                value ->> 'sha1', value ->> 'name', value ->> 'debug_id', " [unhex "value ->> 'chunks'"] ",
                cast(value ->> 'size' as bigint), 'created', 0, $2, $2, $2
            from " [rows "$1"] " where true
            on conflict (project_id, sha1) do update set organization_id = excluded.organization_id,
                name = excluded.name, debug_id = excluded.debug_id, chunks = excluded.chunks, size = excluded.size,
                state = 'created', detail = null, attempt = 0, lease_token = null, due_at = excluded.due_at, converter_version = null,
                updated_at = excluded.updated_at
            where assemblies.state = 'error'
            returning sha1
        ");
        // Once each, because a statement may touch a row only once; in order, so that two calls never wait for each
        // other.
        let mut once = BTreeMap::new();
        for file in wanted {
            once.entry((file.project_id, file.sha1)).or_insert_with(|| Wanted {
                project_id: file.project_id,
                organization_id: file.organization_id,
                sha1: file.sha1,
                name: text(&file.name).into_owned(),
                debug_id: file.debug_id.as_deref().map(|id| fitted(id, limits::GIVEN_DEBUG_ID).into_owned()),
                chunks: join_sha1s(&file.chunks),
                size: file.size,
            });
        }
        if once.is_empty() {
            return Ok(Vec::new());
        }
        let list = json(&once.into_values().collect::<Vec<_>>());
        let rows: Vec<String> =
            on_db!(write self, SQL, |sql, on| query_scalar(sql).bind(list).bind(now).fetch_all(on).await)?;
        rows.iter().map(|sha1| parse("assemblies", sha1)).collect()
    }

    /// Holds on to an assembly; false if somebody else has it.
    #[tracing::instrument(level = "debug", skip_all, name = "db.assemblies.renew")]
    pub async fn renew_assembly_lease(
        &self,
        id: i64,
        lease_token: &str,
        lease_until: DateTime<Utc>,
    ) -> Result<bool, DbError> {
        const SQL: Sql = sql!(
            "
            update assemblies set due_at = $3 where id = $1 and lease_token = $2 and state = 'assembling'
        "
        );
        let rows = on_db!(write self, SQL, |sql, on| {
            query(sql).bind(id).bind(lease_token).bind(lease_until).execute(on).await?.rows_affected()
        });
        Ok(rows == 1)
    }

    /// Hands an assembly back to be tried again at `not_before`; false if the lease was lost.
    #[tracing::instrument(level = "debug", skip_all, name = "db.assemblies.retry")]
    pub async fn retry_assembly(
        &self,
        id: i64,
        lease_token: &str,
        detail: &str,
        not_before: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, DbError> {
        const SQL: Sql = sql!(
            "
            update assemblies
            set state = 'created', lease_token = null, detail = $3, due_at = $4, updated_at = $5
            where id = $1 and lease_token = $2 and state = 'assembling'
        "
        );
        let rows = on_db!(write self, SQL, |sql, on| {
            query(sql)
                .bind(id)
                .bind(lease_token)
                .bind(fitted(detail, limits::MESSAGE))
                .bind(not_before)
                .bind(now)
                .execute(on)
                .await?
                .rows_affected()
        });
        Ok(rows == 1)
    }

    /// Gives an assembly back that nobody failed at, to be taken at once: the attempt does not count. False if the lease
    /// was lost.
    #[tracing::instrument(level = "debug", skip_all, name = "db.assemblies.give_back")]
    pub async fn give_back_assembly(&self, id: i64, lease_token: &str, now: DateTime<Utc>) -> Result<bool, DbError> {
        const SQL: Sql = sql!(
            "
            update assemblies
            set state = 'created', lease_token = null, attempt = attempt - 1, due_at = $3, updated_at = $3
            where id = $1 and lease_token = $2 and state = 'assembling'
        "
        );
        let rows = on_db!(write self, SQL, |sql, on| {
            query(sql).bind(id).bind(lease_token).bind(now).execute(on).await?.rows_affected()
        });
        Ok(rows == 1)
    }

    /// Ends an assembly in state `error`; false if the lease was lost.
    #[tracing::instrument(level = "debug", skip_all, name = "db.assemblies.fail")]
    pub async fn fail_assembly(
        &self,
        id: i64,
        lease_token: &str,
        detail: &str,
        converter_version: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, DbError> {
        const SQL: Sql = sql!(
            "
            update assemblies
            set state = 'error', lease_token = null, detail = $3, converter_version = $4, updated_at = $5
            where id = $1 and lease_token = $2 and state = 'assembling'
        "
        );
        let rows = on_db!(write self, SQL, |sql, on| {
            query(sql)
                .bind(id)
                .bind(lease_token)
                .bind(fitted(detail, limits::MESSAGE))
                .bind(converter_version)
                .bind(now)
                .execute(on)
                .await?
                .rows_affected()
        });
        Ok(rows == 1)
    }

    /// How many assemblies wait or are worked on.
    #[tracing::instrument(level = "debug", skip_all, name = "db.assemblies.count_open")]
    pub async fn open_assemblies(&self) -> Result<i64, DbError> {
        const SQL: Sql = sql!("select count(*) from assemblies where state <> 'error'");
        Ok(on_db!(read self, SQL, |sql, on| query_scalar(sql).fetch_one(on).await)?)
    }

    /// Deletes up to `limit` assemblies in state `error` that did not change since `before`; returns how many.
    #[tracing::instrument(level = "debug", skip_all, name = "db.assemblies.forget_failed")]
    pub async fn forget_failed_assemblies(&self, before: DateTime<Utc>, limit: i64) -> Result<u64, DbError> {
        // Said twice, because a row may be queued again between being found and being deleted.
        const SQL: Sql = sql!(
            "
            delete from assemblies where state = 'error' and updated_at < $1 and id in (
                select id from assemblies where state = 'error' and updated_at < $1 order by updated_at limit $2
            )
        "
        );
        let rows = on_db!(write self, SQL, |sql, on| {
            query(sql).bind(before).bind(limit).execute(on).await?.rows_affected()
        });
        Ok(rows)
    }
}
