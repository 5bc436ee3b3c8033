//! Keys of clients, and how events of projects are treated.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{query, query_as, query_scalar};

use crate::db::rows::{fitted, json, parse};
use crate::db::sql::{Sql, on_db, sql};
use crate::db::{Db, DbError};
use crate::types::{EventSettings, Project, ProjectKey, limits};

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: i64,
    project_id: i64,
    organization_id: i64,
    public_key: String,
    name: String,
    rate: i64,
    created_at: DateTime<Utc>,
    revoked_at: Option<DateTime<Utc>>,
}

impl From<KeyRow> for ProjectKey {
    fn from(row: KeyRow) -> Self {
        let KeyRow { id, project_id, organization_id, public_key, name, rate, created_at, revoked_at } = row;
        Self { id, project_id, organization_id, public_key, name, rate, created_at, revoked_at }
    }
}

macro_rules! key_columns {
    () => {
        "k.id, k.project_id, p.organization_id, k.public_key, k.name, k.rate, k.created_at, k.revoked_at
        from project_keys k join projects p on p.id = k.project_id"
    };
}

#[derive(sqlx::FromRow)]
struct SettingsRow {
    fingerprinting_rules: String,
    grouping_enhancements: String,
    grouping_mode: String,
    duplicates: String,
    event_sampling: String,
    event_rate: i64,
    event_retention: String,
    quota_events: i64,
    quota_event_bytes: i64,
    inbound_filters: String,
    scrub: String,
}

impl TryFrom<SettingsRow> for EventSettings {
    type Error = DbError;

    fn try_from(row: SettingsRow) -> Result<Self, DbError> {
        const TABLE: &str = "project_event_settings";
        let read = |text: &str| -> Result<Value, DbError> { parse(TABLE, text) };
        let rules = read(&row.event_retention)?;
        let rules = rules.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        Ok(Self {
            fingerprinting_rules: row.fingerprinting_rules,
            grouping_enhancements: row.grouping_enhancements,
            grouping_mode: parse(TABLE, &row.grouping_mode)?,
            duplicates: parse(TABLE, &row.duplicates)?,
            event_sampling: parse(TABLE, &row.event_sampling)?,
            event_rate: row.event_rate,
            event_retention: rules,
            quota_events: row.quota_events,
            quota_event_bytes: row.quota_event_bytes,
            inbound_filters: read(&row.inbound_filters)?,
            scrub: read(&row.scrub)?,
        })
    }
}

impl Db {
    /// Stores a key of a project; its row id.
    #[tracing::instrument(level = "debug", skip_all, name = "db.project_keys.insert")]
    pub async fn insert_project_key(
        &self,
        project_id: i64,
        public_key: &str,
        name: &str,
        now: DateTime<Utc>,
    ) -> Result<i64, DbError> {
        const SQL: Sql = sql!(
            "
            insert into project_keys (project_id, public_key, name, created_at) values ($1, $2, $3, $4) returning id
        "
        );
        let id: Option<i64> = on_db!(write self, SQL, |sql, on| {
            let query = query_scalar(sql).bind(project_id).bind(public_key).bind(fitted(name, limits::LABEL));
            query.bind(now).fetch_all(on).await?.pop()
        });
        Ok(id.ok_or(sqlx::Error::RowNotFound)?)
    }

