//! What a dry run of a collection needs to know of files that would be deleted by then. It only reads.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::{query_as, query_scalar};

use super::rows::{json, size};
use super::sql::{Sql, on_db, sql};
use super::{Db, DbError};
use crate::types::Sha1;

impl Db {
    /// Up to `limit` files that were retired before `before`, in the order in which they are purged, behind `after`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.dry_run.retired")]
    pub async fn retired_files(
        &self,
        before: DateTime<Utc>,
        after: Option<(DateTime<Utc>, i64)>,
        limit: i64,
    ) -> Result<Vec<(DateTime<Utc>, i64)>, DbError> {
        const SQL: Sql = sql!(
            "
            select retired_at, id from debug_files where retired_at < $1 and (retired_at, id) > ($2, $3)
            order by retired_at, id limit $4
        "
        );
        let (at, id) = after.unwrap_or((DateTime::UNIX_EPOCH, 0));
        Ok(on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(before).bind(at).bind(id).bind(limit).fetch_all(on).await
        })?)
    }

    /// The retired files that are deleted with these files of a project.
    #[tracing::instrument(level = "debug", skip_all, name = "db.dry_run.traces")]
    pub async fn traces_of_files(&self, project_id: i64, ids: &[i64]) -> Result<Vec<i64>, DbError> {
        const SQL: Sql = sql!("
            select r.id from debug_files f join debug_files r on r.project_id = f.project_id and r.sha1 = f.sha1
            where f.project_id = $1 and r.retired_at is not null and f.id " [in_numbers "$2"] "
            union
            select r.id from debug_files f join debug_files r on r.project_id = f.project_id and r.debug_id = f.debug_id
            where f.project_id = $1 and r.retired_at is not null and f.id " [in_numbers "$2"]);
        Ok(on_db!(read self, SQL, |sql, on| query_scalar(sql).bind(project_id).bind(json(ids)).fetch_all(on).await)?)
    }

    /// How many files have each of these chunks.
    #[tracing::instrument(level = "debug", skip_all, name = "db.dry_run.count_files")]
    pub async fn count_files_of_chunks(&self, ids: &[i64]) -> Result<HashMap<i64, u64>, DbError> {
        const SQL: Sql = sql!("
            select chunk_id, count(distinct debug_file_id) from debug_file_chunks
            where chunk_id " [in_numbers "$1"] " group by chunk_id");
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows: Vec<(i64, i64)> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(json(ids)).fetch_all(on).await)?;
        rows.into_iter().map(|(id, files)| Ok((id, size("debug_file_chunks", files)?))).collect()
    }

    /// Those of the chunks that were last wanted before `before`, each with its size at rest.
    #[tracing::instrument(level = "debug", skip_all, name = "db.dry_run.old_among")]
    pub async fn old_among(&self, ids: &[i64], before: DateTime<Utc>) -> Result<Vec<(i64, u64)>, DbError> {
        const SQL: Sql = sql!("
            select id, stored_size from chunks where wanted_at < $2 and id " [in_numbers "$1"]);
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<(i64, i64)> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(json(ids)).bind(before).fetch_all(on).await)?;
        rows.into_iter().map(|(id, stored)| Ok((id, size("chunks", stored)?))).collect()
    }

    /// Those of the chunks with these checksums that were last wanted before `before`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.dry_run.old_awaited")]
    pub async fn old_awaited_chunks(&self, sha1s: &[Sha1], before: DateTime<Utc>) -> Result<Vec<i64>, DbError> {
        const SQL: Sql = sql!("select id from chunks where wanted_at < $2 and sha1 " [in_texts "$1"]);
        Ok(on_db!(read self, SQL, |sql, on| query_scalar(sql).bind(json(sha1s)).bind(before).fetch_all(on).await)?)
    }

    /// The chunks that are marked as in use although no file has them, of those that were last wanted before `before`, each
    /// with its size at rest.
    #[tracing::instrument(level = "debug", skip_all, name = "db.dry_run.unreleased")]
    pub async fn unreleased_chunks(&self, before: DateTime<Utc>) -> Result<Vec<(i64, u64)>, DbError> {
        /// Rows looked at by one statement.
        const STEP: i64 = 20_000;
        const LAST: Sql = sql!("select coalesce(max(id), 0) from chunks");
        const SQL: Sql = sql!(
            "
            select id, stored_size from chunks where in_use = 1 and id > $1 and id <= $2 and wanted_at < $3
                and not exists (select 1 from debug_file_chunks f where f.chunk_id = chunks.id)
        "
        );
        let last: i64 = on_db!(read self, LAST, |sql, on| query_scalar(sql).fetch_one(on).await)?;
        let mut found = Vec::new();
        for from in (0..last).step_by(STEP as usize) {
            let rows: Vec<(i64, i64)> = on_db!(read self, SQL, |sql, on| {
                query_as(sql).bind(from).bind(from + STEP).bind(before).fetch_all(on).await
            })?;
            for (id, stored) in rows {
                found.push((id, size("chunks", stored)?));
            }
        }
        Ok(found)
    }

    /// Those of the symcaches whose debug file is none of `files`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.dry_run.symcaches")]
    pub async fn symcaches_of_others(&self, ids: &[i64], files: &HashSet<i64>) -> Result<HashSet<i64>, DbError> {
        const SQL: Sql = sql!("select id, debug_file_id from symcaches where id " [in_numbers "$1"]);
        self.of_others(SQL, ids, files).await
    }

    /// Those of the derived files whose debug file is none of `files`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.dry_run.derived")]
    pub async fn derived_of_others(&self, ids: &[i64], files: &HashSet<i64>) -> Result<HashSet<i64>, DbError> {
        const SQL: Sql = sql!("select id, debug_file_id from derived_files where id " [in_numbers "$1"]);
        self.of_others(SQL, ids, files).await
    }

    async fn of_others(&self, statement: Sql, ids: &[i64], files: &HashSet<i64>) -> Result<HashSet<i64>, DbError> {
        if files.is_empty() {
            return Ok(ids.iter().copied().collect());
        }
        let rows: Vec<(i64, i64)> =
            on_db!(read self, statement, |sql, on| query_as(sql).bind(json(ids)).fetch_all(on).await)?;
        Ok(rows.into_iter().filter(|(_, file)| !files.contains(file)).map(|(id, _)| id).collect())
    }
}
