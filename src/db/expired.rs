//! The notes that are left of files that went, so that whoever misses one hears why. It never deletes a file.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};

use super::rows::json;
use super::sql::{Sql, on_db, sql};
use super::{Db, DbError};
use crate::types::{CodeId, DebugId, ExpiredFile};

#[derive(sqlx::FromRow)]
struct ExpiredRow {
    debug_id: String,
    code_id: Option<String>,
    object_name: String,
    rule: String,
    expired_at: DateTime<Utc>,
}

impl Db {
    /// The notes of files of a project that went under one of these ids, the last first.
    #[tracing::instrument(level = "debug", skip_all, name = "db.retention.expired")]
    pub async fn expired_files(
        &self,
        project_id: i64,
        debug_ids: &[DebugId],
        code_ids: &[CodeId],
        limit: i64,
    ) -> Result<Vec<ExpiredFile>, DbError> {
        const SQL: Sql = sql!("
            select debug_id, code_id, object_name, rule, expired_at from expired_files where id in (
                select id from expired_files where project_id = $1 and debug_id " [in_texts "$2"] "
                union all
                select id from expired_files where project_id = $1 and debug_id_alias " [in_texts "$2"] "
                union all
                select id from expired_files where project_id = $1 and code_id " [in_texts "$3"] "
            ) order by expired_at desc, id desc limit $4
        ");
        let rows: Vec<ExpiredRow> = on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(project_id).bind(json(debug_ids)).bind(json(code_ids)).bind(limit).fetch_all(on).await
        })?;
        let file = |ExpiredRow { debug_id, code_id, object_name, rule, expired_at }| ExpiredFile {
            debug_id,
            code_id,
            object_name,
            rule,
            expired_at,
        };
        Ok(rows.into_iter().map(file).collect())
    }

    /// Deletes up to `limit` notes of before `before`; returns how many.
    #[tracing::instrument(level = "debug", skip_all, name = "db.retention.forget")]
    pub async fn forget_expired_files(&self, before: DateTime<Utc>, limit: i64) -> Result<u64, DbError> {
        const SQL: Sql = sql!(
            "
            delete from expired_files where id in (
                select id from expired_files where expired_at < $1 order by expired_at limit $2
            )
        "
        );
        Ok(on_db!(write self, SQL, |sql, on| query(sql).bind(before).bind(limit).execute(on).await?.rows_affected()))
    }
}
