//! What keeping house asks of the rows: which chunks nobody wants, what stands where, what was lost.
//!
//! Everything goes in pages and small statements. A row is looked at again by the statement that deletes it.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};

use super::chunks::is_lost;
use super::debug_files::{FileRow, file_columns, files};
use super::rows::{blob, json, parse, size, split_sha1s};
use super::sql::{Sql, on_db, on_tx, sql};
use super::{Db, DbError};
use crate::types::{BlobRef, Chunk, DebugFile, Sha1};

/// A chunk that was not wanted for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldChunk {
    /// Row id.
    pub id: i64,
    /// When it was last wanted.
    pub wanted_at: DateTime<Utc>,
    /// Size at rest in bytes.
    pub stored_size: u64,
    /// Whether no debug file is made of it.
    pub idle: bool,
}

/// The bytes of a symcache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymcacheBytes {
    /// Row id.
    pub id: i64,
    /// Checksum.
    pub sha1: Sha1,
    /// Where they are.
    pub blob: BlobRef,
}

#[derive(sqlx::FromRow)]
struct BytesRow {
    id: i64,
    sha1: String,
    blob_key: String,
    encoding: String,
    size: i64,
    stored_size: i64,
    lost: bool,
}

impl BytesRow {
    fn read(self, table: &'static str) -> Result<(i64, Sha1, BlobRef), DbError> {
        let blob = blob(table, self.blob_key, &self.encoding, self.size, self.stored_size)?;
        Ok((self.id, parse(table, &self.sha1)?, blob))
    }
}

