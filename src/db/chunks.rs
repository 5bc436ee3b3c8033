//! Chunks and who proved to have them.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::{Db, DbError};
use crate::types::{BlobRef, Chunk, Sha1};

/// A chunk that an organization proved to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedChunk {
    /// The chunk.
    pub chunk: Chunk,
    /// When its bytes were last written: at first, or again after they had been lost.
    pub stored_at: DateTime<Utc>,
}

#[expect(unused_variables, reason = "stubs")]
impl Db {
    /// Notes that `organization_id` has the chunk. If nobody had it, `blob` becomes its bytes; if somebody had, the
    /// chunk comes back with the bytes it already has (compare the key to know). Renews `wanted_at`.
    pub async fn add_chunk(
        &self,
        organization_id: i64,
        sha1: Sha1,
        blob: &BlobRef,
        now: DateTime<Utc>,
    ) -> Result<Chunk, DbError> {
        todo!()
    }
    /// Gives a chunk whose bytes were lost new ones; false if it has other bytes than `lost_key` by now.
    pub async fn replace_chunk_bytes(
        &self,
        chunk_id: i64,
        lost_key: &str,
        blob: &BlobRef,
        now: DateTime<Utc>,
    ) -> Result<bool, DbError> {
        todo!()
    }
    /// Those of `sha1s` that the organization proved to have. One query for any number.
    pub async fn owned_chunks(
        &self,
        organization_id: i64,
        sha1s: &[Sha1],
    ) -> Result<HashMap<Sha1, OwnedChunk>, DbError> {
        todo!()
    }
    /// Forgets that the organization has a chunk whose bytes turned out to be lost, so that it is asked for again.
    pub async fn disown_chunk(&self, organization_id: i64, chunk_id: i64) -> Result<(), DbError> {
        todo!()
    }
    /// Those of `keys` that some row (chunk or symcache) speaks of. One query for any number.
    pub async fn known_blob_keys(&self, keys: &[String]) -> Result<HashSet<String>, DbError> {
        todo!()
    }
    /// Every blob that some row speaks of with its size at rest, in key order, after `after`: for checking rows against bytes.
    pub async fn blob_rows(&self, after: &str, limit: i64) -> Result<Vec<(String, u64)>, DbError> {
        todo!()
    }
}
