//! The queue of background jobs besides assemblies: queued once per key, held under a lease, tried again later, ended. How
//! one is taken stands in `claims`. Nothing here reads a payload.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{query, query_as, query_scalar};

use super::engine::Tx;
use super::rows::{json, parse, text};
use super::sql::{Sql, on_db, on_tx, sql};
use super::{Db, DbError};
use crate::types::{Job, JobKind, JobLease};

/// Most characters that are kept of a reason.
const LONGEST_ERROR: usize = 1000;

/// A job to be queued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewJob {
    /// What it does.
    pub kind: JobKind,
    /// For whom.
    pub organization_id: i64,
    /// In which project, if in one.
    pub project_id: Option<i64>,
    /// What makes it the same work as another one of its kind; without it no two are the same.
    pub dedup_key: Option<String>,
    /// Of a lane only one runs at a time.
    pub lane: Option<String>,
    /// What to do, as JSON.
    pub payload: String,
}

/// Where a queued job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedJob {
    /// Its key.
    pub dedup_key: String,
    /// Attempts that were begun.
    pub attempt: i64,
    /// Whether a worker has it.
    pub running: bool,
    /// From when on it may be taken.
    pub due_at: DateTime<Utc>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

/// What became of a job whose work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// Its row is gone.
    Done,
    /// It was caused again while it ran, and waits for its next run.
    Again,
    /// Another worker has it; nothing was written.
    LeaseLost,
}

#[derive(sqlx::FromRow)]
pub(super) struct JobRow {
    id: i64,
    kind: String,
    organization_id: i64,
    project_id: Option<i64>,
    dedup_key: Option<String>,
    payload: String,
    attempt: i64,
    created_at: DateTime<Utc>,
}

impl TryFrom<JobRow> for Job {
    type Error = DbError;

    fn try_from(row: JobRow) -> Result<Self, DbError> {
        Ok(Self {
            id: row.id,
            kind: parse("jobs", &row.kind)?,
            organization_id: row.organization_id,
            project_id: row.project_id,
            dedup_key: row.dedup_key,
            payload: row.payload,
            attempt: row.attempt,
            created_at: row.created_at,
        })
    }
}

macro_rules! job_columns {
    () => {
        "id, kind, organization_id, project_id, dedup_key, cast(payload as text) as payload, attempt, created_at"
    };
}
pub(super) use job_columns;

/// Ends a job as part of a unit of work: its row goes, or waits for another run if one was caused while it ran.
pub(super) async fn end_job(tx: &mut Tx, lease: &JobLease, now: DateTime<Utc>) -> Result<JobEnd, DbError> {
    const DONE: Sql = sql!("delete from jobs where id = $1 and lease_token = $2 and rerun = 0");
    const AGAIN: Sql = sql!(
        "
        update jobs set lease_token = null, lease_until = null, rerun = 0, attempt = 0, last_error = null, due_at = $3
        where id = $1 and lease_token = $2
    "
    );
    let (id, token) = (lease.job_id, lease.token.as_str());
    let done = on_tx!(&mut *tx, DONE, |sql, on| query(sql).bind(id).bind(token).execute(on).await?.rows_affected());
    if done == 1 {
        return Ok(JobEnd::Done);
    }
    let again =
        on_tx!(tx, AGAIN, |sql, on| query(sql).bind(id).bind(token).bind(now).execute(on).await?.rows_affected());
    Ok(if again == 1 { JobEnd::Again } else { JobEnd::LeaseLost })
}

