//! What is made from debug files besides symcaches: found, or made once per key in this process, and made anew when its
//! bytes are lost. It never knows how anything is made: whoever asks brings the work.

use std::fs::File;
use std::future::Future;
use std::io::{self, BufReader, Seek as _};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{Stream, TryStreamExt as _};

use super::Symcaches;
use super::lookup::{BuildError, LookupError};
use super::mappings::MappingError;
use super::sandbox::{Conversion, SandboxError};
use super::store::{StoreError, bounded, duplicate};
use crate::blobs::{BlobError, BlobKey, BlobStore, SpoolWriter, Spooled, read_pieces};
use crate::config::Compression;
use crate::db::{DbError, Insert};
use crate::types::{BlobRef, DerivedFile, DerivedKey, DerivedOutcome, Sha1};

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

/// Why there is no file, for all who waited for it.
#[derive(Clone, Debug)]
pub(super) enum NotMade {
    /// The cause passes.
    ForNow(String),
    /// It does not; the message has a reference to the log.
    Ever(String),
}

impl BuildError {
    /// Whether it may go well later. A statement that the database refuses is refused again, and so is a child process
    /// that the machine does not start with what it is to be told.
    fn is_transient(&self) -> bool {
        match self {
            Self::Store(StoreError::Db(error)) | Self::Bytes(MappingError::Db(error)) => {
                error.is_transient() || error.is_full()
            }
            Self::Sandbox(SandboxError::Run(error)) => {
                !matches!(error.kind(), io::ErrorKind::ArgumentListTooLong | io::ErrorKind::NotFound)
            }
            Self::Store(_) | Self::Bytes(_) | Self::Sandbox(SandboxError::Ended(_)) => true,
        }
    }
}

impl Symcaches {
    /// The file of `key`: as it stands, or `make` makes it. Whoever asks meanwhile waits for the same one.
    pub(super) async fn derived<W>(
        &self,
        key: &DerivedKey,
        compression: Compression,
        make: impl FnOnce(Self) -> W,
    ) -> Result<Making, LookupError>
    where
        W: Future<Output = Result<Conversion, BuildError>> + Send + 'static,
    {
        self.uses.note([key.debug_file_id]);
        if let Some(row) = self.db.derived_file(key).await?
            && let Some(standing) = self.standing_derived(row).await?
        {
            return Ok(standing);
        }
        let mut landing = self.derived_flights.join(key, &self.tracker, || {
            let (this, key, work) = (self.clone(), key.clone(), make(self.clone()));
            async move {
                let made = async { this.store_derived(&key, compression, &work.await?).await };
                made.await.map_err(|error| this.not_made(&key, &error))
            }
        });
        match landing.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(Ok(row))) => Ok(making(row.clone())),
            Ok(Some(Err(NotMade::ForNow(reason)))) => Err(LookupError::Make(reason.clone())),
            Ok(Some(Err(NotMade::Ever(message)))) => Err(LookupError::Broken(message.clone())),
            _ => Err(LookupError::Make("the work was interrupted; ask again".to_owned())),
        }
    }

    /// Logs why nothing was made; the answer depends on whether the cause passes.
    fn not_made(&self, key: &DerivedKey, error: &BuildError) -> NotMade {
        let DerivedKey { debug_file_id, sort, .. } = key;
        if error.is_transient() {
            tracing::warn!(debug_file.id = debug_file_id, %sort, %error, "a derived file could not be made");
            return NotMade::ForNow(error.to_string());
        }
        let reference = self.clock.fresh_id().simple().to_string();
        tracing::error!(debug_file.id = debug_file_id, %sort, %error, reference, "a derived file cannot be made");
        NotMade::Ever(format!(
            "The server cannot make this file (reference {reference}). Ask its operator to look for this reference in its \
             log."
        ))
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
                if error.key().is_some() {
                    this.forget_derived(id, &error).await;
                }
                Err(error)
            }
        })
    }

    /// What a row says, unless its bytes turn out to be lost, with which it goes, or it went meanwhile.
    async fn standing_derived(&self, row: DerivedFile) -> Result<Option<Making>, LookupError> {
        if let Ok((_, blob)) = &row.outcome {
            let stored = self.blobs.stored_size(&BlobKey::from_row(&blob.key)).await?;
            if stored != Some(blob.stored_size) {
                self.forget_derived(row.id, &BlobError::Missing(blob.key.clone())).await;
                return Ok(None);
            }
        }
        let now = self.clock.now();
        // From here on nobody cleans it up while it is read: it is as good as new.
        if row.used_at + USED_TO < now && !self.db.derived_file_used(row.id, now).await? {
            return Ok(None);
        }
        Ok(Some(making(row)))
    }

    async fn store_derived(
        &self,
        key: &DerivedKey,
        compression: Compression,
        conversion: &Conversion,
    ) -> Result<DerivedFile, BuildError> {
        let insert = || async {
            let outcome = self.write_derived(key, compression, conversion).await?;
            // After an error of the database it is not known whether the row stands: then the bytes stay.
            let inserted = self.db.insert_derived_file(key, &outcome, self.clock.now()).await?;
            if !matches!(inserted, Insert::Inserted(_))
                && let Ok((_, blob)) = &outcome
            {
                self.blobs.delete(&[BlobKey::from_row(&blob.key)]).await?;
            }
            Ok(inserted)
        };
        let row = bounded(insert, || async { Ok(self.db.derived_file(key).await?) }).await?;
        let old = self.db.delete_other_derived_files(key).await.map_err(StoreError::from)?;
        let old: Vec<_> = old.iter().map(|key| BlobKey::from_row(key)).collect();
        self.blobs.delete(&old).await.map_err(StoreError::from)?;
        tracing::info!(debug_file.id = key.debug_file_id, sort = %key.sort, "derived file made");
        Ok(row)
    }

    /// Writes the bytes under a fresh key. No row speaks of them yet.
    async fn write_derived(
        &self,
        key: &DerivedKey,
        compression: Compression,
        conversion: &Conversion,
    ) -> Result<DerivedOutcome, BlobError> {
        let (file, sha1) = match conversion {
            Conversion::Malformed(reason) => return Ok(Err(reason.clone())),
            Conversion::Made { file, sha1, .. } => (duplicate(file)?, *sha1),
        };
        let packed = pack(&*self.blobs, file, compression).await?;
        let blob_key = BlobKey::fresh(key.sort.as_str(), self.clock.fresh_id());
        self.blobs.put(&blob_key, packed.spool).await?;
        let Spooled { encoding, size, stored_size, .. } = packed;
        Ok(Ok((sha1, BlobRef { key: blob_key.as_str().to_owned(), encoding, size, stored_size })))
    }

    /// Takes the row away whose bytes are lost, so that the next who asks has them made anew.
    async fn forget_derived(&self, id: i64, error: &BlobError) {
        tracing::warn!(derived_file.id = id, %error, "the bytes of a derived file were lost and will be made anew");
        let removed = async {
            let key = self.db.delete_derived_file(id).await?;
            let keys: Vec<_> = key.as_deref().map(BlobKey::from_row).into_iter().collect();
            Ok::<_, StoreError>(self.blobs.delete(&keys).await?)
        };
        if let Err(error) = removed.await {
            tracing::error!(derived_file.id = id, %error, "a lost derived file could not be forgotten");
        }
    }
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

impl From<DbError> for BuildError {
    fn from(error: DbError) -> Self {
        Self::Store(error.into())
    }
}
