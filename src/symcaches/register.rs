//! A verified file becomes a debug file of its project together with its symcache: one unit, whoever loses a race.
//!
//! The way of every file into the house, whether it came in chunks, in a zip or from disk.

use std::fs::File;
use std::future::Future;

use super::mappings::MappingError;
use super::queue::Wanted;
use super::sandbox::{Conversion, Detection, Hints, ObjectInfo, SandboxError};
use super::store::{self, StoreError};
use super::{Symcaches, lookup::LookupError};
use crate::blobs::BlobError;
use crate::db::{Closing, DbError, NewSymcache, Registered};
use crate::debug_files::redundant;
use crate::types::{DebugFile, Features, Format, NewDebugFile, Sha1, limits};

/// A whole file with its checksum known and its chunks stored.
#[derive(Debug)]
pub struct Verified<'a> {
    /// The content.
    pub file: &'a File,
    /// Its checksum.
    pub sha1: Sha1,
    /// Its size in bytes.
    pub size: u64,
    /// Row ids of its chunks, in order, with repeats.
    pub chunk_ids: &'a [i64],
    /// What the uploader said of it.
    pub hints: &'a Hints,
    /// Who wants it.
    pub project_id: i64,
    /// The assembly that ends with it.
    pub closing: Option<&'a Closing>,
    /// Whether a file with several objects is taken, as several debug files of the same content.
    pub several: bool,
    /// What the file is, where that is known.
    pub detection: Option<Detection>,
    /// When its symcache is made.
    pub conversion: ConversionTime,
}

/// When the symcache of a file is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConversionTime {
    /// Before it is registered, in a child of this process: for workers and verbs.
    BeforeRegistration,
    /// After it, by a worker: for processes that take a file in for a request. They convert nothing.
    Queued,
}

/// What came of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The project has the file.
    Registered {
        /// The debug files; several only if asked for.
        files: Vec<DebugFile>,
        /// How many of them are new.
        created: usize,
        /// Why one of them has no symcache although it should.
        malformed: Option<String>,
    },
    /// The file is refused; the sentence is for the uploader.
    Refused(String),
    /// Somebody else holds the assembly; nothing was written.
    LeaseLost,
}

/// A surprise during a registration: worth another try.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Rows.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Bytes.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The child process.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Bytes of a name map.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// The symcache.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another symcache.
    #[error(transparent)]
    Lookup(#[from] LookupError),
}

impl Symcaches {
    /// Says what the file is, makes its symcache or queues that, and registers the file.
    pub async fn register(&self, verified: &Verified<'_>) -> Result<Outcome, RegisterError> {
        let detection = match &verified.detection {
            Some(detection) => detection.clone(),
            None => self.sandbox.detect(verified.file, verified.hints).await?,
        };
        let objects = match detection {
            Detection::Rejected(reason) | Detection::SomethingElse(reason) => return Ok(Outcome::Refused(reason)),
            Detection::Objects(objects) => objects,
        };
        if objects.is_empty() || objects.len() > 1 && !verified.several {
            let count = objects.len();
            return Ok(Outcome::Refused(format!("Object contains {count} architectures (1 expected)")));
        }
        let mut files = Vec::new();
        let mut created = 0;
        let mut malformed = None;
        for object in &objects {
            let (registered, reason) = self.register_object(verified, object).await?;
            match registered {
                Registered::LeaseLost => return Ok(Outcome::LeaseLost),
                Registered::Existing(file) => files.push(file),
                Registered::Created(file) => {
                    created += 1;
                    files.push(file);
                }
            }
            malformed = malformed.or(reason);
        }
        for file in &files {
            self.forget(file).await;
            if file.format.newest_only() {
                self.refresh_mapped(file).await?;
            }
        }
        for (file, _) in files.iter().zip(&objects).filter(|(_, object)| object.is_supplement) {
            self.refresh_supplemented(file).await?;
        }
        Ok(Outcome::Registered { files, created, malformed })
    }

