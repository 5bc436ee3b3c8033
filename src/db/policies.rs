//! What holds for projects and organizations: rules of retention and quotas. It never says whether a file breaks one.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};

use super::rows::{number, parse, size};
use super::sql::{Sql, on_db, sql};
use super::{Db, DbError};
use crate::types::{Policy, Quota, Retention};

/// A project that does not keep everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetainingProject {
    /// Row id.
    pub id: i64,
    /// `ORG/PROJECT`.
    pub path: String,
    /// Its rules.
    pub retention: Retention,
}

/// The two columns of a quota.
pub(super) fn quota(table: &'static str, bytes: Option<i64>, files: Option<i64>) -> Result<Quota, DbError> {
    let read = |limit: Option<i64>| limit.map(|limit| size(table, limit)).transpose();
    Ok(Quota { bytes: read(bytes)?, files: read(files)? })
}

impl Db {
    /// What holds for a project. One that is not there keeps everything.
    #[tracing::instrument(level = "debug", skip_all, name = "db.policies.of_project")]
    pub async fn policy(&self, project_id: i64) -> Result<Policy, DbError> {
        const SQL: Sql = sql!("select retention, quota_bytes, quota_files from projects where id = $1");
        let row: Option<(String, Option<i64>, Option<i64>)> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(project_id).fetch_optional(on).await)?;
        let Some((retention, bytes, files)) = row else { return Ok(Policy::default()) };
        Ok(Policy { retention: parse("projects", &retention)?, quota: quota("projects", bytes, files)? })
    }

    /// Changes what holds for a project.
    #[tracing::instrument(level = "debug", skip_all, name = "db.policies.set")]
    pub async fn set_policy(&self, project_id: i64, policy: &Policy) -> Result<(), DbError> {
        const SQL: Sql = sql!("update projects set retention = $2, quota_bytes = $3, quota_files = $4 where id = $1");
        on_db!(write self, SQL, |sql, on| {
            query(sql)
                .bind(project_id)
                .bind(policy.retention.to_string())
                .bind(policy.quota.bytes.map(number))
                .bind(policy.quota.files.map(number))
                .execute(on)
                .await
                .map(drop)
        })?;
        Ok(())
    }

    /// How much an organization may have.
    #[tracing::instrument(level = "debug", skip_all, name = "db.policies.of_organization")]
    pub async fn organization_quota(&self, organization_id: i64) -> Result<Quota, DbError> {
        const SQL: Sql = sql!("select quota_bytes, quota_files from organizations where id = $1");
        let row: Option<(Option<i64>, Option<i64>)> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(organization_id).fetch_optional(on).await)?;
        row.map_or(Ok(Quota::default()), |(bytes, files)| quota("organizations", bytes, files))
    }

    /// Changes how much an organization may have.
    #[tracing::instrument(level = "debug", skip_all, name = "db.policies.set_organization")]
    pub async fn set_organization_quota(&self, organization_id: i64, quota: Quota) -> Result<(), DbError> {
        const SQL: Sql = sql!("update organizations set quota_bytes = $2, quota_files = $3 where id = $1");
        on_db!(write self, SQL, |sql, on| {
            query(sql)
                .bind(organization_id)
                .bind(quota.bytes.map(number))
                .bind(quota.files.map(number))
                .execute(on)
                .await
                .map(drop)
        })?;
        Ok(())
    }

    /// Up to `limit` projects that do not keep everything, by id after `after`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.policies.retaining")]
    pub async fn retaining_projects(&self, after: i64, limit: i64) -> Result<Vec<RetainingProject>, DbError> {
        const SQL: Sql = sql!(
            "
            select p.id, o.slug, p.slug, p.retention from projects p join organizations o on o.id = p.organization_id
            where p.retention <> '' and p.id > $1 order by p.id limit $2
        "
        );
        let rows: Vec<(i64, String, String, String)> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(after).bind(limit).fetch_all(on).await)?;
        let project = |(id, organization, slug, retention): (i64, String, String, String)| {
            let retention = parse("projects", &retention)?;
            Ok(RetainingProject { id, path: format!("{organization}/{slug}"), retention })
        };
        rows.into_iter().map(project).collect()
    }

    /// Notes that many files of a project are about to be deleted at once: from now on whoever asks for one of them with
    /// an upload renews it at once.
    #[tracing::instrument(level = "debug", skip_all, name = "db.policies.begin_deletes")]
    pub async fn begin_deletes(&self, project_id: i64, now: DateTime<Utc>) -> Result<(), DbError> {
        const SQL: Sql = sql!("update projects set deletes_at = $2 where id = $1");
        on_db!(write self, SQL, |sql, on| query(sql).bind(project_id).bind(now).execute(on).await.map(drop))?;
        Ok(())
    }
}