    /// The key with this text, in whatever state it is.
    #[tracing::instrument(level = "debug", skip_all, name = "db.project_keys.by_text")]
    pub async fn project_key(&self, public_key: &str) -> Result<Option<ProjectKey>, DbError> {
        const SQL: Sql = sql!("select " (key_columns) " where k.public_key = $1");
        let row: Option<KeyRow> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(public_key).fetch_optional(on).await)?;
        Ok(row.map(Into::into))
    }

    /// All keys of a project, oldest first.
    #[tracing::instrument(level = "debug", skip_all, name = "db.project_keys.list")]
    pub async fn project_keys(&self, project_id: i64) -> Result<Vec<ProjectKey>, DbError> {
        const SQL: Sql = sql!("select " (key_columns) " where k.project_id = $1 order by k.id");
        let rows: Vec<KeyRow> = on_db!(read self, SQL, |sql, on| query_as(sql).bind(project_id).fetch_all(on).await)?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Revokes a key; false if there is no live one with this text.
    #[tracing::instrument(level = "debug", skip_all, name = "db.project_keys.revoke")]
    pub async fn revoke_project_key(&self, public_key: &str, now: DateTime<Utc>) -> Result<bool, DbError> {
        const SQL: Sql = sql!("update project_keys set revoked_at = $2 where public_key = $1 and revoked_at is null");
        let rows =
            on_db!(write self, SQL, |sql, on| query(sql).bind(public_key).bind(now).execute(on).await?.rows_affected());
        Ok(rows == 1)
    }

    /// How events of a project are treated.
    #[tracing::instrument(level = "debug", skip_all, name = "db.event_settings.get")]
    pub async fn event_settings(&self, project_id: i64) -> Result<EventSettings, DbError> {
        const SQL: Sql = sql!(
            "
            select fingerprinting_rules, grouping_enhancements, grouping_mode, duplicates, event_sampling, event_rate,
                cast(event_retention as text) as event_retention, quota_events, quota_event_bytes,
                cast(inbound_filters as text) as inbound_filters, cast(scrub as text) as scrub
            from project_event_settings where project_id = $1
        "
        );
        let row: Option<SettingsRow> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(project_id).fetch_optional(on).await)?;
        row.map_or_else(|| Ok(EventSettings::default()), TryInto::try_into)
    }

    /// Changes how events of a project are treated.
    #[tracing::instrument(level = "debug", skip_all, name = "db.event_settings.set")]
    pub async fn set_event_settings(&self, project_id: i64, settings: &EventSettings) -> Result<(), DbError> {
        const SQL: Sql = sql!("
            insert into project_event_settings (project_id, fingerprinting_rules, grouping_enhancements, grouping_mode,
                duplicates, event_sampling, event_rate, event_retention, quota_events, quota_event_bytes,
                inbound_filters, scrub)
            values ($1, $2, $3, $4, $5, $6, $7, " [json "$8"] ", $9, $10, " [json "$11"] ", " [json "$12"] ")
            on conflict (project_id) do update set fingerprinting_rules = excluded.fingerprinting_rules,
                grouping_enhancements = excluded.grouping_enhancements, grouping_mode = excluded.grouping_mode,
                duplicates = excluded.duplicates, event_sampling = excluded.event_sampling,
                event_rate = excluded.event_rate, event_retention = excluded.event_retention,
                quota_events = excluded.quota_events, quota_event_bytes = excluded.quota_event_bytes,
                inbound_filters = excluded.inbound_filters, scrub = excluded.scrub
        ");
        on_db!(write self, SQL, |sql, on| {
            query(sql)
                .bind(project_id)
                .bind(&settings.fingerprinting_rules)
                .bind(&settings.grouping_enhancements)
                .bind(settings.grouping_mode.as_str())
                .bind(settings.duplicates.as_str())
                .bind(settings.event_sampling.as_str())
                .bind(settings.event_rate)
                .bind(json(&settings.event_retention))
                .bind(settings.quota_events)
                .bind(settings.quota_event_bytes)
                .bind(json(&settings.inbound_filters))
                .bind(json(&settings.scrub))
                .execute(on)
                .await
                .map(drop)
        })?;
        Ok(())
    }

    /// A project by its row id, and the slug of its organization.
    #[tracing::instrument(level = "debug", skip_all, name = "db.projects.by_id")]
    pub async fn project_with_organization(&self, project_id: i64) -> Result<Option<(Project, String)>, DbError> {
        const SQL: Sql = sql!(
            "
            select p.id, p.organization_id, p.slug, p.public_symbols, p.created_at, o.slug
            from projects p join organizations o on o.id = p.organization_id where p.id = $1
        "
        );
        let row: Option<(i64, i64, String, i64, DateTime<Utc>, String)> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(project_id).fetch_optional(on).await)?;
        Ok(row.map(|(id, organization_id, slug, public_symbols, created_at, organization)| {
            (Project { id, organization_id, slug, public_symbols: public_symbols != 0, created_at }, organization)
        }))
    }
}