    async fn register_object(
        &self,
        verified: &Verified<'_>,
        object: &ObjectInfo,
    ) -> Result<(Registered, Option<String>), RegisterError> {
        let mut file = new_file(verified, object);
        let closing = verified.closing.cloned();
        let debug = object.features.contains(Features::DEBUG);
        let named = debug || object.features.contains(Features::SYMTAB);
        if !named || !object.format.has_addresses() || object.is_supplement {
            return Ok((self.insert(&file, None, closing.as_ref()).await?, None));
        }
        if verified.conversion == ConversionTime::Queued {
            let registered = self.insert(&file, None, closing.as_ref()).await?;
            if let Registered::Created(file) = &registered {
                let task = self.task_of(file, &file.debug_id);
                self.queue_quietly(&[Wanted { project_id: file.project_id, task }]).await;
            }
            return Ok((registered, None));
        }
        let same_id = self.db.debug_files_by_id(file.project_id, std::slice::from_ref(&file.debug_id)).await?;
        let mappings = self.mappings(&(&file).into(), &same_id).await?;
        if let Some(id) = mappings.missing_supplement() {
            self.note_missing_supplement(file.project_id, id);
        }
        let maps = self.mapping_files(&mappings).await?;
        if let Some(standing) = same_id.iter().find(|other| other.sha1 == file.sha1) {
            // The file stands already. Its symcache comes first, so that a failure is still the assembly's.
            let key = self.key(standing.id, mappings.key());
            let row = match self.db.symcache(&key).await? {
                Some(row) => row,
                None => {
                    let conversion = self.sandbox.convert(verified.file, &object.debug_id, &maps).await?;
                    let (this, key) = (self.clone(), key.clone());
                    let storing =
                        async move { Ok(store::store(&this.db, &this.blobs, &this.clock, &key, &conversion).await?) };
                    self.for_good(storing).await?
                }
            };
            self.drop_replaced(&key).await?;
            return Ok((self.insert(&file, None, closing.as_ref()).await?, row.detail.filter(|_| debug)));
        }
        let conversion = self.sandbox.convert(verified.file, &object.debug_id, &maps).await?;
        if let Conversion::Made { statistics: Some(statistics), .. } = &conversion {
            let told = [file.note.take(), statistics.left_out_sentence()];
            file.note = told.into_iter().flatten().reduce(|first, second| format!("{first} {second}"));
        }
        let this = self.clone();
        let storing = async move { this.store_both(&file, closing.as_ref(), mappings.key(), &conversion).await };
        let (registered, reason) = self.for_good(storing).await?;
        // A stripped file without a name is as it should be.
        Ok((registered, reason.filter(|_| debug)))
    }

    /// Stores a file that is new, as far as anybody knew, together with what came of its conversion.
    async fn store_both(
        &self,
        file: &NewDebugFile,
        closing: Option<&Closing>,
        mappings: String,
        conversion: &Conversion,
    ) -> Result<(Registered, Option<String>), RegisterError> {
        let written = store::write(&*self.blobs, &self.clock, conversion).await?;
        let row = written.row(self.key(0, mappings.clone()));
        let registered = self.insert(file, Some(&row), closing).await?;
        if let Registered::Created(_) = &registered {
            return Ok((registered, written.malformed().map(str::to_owned)));
        }
        written.discard(&*self.blobs).await?;
        let Registered::Existing(standing) = &registered else { return Ok((registered, None)) };
        // Somebody was faster. As with any file that stands, its symcache comes before the end of the assembly.
        let key = self.key(standing.id, mappings);
        let row = store::store(&self.db, &self.blobs, &self.clock, &key, conversion).await?;
        Ok((self.insert(file, None, closing).await?, row.detail))
    }

    /// Ends what was begun even if whoever waits for it goes away: between bytes and row nobody may stop.
    async fn for_good<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, RegisterError>> + Send + 'static,
    ) -> Result<T, RegisterError> {
        let ended = self.tracker.spawn(work).await;
        ended.unwrap_or_else(|error| Err(BlobError::io("store a debug file", std::io::Error::other(error)).into()))
    }

    async fn insert(
        &self,
        file: &NewDebugFile,
        symcache: Option<&NewSymcache>,
        closing: Option<&Closing>,
    ) -> Result<Registered, DbError> {
        self.db.register_debug_file(file, symcache, closing, redundant, self.clock.now()).await
    }
}

/// The row that is wanted for one object.
fn new_file(verified: &Verified<'_>, object: &ObjectInfo) -> NewDebugFile {
    NewDebugFile {
        project_id: verified.project_id,
        sha1: verified.sha1,
        size: verified.size,
        debug_id: object.debug_id.clone(),
        debug_id_alias: object.debug_id_alias.clone(),
        code_id: object.code_id.clone(),
        object_name: limits::file_name(&object_name(verified, object)).into_owned(),
        cpu_name: object.cpu_name.clone(),
        format: object.format,
        kind: object.kind,
        features: object.features,
        note: object.note.clone(),
        supplement_id: object.supplement_id.clone(),
        is_supplement: object.is_supplement,
        chunk_ids: verified.chunk_ids.to_vec(),
    }
}

/// The name that the format dictates, or else the last component of the uploader's, without Breakpad's `.sym`.
fn object_name(verified: &Verified<'_>, object: &ObjectInfo) -> String {
    if let Some(name) = &object.object_name {
        return name.clone();
    }
    let name = verified.hints.name.as_str();
    let name = name.rsplit('/').next().unwrap_or(name);
    match object.format {
        Format::Breakpad => name.strip_suffix(".sym").unwrap_or(name).to_owned(),
        _ => name.to_owned(),
    }
}
