//! Derived files: what was made from debug files besides symcaches, or why it could not be.
//!
//! It never overwrites a row: what was made once stays until it is deleted.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};

use super::engine::Tx;
use super::jobs::{JobEnd, end_job};
use super::rows::{blob, fitted, json, number, parse, size};
use super::sql::{Sql, on_db, on_tx, sql};
use super::symcaches::taken_or_gone;
use super::{Db, DbError, Finish, Insert};
use crate::types::limits;
use crate::types::{BlobRef, DerivedFile, DerivedKey, DerivedOutcome, DerivedSort, JobLease, Sha1};

/// The words of the column `state`.
const READY: &str = "ready";
const MALFORMED: &str = "malformed";

/// A derived file that nobody asked for in a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnusedDerived {
    /// Row id.
    pub id: i64,
    /// Bytes at rest; none if it could not be made.
    pub stored_size: u64,
    /// When somebody last asked for it.
    pub used_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct DerivedRow {
    id: i64,
    debug_file_id: i64,
    sort: String,
    version: String,
    detail: Option<String>,
    sha1: Option<String>,
    blob_key: Option<String>,
    encoding: Option<String>,
    size: Option<i64>,
    stored_size: Option<i64>,
    created_at: DateTime<Utc>,
    used_at: DateTime<Utc>,
}

const TABLE: &str = "derived_files";

impl TryFrom<DerivedRow> for DerivedFile {
    type Error = DbError;

    fn try_from(row: DerivedRow) -> Result<Self, DbError> {
        let bytes = (row.sha1, row.blob_key, row.encoding, row.size, row.stored_size);
        let outcome = match bytes {
            (Some(sha1), Some(key), Some(encoding), Some(size), Some(stored)) => {
                Ok((parse(TABLE, &sha1)?, blob(TABLE, key, &encoding, size, stored)?))
            }
            _ => Err(row.detail.unwrap_or_default()),
        };
        let sort = parse(TABLE, &row.sort)?;
        let key = DerivedKey { debug_file_id: row.debug_file_id, sort, version: row.version };
        Ok(Self { id: row.id, key, outcome, created_at: row.created_at, used_at: row.used_at })
    }
}

macro_rules! derived_columns {
    () => {
        "id, debug_file_id, sort, version, detail, sha1, blob_key, encoding, size, stored_size, created_at, used_at"
    };
}

