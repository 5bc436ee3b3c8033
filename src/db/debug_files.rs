//! Debug files, the chunks they are made of, and the unit of work that registers one.

use chrono::{DateTime, Utc};

use super::{Db, DbError, NewSymcache};
use crate::types::{BlobRef, DebugFile, DebugId, Format, NewDebugFile, Sha1};

/// What came of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// The file is new.
    Created(DebugFile),
    /// The project already has the same content under the same debug id.
    Existing(DebugFile),
    /// The assembly is no longer held by this worker; nothing was written.
    LeaseLost,
}

/// The assembly that a registration ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Row id of the assembly.
    pub assembly_id: i64,
    /// The lease under which the work was done.
    pub lease_token: String,
}

/// A file as a poller meets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFile {
    /// The file.
    pub file: DebugFile,
    /// When newer files made it redundant; it is then neither listed nor served.
    pub retired_at: Option<DateTime<Utc>>,
    /// Why the current converter cannot make a symcache of it.
    pub malformed: Option<String>,
}

/// Which debug files to list. Empty fields do not narrow.
#[derive(Clone, Debug, Default)]
pub struct FileFilter {
    /// Text to find in name, ids, architecture or format, case-insensitive.
    pub text: Option<String>,
    /// Exact debug id, own or alias.
    pub debug_id: Option<DebugId>,
    /// Exact code id.
    pub code_id: Option<String>,
    /// With both ids: true if either may match, false if both must.
    pub either_id: bool,
    /// Formats, any of them.
    pub formats: Vec<Format>,
}

#[expect(unused_variables, reason = "stubs")]
impl Db {
    /// Registers a file, its chunk list and its symcache, retires what it makes redundant and ends the assembly: all
    /// or nothing. Also forgets any other remembered assembly of the same content in the project.
    ///
    /// `redundant` is told the live files of the same debug id, newest first and the new one at the front, and names
    /// the ids that must go. `symcache` is stored only if the file is new.
    pub async fn register_debug_file(
        &self,
        file: &NewDebugFile,
        symcache: Option<&NewSymcache>,
        closing: Option<&Closing>,
        redundant: fn(&[DebugFile]) -> Vec<i64>,
        now: DateTime<Utc>,
    ) -> Result<Registered, DbError> {
        todo!()
    }
    /// The files of a project with one of these contents, newest first, retired ones too. One query for any number.
    /// `malformed` speaks of `converter_version` only.
    pub async fn known_files(
        &self,
        project_id: i64,
        sha1s: &[Sha1],
        converter_version: &str,
    ) -> Result<Vec<KnownFile>, DbError> {
        todo!()
    }
    /// A live file of a project.
    pub async fn debug_file(&self, project_id: i64, id: i64) -> Result<Option<DebugFile>, DbError> {
        todo!()
    }
    /// The live files of a project under a debug id (own or alias), newest first.
    pub async fn debug_files_by_id(&self, project_id: i64, debug_ids: &[DebugId]) -> Result<Vec<DebugFile>, DbError> {
        todo!()
    }
    /// Live files of a project, newest first.
    pub async fn list_debug_files(
        &self,
        project_id: i64,
        filter: &FileFilter,
        offset: i64,
        limit: i64,
    ) -> Result<Vec<DebugFile>, DbError> {
        todo!()
    }
    /// The blobs of a file's chunks in order, with repeats.
    pub async fn debug_file_pieces(&self, debug_file_id: i64) -> Result<Vec<BlobRef>, DbError> {
        todo!()
    }
    /// Deletes a live file with its symcaches and every remembered assembly of its content. Returns the file and the
    /// keys of bytes that no row speaks of any more; `None` if there is no such file.
    pub async fn delete_debug_file(
        &self,
        project_id: i64,
        id: i64,
    ) -> Result<Option<(DebugFile, Vec<String>)>, DbError> {
        todo!()
    }
    /// Deletes up to `limit` files retired before `before`. Returns keys of bytes that no row speaks of any more, and how many files went.
    pub async fn purge_retired(&self, before: DateTime<Utc>, limit: i64) -> Result<(Vec<String>, u64), DbError> {
        todo!()
    }
}
