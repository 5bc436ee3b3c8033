//! A file that is here already, from a zip or from disk, becomes chunks and then a debug file, on the same way as an
//! upload.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use sha1::Digest as _;

use super::Symcaches;
use super::register::{ConversionTime, Outcome, RegisterError, Verified};
use super::sandbox::{Detection, Hints, OnBehalf};
use crate::accounts::QuotaError;
use crate::types::{DebugFile, DebugId, Project, Sha1};
use crate::uploads::{ChunkError, LocalFiles, known_files};

/// What came of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakenIn {
    /// The project had it before.
    Known(Vec<DebugFile>),
    /// It is new.
    Registered {
        /// The debug files; several if it has several architectures.
        files: Vec<DebugFile>,
        /// Why one of them has no symcache although it should.
        malformed: Option<String>,
    },
    /// It is of no format that could be a debug file.
    NotADebugFile,
    /// It looks like a debug file and cannot be one; the sentence says why.
    Refused(String),
}

/// A surprise on the way.
#[derive(Debug, thiserror::Error)]
pub enum TakeInError {
    /// Registering.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// Storing chunks.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// There is no room for it.
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// Reading the file.
    #[error("the file cannot be read: {0}")]
    Read(#[from] std::io::Error),
}

/// A file to take in.
#[derive(Debug)]
pub struct LocalFile<'a> {
    /// The content.
    pub file: File,
    /// Its name.
    pub name: &'a str,
    /// What the file is, where that is known: what the sandbox said of it with [`hints_of`] its name.
    pub detection: Option<Detection>,
    /// When its symcache is made.
    pub conversion: ConversionTime,
}

impl Symcaches {
    /// Takes in a file, unless the project has it. What is no debug file leaves no chunk behind.
    pub async fn take_in(
        &self,
        local: &LocalFiles,
        project: &Project,
        incoming: LocalFile<'_>,
    ) -> Result<TakenIn, TakeInError> {
        let (file, sha1, size) = hashed(incoming.file).await?;
        let (now, version) = (self.clock.now(), &self.converter_version);
        let known = known_files(&self.db, project.id, &[sha1], version, now).await.map_err(RegisterError::from)?;
        let known: Vec<_> = known.into_iter().filter(|known| known.retired_at.is_none()).map(|k| k.file).collect();
        if !known.is_empty() {
            return Ok(TakenIn::Known(known));
        }
        let hints = hints_of(incoming.name);
        let on_behalf = OnBehalf::admitted(project.organization_id);
        let detection = match incoming.detection {
            Some(detection) => detection,
            None => self.sandbox.detect_for(on_behalf, &file, &hints).await.map_err(RegisterError::from)?,
        };
        let objects = match &detection {
            Detection::Objects(objects) => objects.len().max(1) as u64,
            Detection::SomethingElse(_) => return Ok(TakenIn::NotADebugFile),
            Detection::Rejected(reason) => return Ok(TakenIn::Refused(reason.clone())),
        };
        // Until the file stands. Each object in it becomes a file of the whole size.
        let allowance = local.quotas.allowance(project.organization_id);
        let _room = allowance.files(project.id, objects, size.saturating_mul(objects)).await?;
        let chunk_ids = local.store(project.organization_id, &file, size).await?;
        let verified = Verified {
            file: &file,
            sha1,
            size,
            chunk_ids: &chunk_ids,
            hints: &hints,
            project_id: project.id,
            closing: None,
            several: true,
            detection: Some(detection),
            conversion: incoming.conversion,
        };
        Ok(match self.register(&verified).await? {
            Outcome::Registered { files, created: 0, .. } => TakenIn::Known(files),
            Outcome::Registered { files, malformed, .. } => TakenIn::Registered { files, malformed },
            Outcome::Refused(reason) => TakenIn::Refused(reason),
            Outcome::LeaseLost => TakenIn::Refused("somebody else works on this file".to_owned()),
        })
    }
}

/// The file at its beginning again, its checksum and its size.
async fn hashed(mut file: File) -> Result<(File, Sha1, u64), std::io::Error> {
    let work = move || {
        let mut hash = sha1::Sha1::new();
        let mut buffer = vec![0; 256 << 10];
        let mut size = 0;
        file.seek(SeekFrom::Start(0))?;
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                n => {
                    hash.update(&buffer[..n]);
                    size += n as u64;
                }
            }
        }
        file.rewind()?;
        Ok((file, Sha1::from_bytes(hash.finalize().into()), size))
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

/// What a name says of a file that is taken in. Name maps are named by their debug id.
pub fn hints_of(name: &str) -> Hints {
    let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str());
    let debug_id = stem.and_then(|stem| stem.parse::<DebugId>().ok()).map(String::from);
    Hints { name: name.to_owned(), debug_id }
}
