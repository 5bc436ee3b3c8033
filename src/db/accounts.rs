//! Organizations and projects. It does not know what a slug may look like.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};

use super::rows::{row_id, text};
use super::sql::{Sql, on_db, sql};
use super::{Db, DbError};
use crate::types::{Organization, Project};

#[derive(sqlx::FromRow)]
struct OrganizationRow {
    id: i64,
    slug: String,
    created_at: DateTime<Utc>,
}

impl From<OrganizationRow> for Organization {
    fn from(row: OrganizationRow) -> Self {
        Self { id: row.id, slug: row.slug, created_at: row.created_at }
    }
}

#[derive(sqlx::FromRow)]
struct ProjectRow {
    id: i64,
    organization_id: i64,
    slug: String,
    public_symbols: i64,
    created_at: DateTime<Utc>,
}

impl From<ProjectRow> for Project {
    fn from(row: ProjectRow) -> Self {
        let ProjectRow { id, organization_id, slug, public_symbols, created_at } = row;
        Self { id, organization_id, slug, public_symbols: public_symbols != 0, created_at }
    }
}

impl Db {
    /// Whether there is no organization yet.
    #[tracing::instrument(level = "debug", skip_all, name = "db.organizations.is_empty")]
    pub async fn is_empty(&self) -> Result<bool, DbError> {
        const SQL: Sql = sql!("select not exists (select 1 from organizations)");
        Ok(on_db!(read self, SQL, |sql, on| sqlx::query_scalar(sql).fetch_one(on).await)?)
    }

