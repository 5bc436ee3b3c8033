//! Chunks and who proved to have them. It never says that a chunk is there to an organization that does not own it.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};

use super::rows::{blob, json, number, parse, size};
use super::sql::{Sql, on_db, on_tx, sql};
use super::{Db, DbError};
use crate::types::{BlobRef, Chunk, Sha1};

/// A chunk that an organization proved to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedChunk {
    /// The chunk.
    pub chunk: Chunk,
    /// When its bytes were last written: at first, or again after they had been lost.
    pub stored_at: DateTime<Utc>,
    /// When somebody last wanted it.
    pub wanted_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct ChunkRow {
    id: i64,
    sha1: String,
    blob_key: String,
    encoding: String,
    size: i64,
    stored_size: i64,
    lost: bool,
    stored_at: DateTime<Utc>,
    wanted_at: DateTime<Utc>,
}

/// Whether the bytes of a chunk are lost. Processes of the version before this mark write 0 for their size at rest, which no
/// content has but the empty one.
macro_rules! is_lost {
    () => {
        "(coalesce(lost_key, '') = blob_key or stored_size = 0 and size > 0)"
    };
}
pub(super) use is_lost;

/// The columns of a [`ChunkRow`].
macro_rules! chunk_columns {
    () => {
        concat!("id, sha1, blob_key, encoding, size, stored_size, ", is_lost!(), " as lost, stored_at, wanted_at")
    };
}

impl TryFrom<ChunkRow> for OwnedChunk {
    type Error = DbError;

    fn try_from(row: ChunkRow) -> Result<Self, DbError> {
        let blob = blob("chunks", row.blob_key, &row.encoding, row.size, row.stored_size)?;
        let chunk = Chunk { id: row.id, sha1: parse("chunks", &row.sha1)?, blob, lost: row.lost };
        Ok(Self { chunk, stored_at: row.stored_at, wanted_at: row.wanted_at })
    }
}

impl Db {
    /// Notes that `organization_id` has the chunk. If nobody had it, `blob` becomes its bytes; if somebody had, the
    /// chunk comes back with the bytes it already has (compare the key to know). Renews `wanted_at`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.chunks.add")]
    pub async fn add_chunk(
        &self,
        organization_id: i64,
        sha1: Sha1,
        blob: &BlobRef,
        now: DateTime<Utc>,
    ) -> Result<Chunk, DbError> {
        // Whoever finds the row there locks it, so that it cannot vanish before it has its owner.
        const CHUNK: Sql = sql!("
            insert into chunks (sha1, blob_key, encoding, size, stored_size, stored_at, wanted_at)
            values ($1, $2, $3, $4, $5, $6, $6)
            on conflict (sha1) do update set wanted_at = excluded.wanted_at
            returning "(chunk_columns));
        const OWNER: Sql = sql!(
            "
            insert into chunk_owners (chunk_id, organization_id, waiting) values ($1, $2, 1) on conflict do nothing
        "
        );
        let mut tx = self.begin().await?;
        let row: ChunkRow = on_tx!(&mut tx, CHUNK, |sql, on| {
            query_as(sql)
                .bind(sha1.to_string())
                .bind(blob.key.as_str())
                .bind(blob.encoding.as_str())
                .bind(number(blob.size))
                .bind(number(blob.stored_size))
                .bind(now)
                .fetch_one(on)
                .await
        })?;
        on_tx!(&mut tx, OWNER, |sql, on| query(sql).bind(row.id).bind(organization_id).execute(on).await.map(drop))?;
        tx.commit().await?;
        Ok(OwnedChunk::try_from(row)?.chunk)
    }

    /// Gives a chunk whose bytes were lost new ones; false if it has other bytes than `lost_key` by now.
    #[tracing::instrument(level = "debug", skip_all, name = "db.chunks.replace_bytes")]
    pub async fn replace_chunk_bytes(
        &self,
        chunk_id: i64,
        lost_key: &str,
        blob: &BlobRef,
        now: DateTime<Utc>,
    ) -> Result<bool, DbError> {
        const SQL: Sql = sql!(
            "
            update chunks set blob_key = $3, encoding = $4, size = $5, stored_size = $6, lost_key = null, stored_at = $7,
                wanted_at = $7
            where id = $1 and blob_key = $2
        "
        );
        let rows = on_db!(write self, SQL, |sql, on| {
            query(sql)
                .bind(chunk_id)
                .bind(lost_key)
                .bind(blob.key.as_str())
                .bind(blob.encoding.as_str())
                .bind(number(blob.size))
                .bind(number(blob.stored_size))
                .bind(now)
                .execute(on)
                .await?
                .rows_affected()
        });
        Ok(rows == 1)
    }

    /// Those of `sha1s` that the organization proved to have and that were not lost. One query for any number.
    #[tracing::instrument(level = "debug", skip_all, name = "db.chunks.owned")]
    pub async fn owned_chunks(
        &self,
        organization_id: i64,
        sha1s: &[Sha1],
    ) -> Result<HashMap<Sha1, OwnedChunk>, DbError> {
        // `cross join` keeps SQLite from going through everything that the organization ever uploaded.
        const SQL: Sql = sql!("
            select " (chunk_columns) " from chunks c cross join chunk_owners o
            where o.chunk_id = c.id and o.organization_id = $1 and not " (is_lost) " and c.sha1 " [in_texts "$2"]);
        if sha1s.is_empty() {
            return Ok(HashMap::new());
        }
        let rows: Vec<ChunkRow> = on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(organization_id).bind(json(sha1s)).fetch_all(on).await
        })?;
        rows.into_iter().map(|row| OwnedChunk::try_from(row).map(|owned| (owned.chunk.sha1, owned))).collect()
    }

