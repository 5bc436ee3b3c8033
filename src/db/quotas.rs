//! How much organizations and projects have, beside what they may have. It sums up and never refuses anything.

use sqlx::query_as;

use super::policies::quota;
use super::rows::size;
use super::sql::{Sql, on_db, sql};
use super::{Db, DbError};
use crate::types::{Quota, Usage};

/// Whose files are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// All projects of an organization.
    Organization(i64),
    /// One project.
    Project(i64),
}

/// What somebody may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Slug of the organization, or `ORG/PROJECT`.
    pub name: String,
    /// The quota.
    pub quota: Quota,
}

#[derive(sqlx::FromRow)]
struct UsageRow {
    files: i64,
    bytes: i64,
    open_files: i64,
    open_bytes: i64,
    waiting_bytes: i64,
}

impl Db {
    /// What an owner may have; `None` if it is not there.
    #[tracing::instrument(level = "debug", skip_all, name = "db.quotas.limits")]
    pub async fn limits(&self, owner: Owner) -> Result<Option<Limits>, DbError> {
        const ORGANIZATION: Sql = sql!("select slug, quota_bytes, quota_files from organizations where id = $1");
        const PROJECT: Sql = sql!(
            "
            select o.slug || '/' || p.slug, p.quota_bytes, p.quota_files
            from projects p join organizations o on o.id = p.organization_id where p.id = $1
        "
        );
        let (statement, id) = match owner {
            Owner::Organization(id) => (ORGANIZATION, id),
            Owner::Project(id) => (PROJECT, id),
        };
        let row: Option<(String, Option<i64>, Option<i64>)> =
            on_db!(read self, statement, |sql, on| query_as(sql).bind(id).fetch_optional(on).await)?;
        row.map(|(name, bytes, files)| Ok(Limits { name, quota: quota("projects", bytes, files)? })).transpose()
    }

    /// How much an owner has.
    #[tracing::instrument(level = "debug", skip_all, name = "db.quotas.usage")]
    pub async fn usage(&self, owner: Owner) -> Result<Usage, DbError> {
        // Both sums over files are read from one index, which has their sizes.
        const ORGANIZATION: Sql = sql!(
            "
            select f.files, f.bytes, a.open_files, a.open_bytes, c.waiting_bytes from (
                select count(*) as files, cast(coalesce(sum(size), 0) as bigint) as bytes from debug_files
                where retired_at is null and damaged_at is null and project_id in (select id from projects where organization_id = $1)
            ) f cross join (
                select count(*) as open_files, cast(coalesce(sum(size), 0) as bigint) as open_bytes from assemblies
                where organization_id = $1 and state <> 'error'
            ) a cross join (
                select cast(coalesce(sum(k.size), 0) as bigint) as waiting_bytes
                from chunk_owners o cross join chunks k
                where o.organization_id = $1 and o.waiting = 1 and k.id = o.chunk_id
            ) c
        "
        );
        const PROJECT: Sql = sql!(
            "
            select f.files, f.bytes, a.open_files, a.open_bytes, cast(0 as bigint) as waiting_bytes from (
                select count(*) as files, cast(coalesce(sum(size), 0) as bigint) as bytes from debug_files
                where retired_at is null and damaged_at is null and project_id = $1
            ) f cross join (
                select count(*) as open_files, cast(coalesce(sum(size), 0) as bigint) as open_bytes from assemblies
                where project_id = $1 and state <> 'error'
            ) a
        "
        );
        let (statement, id) = match owner {
            Owner::Organization(id) => (ORGANIZATION, id),
            Owner::Project(id) => (PROJECT, id),
        };
        let row: UsageRow = on_db!(read self, statement, |sql, on| query_as(sql).bind(id).fetch_one(on).await)?;
        let read = |sum| size("debug_files", sum);
        Ok(Usage {
            files: read(row.files)?,
            bytes: read(row.bytes)?,
            open_files: read(row.open_files)?,
            open_bytes: read(row.open_bytes)?,
            waiting_bytes: read(row.waiting_bytes)?,
        })
    }
}
