//! The unit of work that registers a debug file: all of it or nothing.
//!
//! It never decides which files are redundant; the domain does and is asked in the midst of it.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};

use super::debug_files::{FileRow, file_columns, files};
use super::engine::Tx;
use super::events::reprocess;
use super::rows::{fitted, json, number};
use super::sql::{Sql, on_tx, sql};
use super::symcaches::insert_with_file;
use super::{Db, DbError, NewSymcache};
use super::{misses, upstreams};
use crate::types::limits;
use crate::types::{DebugFile, NewDebugFile};

/// What came of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// The file is new.
    Created(DebugFile),
    /// The project already has the same content under the same debug id.
    Existing(DebugFile),
    /// The assembly is no longer held by this worker; nothing was written.
    LeaseLost,
}

/// The assembly that a registration ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Row id of the assembly.
    pub assembly_id: i64,
    /// The lease under which the work was done.
    pub lease_token: String,
}

/// How often the same file may come and go under our hands before we give up.
const ROUNDS: usize = 5;

impl Db {
    /// Registers a file, its chunk list and its symcache, retires what it makes redundant and ends the assembly: all
    /// or nothing. Also forgets a failed assembly of the same content in the project.
    ///
    /// `redundant` is told the live files of the same debug id, newest first and the new one at the front, and names
    /// the ids that must go. `symcache` is stored only if the file is new; if it is not, nothing is written and the
    /// assembly goes on, because what becomes of the symcache is still its to tell.
    #[tracing::instrument(level = "debug", skip_all, name = "db.debug_files.register")]
    pub async fn register_debug_file(
        &self,
        file: &NewDebugFile,
        symcache: Option<&NewSymcache>,
        closing: Option<&Closing>,
        redundant: fn(&[DebugFile]) -> Vec<i64>,
        now: DateTime<Utc>,
    ) -> Result<Registered, DbError> {
        let mut tx = self.begin().await?;
        one_at_a_time(&mut tx, file).await?;
        if !end_assembly(&mut tx, file, closing).await? {
            return Ok(Registered::LeaseLost);
        }
        for _ in 0..ROUNDS {
            if let Some(id) = insert_file(&mut tx, file, now).await? {
                misses::found(&mut tx, file, now).await?;
                upstreams::forget_answers_for(&mut tx, file).await?;
                reprocess::queue_for(&mut tx, file, now).await?;
                lock_live(&mut tx, file).await?;
                insert_chunks(&mut tx, id, &file.chunk_ids, now).await?;
                if let Some(symcache) = symcache {
                    insert_with_file(&mut tx, id, symcache, now).await?;
                }
                retire_redundant(&mut tx, file, redundant, now).await?;
                tx.commit().await?;
                return Ok(Registered::Created(created(id, file, now)));
            }
            if let Some(existing) = existing_file(&mut tx, file, now).await? {
                if symcache.is_none() {
                    tx.commit().await?;
                }
                return Ok(Registered::Existing(existing));
            }
        }
        Err(DbError::Contended("the same file comes and goes too often"))
    }
}

