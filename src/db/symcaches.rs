//! Symcaches: what was made from which debug file by which converter, or why it could not be.
//!
//! It never overwrites a row: what was made once stays until it is deleted.

use chrono::{DateTime, Utc};
use sqlx::{query_as, query_scalar};

use super::engine::Tx;
use super::jobs::{JobEnd, end_job};
use super::rows::{blob, fitted, json, number, parse};
use super::sql::{Sql, on_db, on_tx, sql};
use super::{Db, DbError};
use crate::types::child_protocol::Statistics;
use crate::types::limits;
use crate::types::{BlobRef, JobLease, Sha1, Symcache, SymcacheState};

/// What makes one symcache another one than the next. Unique.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SymcacheKey {
    /// The debug file it is made from.
    pub debug_file_id: i64,
    /// Version of the symcache format.
    pub format_version: i64,
    /// Version of the converter.
    pub converter_version: String,
    /// Which name maps are applied: empty, or checksums with `+` between.
    pub mappings: String,
}

/// What came of a conversion, about to be stored. In a registration `debug_file_id` of the key is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSymcache {
    /// What it is.
    pub key: SymcacheKey,
    /// Checksum and bytes, or the reason why there are none.
    pub outcome: Result<(Sha1, BlobRef), String>,
    /// What it holds, if that was counted.
    pub statistics: Option<Statistics>,
}

/// What came of storing a symcache.
pub type SymcacheInsert = Insert<Symcache>;

/// What came of storing something that was made from a debug file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Insert<T> {
    /// The row is ours.
    Inserted(T),
    /// Somebody else's row of the same key was there first.
    Taken,
    /// The debug file is gone; nothing was written.
    FileGone,
}

/// What came of storing the result of a job, whose row ends in the same unit of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish<T> {
    /// The row is ours, and the job has ended.
    Stored {
        /// What was stored.
        row: T,
        /// The key of the bytes of the row that it replaces.
        replaced: Option<String>,
    },
    /// Another row of the same key was there first; nothing was written.
    Taken,
    /// The debug file is gone; nothing was written.
    FileGone,
    /// Another worker has the job; nothing was written.
    LeaseLost,
}

#[derive(sqlx::FromRow)]
struct SymcacheRow {
    id: i64,
    debug_file_id: i64,
    format_version: i64,
    converter_version: String,
    mappings: String,
    state: String,
    detail: Option<String>,
    sha1: Option<String>,
    blob_key: Option<String>,
    encoding: Option<String>,
    size: Option<i64>,
    stored_size: Option<i64>,
    statistics: Option<String>,
}

const TABLE: &str = "symcaches";

impl TryFrom<SymcacheRow> for Symcache {
    type Error = DbError;

    fn try_from(row: SymcacheRow) -> Result<Self, DbError> {
        let blob = match (row.blob_key, row.encoding, row.size, row.stored_size) {
            (Some(key), Some(encoding), Some(size), Some(stored)) => Some(blob(TABLE, key, &encoding, size, stored)?),
            _ => None,
        };
        Ok(Self {
            id: row.id,
            debug_file_id: row.debug_file_id,
            format_version: row.format_version,
            converter_version: row.converter_version,
            mappings: row.mappings,
            state: parse(TABLE, &row.state)?,
            detail: row.detail,
            sha1: row.sha1.map(|sha1| parse(TABLE, &sha1)).transpose()?,
            blob,
            // Written for people by another version, perhaps: what cannot be read is not told.
            statistics: row.statistics.and_then(|text| serde_json::from_str(&text).ok()),
        })
    }
}

macro_rules! symcache_columns {
    () => {
        "id, debug_file_id, format_version, converter_version, mappings, state, detail, sha1, blob_key, encoding, size,
            stored_size, statistics"
    };
}

/// Statistics as a row holds them; what is longer than a message may be is not told.
fn told(statistics: &Statistics) -> Option<String> {
    serde_json::to_string(statistics).ok().filter(|text| text.len() <= limits::MESSAGE)
}