/// Stores a derived file if its debug file is there and its key is free.
const INSERT: Sql = sql!("
    insert into derived_files (debug_file_id, sort, version, state, detail, sha1, blob_key, encoding, size,
        stored_size, created_at, used_at)
    select id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11 from debug_files where id = $1
    on conflict (debug_file_id, sort, version) do nothing
    returning "(derived_columns));

/// The insert with everything bound, on whichever engine.
macro_rules! insert {
    ($sql:expr, $key:expr, $outcome:expr, $now:expr) => {{
        let made = $outcome.as_ref().ok();
        query_as($sql)
            .bind($key.debug_file_id)
            .bind($key.sort.as_str())
            .bind($key.version.as_str())
            .bind(if made.is_some() { READY } else { MALFORMED })
            .bind($outcome.as_ref().err().map(|reason| fitted(reason, limits::MESSAGE)))
            .bind(made.map(|(sha1, _)| sha1.to_string()))
            .bind(made.map(|(_, blob)| blob.key.as_str()))
            .bind(made.map(|(_, blob)| blob.encoding.as_str()))
            .bind(made.map(|(_, blob)| number(blob.size)))
            .bind(made.map(|(_, blob)| number(blob.stored_size)))
            .bind($now)
    }};
}

/// Deletes everything made from these debug files; returns the keys of the bytes.
pub(super) async fn delete_with_files(tx: &mut Tx, debug_file_ids: &str) -> Result<Vec<String>, DbError> {
    const SQL: Sql = sql!(
        "delete from derived_files where debug_file_id " [in_numbers "$1"] " returning blob_key"
    );
    let keys: Vec<Option<String>> =
        on_tx!(tx, SQL, |sql, on| query_scalar(sql).bind(debug_file_ids).fetch_all(on).await)?;
    Ok(keys.into_iter().flatten().collect())
}

impl Db {
    /// Stores what came of making a derived file, if its debug file is there and its key is free.
    #[tracing::instrument(level = "debug", skip_all, name = "db.derived_files.insert")]
    pub async fn insert_derived_file(
        &self,
        key: &DerivedKey,
        outcome: &DerivedOutcome,
        now: DateTime<Utc>,
    ) -> Result<Insert<DerivedFile>, DbError> {
        let rows: Result<Vec<DerivedRow>, sqlx::Error> =
            on_db!(write self, INSERT, |sql, on| insert!(sql, key, outcome, now).fetch_all(on).await);
        match rows {
            Ok(mut rows) => {
                if let Some(row) = rows.pop() {
                    return Ok(Insert::Inserted(row.try_into()?));
                }
            }
            // The file went between being found and being pointed at.
            Err(error) if error.as_database_error().is_some_and(|error| error.is_foreign_key_violation()) => {
                return Ok(Insert::FileGone);
            }
            Err(error) => return Err(error.into()),
        }
        let gone = matches!(taken_or_gone::<DerivedFile>(self, key.debug_file_id).await?, Finish::FileGone);
        Ok(if gone { Insert::FileGone } else { Insert::Taken })
    }

    /// Stores what came of a job that makes a derived file: in the place of the row
    /// `replaces` if there is one, and ends the job: all or nothing.
    #[tracing::instrument(level = "debug", skip_all, name = "db.derived_files.finish")]
    pub async fn finish_derived_file(
        &self,
        key: &DerivedKey,
        outcome: &DerivedOutcome,
        replaces: Option<i64>,
        lease: &JobLease,
        now: DateTime<Utc>,
    ) -> Result<Finish<DerivedFile>, DbError> {
        const REPLACE: Sql = sql!("delete from derived_files where id = $1 returning blob_key");
        let mut tx = self.begin().await?;
        if end_job(&mut tx, lease, now).await? == JobEnd::LeaseLost {
            return Ok(Finish::LeaseLost);
        }
        let replaced: Vec<Option<String>> =
            on_tx!(&mut tx, REPLACE, |sql, on| query_scalar(sql).bind(replaces).fetch_all(on).await)?;
        let rows: Result<Vec<DerivedRow>, sqlx::Error> =
            on_tx!(&mut tx, INSERT, |sql, on| insert!(sql, key, outcome, now).fetch_all(on).await);
        match rows {
            Ok(mut rows) => {
                if let Some(row) = rows.pop() {
                    tx.commit().await?;
                    return Ok(Finish::Stored {
                        row: row.try_into()?,
                        replaced: replaced.into_iter().flatten().next(),
                    });
                }
            }
            // The file went between being found and being pointed at.
            Err(error) if error.as_database_error().is_some_and(|error| error.is_foreign_key_violation()) => {
                return Ok(Finish::FileGone);
            }
            Err(error) => return Err(error.into()),
        }
        drop(tx);
        taken_or_gone(self, key.debug_file_id).await
    }

    /// All rows of one sort that were made from a debug file, whatever their versions, the oldest first.
    #[tracing::instrument(level = "debug", skip_all, name = "db.derived_files.of")]
    pub async fn derived_files_of(&self, debug_file_id: i64, sort: DerivedSort) -> Result<Vec<DerivedFile>, DbError> {
        const SQL: Sql = sql!("
            select " (derived_columns) " from derived_files where debug_file_id = $1 and sort = $2 order by id
        ");
        let rows: Vec<DerivedRow> = on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(debug_file_id).bind(sort.as_str()).fetch_all(on).await
        })?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The row with exactly this key.
    #[tracing::instrument(level = "debug", skip_all, name = "db.derived_files.find")]
    pub async fn derived_file(&self, key: &DerivedKey) -> Result<Option<DerivedFile>, DbError> {
        const SQL: Sql = sql!("
            select " (derived_columns) " from derived_files where debug_file_id = $1 and sort = $2 and version = $3
        ");
        let row: Option<DerivedRow> = on_db!(read self, SQL, |sql, on| {
            query_as(sql)
                .bind(key.debug_file_id)
                .bind(key.sort.as_str())
                .bind(key.version.as_str())
                .fetch_optional(on)
                .await
        })?;
        row.map(TryInto::try_into).transpose()
    }

    /// Notes that a derived file was asked for; false if it went meanwhile.
    #[tracing::instrument(level = "debug", skip_all, name = "db.derived_files.used")]
    pub async fn derived_file_used(&self, id: i64, now: DateTime<Utc>) -> Result<bool, DbError> {
        const SQL: Sql = sql!("update derived_files set used_at = $2 where id = $1");
        let rows = on_db!(write self, SQL, |sql, on| query(sql).bind(id).bind(now).execute(on).await?.rows_affected());
        Ok(rows == 1)
    }

    /// Up to `limit` derived files that nobody asked for since `before`, behind `after`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.derived_files.unused")]
    pub async fn unused_derived_files(
        &self,
        before: DateTime<Utc>,
        after: Option<UnusedDerived>,
        limit: i64,
    ) -> Result<Vec<UnusedDerived>, DbError> {
        const SQL: Sql = sql!(
            "
            select id, coalesce(stored_size, 0), used_at from derived_files
            where used_at < $1 and (used_at, id) > ($2, $3) order by used_at, id limit $4
        "
        );
        let (at, id) = after.map_or((DateTime::UNIX_EPOCH, 0), |last| (last.used_at, last.id));
        let rows: Vec<(i64, i64, DateTime<Utc>)> = on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(before).bind(at).bind(id).bind(limit).fetch_all(on).await
        })?;
        let unused = |(id, stored, used_at)| Ok(UnusedDerived { id, stored_size: size(TABLE, stored)?, used_at });
        rows.into_iter().map(unused).collect()
    }

    /// Deletes those of these derived files that nobody asked for since `before`; returns the keys of their bytes, if
    /// they have some, and how many bytes there are.
    #[tracing::instrument(level = "debug", skip_all, name = "db.derived_files.delete_unused")]
    pub async fn delete_unused_derived_files(
        &self,
        ids: &[i64],
        before: DateTime<Utc>,
    ) -> Result<Vec<(Option<String>, u64)>, DbError> {
        const SQL: Sql = sql!("
            delete from derived_files where used_at < $2 and id " [in_numbers "$1"] "
            returning blob_key, coalesce(stored_size, 0)
        ");
        let rows: Vec<(Option<String>, i64)> =
            on_db!(write self, SQL, |sql, on| query_as(sql).bind(json(ids)).bind(before).fetch_all(on).await)?;
        rows.into_iter().map(|(key, stored)| Ok((key, size(TABLE, stored)?))).collect()
    }

    /// Deletes one row, whose bytes turned out to be lost; returns the key of its bytes.
    #[tracing::instrument(level = "debug", skip_all, name = "db.derived_files.delete")]
    pub async fn delete_derived_file(&self, id: i64) -> Result<Option<String>, DbError> {
        const SQL: Sql = sql!("delete from derived_files where id = $1 returning blob_key");
        let keys: Vec<Option<String>> =
            on_db!(write self, SQL, |sql, on| query_scalar(sql).bind(id).fetch_all(on).await)?;
        Ok(keys.into_iter().flatten().next())
    }

    /// Deletes the rows of the same debug file and sort that the same tool made of other files; returns keys of bytes that
    /// no row speaks of any more. A version is the tool, and behind `+` what else went into it. Rows of other tools stay: a
    /// process of another version may run beside this one.
    #[tracing::instrument(level = "debug", skip_all, name = "db.derived_files.delete_replaced")]
    pub async fn delete_replaced_derived_files(
        &self,
        current: &DerivedKey,
        tool: &str,
    ) -> Result<Vec<String>, DbError> {
        const SQL: Sql = sql!(
            "
            delete from derived_files where debug_file_id = $1 and sort = $2 and version <> $3
                and (version = $4 or substr(version, 1, length($4) + 1) = $4 || '+')
            returning blob_key
        "
        );
        let keys: Vec<Option<String>> = on_db!(write self, SQL, |sql, on| {
            query_scalar(sql)
                .bind(current.debug_file_id)
                .bind(current.sort.as_str())
                .bind(current.version.as_str())
                .bind(tool)
                .fetch_all(on)
                .await
        })?;
        Ok(keys.into_iter().flatten().collect())
    }

    /// Id, checksum and bytes of up to `limit` derived files that have some, by the key of the bytes after `after`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.derived_files.bytes")]
    pub async fn derived_bytes_after(&self, after: &str, limit: i64) -> Result<Vec<(i64, Sha1, BlobRef)>, DbError> {
        const SQL: Sql = sql!("
            select " (derived_columns) " from derived_files
            where blob_key > $1 order by blob_key limit $2
        ");
        let rows: Vec<DerivedRow> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(after).bind(limit).fetch_all(on).await)?;
        let files: Result<Vec<DerivedFile>, DbError> = rows.into_iter().map(TryInto::try_into).collect();
        let bytes = |file: DerivedFile| file.outcome.ok().map(|(sha1, blob)| (file.id, sha1, blob));
        Ok(files?.into_iter().filter_map(bytes).collect())
    }
}
