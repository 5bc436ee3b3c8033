//! What a worker does for a job: makes a symcache, a Breakpad text or a cabinet, unless it stands already, and stores it in
//! the unit of work that ends the job. It never says when a failed job is tried again.

use std::future::Future;
use std::io;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use sha1::Digest as _;

use super::breakpad::Others;
use super::lookup::candidate;
use super::mappings::MappingError;
use super::queue::{BuildTask, Urgency, Wanted};
use super::sandbox::{Conversion, FORMAT_VERSION, SandboxError};
use super::store::{self, Settled, StoreError, bounded_finish};
use super::{LookupError, Ready, Symcaches};
use crate::blobs::{BlobError, BlobKey, read_pieces};
use crate::db::{DbError, Finish, SymcacheKey};
use crate::types::{BlobRef, DebugFile, DebugId, JobLease, Sha1, Symcache, SymcacheState};

/// What came of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Built {
    /// It was made and stored, and the job has ended.
    Stored,
    /// It stands already, or can be wanted no more; the job is still to be ended.
    Standing,
    /// What this version makes stands; a worker of the wanted version is to make another one.
    OtherVersion,
    /// Another worker has the job; nothing was stored.
    LeaseLost,
}

/// Why a build failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Bytes that it is made from.
    #[error(transparent)]
    Bytes(#[from] MappingError),
    /// The child process.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// What was made cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BuildError {
    /// Whether another attempt may succeed. A statement that the database refuses is refused again, and so is a child process
    /// that the machine does not start with its task.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(StoreError::Db(error)) | Self::Bytes(MappingError::Db(error)) => {
                error.is_transient() || error.is_full()
            }
            Self::Sandbox(SandboxError::Run(error)) => {
                !matches!(error.kind(), io::ErrorKind::ArgumentListTooLong | io::ErrorKind::NotFound)
            }
            Self::Store(_) | Self::Bytes(_) | Self::Sandbox(SandboxError::Ended(_) | SandboxError::Overloaded(_)) => {
                true
            }
        }
    }
}

impl From<DbError> for BuildError {
    fn from(error: DbError) -> Self {
        Self::Store(error.into())
    }
}

impl From<BlobError> for BuildError {
    fn from(error: BlobError) -> Self {
        Self::Store(error.into())
    }
}

/// A job as its builder sees it: the lease, and the version that is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold<'a> {
    lease: &'a JobLease,
    version: &'a str,
}

impl Built {
    /// What it means that the thing stands: without the lease, this is not the version that is wanted.
    pub(super) fn standing(lease: Option<&JobLease>) -> Self {
        if lease.is_some() { Self::Standing } else { Self::OtherVersion }
    }
}

impl<'a> Hold<'a> {
    /// The lease, unless the job wants another version than the one made here: then it does not end with it.
    pub(super) fn unless_foreign(&self, version: &str) -> Option<&'a JobLease> {
        (self.version == version).then_some(self.lease)
    }
}

impl Symcaches {
    /// Makes what a job of a project asks for.
    pub async fn build(&self, project_id: i64, task: &BuildTask, lease: &JobLease) -> Result<Built, BuildError> {
        let Some(file) = self.db.debug_file(project_id, task.debug_file_id()).await? else {
            return Ok(Built::Standing);
        };
        let built = match task {
            BuildTask::Symcache { debug_id, format_version, converter_version, .. } => {
                let ours = *format_version == FORMAT_VERSION && *converter_version == self.converter_version;
                self.build_symcache(&file, debug_id, ours.then_some(lease)).await?
            }
            BuildTask::Breakpad { code, names, supplement, version, .. } => {
                let (code, names) = (self.other(project_id, *code).await?, self.other(project_id, *names).await?);
                let supplement = self.other(project_id, *supplement).await?;
                // What belongs to it went: then another text is wanted.
                let (Ok(code), Ok(names), Ok(supplement)) = (code, names, supplement) else {
                    return Ok(Built::Standing);
                };
                self.build_text(&file, Others { code, names, supplement }, &Hold { lease, version }).await?
            }
            BuildTask::Cfi { version, .. } => self.build_cfi(&file, &Hold { lease, version }).await?,
            BuildTask::Proguard { version, .. } => self.build_names(&file, &Hold { lease, version }).await?,
            BuildTask::Cab { version, .. } => self.build_cabinet(&file, &Hold { lease, version }).await?,
        };
        if built == Built::Stored {
            self.forget(&file).await;
            tracing::info!(debug_file.id = file.id, ?task, "built");
        }
        Ok(built)
    }

    /// Ends a job with a reason that is kept like that of any file of which nothing can be made.
    pub async fn give_up(
        &self,
        project_id: i64,
        task: &BuildTask,
        lease: &JobLease,
        reason: &str,
    ) -> Result<Built, BuildError> {
        let BuildTask::Symcache { debug_file_id, debug_id, .. } = task else { return Ok(Built::Standing) };
        let Some(file) = self.db.debug_file(project_id, *debug_file_id).await? else { return Ok(Built::Standing) };
        let key = self.key_of(&file, debug_id).await?;
        self.finish_symcache(&key, None, lease, &Conversion::Malformed(reason.to_owned())).await
    }

    /// A further file of a job, if it names one; an error says that it is gone.
    async fn other(&self, project_id: i64, id: Option<i64>) -> Result<Result<Option<DebugFile>, ()>, DbError> {
        let Some(id) = id else { return Ok(Ok(None)) };
        Ok(self.db.debug_file(project_id, id).await?.map(Some).ok_or(()))
    }

