//! Which assembly or job is worked on next. Organizations share the workers fairly over both tables, so that one with
//! thousands of rows does not keep another one's single row waiting. Nothing here decides what becomes of a job.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{query, query_as};

use super::assemblies::{AssemblyRow, assembly_columns};
use super::jobs::{JobRow, job_columns};
use super::rows::json;
use super::sql::{Sql, on_db, sql};
use super::{Db, DbError};
use crate::types::{Assembly, Job, JobKind};

/// A job for which a client waits is due as if it had waited for so long already. So it comes before those for which no
/// client waits, and none of these waits much longer than this.
pub const HEAD_START: TimeDelta = TimeDelta::days(1);

/// What was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// A file to be assembled.
    Assembly(Assembly),
    /// Another job.
    Job(Job),
}

/// An organization that has something due in one of the tables.
#[derive(sqlx::FromRow)]
struct Waiting {
    organization_id: i64,
    /// When the one that waited longest became due.
    first_due: DateTime<Utc>,
    /// How many are worked on.
    running: i64,
}

/// The same over both tables.
#[derive(Default)]
struct Candidate {
    running: i64,
    assembly_due: Option<DateTime<Utc>>,
    job_due: Option<DateTime<Utc>>,
}

impl Candidate {
    /// When its first row became due, a poller's wait counted as that of any other client.
    fn first_due(&self) -> Option<DateTime<Utc>> {
        [self.assembly_due, self.job_due].into_iter().flatten().min()
    }

    fn assembly_first(&self) -> bool {
        match (self.assembly_due, self.job_due) {
            (Some(assembly), Some(job)) => assembly <= job,
            (assembly, _) => assembly.is_some(),
        }
    }
}

/// The organizations that have open assemblies, each found by one look into the index behind the one before, however many
/// rows there are in between. The last row is null.
macro_rules! having_open {
    () => {
        "having_open (organization_id) as (
                select (select organization_id from assemblies where state <> 'error'
                    order by organization_id, due_at, id limit 1)
                union all
                select (select a.organization_id from assemblies a
                    where a.state <> 'error' and a.organization_id > h.organization_id
                    order by a.organization_id, a.due_at, a.id limit 1)
                from having_open h where h.organization_id is not null
            )"
    };
}

/// The same of those that have jobs.
macro_rules! having_jobs {
    () => {
        "having_jobs (organization_id) as (
                select (select organization_id from jobs order by organization_id, due_at, id limit 1)
                union all
                select (select j.organization_id from jobs j where j.organization_id > h.organization_id
                    order by j.organization_id, j.due_at, j.id limit 1)
                from having_jobs h where h.organization_id is not null
            )"
    };
}

