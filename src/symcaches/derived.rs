//! What is made from debug files besides symcaches: found, or made by a job, once per key, and made again when its bytes
//! are lost. While the one of today's version is not there, one of another version is answered. A request deletes nothing.

use std::fs::File;
use std::future::Future;
use std::io::{self, BufReader, Seek as _};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{Stream, TryStreamExt as _};
use tokio::time::Instant;

use super::Symcaches;
use super::build::{BuildError, Built, Hold};
use super::lookup::LookupError;
use super::queue::{Waited, Wanted};
use super::sandbox::Conversion;
use super::store::{Settled, StoreError, bounded, bounded_finish, duplicate};
use super::table::{TableError, verified_copy};
use crate::blobs::{BlobError, BlobKey, BlobStore, SpoolWriter, Spooled, read_pieces};
use crate::config::Compression;
use crate::db::{Finish, Insert};
use crate::types::{BlobRef, DerivedFile, DerivedKey, DerivedOutcome, DerivedSort, JobLease, Sha1};
use crate::uploads::PiecesError;

/// How long a request waits for what is made: as long as the longest `?wait=` of a symcache.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// How closely it is known when a file was last asked for.
const USED_TO: TimeDelta = TimeDelta::hours(1);

/// A file whose bytes are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    id: i64,
    blob: BlobRef,
    /// Checksum of the content.
    pub sha1: Sha1,
    /// Size of the content in bytes.
    pub size: u64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// What came of making one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Making {
    /// Here it is.
    Made(Derived),
    /// It cannot be made of this debug file; the sentence says why.
    Malformed(String),
}

impl Derived {
    /// The key of its bytes.
    pub(super) fn blob_key(&self) -> &str {
        &self.blob.key
    }
}

impl Symcaches {
    /// The file of `key`: as it stands, or one of another version while `wanted` is made, or what comes of `wanted`.
    pub(super) async fn derived(&self, key: &DerivedKey, wanted: &Wanted) -> Result<Making, LookupError> {
        self.uses.note([key.debug_file_id]);
        if let Some(row) = self.db.derived_file(key).await?
            && let Some(standing) = self.standing_derived(row).await?
        {
            return Ok(standing);
        }
        let rows = self.db.derived_files_of(key.debug_file_id, key.sort).await?;
        if let Some(row) = older(key, rows)
            && let Some(standing) = self.standing_derived(row).await?
        {
            self.queue_quietly(std::slice::from_ref(wanted)).await;
            return Ok(standing);
        }
        match self.queue_and_wait(wanted, Instant::now() + LONGEST_WAIT).await? {
            Waited::Failed(reason) => return Err(LookupError::Make(reason)),
            Waited::GoesOn => return Err(LookupError::NotYet),
            Waited::Ended => {}
        }
        if let Some(row) = self.db.derived_file(key).await? {
            // The worker has read what stands, and replaced it if it was lost.
            self.trust(row.outcome.as_ref().ok().map(|(_, blob)| blob)).await;
            if let Some(standing) = self.standing_derived(row).await? {
                return Ok(standing);
            }
        }
        Err(LookupError::Make("the log of the worker says why".to_owned()))
    }

