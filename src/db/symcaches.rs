//! Symcaches: what was made from which debug file by which converter, or why it could not be.

use chrono::{DateTime, Utc};

use super::{Db, DbError};
use crate::types::{BlobRef, Sha1, Symcache};

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
}

/// What came of storing a symcache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SymcacheInsert {
    /// The row is ours.
    Inserted(Symcache),
    /// Somebody else's row of the same key was there first.
    Taken,
    /// The debug file is gone; nothing was written.
    FileGone,
}

#[expect(unused_variables, reason = "stubs")]
impl Db {
    /// Stores what came of a conversion.
    pub async fn insert_symcache(&self, symcache: &NewSymcache, now: DateTime<Utc>) -> Result<SymcacheInsert, DbError> {
        todo!()
    }
    /// The row with exactly this key.
    pub async fn symcache(&self, key: &SymcacheKey) -> Result<Option<Symcache>, DbError> {
        todo!()
    }
    /// All rows of these debug files, whatever their versions. One query for any number.
    pub async fn symcaches_of(&self, debug_file_ids: &[i64]) -> Result<Vec<Symcache>, DbError> {
        todo!()
    }
    /// Deletes one row, whose bytes turned out to be lost or whose version is old; returns the key of its bytes.
    pub async fn delete_symcache(&self, id: i64) -> Result<Option<String>, DbError> {
        todo!()
    }
    /// Deletes the rows of a debug file with any other key than `current`; returns keys of bytes that no row speaks of any more.
    pub async fn delete_other_symcaches(&self, current: &SymcacheKey) -> Result<Vec<String>, DbError> {
        todo!()
    }
}