/// Lets only one registration of a debug id happen at a time in a project, so that each sees what the others added.
/// `SQLite` has one writer anyway.
async fn one_at_a_time(tx: &mut Tx, file: &NewDebugFile) -> Result<(), DbError> {
    const LOCK: &str = "select pg_advisory_xact_lock(hashtextextended($1, $2))";
    if let Tx::Postgres(tx) = tx {
        query(LOCK).bind(file.debug_id.as_str()).bind(file.project_id).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Deletes the assembly that is held under the lease, and a failed one of the content. One that waits or is worked on by
/// somebody else ends by itself. False if the lease is lost.
async fn end_assembly(tx: &mut Tx, file: &NewDebugFile, closing: Option<&Closing>) -> Result<bool, DbError> {
    const HELD: Sql = sql!("delete from assemblies where id = $1 and lease_token = $2 and state = 'assembling'");
    const FAILED: Sql = sql!("delete from assemblies where project_id = $1 and sha1 = $2 and state = 'error'");
    if let Some(closing) = closing {
        let rows = on_tx!(&mut *tx, HELD, |sql, on| {
            let lease_token = closing.lease_token.as_str();
            query(sql).bind(closing.assembly_id).bind(lease_token).execute(on).await?.rows_affected()
        });
        if rows != 1 {
            return Ok(false);
        }
    }
    on_tx!(tx, FAILED, |sql, on| {
        query(sql).bind(file.project_id).bind(file.sha1.to_string()).execute(on).await.map(drop)
    })?;
    Ok(true)
}

/// The row id of the file, now stored; `None` if a live one is there.
async fn insert_file(tx: &mut Tx, file: &NewDebugFile, now: DateTime<Utc>) -> Result<Option<i64>, DbError> {
    const SQL: Sql = sql!(
        "
        insert into debug_files (project_id, sha1, size, debug_id, debug_id_alias, code_id, object_name, cpu_name,
            format, kind, features, note, supplement_id, is_supplement, created_at, uploaded_at, used_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15, $15)
        on conflict (project_id, sha1, debug_id) where retired_at is null do nothing
        returning id
    "
    );
    let id = on_tx!(tx, SQL, |sql, on| {
        query_scalar(sql)
            .bind(file.project_id)
            .bind(file.sha1.to_string())
            .bind(number(file.size))
            .bind(file.debug_id.as_str())
            .bind(file.debug_id_alias.as_ref().map(|id| id.as_str()))
            .bind(file.code_id.as_ref().map(|id| id.as_str()))
            .bind(fitted(&file.object_name, limits::NAME))
            .bind(fitted(&file.cpu_name, limits::WORD))
            .bind(file.format.as_str())
            .bind(file.kind.as_str())
            .bind(i64::from(file.features.bits()))
            .bind(file.note.as_deref().map(|note| fitted(note, limits::MESSAGE)))
            .bind(file.supplement_id.as_ref().map(|id| id.as_str()))
            .bind(i64::from(file.is_supplement))
            .bind(now)
            .fetch_optional(on)
            .await
    })?;
    Ok(id)
}

/// The live file that is in the way, renewed. It is whole again, whatever was lost of it before: whoever registers it has
/// just read it.
async fn existing_file(tx: &mut Tx, file: &NewDebugFile, now: DateTime<Utc>) -> Result<Option<DebugFile>, DbError> {
    // Renewed before it counts, because whoever deletes it may have been faster.
    const RENEW: Sql = sql!(
        "
        update debug_files set damaged_at = null, uploaded_at = $4, used_at = $4, renewals = renewals + 1
        where project_id = $1 and sha1 = $2 and debug_id = $3 and retired_at is null returning id
    "
    );
    const FILE: Sql = sql!("select " (file_columns) " from debug_files f where f.id = $1");
    let id: Option<i64> = on_tx!(&mut *tx, RENEW, |sql, on| {
        query_scalar(sql)
            .bind(file.project_id)
            .bind(file.sha1.to_string())
            .bind(file.debug_id.as_str())
            .bind(now)
            .fetch_optional(on)
            .await
    })?;
    let Some(id) = id else { return Ok(None) };
    let row: Option<FileRow> = on_tx!(tx, FILE, |sql, on| query_as(sql).bind(id).fetch_optional(on).await)?;
    row.map(TryInto::try_into).transpose()
}

/// Locks the files that may be retired, because files are locked before chunks wherever both are.
async fn lock_live(tx: &mut Tx, file: &NewDebugFile) -> Result<(), DbError> {
    const SQL: Sql = sql!(
        "
        select id from debug_files where project_id = $1 and debug_id = $2 and retired_at is null order by id"
            [lock_values]
    );
    on_tx!(tx, SQL, |sql, on| {
        query(sql).bind(file.project_id).bind(file.debug_id.as_str()).execute(on).await.map(drop)
    })?;
    Ok(())
}

/// Whether the bytes of a chunk are known to be lost.
macro_rules! lost_chunk {
    () => {
        "stored_size = 0 and size > 0"
    };
}

/// Notes which chunks the file is made of. From now on none of them can go, and none waits for its file any more.
///
/// A chunk whose bytes are found lost is marked either before, and then the file is damaged from the beginning, or after
/// this transaction, and then the transaction that marks it sees the file.
async fn insert_chunks(tx: &mut Tx, id: i64, chunk_ids: &[i64], now: DateTime<Utc>) -> Result<(), DbError> {
    const LOCK: Sql = sql!("select id from chunks where id " [in_numbers "$1"] " order by id" [lock_shared]);
    const DAMAGED: Sql = sql!("
        update debug_files set damaged_at = $3 where id = $1 and exists (
            select 1 from chunks where id " [in_numbers "$2"] " and " (lost_chunk) "
        )
    ");
    // Chunks are pointed at, and owners locked, in order, so that no two wait for each other.
    const SQL: Sql = sql!("
        insert into debug_file_chunks (debug_file_id, position, chunk_id)
        select $1, cast(value ->> 0 as bigint), cast(value ->> 1 as bigint) from " [rows "$2"] " order by 3");
    const ARRIVED: Sql = sql!("
        update chunk_owners set waiting = 0 where (chunk_id, organization_id) in (
            select o.chunk_id, o.organization_id from chunk_owners o
            where o.waiting = 1 and o.chunk_id " [in_numbers "$2"] " and o.organization_id = (
                select p.organization_id from debug_files f join projects p on p.id = f.project_id where f.id = $1
            ) order by o.chunk_id" [lock] "
        )
    ");
    let once = json(&chunk_ids.iter().collect::<BTreeSet<_>>());
    on_tx!(&mut *tx, LOCK, |sql, on| query(sql).bind(once.as_str()).execute(on).await.map(drop))?;
    let numbered: Vec<(usize, &i64)> = chunk_ids.iter().enumerate().collect();
    on_tx!(&mut *tx, SQL, |sql, on| query(sql).bind(id).bind(json(&numbered)).execute(on).await.map(drop))?;
    on_tx!(&mut *tx, ARRIVED, |sql, on| query(sql).bind(id).bind(once.as_str()).execute(on).await.map(drop))?;
    on_tx!(tx, DAMAGED, |sql, on| query(sql).bind(id).bind(once).bind(now).execute(on).await.map(drop))?;
    Ok(())
}

/// Takes out of sight what the domain calls redundant.
async fn retire_redundant(
    tx: &mut Tx,
    file: &NewDebugFile,
    redundant: fn(&[DebugFile]) -> Vec<i64>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    const LIVE: Sql = sql!("
        select " (file_columns) " from debug_files f
        where f.project_id = $1 and f.debug_id = $2 and f.retired_at is null order by f.id desc
    ");
    const RETIRE: Sql = sql!("
        update debug_files set retired_at = $3
        where project_id = $1 and retired_at is null and id " [in_numbers "$2"]);
    let rows: Vec<FileRow> = on_tx!(&mut *tx, LIVE, |sql, on| {
        query_as(sql).bind(file.project_id).bind(file.debug_id.as_str()).fetch_all(on).await
    })?;
    let ids = redundant(&files(rows)?);
    if !ids.is_empty() {
        on_tx!(tx, RETIRE, |sql, on| {
            query(sql).bind(file.project_id).bind(json(&ids)).bind(now).execute(on).await.map(drop)
        })?;
    }
    Ok(())
}

/// The file as it now stands in its row.
fn created(id: i64, file: &NewDebugFile, now: DateTime<Utc>) -> DebugFile {
    DebugFile {
        id,
        project_id: file.project_id,
        sha1: file.sha1,
        size: file.size,
        debug_id: file.debug_id.clone(),
        debug_id_alias: file.debug_id_alias.clone(),
        code_id: file.code_id.clone(),
        object_name: fitted(&file.object_name, limits::NAME).into_owned(),
        cpu_name: fitted(&file.cpu_name, limits::WORD).into_owned(),
        format: file.format,
        kind: file.kind,
        features: file.features,
        note: file.note.as_deref().map(|note| fitted(note, limits::MESSAGE).into_owned()),
        supplement_id: file.supplement_id.clone(),
        is_supplement: file.is_supplement,
        created_at: now,
    }
}
