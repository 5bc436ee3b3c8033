//! Symbol keys: what opens the symbol-server paths of one project. A secret never gets here, only its hash.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{query, query_as, query_scalar};

use super::rows::fitted;
use super::sql::{Sql, on_db, sql};
use super::{Db, DbError};
use crate::types::SymbolKey;
use crate::types::limits;

/// How exactly the last use of a key is known.
const LAST_USE: TimeDelta = TimeDelta::minutes(1);

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: i64,
    project_id: i64,
    name: String,
    prefix: Option<String>,
    secret_sha256: Vec<u8>,
    created_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
}

impl From<KeyRow> for SymbolKey {
    fn from(row: KeyRow) -> Self {
        let KeyRow { id, project_id, name, prefix, secret_sha256, created_at, last_used_at, revoked_at } = row;
        Self { id, project_id, name, prefix, secret_sha256, created_at, last_used_at, revoked_at }
    }
}

/// The columns of a [`KeyRow`].
macro_rules! key_columns {
    () => {
        "id, project_id, name, prefix, secret_sha256, created_at, last_used_at, revoked_at"
    };
}

impl Db {
    /// Stores a key of a project, whose text begins with `prefix` if that is known; returns its row id.
    #[tracing::instrument(level = "debug", skip_all, name = "db.symbol_keys.insert")]
    pub async fn insert_symbol_key(
        &self,
        project_id: i64,
        name: &str,
        prefix: Option<&str>,
        secret_sha256: &[u8],
        now: DateTime<Utc>,
    ) -> Result<i64, DbError> {
        const SQL: Sql = sql!(
            "
            insert into symbol_keys (project_id, name, prefix, secret_sha256, created_at)
            values ($1, $2, $3, $4, $5) returning id
        "
        );
        let id: Option<i64> = on_db!(write self, SQL, |sql, on| {
            let query = query_scalar(sql).bind(project_id).bind(fitted(name, limits::LABEL)).bind(prefix);
            query.bind(secret_sha256).bind(now).fetch_all(on).await?.pop()
        });
        Ok(id.ok_or(sqlx::Error::RowNotFound)?)
    }

    /// The key with this hash, in whatever state it is.
    #[tracing::instrument(level = "debug", skip_all, name = "db.symbol_keys.by_hash")]
    pub async fn symbol_key_by_hash(&self, secret_sha256: &[u8]) -> Result<Option<SymbolKey>, DbError> {
        const SQL: Sql = sql!("select " (key_columns) " from symbol_keys where secret_sha256 = $1");
        let row: Option<KeyRow> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(secret_sha256).fetch_optional(on).await)?;
        Ok(row.map(Into::into))
    }

    /// Notes that a key was presented, unless that was noted less than a minute ago.
    #[tracing::instrument(level = "debug", skip_all, name = "db.symbol_keys.touch")]
    pub async fn touch_symbol_key(&self, id: i64, now: DateTime<Utc>) -> Result<(), DbError> {
        const SQL: Sql = sql!(
            "
            update symbol_keys set last_used_at = $2 where id = $1 and (last_used_at is null or last_used_at <= $3)
        "
        );
        on_db!(write self, SQL, |sql, on| {
            query(sql).bind(id).bind(now).bind(now - LAST_USE).execute(on).await.map(drop)
        })?;
        Ok(())
    }

    /// All keys of a project, newest first.
    #[tracing::instrument(level = "debug", skip_all, name = "db.symbol_keys.list")]
    pub async fn symbol_keys(&self, project_id: i64) -> Result<Vec<SymbolKey>, DbError> {
        const SQL: Sql = sql!("select " (key_columns) " from symbol_keys where project_id = $1 order by id desc");
        let rows: Vec<KeyRow> = on_db!(read self, SQL, |sql, on| query_as(sql).bind(project_id).fetch_all(on).await)?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Takes a key back; false if there is none with this id.
    #[tracing::instrument(level = "debug", skip_all, name = "db.symbol_keys.revoke")]
    pub async fn revoke_symbol_key(&self, id: i64, now: DateTime<Utc>) -> Result<bool, DbError> {
        const SQL: Sql = sql!("update symbol_keys set revoked_at = coalesce(revoked_at, $2) where id = $1");
        let rows = on_db!(write self, SQL, |sql, on| {
            query(sql).bind(id).bind(now).execute(on).await?.rows_affected()
        });
        Ok(rows == 1)
    }
}