    /// The organization `slug`, made now if there is none at all. Of several that begin at once one gets it.
    #[tracing::instrument(level = "debug", skip_all, name = "db.organizations.create_first")]
    pub async fn create_first_organization(
        &self,
        slug: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Organization>, DbError> {
        const SQL: Sql = sql!(
            "
            insert into organizations (slug, created_at)
            select $1, $2 where not exists (select 1 from organizations)
            on conflict (slug) do nothing
            returning id, slug, created_at
        "
        );
        let row: Option<OrganizationRow> = on_db!(write self, SQL, |sql, on| {
            query_as(sql).bind(text(slug)).bind(now).fetch_all(on).await?.pop()
        });
        Ok(row.map(Into::into))
    }

    /// The organization `slug`, made now if it was not there. Race-free.
    #[tracing::instrument(level = "debug", skip_all, name = "db.organizations.create")]
    pub async fn create_organization(&self, slug: &str, now: DateTime<Utc>) -> Result<Organization, DbError> {
        // Writing the slug over itself is what makes a row come back that was there already.
        const SQL: Sql = sql!(
            "
            insert into organizations (slug, created_at) values ($1, $2)
            on conflict (slug) do update set slug = excluded.slug
            returning id, slug, created_at
        "
        );
        let row: Option<OrganizationRow> = on_db!(write self, SQL, |sql, on| {
            query_as(sql).bind(text(slug)).bind(now).fetch_all(on).await?.pop()
        });
        Ok(row.ok_or(sqlx::Error::RowNotFound)?.into())
    }

    /// The organization whose slug, or else whose id in decimal, is `slug_or_id`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.organizations.find")]
    pub async fn organization(&self, slug_or_id: &str) -> Result<Option<Organization>, DbError> {
        const SQL: Sql = sql!(
            "
            select id, slug, created_at from organizations where slug = $1 or id = $2
            order by case when slug = $1 then 0 else 1 end limit 1
        "
        );
        let row: Option<OrganizationRow> = on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(text(slug_or_id)).bind(row_id(slug_or_id)).fetch_optional(on).await
        })?;
        Ok(row.map(Into::into))
    }

    /// The organization with this row id.
    #[tracing::instrument(level = "debug", skip_all, name = "db.organizations.by_id")]
    pub async fn organization_by_id(&self, id: i64) -> Result<Option<Organization>, DbError> {
        const SQL: Sql = sql!("select id, slug, created_at from organizations where id = $1");
        let row: Option<OrganizationRow> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(id).fetch_optional(on).await)?;
        Ok(row.map(Into::into))
    }

    /// The project `slug` of an organization, made now if it was not there. Race-free.
    #[tracing::instrument(level = "debug", skip_all, name = "db.projects.create")]
    pub async fn create_project(
        &self,
        organization_id: i64,
        slug: &str,
        now: DateTime<Utc>,
    ) -> Result<Project, DbError> {
        const SQL: Sql = sql!(
            "
            insert into projects (organization_id, slug, created_at) values ($1, $2, $3)
            on conflict (organization_id, slug) do update set slug = excluded.slug
            returning id, organization_id, slug, public_symbols, created_at
        "
        );
        let row: Option<ProjectRow> = on_db!(write self, SQL, |sql, on| {
            query_as(sql).bind(organization_id).bind(text(slug)).bind(now).fetch_all(on).await?.pop()
        });
        Ok(row.ok_or(sqlx::Error::RowNotFound)?.into())
    }

    /// The project of an organization whose slug, or else whose id in decimal, is `slug_or_id`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.projects.find")]
    pub async fn project(&self, organization_id: i64, slug_or_id: &str) -> Result<Option<Project>, DbError> {
        const SQL: Sql = sql!(
            "
            select id, organization_id, slug, public_symbols, created_at from projects
            where organization_id = $1 and (slug = $2 or id = $3)
            order by case when slug = $2 then 0 else 1 end limit 1
        "
        );
        let row: Option<ProjectRow> = on_db!(read self, SQL, |sql, on| {
            let id = row_id(slug_or_id);
            query_as(sql).bind(organization_id).bind(text(slug_or_id)).bind(id).fetch_optional(on).await
        })?;
        Ok(row.map(Into::into))
    }

    /// The project with this row id.
    #[tracing::instrument(level = "debug", skip_all, name = "db.projects.by_id")]
    pub async fn project_by_id(&self, id: i64) -> Result<Option<Project>, DbError> {
        const SQL: Sql =
            sql!("select id, organization_id, slug, public_symbols, created_at from projects where id = $1");
        let row: Option<ProjectRow> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(id).fetch_optional(on).await)?;
        Ok(row.map(Into::into))
    }

    /// Lets debuggers read the debug files of a project without a credential, or no longer.
    #[tracing::instrument(level = "debug", skip_all, name = "db.projects.set_public_symbols")]
    pub async fn set_public_symbols(&self, project_id: i64, public: bool) -> Result<(), DbError> {
        const SQL: Sql = sql!("update projects set public_symbols = $2 where id = $1");
        on_db!(write self, SQL, |sql, on| {
            query(sql).bind(project_id).bind(i64::from(public)).execute(on).await.map(drop)
        })?;
        Ok(())
    }

    /// The row ids of all projects of an organization, each with whether debuggers may read it without a credential.
    #[tracing::instrument(level = "debug", skip_all, name = "db.projects.symbols")]
    pub async fn symbol_projects(&self, organization_id: i64) -> Result<Vec<(i64, bool)>, DbError> {
        const SQL: Sql = sql!("select id, public_symbols from projects where organization_id = $1 order by id");
        let rows: Vec<(i64, i64)> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(organization_id).fetch_all(on).await)?;
        Ok(rows.into_iter().map(|(id, public)| (id, public != 0)).collect())
    }

    /// Projects of an organization in id order, after `after_id`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.projects.list")]
    pub async fn projects(&self, organization_id: i64, after_id: i64, limit: i64) -> Result<Vec<Project>, DbError> {
        const SQL: Sql = sql!(
            "
            select id, organization_id, slug, public_symbols, created_at from projects
            where organization_id = $1 and id > $2 order by id limit $3
        "
        );
        let rows: Vec<ProjectRow> = on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(organization_id).bind(after_id).bind(limit).fetch_all(on).await
        })?;
        Ok(rows.into_iter().map(Into::into).collect())
    }
}