impl Db {
    /// Queues jobs that are due at `due`. A key that is queued already stays one row: if it waits for its first attempt it
    /// is due at the earlier time, and if it runs it is marked to run once more. One statement for any number.
    #[tracing::instrument(level = "debug", skip_all, name = "db.jobs.queue")]
    pub async fn queue_jobs(&self, jobs: &[NewJob], due: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), DbError> {
        const SQL: Sql = sql!("
            insert into jobs (kind, organization_id, project_id, dedup_key, lane, payload, attempt, due_at, created_at)
            select value ->> 'kind', cast(value ->> 'organization_id' as bigint),
                cast(value ->> 'project_id' as bigint), value ->> 'dedup_key', value ->> 'lane', "
                [json "value ->> 'payload'"] ", 0, $2, $3
            from " [rows "$1"] " where true
            on conflict (kind, dedup_key) do update set
                rerun = case when jobs.lease_token is null then jobs.rerun else 1 end,
                due_at = case when jobs.lease_token is null then excluded.due_at else jobs.due_at end
            where (jobs.lease_token is not null and jobs.rerun = 0)
                or (jobs.lease_token is null and jobs.attempt = 0 and excluded.due_at < jobs.due_at)
        ");
        // Once each, because a statement may touch a row only once; in order, so that two calls never wait for each other.
        let mut keyed = BTreeMap::new();
        let mut list = Vec::new();
        for job in jobs {
            match &job.dedup_key {
                Some(key) => _ = keyed.entry((job.kind.as_str(), key.as_str())).or_insert(job),
                None => list.push(job),
            }
        }
        list.extend(keyed.into_values());
        if list.is_empty() {
            return Ok(());
        }
        on_db!(write self, SQL, |sql, on| query(sql).bind(json(&list)).bind(due).bind(now).execute(on).await.map(drop))?;
        Ok(())
    }

    /// Those of these keys that are queued, and where they stand. One query for any number.
    #[tracing::instrument(level = "debug", skip_all, name = "db.jobs.queued")]
    pub async fn queued_jobs(
        &self,
        kind: JobKind,
        dedup_keys: &[String],
        now: DateTime<Utc>,
    ) -> Result<Vec<QueuedJob>, DbError> {
        const SQL: Sql = sql!("
            select dedup_key, attempt,
                cast(case when lease_token is not null and lease_until > $3 then 1 else 0 end as bigint),
                due_at, last_error
            from jobs where kind = $1 and dedup_key " [in_texts "$2"]
        );
        if dedup_keys.is_empty() {
            return Ok(Vec::new());
        }
        type Row = (String, i64, i64, DateTime<Utc>, Option<String>);
        let rows: Vec<Row> = on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(kind.as_str()).bind(json(dedup_keys)).bind(now).fetch_all(on).await
        })?;
        let job = |(dedup_key, attempt, running, due_at, last_error)| QueuedJob {
            dedup_key,
            attempt,
            running: running == 1,
            due_at,
            last_error,
        };
        Ok(rows.into_iter().map(job).collect())
    }

    /// How many jobs an organization has, counted up to `limit`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.jobs.count")]
    pub async fn open_jobs(&self, organization_id: i64, limit: i64) -> Result<i64, DbError> {
        const SQL: Sql =
            sql!("select count(*) from (select 1 as one from jobs where organization_id = $1 limit $2) counted");
        Ok(on_db!(read self, SQL, |sql, on| query_scalar(sql).bind(organization_id).bind(limit).fetch_one(on).await)?)
    }

    /// Holds on to a job; false if another worker has it.
    #[tracing::instrument(level = "debug", skip_all, name = "db.jobs.renew")]
    pub async fn renew_job_lease(&self, lease: &JobLease, until: DateTime<Utc>) -> Result<bool, DbError> {
        const SQL: Sql = sql!("update jobs set lease_until = $3 where id = $1 and lease_token = $2");
        let rows = on_db!(write self, SQL, |sql, on| {
            query(sql).bind(lease.job_id).bind(lease.token.as_str()).bind(until).execute(on).await?.rows_affected()
        });
        Ok(rows == 1)
    }

    /// Hands a job back after a failed attempt, to be tried again at `not_before`; false if the lease was lost.
    #[tracing::instrument(level = "debug", skip_all, name = "db.jobs.retry")]
    pub async fn retry_job(&self, lease: &JobLease, reason: &str, not_before: DateTime<Utc>) -> Result<bool, DbError> {
        // A cause that came while it ran is served by the next attempt.
        const SQL: Sql = sql!(
            "
            update jobs set lease_token = null, lease_until = null, rerun = 0, last_error = $3, due_at = $4
            where id = $1 and lease_token = $2
        "
        );
        let reason: String = text(reason).chars().take(LONGEST_ERROR).collect();
        let rows = on_db!(write self, SQL, |sql, on| {
            let (id, token) = (lease.job_id, lease.token.as_str());
            query(sql).bind(id).bind(token).bind(reason).bind(not_before).execute(on).await?.rows_affected()
        });
        Ok(rows == 1)
    }

    /// Gives a job back that did not fail: the attempt does not count. It keeps its place, or waits until `not_before`.
    /// False if the lease was lost.
    #[tracing::instrument(level = "debug", skip_all, name = "db.jobs.release")]
    pub async fn release_job(&self, lease: &JobLease, not_before: Option<DateTime<Utc>>) -> Result<bool, DbError> {
        const SQL: Sql = sql!(
            "
            update jobs set lease_token = null, lease_until = null, rerun = 0, attempt = attempt - 1,
                due_at = coalesce($3, due_at)
            where id = $1 and lease_token = $2
        "
        );
        let rows = on_db!(write self, SQL, |sql, on| {
            let (id, token) = (lease.job_id, lease.token.as_str());
            query(sql).bind(id).bind(token).bind(not_before).execute(on).await?.rows_affected()
        });
        Ok(rows == 1)
    }

    /// Ends a job whose result stands elsewhere, or that has none.
    #[tracing::instrument(level = "debug", skip_all, name = "db.jobs.end")]
    pub async fn end_job(&self, lease: &JobLease, now: DateTime<Utc>) -> Result<JobEnd, DbError> {
        let mut tx = self.begin().await?;
        let end = end_job(&mut tx, lease, now).await?;
        tx.commit().await?;
        Ok(end)
    }
}
