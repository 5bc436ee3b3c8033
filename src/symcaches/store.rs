//! Storing a symcache while others store the same one: bytes first, row second, the loser takes the winner's row.
//!
//! A row for another checksum, format or converter is never returned, because the key names them all.

use std::fs::File;
use std::future::Future;
use std::sync::Arc;

use crate::blobs::{BlobError, BlobKey, BlobStore, spool_file};
use crate::clock::Clock;
use crate::db::{Db, DbError, Finish, Insert, NewSymcache, SymcacheKey};
use crate::symcaches::sandbox::Conversion;
use crate::types::child_protocol::Statistics;
use crate::types::{BlobRef, Encoding, Sha1, Symcache};

/// How often a round is begun before giving up.
const ROUNDS: usize = 5;

/// Reasons for records that were left out, of one symcache.
const MAX_REASONS: usize = 8;

/// Why a symcache is not stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Others kept storing and deleting the same one.
    #[error("Concurrency error on symcache update")]
    Concurrency,
    /// The debug file was deleted meanwhile.
    #[error("the debug file was deleted while something was made of it")]
    FileGone,
    /// Rows.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Bytes.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// The bytes of a conversion under a fresh key, or the reason why there are none. No row speaks of them yet.
#[derive(Clone, Debug)]
pub struct Written {
    outcome: Result<(Sha1, BlobRef), String>,
    statistics: Option<Statistics>,
}

impl Written {
    /// What goes into the row of `key`.
    pub fn row(&self, key: SymcacheKey) -> NewSymcache {
        NewSymcache { key, outcome: self.outcome.clone(), statistics: self.statistics.clone() }
    }

    /// Why there are no bytes.
    pub fn malformed(&self) -> Option<&str> {
        self.outcome.as_ref().err().map(String::as_str)
    }

    /// Removes the bytes again: nobody's row speaks of them.
    pub async fn discard(&self, blobs: &dyn BlobStore) -> Result<(), BlobError> {
        match &self.outcome {
            Ok((_, blob)) => blobs.delete(&[BlobKey::from_row(&blob.key)]).await,
            Err(_) => Ok(()),
        }
    }
}

/// Writes the bytes of a conversion under a fresh key.
pub async fn write(blobs: &dyn BlobStore, clock: &Clock, conversion: &Conversion) -> Result<Written, BlobError> {
    let mut counted = None;
    let outcome = match conversion {
        Conversion::Malformed(reason) => Err(reason.clone()),
        Conversion::Made { file, size, sha1, statistics } => {
            counted = statistics.clone();
            let key = BlobKey::fresh("symcaches", clock.fresh_id());
            let spool = spool_file(blobs, duplicate(file)?).await?;
            blobs.put(&key, spool).await?;
            let blob =
                BlobRef { key: key.as_str().to_owned(), encoding: Encoding::Raw, size: *size, stored_size: *size };
            Ok((*sha1, blob))
        }
    };
    if let Some(statistics) = &mut counted {
        statistics.left_out.truncate(MAX_REASONS);
    }
    Ok(Written { outcome, statistics: counted })
}

pub(super) fn duplicate(file: &File) -> Result<File, BlobError> {
    file.try_clone().map_err(|source| BlobError::Io { what: "duplicate a temp file".to_owned(), source })
}

/// Stores what came of a conversion, or takes the row that somebody else stored for the same key.
pub async fn store(
    db: &Db,
    blobs: &Arc<dyn BlobStore>,
    clock: &Clock,
    key: &SymcacheKey,
    conversion: &Conversion,
) -> Result<Symcache, StoreError> {
    bounded(
        || async {
            let written = write(&**blobs, clock, conversion).await?;
            // After an error of the database it is not known whether the row stands: then the bytes stay.
            let inserted = db.insert_symcache(&written.row(key.clone()), clock.now()).await?;
            if !matches!(inserted, Insert::Inserted(_)) {
                written.discard(&**blobs).await?;
            }
            Ok(inserted)
        },
        || async { Ok(db.symcache(key).await?) },
    )
    .await
}

/// What came of storing the result of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Settled<T> {
    /// The row is ours, and the job has ended. The bytes under this key are no row's any more.
    Stored(T, Option<String>),
    /// Another worker stored the same before; the job is still to be ended.
    Standing(T),
    /// Another worker has the job.
    LeaseLost,
}

/// The same as [`bounded`] for the result of a job.
pub(super) async fn bounded_finish<T, I, R>(
    finish: impl Fn() -> I,
    read_winner: impl Fn() -> R,
) -> Result<Settled<T>, StoreError>
where
    I: Future<Output = Result<Finish<T>, StoreError>>,
    R: Future<Output = Result<Option<T>, StoreError>>,
{
    for _ in 0..ROUNDS {
        match finish().await? {
            Finish::Stored { row, replaced } => return Ok(Settled::Stored(row, replaced)),
            Finish::FileGone => return Err(StoreError::FileGone),
            Finish::LeaseLost => return Ok(Settled::LeaseLost),
            Finish::Taken => {}
        }
        if let Some(row) = read_winner().await? {
            return Ok(Settled::Standing(row));
        }
    }
    Err(StoreError::Concurrency)
}

/// Insert; if taken, read the other's row; if that is gone again, begin anew, five times at most.
pub(super) async fn bounded<T, I, R>(insert: impl Fn() -> I, read_winner: impl Fn() -> R) -> Result<T, StoreError>
where
    I: Future<Output = Result<Insert<T>, StoreError>>,
    R: Future<Output = Result<Option<T>, StoreError>>,
{
    for _ in 0..ROUNDS {
        match insert().await? {
            Insert::Inserted(row) => return Ok(row),
            Insert::FileGone => return Err(StoreError::FileGone),
            Insert::Taken => {}
        }
        if let Some(row) = read_winner().await? {
            return Ok(row);
        }
    }
    Err(StoreError::Concurrency)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::types::SymcacheState;

    fn row() -> Symcache {
        Symcache {
            id: 7,
            debug_file_id: 1,
            format_version: 8,
            converter_version: "test".to_owned(),
            mappings: String::new(),
            state: SymcacheState::Malformed,
            detail: None,
            sha1: None,
            blob: None,
            statistics: None,
        }
    }

    #[tokio::test]
    async fn the_loser_of_a_race_takes_the_winners_row() {
        let stored = bounded(|| async { Ok(Insert::Taken) }, || async { Ok(Some(row())) }).await;
        assert_eq!(stored.expect("the winner's row").id, 7);
    }

    #[tokio::test]
    async fn a_winner_that_is_gone_again_begins_the_next_round() {
        let round = Cell::new(0);
        let insert = || {
            round.set(round.get() + 1);
            let last = round.get() == 5;
            async move { Ok(if last { Insert::Inserted(row()) } else { Insert::Taken }) }
        };
        let stored = bounded(insert, || async { Ok(None) }).await;
        assert_eq!((stored.expect("the fifth round").id, round.get()), (7, 5));
    }

    #[tokio::test]
    async fn after_five_rounds_it_is_a_concurrency_error() {
        let round = Cell::new(0);
        let insert = || {
            round.set(round.get() + 1);
            async { Ok(Insert::<Symcache>::Taken) }
        };
        let stored = bounded(insert, || async { Ok(None) }).await;
        assert_eq!(stored.expect_err("nobody won").to_string(), "Concurrency error on symcache update");
        assert_eq!(round.get(), 5);
    }
}