    /// Renews `wanted_at` of a chunk that the organization proved to have, and gives the chunk; `None` if it did not, or if
    /// the bytes are lost.
    #[tracing::instrument(level = "debug", skip_all, name = "db.chunks.renew")]
    pub async fn renew_chunk(
        &self,
        organization_id: i64,
        sha1: Sha1,
        now: DateTime<Utc>,
    ) -> Result<Option<Chunk>, DbError> {
        const SQL: Sql = sql!("
            update chunks set wanted_at = $3
            where sha1 = $1 and not " (is_lost) "
              and exists (select 1 from chunk_owners o where o.chunk_id = chunks.id and o.organization_id = $2)
            returning " (chunk_columns));
        let row: Option<ChunkRow> = on_db!(write self, SQL, |sql, on| {
            query_as(sql).bind(sha1.to_string()).bind(organization_id).bind(now).fetch_optional(on).await
        })?;
        row.map(|row| OwnedChunk::try_from(row).map(|owned| owned.chunk)).transpose()
    }

    /// Those of `keys` that some row (chunk, symcache, derived file or attachment) refers to. One query for any number.
    #[tracing::instrument(level = "debug", skip_all, name = "db.blobs.known")]
    pub async fn known_blob_keys(&self, keys: &[String]) -> Result<HashSet<String>, DbError> {
        const SQL: Sql = sql!("
            select blob_key from chunks where blob_key " [in_texts "$1"] "
            union all
            select blob_key from symcaches where blob_key " [in_texts "$1"] "
            union all
            select blob_key from derived_files where blob_key " [in_texts "$1"] "
            union all
            select blob_key from attachments where blob_key " [in_texts "$1"]);
        if keys.is_empty() {
            return Ok(HashSet::new());
        }
        let rows: Vec<String> =
            on_db!(read self, SQL, |sql, on| query_scalar(sql).bind(json(keys)).fetch_all(on).await)?;
        Ok(rows.into_iter().collect())
    }

    /// Every blob that some row speaks of with its size at rest, in key order, after `after`: for checking rows against bytes.
    #[tracing::instrument(level = "debug", skip_all, name = "db.blobs.list")]
    pub async fn blob_rows(&self, after: &str, limit: i64) -> Result<Vec<(String, u64)>, DbError> {
        const SQL: Sql = sql!(
            "
            select * from (
                select blob_key, stored_size from chunks where blob_key > $1 order by blob_key limit $2
            ) c union all select * from (
                select blob_key, stored_size from symcaches where blob_key > $1 order by blob_key limit $2
            ) s union all select * from (
                select blob_key, stored_size from derived_files where blob_key > $1 order by blob_key limit $2
            ) d union all select * from (
                select blob_key, stored_size from attachments where blob_key > $1 order by blob_key limit $2
            ) a order by blob_key limit $2
        "
        );
        let rows: Vec<(String, i64)> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(after).bind(limit).fetch_all(on).await)?;
        rows.into_iter().map(|(key, stored)| Ok((key, size("blobs", stored)?))).collect()
    }
}