    /// The bytes `range` of a derived file.
    pub fn read_derived(
        &self,
        derived: &Derived,
        range: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static + use<> {
        let (this, id) = (self.clone(), derived.id);
        read_pieces(Arc::clone(&self.blobs), vec![derived.blob.clone()], range).or_else(move |error| {
            let this = this.clone();
            async move {
                if let Some(key) = error.key() {
                    // The next who asks has it made again.
                    tracing::warn!(derived_file.id = id, %error, "the bytes of a derived file were lost");
                    this.lost.set(key.to_owned(), ()).await;
                }
                Err(error)
            }
        })
    }

    /// What a row says, unless its bytes turn out to be lost or the row went since. A row of lost bytes stays until the job
    /// that makes them again replaces it.
    async fn standing_derived(&self, row: DerivedFile) -> Result<Option<Making>, LookupError> {
        if let Ok((_, blob)) = &row.outcome
            && !self.stands(blob).await?
        {
            tracing::warn!(derived_file.id = row.id, "the bytes of a derived file were lost and will be made again");
            return Ok(None);
        }
        let now = self.clock.now();
        // From here on nobody cleans it up while it is read: it is as good as new.
        if row.used_at + USED_TO < now && !self.db.derived_file_used(row.id, now).await? {
            return Ok(None);
        }
        Ok(Some(making(row)))
    }

    /// The row that stands and must be replaced because its bytes are lost; an error says that it stands and is whole.
    async fn derived_to_replace(&self, key: &DerivedKey) -> Result<Result<Option<i64>, ()>, BuildError> {
        Ok(match self.db.derived_file(key).await? {
            None => Ok(None),
            Some(DerivedFile { outcome: Err(_), .. }) => Err(()),
            Some(DerivedFile { id, outcome: Ok((sha1, blob)), .. }) => match self.is_whole(&blob, sha1).await? {
                true => Err(()),
                false => Ok(Some(id)),
            },
        })
    }

    /// Does the job of a derived file: makes it with `make`, unless it stands already, and stores it.
    pub(super) async fn build_derived(
        &self,
        key: DerivedKey,
        tool: &str,
        hold: &Hold<'_>,
        make: impl Future<Output = Result<Conversion, BuildError>> + Send,
    ) -> Result<Built, BuildError> {
        let lease = hold.unless_foreign(&key.version).cloned();
        let Ok(replaces) = self.derived_to_replace(&key).await? else {
            return Ok(Built::standing(lease.as_ref()));
        };
        let conversion = make.await?;
        let (this, tool) = (self.clone(), tool.to_owned());
        self.to_the_end(async move { this.store_derived(&key, &tool, replaces, lease.as_ref(), &conversion).await })
            .await
    }

    /// The content of a derived file in a nameless temp file, verified. Lost bytes are made again for the next who asks.
    pub(super) async fn derived_copy(&self, derived: &Derived) -> Result<File, LookupError> {
        let copied = verified_copy(self, &derived.blob, derived.sha1).await;
        if let Err(TableError::Blob(error) | TableError::Pieces(PiecesError::Blob { source: error, .. })) = &copied
            && error.key().is_some()
        {
            tracing::warn!(derived_file.id = derived.id, %error, "the bytes of a derived file were lost");
            self.lost.set(derived.blob.key.clone(), ()).await;
        }
        copied.map_err(|error| LookupError::Make(error.to_string()))
    }

    /// Stores what a job made, and ends the job; without a lease it goes on.
    async fn store_derived(
        &self,
        key: &DerivedKey,
        tool: &str,
        replaces: Option<i64>,
        lease: Option<&JobLease>,
        conversion: &Conversion,
    ) -> Result<Built, BuildError> {
        let winner = || async { Ok(self.db.derived_file(key).await?) };
        let Some(lease) = lease else {
            let insert = || async {
                let outcome = self.write_derived(key, conversion).await?;
                let inserted = self.db.insert_derived_file(key, &outcome, self.clock.now()).await?;
                self.discard_unless(matches!(inserted, Insert::Inserted(_)), &outcome).await?;
                Ok(inserted)
            };
            bounded(insert, winner).await?;
            return Ok(Built::OtherVersion);
        };
        let finish = || async {
            let outcome = self.write_derived(key, conversion).await?;
            let now = self.clock.now();
            let finished = self.db.finish_derived_file(key, &outcome, replaces, lease, now).await?;
            self.discard_unless(matches!(finished, Finish::Stored { .. }), &outcome).await?;
            Ok(finished)
        };
        match bounded_finish(finish, winner).await? {
            Settled::Standing(_) => Ok(Built::Standing),
            Settled::LeaseLost => Ok(Built::LeaseLost),
            Settled::Stored(_, replaced) => {
                let old = self.db.delete_replaced_derived_files(key, tool).await?;
                let old: Vec<_> = old.iter().chain(&replaced).map(|key| BlobKey::from_row(key)).collect();
                self.blobs.delete(&old).await.map_err(StoreError::from)?;
                Ok(Built::Stored)
            }
        }
    }

    /// Removes bytes again of which no row speaks. After an error of the database it is not known whether the row stands:
    /// then the bytes stay.
    async fn discard_unless(&self, stored: bool, outcome: &DerivedOutcome) -> Result<(), BlobError> {
        match outcome {
            Ok((_, blob)) if !stored => self.blobs.delete(&[BlobKey::from_row(&blob.key)]).await,
            _ => Ok(()),
        }
    }

    /// Writes the bytes under a fresh key. No row speaks of them yet.
    async fn write_derived(&self, key: &DerivedKey, conversion: &Conversion) -> Result<DerivedOutcome, BlobError> {
        let (file, sha1) = match conversion {
            Conversion::Malformed(reason) => return Ok(Err(reason.clone())),
            Conversion::Made { file, sha1, .. } => (duplicate(file)?, *sha1),
        };
        let compression = match key.sort {
            DerivedSort::Breakpad | DerivedSort::Cfi | DerivedSort::Proguard => self.compression,
            DerivedSort::Cab => Compression::None,
        };
        let packed = pack(&*self.blobs, file, compression).await?;
        let blob_key = BlobKey::fresh(key.sort.as_str(), self.clock.fresh_id());
        self.blobs.put(&blob_key, packed.spool).await?;
        let Spooled { encoding, size, stored_size, .. } = packed;
        Ok(Ok((sha1, BlobRef { key: blob_key.as_str().to_owned(), encoding, size, stored_size })))
    }
}

/// The row to be answered while that of `key` is not there: made by another version of its tool, best of the same files;
/// else of some of them, and never of one that does not belong to it any more.
fn older(key: &DerivedKey, rows: Vec<DerivedFile>) -> Option<DerivedFile> {
    let (tool, files) = parts(&key.version);
    let serves = |row: &DerivedFile| {
        let (other_tool, other_files) = parts(&row.key.version);
        row.outcome.is_ok() && other_tool != tool && other_files.iter().all(|file| files.contains(file))
    };
    rows.into_iter().filter(serves).max_by_key(|row| (parts(&row.key.version).1 == files, row.id))
}

/// The tool that a version names, and the checksums of the other files that went into it.
fn parts(version: &str) -> (String, Vec<&str>) {
    let is_sha1 = |part: &&str| part.len() == 40 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (files, tool): (Vec<_>, Vec<_>) = version.split('+').partition(is_sha1);
    (tool.join("+"), files)
}

fn making(row: DerivedFile) -> Making {
    match row.outcome {
        Err(reason) => Making::Malformed(reason),
        Ok((sha1, blob)) => {
            Making::Made(Derived { id: row.id, size: blob.size, blob, sha1, created_at: row.created_at })
        }
    }
}

/// The content of `file` in a spool, compressed if it is to be and if that saves something.
async fn pack(blobs: &dyn BlobStore, mut file: File, compression: Compression) -> Result<Spooled, BlobError> {
    let spool = blobs.spool().await?;
    let failed = |error: io::Error| BlobError::io("write a temp file", error);
    let work = move || {
        let mut writer = SpoolWriter::new(spool, compression)?;
        file.rewind().map_err(failed)?;
        io::copy(&mut BufReader::with_capacity(256 << 10, file), &mut writer).map_err(failed)?;
        writer.finish()
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(failed(io::Error::other(error))))
}