    async fn key_of(&self, file: &DebugFile, debug_id: &DebugId) -> Result<SymcacheKey, DbError> {
        let same_id = self.db.debug_files_by_id(file.project_id, std::slice::from_ref(debug_id)).await?;
        let mappings = self.mappings(&file.into(), &same_id).await?;
        Ok(self.key(file.id, mappings.key()))
    }

    /// Without a lease the job does not end with it.
    async fn build_symcache(
        &self,
        file: &DebugFile,
        debug_id: &DebugId,
        lease: Option<&JobLease>,
    ) -> Result<Built, BuildError> {
        let same_id = self.db.debug_files_by_id(file.project_id, std::slice::from_ref(debug_id)).await?;
        if candidate(&same_id).is_none_or(|newest| newest.id != file.id) {
            return Ok(Built::Standing);
        }
        let mappings = self.mappings(&file.into(), &same_id).await?;
        let key = self.key(file.id, mappings.key());
        let replaces = match self.db.symcache(&key).await? {
            None => None,
            Some(row) if self.is_usable(&row).await? => return Ok(Built::standing(lease)),
            Some(row) => Some(row.id),
        };
        let conversion = {
            let content = self.whole_file(file).await?;
            let maps = self.mapping_files(&mappings).await?;
            self.sandbox.convert(&content, &file.debug_id, &maps).await?
        };
        let (this, lease) = (self.clone(), lease.cloned());
        let storing = async move {
            match lease {
                Some(lease) => this.finish_symcache(&key, replaces, &lease, &conversion).await,
                None => {
                    store::store(&this.db, &this.blobs, &this.clock, &key, &conversion).await?;
                    Ok(Built::OtherVersion)
                }
            }
        };
        self.to_the_end(storing).await
    }

    async fn finish_symcache(
        &self,
        key: &SymcacheKey,
        replaces: Option<i64>,
        lease: &JobLease,
        conversion: &Conversion,
    ) -> Result<Built, BuildError> {
        let finish = || async {
            let written = store::write(&*self.blobs, &self.clock, conversion).await?;
            // After an error of the database it is not known whether the row stands: then the bytes stay.
            let row = written.row(key.clone());
            let finished = self.db.finish_symcache(&row, replaces, lease, self.clock.now()).await?;
            if !matches!(finished, Finish::Stored { .. }) {
                written.discard(&*self.blobs).await?;
            }
            Ok(finished)
        };
        match bounded_finish(finish, || async { Ok(self.db.symcache(key).await?) }).await? {
            Settled::Standing(_) => Ok(Built::Standing),
            Settled::LeaseLost => Ok(Built::LeaseLost),
            Settled::Stored(_, replaced) => {
                let replaced: Vec<_> = replaced.iter().map(|key| BlobKey::from_row(key)).collect();
                self.blobs.delete(&replaced).await?;
                self.drop_replaced(key).await?;
                Ok(Built::Stored)
            }
        }
    }

    /// Removes the symcaches that this version made of a debug file with other name maps: rows first, bytes after.
    pub(super) async fn drop_replaced(&self, current: &SymcacheKey) -> Result<(), StoreError> {
        let keys = self.db.delete_replaced_symcaches(current).await?;
        let keys: Vec<_> = keys.iter().map(|key| BlobKey::from_row(key)).collect();
        Ok(self.blobs.delete(&keys).await?)
    }

    /// Whether a row says why there is no symcache, or has all its bytes.
    async fn is_usable(&self, row: &Symcache) -> Result<bool, BlobError> {
        match (row.state, &row.blob, row.sha1) {
            (SymcacheState::Ready, Some(blob), Some(sha1)) => self.is_whole(blob, sha1).await,
            (SymcacheState::Ready, ..) => Ok(false),
            (SymcacheState::Malformed, ..) => Ok(true),
        }
    }

    /// Whether bytes are there and have their checksum.
    pub(super) async fn is_whole(&self, blob: &BlobRef, sha1: Sha1) -> Result<bool, BlobError> {
        let content = read_pieces(Arc::clone(&self.blobs), vec![blob.clone()], 0..blob.size);
        let hashed = content.try_fold(sha1::Sha1::new(), async |mut hash, bytes| {
            hash.update(&bytes);
            Ok(hash)
        });
        match hashed.await {
            Ok(hash) => Ok(Sha1::from_bytes(hash.finalize().into()) == sha1),
            Err(error) if error.key().is_some() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the bytes that a row speaks of are there, as far as can be told without reading them.
    pub(super) async fn stands(&self, blob: &BlobRef) -> Result<bool, LookupError> {
        if self.lost.get(&blob.key).await.is_some() {
            return Ok(false);
        }
        let stored = self.blobs.stored_size(&BlobKey::from_row(&blob.key)).await?;
        Ok(stored == Some(blob.stored_size))
    }

    /// Takes the mark off bytes that were found damaged.
    pub(super) async fn trust(&self, blob: Option<&BlobRef>) {
        if let Some(blob) = blob {
            self.lost.forget(&blob.key).await;
        }
    }

    /// Queues a symcache whose bytes are not what its row says.
    pub(super) async fn rebuild(&self, ready: &Ready) -> Result<(), LookupError> {
        let Some(file) = self.db.live_file(ready.debug_file_id).await? else { return Ok(()) };
        let wanted = Wanted { project_id: file.project_id, task: self.task_of(&file, &file.debug_id) };
        self.register_interest(&[wanted], Urgency::Client).await?;
        Ok(())
    }

    /// Runs to completion even if the caller is cancelled, so that no blob is left without its row.
    pub(super) async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, BuildError>> + Send + 'static,
    ) -> Result<T, BuildError> {
        let ended = self.tracker.spawn(work).await;
        ended.unwrap_or_else(|error| Err(BlobError::io("store what was made", std::io::Error::other(error)).into()))
    }
}
