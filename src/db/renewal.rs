//! The times that retention goes by: when a file was last uploaded, and when it was last used. It deletes nothing.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::{query, query_scalar};

use super::rows::json;
use super::sql::{Sql, on_db, sql};
use super::{Db, DbError};

impl Db {
    /// Notes that these files were uploaded again, or asked for with an upload; returns those that are there and live.
    #[tracing::instrument(level = "debug", skip_all, name = "db.debug_files.renew")]
    pub async fn renew_files(&self, ids: &[i64], now: DateTime<Utc>) -> Result<HashSet<i64>, DbError> {
        // Locked in order, so that two calls never wait for each other.
        const SQL: Sql = sql!("
            update debug_files set uploaded_at = $2, used_at = $2, renewals = renewals + 1 where id in (
                select id from debug_files where retired_at is null and id " [in_numbers "$1"] " order by id" [lock] "
            ) returning id
        ");
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let rows: Vec<i64> =
            on_db!(write self, SQL, |sql, on| query_scalar(sql).bind(json(ids)).bind(now).fetch_all(on).await)?;
        Ok(rows.into_iter().collect())
    }

    /// Notes that these files are used, if they were last used before `before`. One statement for any number.
    #[tracing::instrument(level = "debug", skip_all, name = "db.debug_files.touch")]
    pub async fn touch_files(&self, ids: &[i64], before: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), DbError> {
        const SQL: Sql = sql!("
            update debug_files set used_at = $3 where id in (
                select id from debug_files where used_at < $2 and id " [in_numbers "$1"] " order by id" [lock] "
            )
        ");
        if ids.is_empty() {
            return Ok(());
        }
        on_db!(write self, SQL, |sql, on| {
            query(sql).bind(json(ids)).bind(before).bind(now).execute(on).await.map(drop)
        })?;
        Ok(())
    }
}