impl Db {
    /// Takes the assembly or job that waited longest of the organization that is next: the one with the fewest under way,
    /// then the one that was served the longest ago. `served` are organizations in the order in which the caller served
    /// them, the last one at the end. Writes the lease into the row and counts the attempt.
    #[tracing::instrument(level = "debug", skip_all, name = "db.claims.claim")]
    pub async fn claim(
        &self,
        served: &[i64],
        lease_token: &str,
        lease_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<Claimed>, DbError> {
        let last_served = |id: i64| served.iter().rposition(|served| *served == id).map_or(0, |at| at + 1);
        let mut waiting: Vec<_> = self.candidates(now).await?.into_iter().collect();
        waiting.sort_by_key(|(id, one)| (one.running, last_served(*id), one.first_due()));
        for (id, one) in waiting {
            // Another worker may have taken the last one of either table since.
            for assemblies in [one.assembly_first(), !one.assembly_first()] {
                let claimed = match assemblies {
                    true => self.claim_assembly_of(id, lease_token, lease_until, now).await?.map(Claimed::Assembly),
                    false => self.claim_job_of(id, lease_token, lease_until, now).await?.map(Claimed::Job),
                };
                if claimed.is_some() {
                    return Ok(claimed);
                }
            }
        }
        Ok(None)
    }

    /// The organizations that have something due in either table. What they have under way counts over both.
    async fn candidates(&self, now: DateTime<Utc>) -> Result<BTreeMap<i64, Candidate>, DbError> {
        let mut candidates: BTreeMap<i64, Candidate> = BTreeMap::new();
        let (assemblies, jobs) = (self.waiting_assemblies(now).await?, self.waiting_jobs(now).await?);
        for one in assemblies {
            let candidate = candidates.entry(one.organization_id).or_default();
            candidate.running += one.running;
            candidate.assembly_due = (one.first_due <= now).then_some(one.first_due - HEAD_START);
        }
        for one in jobs {
            let candidate = candidates.entry(one.organization_id).or_default();
            candidate.running += one.running;
            candidate.job_due = (one.first_due <= now).then_some(one.first_due);
        }
        candidates.retain(|_, one| one.first_due().is_some());
        Ok(candidates)
    }

    /// What the organizations have in open assemblies. Costs a few looks into an index for each one that has any, however
    /// many they are.
    async fn waiting_assemblies(&self, now: DateTime<Utc>) -> Result<Vec<Waiting>, DbError> {
        const SQL: Sql = sql!("
            with recursive " (having_open) "
            select h.organization_id,
                (select a.due_at from assemblies a where a.organization_id = h.organization_id
                    and a.state <> 'error' order by a.due_at, a.id limit 1) as first_due,
                (select count(*) from assemblies a where a.organization_id = h.organization_id
                    and a.state = 'assembling' and a.due_at > $1) as running
            from having_open h where h.organization_id is not null
        ");
        Ok(on_db!(read self, SQL, |sql, on| query_as(sql).bind(now).fetch_all(on).await)?)
    }

    /// What the organizations have in jobs that are held or to be had.
    async fn waiting_jobs(&self, now: DateTime<Utc>) -> Result<Vec<Waiting>, DbError> {
        // Rows that are held are passed over; there are no more of them than there are workers. An organization all of
        // whose rows are held has none that is due, and still counts what it has under way.
        const SQL: Sql = sql!("
            with recursive " (having_jobs) "
            select h.organization_id,
                coalesce((select j.due_at from jobs j where j.organization_id = h.organization_id
                    and (j.lease_until is null or j.lease_until <= $1) order by j.due_at, j.id limit 1), $2) as first_due,
                (select count(*) from jobs j where j.organization_id = h.organization_id
                    and j.lease_token is not null and j.lease_until > $1) as running
            from having_jobs h where h.organization_id is not null
        ");
        let never = now + TimeDelta::days(36_500);
        Ok(on_db!(read self, SQL, |sql, on| query_as(sql).bind(now).bind(never).fetch_all(on).await)?)
    }

    async fn claim_assembly_of(
        &self,
        organization_id: i64,
        lease_token: &str,
        lease_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<Assembly>, DbError> {
        const SQL: Sql = sql!("
            update assemblies
            set state = 'assembling', lease_token = $1, due_at = $2, attempt = attempt + 1, updated_at = $3
            where id = (
                select id from assemblies where organization_id = $4 and state <> 'error' and due_at <= $3
                order by due_at, id limit 1" [lock_free] "
            )
            returning " (assembly_columns));
        let row: Option<AssemblyRow> = on_db!(write self, SQL, |sql, on| {
            let query = query_as(sql).bind(lease_token).bind(lease_until).bind(now).bind(organization_id);
            query.fetch_all(on).await?.pop()
        });
        row.map(TryInto::try_into).transpose()
    }

    async fn claim_job_of(
        &self,
        organization_id: i64,
        lease_token: &str,
        lease_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<Job>, DbError> {
        // A newer version beside this one may queue kinds that this one does not know.
        // A lane is free when none of its other rows is held. Of two workers that find so at the same time the index of
        // lanes lets one through.
        const SQL: Sql = sql!("
            update jobs set lease_token = $1, lease_until = $2, attempt = attempt + 1, rerun = 0
            where id = (
                select j.id from jobs j
                where j.organization_id = $4 and j.due_at <= $3 and (j.lease_until is null or j.lease_until <= $3)
                    and j.kind " [in_texts "$5"] "
                    and (j.lane is null or not exists (
                        select 1 from jobs r
                        where r.kind = j.kind and r.lane = j.lane and r.lease_token is not null and r.id <> j.id
                    ))
                order by j.due_at, j.id limit 1" [lock_free] "
            )
            returning " (job_columns));
        let rows: Result<Vec<JobRow>, sqlx::Error> = on_db!(write self, SQL, |sql, on| {
            let query = query_as(sql).bind(lease_token).bind(lease_until).bind(now).bind(organization_id);
            query.bind(json(JobKind::ALL)).fetch_all(on).await
        });
        match rows {
            Ok(mut rows) => rows.pop().map(TryInto::try_into).transpose(),
            Err(error) if error.as_database_error().is_some_and(|error| error.is_unique_violation()) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Has assemblies that would be due after `latest` be due at `due`; returns how many. No clock that is right writes
    /// such a time, and one that was set back would have them wait until it has caught up.
    #[tracing::instrument(level = "debug", skip_all, name = "db.claims.pull_in_assemblies")]
    pub async fn pull_in_assemblies(&self, latest: DateTime<Utc>, due: DateTime<Utc>) -> Result<u64, DbError> {
        const SQL: Sql = sql!("
            with recursive " (having_open) "
            update assemblies set due_at = $2 where state <> 'error' and due_at > $1 and id in (
                select a.id from having_open h join assemblies a on a.organization_id = h.organization_id
                where a.state <> 'error' and a.due_at > $1
            )
        ");
        Ok(on_db!(write self, SQL, |sql, on| query(sql).bind(latest).bind(due).execute(on).await?.rows_affected()))
    }

    /// The same of jobs, and of leases that would end after `latest`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.claims.pull_in_jobs")]
    pub async fn pull_in_jobs(&self, latest: DateTime<Utc>, due: DateTime<Utc>) -> Result<u64, DbError> {
        const SQL: Sql = sql!("
            with recursive " (having_jobs) "
            update jobs set due_at = case when due_at > $1 then $2 else due_at end,
                lease_until = case when lease_until > $1 then $2 else lease_until end
            where id in (
                select j.id from having_jobs h join jobs j on j.organization_id = h.organization_id where j.due_at > $1
                union all
                select j.id from having_jobs h join jobs j on j.organization_id = h.organization_id
                where j.lease_token is not null and j.lease_until > $1
            )
        ");
        Ok(on_db!(write self, SQL, |sql, on| query(sql).bind(latest).bind(due).execute(on).await?.rows_affected()))
    }
}
