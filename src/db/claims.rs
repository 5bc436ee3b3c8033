//! Who works on which assembly next. Organizations take turns, so that a pipeline with thousands of files does not keep
//! another one's single file waiting. Nothing here decides what becomes of a job.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};

use super::assemblies::{AssemblyRow, assembly_columns};
use super::sql::{Sql, on_db, sql};
use super::{Db, DbError};
use crate::types::Assembly;

/// An organization that has open assemblies.
#[derive(sqlx::FromRow)]
struct Waiting {
    organization_id: i64,
    /// When the one that waited longest became due, or becomes so.
    first_due: DateTime<Utc>,
    /// How many are worked on.
    running: i64,
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

impl Db {
    /// Takes the assembly that waited longest, `created` and due or `assembling` with its lease run out, of the
    /// organization whose turn it is: the one with the fewest under way, then the one that was served the longest ago.
    /// `served` are organizations in the order in which the caller served them, the last one at the end. Sets state
    /// `assembling`, `lease_token`, `lease_until` and counts the attempt.
    #[tracing::instrument(level = "debug", skip_all, name = "db.assemblies.claim")]
    pub async fn claim_assembly(
        &self,
        served: &[i64],
        lease_token: &str,
        lease_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<Assembly>, DbError> {
        let mut waiting = self.waiting_organizations(now).await?;
        let turn = |id: i64| served.iter().rposition(|served| *served == id).map_or(0, |at| at + 1);
        waiting.sort_by_key(|one| (one.running, turn(one.organization_id), one.first_due));
        for one in waiting {
            // Somebody else may have taken the last one meanwhile.
            let claimed = self.claim_assembly_of(one.organization_id, lease_token, lease_until, now).await?;
            if claimed.is_some() {
                return Ok(claimed);
            }
        }
        Ok(None)
    }

    /// The organizations that have something due. Costs a few looks into an index for each one that has anything open,
    /// however much that is.
    async fn waiting_organizations(&self, now: DateTime<Utc>) -> Result<Vec<Waiting>, DbError> {
        const SQL: Sql = sql!("
            with recursive " (having_open) ", waiting as (
                select h.organization_id,
                    (select a.due_at from assemblies a where a.organization_id = h.organization_id
                        and a.state <> 'error' order by a.due_at, a.id limit 1) as first_due,
                    (select count(*) from assemblies a where a.organization_id = h.organization_id
                        and a.state = 'assembling' and a.due_at > $1) as running
                from having_open h where h.organization_id is not null
            )
            select organization_id, first_due, running from waiting where first_due <= $1
        ");
        Ok(on_db!(read self, SQL, |sql, on| query_as(sql).bind(now).fetch_all(on).await)?)
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

    /// Has assemblies that would be due after `latest` be due at `due`; returns how many. No clock that is right writes
    /// such a time, and one that was set back would have them wait until it has caught up.
    #[tracing::instrument(level = "debug", skip_all, name = "db.assemblies.pull_in")]
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
}