impl Db {
    /// Up to `limit` chunks that were last wanted before `before` and are not known to be in use, behind `after`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upkeep.old_chunks")]
    pub async fn old_chunks(
        &self,
        before: DateTime<Utc>,
        after: Option<&OldChunk>,
        limit: i64,
    ) -> Result<Vec<OldChunk>, DbError> {
        const SQL: Sql = sql!(
            "
            select c.id, c.wanted_at, c.stored_size,
                not exists (select 1 from debug_file_chunks f where f.chunk_id = c.id) as idle
            from chunks c where c.in_use = 0 and c.wanted_at < $1 and (c.wanted_at, c.id) > ($2, $3)
            order by c.wanted_at, c.id limit $4
        "
        );
        let (at, id) = after.map_or((DateTime::UNIX_EPOCH, 0), |last| (last.wanted_at, last.id));
        let rows: Vec<(i64, DateTime<Utc>, i64, bool)> = on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(before).bind(at).bind(id).bind(limit).fetch_all(on).await
        })?;
        let chunk =
            |(id, wanted_at, stored, idle)| Ok(OldChunk { id, wanted_at, stored_size: size("chunks", stored)?, idle });
        rows.into_iter().map(chunk).collect()
    }

    /// Notes of those of the chunks that files are made of that they are in use.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upkeep.chunks_in_use")]
    pub async fn chunks_in_use(&self, ids: &[i64]) -> Result<(), DbError> {
        // Whoever deletes a file takes the note back under the same lock, so one of the two sees what the other did.
        const LOCK: Sql = sql!("select id from chunks where id " [in_numbers "$1"] " order by id" [lock_values]);
        const SQL: Sql = sql!("
            update chunks set in_use = 1 where in_use = 0 and id " [in_numbers "$1"] "
                and exists (select 1 from debug_file_chunks f where f.chunk_id = chunks.id)
        ");
        let ids = json(ids);
        let mut tx = self.begin().await?;
        on_tx!(&mut tx, LOCK, |sql, on| query(sql).bind(ids.as_str()).execute(on).await.map(drop))?;
        on_tx!(&mut tx, SQL, |sql, on| query(sql).bind(ids.as_str()).execute(on).await.map(drop))?;
        tx.commit().await
    }

    /// Takes the note back that a chunk is in use where it is not. Nobody leaves such a note behind but a process of a
    /// version that does not know of it.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upkeep.release_chunks")]
    pub async fn release_chunks(&self) -> Result<u64, DbError> {
        /// Rows looked at by one statement.
        const STEP: i64 = 20_000;
        const LAST: Sql = sql!("select coalesce(max(id), 0) from chunks");
        const SQL: Sql = sql!(
            "
            update chunks set in_use = 0 where in_use = 1 and id > $1 and id <= $2
                and not exists (select 1 from debug_file_chunks f where f.chunk_id = chunks.id)
        "
        );
        let last: i64 = on_db!(read self, LAST, |sql, on| query_scalar(sql).fetch_one(on).await)?;
        let mut released = 0;
        for from in (0..last).step_by(STEP as usize) {
            released += on_db!(write self, SQL, |sql, on| {
                query(sql).bind(from).bind(from + STEP).execute(on).await?.rows_affected()
            });
        }
        Ok(released)
    }

    /// Deletes those of the chunks that are still not wanted since `before` and part of no file; returns the keys of
    /// their bytes and how many bytes there are.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upkeep.delete_idle_chunks")]
    pub async fn delete_idle_chunks(&self, ids: &[i64], before: DateTime<Utc>) -> Result<Vec<(String, u64)>, DbError> {
        // Whoever points at one of them meanwhile is waited for, and seen by the statement that deletes.
        const LOCK: Sql = sql!("select id from chunks where id " [in_numbers "$1"] " order by id" [lock]);
        const SQL: Sql = sql!("
            delete from chunks where id " [in_numbers "$1"] " and wanted_at < $2
                and not exists (select 1 from debug_file_chunks f where f.chunk_id = chunks.id)
            returning blob_key, stored_size
        ");
        let ids = json(ids);
        let mut tx = self.begin().await?;
        on_tx!(&mut tx, LOCK, |sql, on| query(sql).bind(ids.as_str()).execute(on).await.map(drop))?;
        let rows: Vec<(String, i64)> =
            on_tx!(&mut tx, SQL, |sql, on| query_as(sql).bind(ids.as_str()).bind(before).fetch_all(on).await)?;
        tx.commit().await?;
        rows.into_iter().map(|(key, stored)| Ok((key, size("chunks", stored)?))).collect()
    }

    /// Notes that these chunks are wanted now; returns those that are there.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upkeep.renew_chunks")]
    pub async fn renew_chunks(&self, ids: &[i64], now: DateTime<Utc>) -> Result<HashSet<i64>, DbError> {
        // Locked in order, here and wherever several chunks are written, so that no two wait for each other.
        const SQL: Sql = sql!("
            update chunks set wanted_at = $2 where id in (
                select id from chunks where id " [in_numbers "$1"] " order by id" [lock_values] "
            ) returning id
        ");
        let rows: Vec<i64> =
            on_db!(write self, SQL, |sql, on| query_scalar(sql).bind(json(ids)).bind(now).fetch_all(on).await)?;
        Ok(rows.into_iter().collect())
    }

    /// The chunks of up to `limit` assemblies that wait or are worked on, by id after `after`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upkeep.awaited_chunks")]
    pub async fn awaited_chunks(&self, after: i64, limit: i64) -> Result<Vec<(i64, Vec<Sha1>)>, DbError> {
        const SQL: Sql =
            sql!("select id, chunks from assemblies where state <> 'error' and id > $1 order by id limit $2");
        let rows: Vec<(i64, Vec<u8>)> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(after).bind(limit).fetch_all(on).await)?;
        rows.into_iter().map(|(id, chunks)| Ok((id, split_sha1s("assemblies", &chunks)?))).collect()
    }

    /// Notes that the chunks with these checksums are wanted now, if they were last wanted before `before`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upkeep.renew_awaited")]
    pub async fn renew_awaited_chunks(
        &self,
        sha1s: &[Sha1],
        before: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(), DbError> {
        const SQL: Sql = sql!("
            update chunks set wanted_at = $3 where id in (
                select id from chunks where wanted_at < $2 and sha1 " [in_texts "$1"] " order by id" [lock_values] "
            )
        ");
        on_db!(write self, SQL, |sql, on| {
            query(sql).bind(json(sha1s)).bind(before).bind(now).execute(on).await.map(drop)
        })?;
        Ok(())
    }

    /// How many files were made redundant before `before`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upkeep.count_retired")]
    pub async fn count_retired(&self, before: DateTime<Utc>) -> Result<u64, DbError> {
        const SQL: Sql = sql!("select count(*) from debug_files where retired_at < $1");
        let count: i64 = on_db!(read self, SQL, |sql, on| query_scalar(sql).bind(before).fetch_one(on).await)?;
        size("debug_files", count)
    }

    /// How many assemblies stand in state `error` without a change since `before`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upkeep.count_failed")]
    pub async fn count_failed_assemblies(&self, before: DateTime<Utc>) -> Result<u64, DbError> {
        const SQL: Sql = sql!("select count(*) from assemblies where state = 'error' and updated_at < $1");
        let count: i64 = on_db!(read self, SQL, |sql, on| query_scalar(sql).bind(before).fetch_one(on).await)?;
        size("assemblies", count)
    }

    /// How many rows there are that have bytes.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upkeep.count_stored")]
    pub async fn count_stored(&self) -> Result<u64, DbError> {
        const SQL: Sql = sql!(
            "
            select (select count(*) from chunks) + (select count(*) from symcaches where blob_key is not null)
                + (select count(*) from derived_files where blob_key is not null) + (select count(*) from attachments)
        "
        );
        let count: i64 = on_db!(read self, SQL, |sql, on| query_scalar(sql).fetch_one(on).await)?;
        size("chunks", count)
    }

    /// Up to `limit` chunks, by the key of their bytes after `after`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upkeep.chunks")]
    pub async fn chunks_after(&self, after: &str, limit: i64) -> Result<Vec<Chunk>, DbError> {
        const SQL: Sql = sql!("
            select id, sha1, blob_key, encoding, size, stored_size, " (is_lost) " as lost from chunks
            where blob_key > $1 order by blob_key limit $2
        ");
        let rows: Vec<BytesRow> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(after).bind(limit).fetch_all(on).await)?;
        let chunk = |row: BytesRow| {
            let lost = row.lost;
            row.read("chunks").map(|(id, sha1, blob)| Chunk { id, sha1, blob, lost })
        };
        rows.into_iter().map(chunk).collect()
    }

    /// Up to `limit` symcaches that have bytes, by the key of them after `after`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upkeep.symcaches")]
    pub async fn symcache_bytes_after(&self, after: &str, limit: i64) -> Result<Vec<SymcacheBytes>, DbError> {
        const SQL: Sql = sql!(
            "
            select id, sha1, blob_key, encoding, size, stored_size, 1 = 0 as lost from symcaches
            where blob_key > $1 order by blob_key limit $2
        "
        );
        let rows: Vec<BytesRow> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(after).bind(limit).fetch_all(on).await)?;
        let bytes = |row: BytesRow| row.read("symcaches").map(|(id, sha1, blob)| SymcacheBytes { id, sha1, blob });
        rows.into_iter().map(bytes).collect()
    }

    /// The versions, of format and converter, that there are symcaches of.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upkeep.symcache_versions")]
    pub async fn symcache_versions(&self) -> Result<Vec<(i64, String)>, DbError> {
        // From one to the next, each found in the index: a list of all rows would be long, and has a few versions.
        const CONVERTER: Sql = sql!(
            "
            select format_version, converter_version from symcaches
            where format_version = $1 and converter_version > $2
            order by format_version, converter_version limit 1
        "
        );
        const FORMAT: Sql = sql!(
            "
            select format_version, converter_version from symcaches
            where format_version > $1 order by format_version, converter_version limit 1
        "
        );
        let (mut versions, mut last): (Vec<(i64, String)>, _) = (Vec::new(), (i64::MIN, String::new()));
        loop {
            let (format, converter) = (last.0, last.1.as_str());
            let mut next: Option<(i64, String)> = on_db!(read self, CONVERTER, |sql, on| {
                query_as(sql).bind(format).bind(converter).fetch_optional(on).await
            })?;
            if next.is_none() {
                next = on_db!(read self, FORMAT, |sql, on| query_as(sql).bind(format).fetch_optional(on).await)?;
            }
            let Some(next) = next else { return Ok(versions) };
            last.clone_from(&next);
            versions.push(next);
        }
    }

    /// Up to `limit` symcaches of a version other than `current` that were made before `before` and are of no more use, by id
    /// after `after`, each with its size at rest: those that say why there are no bytes, those of another format, and those
    /// in whose place one of `current` came, also before `before`. The others are served until theirs is made.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upkeep.symcaches_of_version")]
    pub async fn symcaches_of_version(
        &self,
        (format, converter): (i64, &str),
        current: (i64, &str),
        before: DateTime<Utc>,
        after: i64,
        limit: i64,
    ) -> Result<Vec<(i64, u64)>, DbError> {
        const SQL: Sql = sql!(
            "
            select s.id, coalesce(s.stored_size, 0) from symcaches s
            where s.format_version = $1 and s.converter_version = $2 and s.id > $3 and s.created_at < $4
                and (s.state <> 'ready' or s.format_version <> $6 or exists (
                    select 1 from symcaches n where n.debug_file_id = s.debug_file_id and n.format_version = $6
                        and n.converter_version = $7 and n.id > s.id and n.created_at < $4
                ))
            order by s.id limit $5
        "
        );
        let rows: Vec<(i64, i64)> = on_db!(read self, SQL, |sql, on| {
            let query = query_as(sql).bind(format).bind(converter).bind(after).bind(before).bind(limit);
            query.bind(current.0).bind(current.1).fetch_all(on).await
        })?;
        rows.into_iter().map(|(id, stored)| Ok((id, size("symcaches", stored)?))).collect()
    }

    /// Deletes symcaches; returns the keys of their bytes, if they have some, and how many bytes there are.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upkeep.delete_symcaches")]
    pub async fn delete_symcaches(&self, ids: &[i64]) -> Result<Vec<(Option<String>, u64)>, DbError> {
        const SQL: Sql = sql!("
            delete from symcaches where id " [in_numbers "$1"] " returning blob_key, coalesce(stored_size, 0)
        ");
        let rows: Vec<(Option<String>, i64)> =
            on_db!(write self, SQL, |sql, on| query_as(sql).bind(json(ids)).fetch_all(on).await)?;
        rows.into_iter().map(|(key, stored)| Ok((key, size("symcaches", stored)?))).collect()
    }

    /// The live files that are made of a chunk.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upkeep.files_of_chunk")]
    pub async fn files_of_chunk(&self, chunk_id: i64) -> Result<Vec<DebugFile>, DbError> {
        const SQL: Sql = sql!("
            select " (file_columns) " from debug_files f
            where f.retired_at is null
                and f.id in (select c.debug_file_id from debug_file_chunks c where c.chunk_id = $1)
            order by f.id
        ");
        let rows: Vec<FileRow> = on_db!(read self, SQL, |sql, on| query_as(sql).bind(chunk_id).fetch_all(on).await)?;
        files(rows)
    }

    /// Notes that the bytes of a chunk are lost: until somebody brings it again it is asked of all its owners, and the
    /// files that are made of it are `damaged`, so that pollers do not hear ok. False if it has other bytes by now.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upkeep.lose_chunk")]
    pub async fn lose_chunk(&self, chunk_id: i64, blob_key: &str, now: DateTime<Utc>) -> Result<bool, DbError> {
        // Files are locked before chunks, as by whoever deletes them.
        const LOCK: Sql = sql!("
            select id from debug_files where id in (select c.debug_file_id from debug_file_chunks c where c.chunk_id = $1)
            order by id" [lock]);
        // The size is what processes of the version before this mark go by.
        const CONDEMN: Sql =
            sql!("update chunks set lost_key = blob_key, stored_size = 0 where id = $1 and blob_key = $2");
        const DAMAGED: Sql = sql!(
            "
            update debug_files set damaged_at = $2 where damaged_at is null
                and id in (select c.debug_file_id from debug_file_chunks c where c.chunk_id = $1)
        "
        );
        let mut tx = self.begin().await?;
        on_tx!(&mut tx, LOCK, |sql, on| query(sql).bind(chunk_id).execute(on).await.map(drop))?;
        let rows = on_tx!(&mut tx, CONDEMN, |sql, on| {
            query(sql).bind(chunk_id).bind(blob_key).execute(on).await?.rows_affected()
        });
        if rows == 1 {
            on_tx!(&mut tx, DAMAGED, |sql, on| query(sql).bind(chunk_id).bind(now).execute(on).await.map(drop))?;
        }
        tx.commit().await?;
        Ok(rows == 1)
    }

    /// The same for the chunk that has these bytes; false if none has them by now, or it is known to be lost.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upkeep.lose_bytes")]
    pub async fn lose_bytes(&self, blob_key: &str, now: DateTime<Utc>) -> Result<bool, DbError> {
        const SQL: Sql = sql!("select id from chunks where blob_key = $1 and not "(is_lost));
        let id: Option<i64> =
            on_db!(read self, SQL, |sql, on| query_scalar(sql).bind(blob_key).fetch_optional(on).await)?;
        match id {
            Some(id) => self.lose_chunk(id, blob_key, now).await,
            None => Ok(false),
        }
    }

    /// Those of the files that are marked as damaged.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upkeep.damaged_files")]
    pub async fn damaged_files(&self, ids: &[i64]) -> Result<HashSet<i64>, DbError> {
        const SQL: Sql = sql!("select id from debug_files where damaged_at is not null and id " [in_numbers "$1"]);
        let rows: Vec<i64> = on_db!(read self, SQL, |sql, on| query_scalar(sql).bind(json(ids)).fetch_all(on).await)?;
        Ok(rows.into_iter().collect())
    }

    /// Takes the mark off damaged files all of whose chunks have bytes again; returns how many.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upkeep.mend_files")]
    pub async fn mend_files(&self) -> Result<u64, DbError> {
        const SQL: Sql = sql!("
            update debug_files set damaged_at = null where damaged_at is not null and not exists (
                select 1 from debug_file_chunks d
                where d.debug_file_id = debug_files.id and d.chunk_id in (select id from chunks where " (is_lost) ")
            )
        ");
        Ok(on_db!(write self, SQL, |sql, on| query(sql).execute(on).await?.rows_affected()))
    }
}