/// Stores a symcache if its debug file is there and its key is free.
const INSERT: Sql = sql!("
    insert into symcaches (debug_file_id, format_version, converter_version, mappings, state, detail, sha1, blob_key,
        encoding, size, stored_size, statistics, created_at)
    select id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 from debug_files where id = $1
    on conflict (debug_file_id, format_version, converter_version, mappings) do nothing
    returning "(symcache_columns));

/// The insert with everything bound, on whichever engine.
macro_rules! insert {
    ($sql:expr, $debug_file_id:expr, $symcache:expr, $now:expr) => {{
        let key = &$symcache.key;
        let made = $symcache.outcome.as_ref().ok();
        let state = if made.is_some() { SymcacheState::Ready } else { SymcacheState::Malformed };
        query_as::<_, SymcacheRow>($sql)
            .bind($debug_file_id)
            .bind(key.format_version)
            .bind(key.converter_version.as_str())
            .bind(key.mappings.as_str())
            .bind(state.as_str())
            .bind($symcache.outcome.as_ref().err().map(|reason| fitted(reason, limits::MESSAGE)))
            .bind(made.map(|(sha1, _)| sha1.to_string()))
            .bind(made.map(|(_, blob)| blob.key.as_str()))
            .bind(made.map(|(_, blob)| blob.encoding.as_str()))
            .bind(made.map(|(_, blob)| number(blob.size)))
            .bind(made.map(|(_, blob)| number(blob.stored_size)))
            .bind(made.and($symcache.statistics.as_ref()).and_then(told))
            .bind($now)
    }};
}

/// Stores the symcache of a debug file that was inserted by the same unit of work, whatever file its key names.
pub(super) async fn insert_with_file(
    tx: &mut Tx,
    debug_file_id: i64,
    symcache: &NewSymcache,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    on_tx!(tx, INSERT, |sql, on| insert!(sql, debug_file_id, symcache, now).fetch_one(on).await)?;
    Ok(())
}

/// What an insert that came to nothing means: another row of the key, or no file to be made from.
pub(super) async fn taken_or_gone<T>(db: &Db, debug_file_id: i64) -> Result<Finish<T>, DbError> {
    const FILE: Sql = sql!("select exists (select 1 from debug_files where id = $1)");
    let there: bool = on_db!(read db, FILE, |sql, on| query_scalar(sql).bind(debug_file_id).fetch_one(on).await)?;
    Ok(if there { Finish::Taken } else { Finish::FileGone })
}

/// Deletes all symcaches of these debug files; returns the keys of their bytes.
pub(super) async fn delete_with_files(tx: &mut Tx, debug_file_ids: &str) -> Result<Vec<String>, DbError> {
    const SQL: Sql = sql!(
        "delete from symcaches where debug_file_id " [in_numbers "$1"] " returning blob_key"
    );
    let keys: Vec<Option<String>> =
        on_tx!(tx, SQL, |sql, on| query_scalar(sql).bind(debug_file_ids).fetch_all(on).await)?;
    Ok(keys.into_iter().flatten().collect())
}

impl Db {
    /// Stores what came of a conversion.
    #[tracing::instrument(level = "debug", skip_all, name = "db.symcaches.insert")]
    pub async fn insert_symcache(&self, symcache: &NewSymcache, now: DateTime<Utc>) -> Result<SymcacheInsert, DbError> {
        let file = symcache.key.debug_file_id;
        let rows = on_db!(write self, INSERT, |sql, on| insert!(sql, file, symcache, now).fetch_all(on).await);
        match rows {
            Ok(mut rows) => {
                if let Some(row) = rows.pop() {
                    return Ok(SymcacheInsert::Inserted(row.try_into()?));
                }
            }
            // The file went between being found and being pointed at.
            Err(error) if error.as_database_error().is_some_and(|error| error.is_foreign_key_violation()) => {
                return Ok(SymcacheInsert::FileGone);
            }
            Err(error) => return Err(error.into()),
        }
        let gone = matches!(taken_or_gone::<Symcache>(self, file).await?, Finish::FileGone);
        Ok(if gone { SymcacheInsert::FileGone } else { SymcacheInsert::Taken })
    }

    /// Stores what came of the conversion of a job, in the place of the row `replaces` if there is one, and ends the job:
    /// all or nothing.
    #[tracing::instrument(level = "debug", skip_all, name = "db.symcaches.finish")]
    pub async fn finish_symcache(
        &self,
        symcache: &NewSymcache,
        replaces: Option<i64>,
        lease: &JobLease,
        now: DateTime<Utc>,
    ) -> Result<Finish<Symcache>, DbError> {
        const REPLACE: Sql = sql!("delete from symcaches where id = $1 returning blob_key");
        let file = symcache.key.debug_file_id;
        let mut tx = self.begin().await?;
        if end_job(&mut tx, lease, now).await? == JobEnd::LeaseLost {
            return Ok(Finish::LeaseLost);
        }
        let replaced: Vec<Option<String>> =
            on_tx!(&mut tx, REPLACE, |sql, on| query_scalar(sql).bind(replaces).fetch_all(on).await)?;
        let rows = on_tx!(&mut tx, INSERT, |sql, on| insert!(sql, file, symcache, now).fetch_all(on).await);
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
        taken_or_gone(self, file).await
    }

    /// The row with exactly this key.
    #[tracing::instrument(level = "debug", skip_all, name = "db.symcaches.find")]
    pub async fn symcache(&self, key: &SymcacheKey) -> Result<Option<Symcache>, DbError> {
        const SQL: Sql = sql!("
            select " (symcache_columns) " from symcaches
            where debug_file_id = $1 and format_version = $2 and converter_version = $3 and mappings = $4
        ");
        let row: Option<SymcacheRow> = on_db!(read self, SQL, |sql, on| {
            query_as(sql)
                .bind(key.debug_file_id)
                .bind(key.format_version)
                .bind(key.converter_version.as_str())
                .bind(key.mappings.as_str())
                .fetch_optional(on)
                .await
        })?;
        row.map(TryInto::try_into).transpose()
    }

    /// All rows of these debug files, whatever their versions. One query for any number.
    #[tracing::instrument(level = "debug", skip_all, name = "db.symcaches.of")]
    pub async fn symcaches_of(&self, debug_file_ids: &[i64]) -> Result<Vec<Symcache>, DbError> {
        const SQL: Sql = sql!("
            select " (symcache_columns) " from symcaches where debug_file_id " [in_numbers "$1"] " order by id
        ");
        if debug_file_ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<SymcacheRow> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(json(debug_file_ids)).fetch_all(on).await)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Deletes one row, whose bytes turned out to be lost or whose version is old; returns the key of its bytes.
    #[tracing::instrument(level = "debug", skip_all, name = "db.symcaches.delete")]
    pub async fn delete_symcache(&self, id: i64) -> Result<Option<String>, DbError> {
        const SQL: Sql = sql!("delete from symcaches where id = $1 returning blob_key");
        let keys: Vec<Option<String>> =
            on_db!(write self, SQL, |sql, on| query_scalar(sql).bind(id).fetch_all(on).await)?;
        Ok(keys.into_iter().flatten().next())
    }

    /// Deletes the rows of a debug file that the same converter made with other name maps than `current`; returns keys of
    /// bytes that no row speaks of any more. Rows of other versions stay: a process of theirs may run beside this one.
    #[tracing::instrument(level = "debug", skip_all, name = "db.symcaches.delete_replaced")]
    pub async fn delete_replaced_symcaches(&self, current: &SymcacheKey) -> Result<Vec<String>, DbError> {
        const SQL: Sql = sql!(
            "
            delete from symcaches where debug_file_id = $1
                and format_version = $2 and converter_version = $3 and mappings <> $4
            returning blob_key
        "
        );
        let keys: Vec<Option<String>> = on_db!(write self, SQL, |sql, on| {
            query_scalar(sql)
                .bind(current.debug_file_id)
                .bind(current.format_version)
                .bind(current.converter_version.as_str())
                .bind(current.mappings.as_str())
                .fetch_all(on)
                .await
        })?;
        Ok(keys.into_iter().flatten().collect())
    }
}
