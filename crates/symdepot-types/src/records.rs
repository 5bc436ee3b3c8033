//! What rows become once they are read: plain values with public fields.

use chrono::{DateTime, Utc};

use super::child_protocol::Statistics;
use super::identity::{UnknownWord, words};
use super::{CodeId, DebugId, Features, Format, Kind, RequestedKinds, Scopes, Sha1};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A company: owns projects, tokens and chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// Row id; clients may write it instead of the slug.
    pub id: i64,
    /// Unique short name.
    pub slug: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// A product of an organization: owns debug files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Row id; clients may write it instead of the slug.
    pub id: i64,
    /// Owner.
    pub organization_id: i64,
    /// Short name, unique in the organization.
    pub slug: String,
    /// Whether debuggers may read its debug files without a credential.
    pub public_symbols: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// A token without its secret, which is never stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Row id.
    pub id: i64,
    /// The organization it belongs to.
    pub organization_id: i64,
    /// A name for people.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// The projects it is limited to; empty means all of the organization.
    pub project_ids: Vec<i64>,
    /// SHA-256 of the whole token text.
    pub secret_sha256: Vec<u8>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it stops working, if ever.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last presented, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When somebody took it back.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A key that opens the symbol-server paths of one project, without its secret, which is never stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolKey {
    /// Row id.
    pub id: i64,
    /// The project that it opens.
    pub project_id: i64,
    /// A name for people.
    pub name: String,
    /// How its text begins; `None` for a key of an older version.
    pub prefix: Option<String>,
    /// SHA-256 of the whole key text.
    pub secret_sha256: Vec<u8>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last presented, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When somebody took it back.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// An id under which a file was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MissedId {
    /// A debug id.
    Debug(String),
    /// A code id.
    Code(String),
}

/// What was looked for in a project and was not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// Where.
    pub project_id: i64,
    /// Which file.
    pub id: MissedId,
    /// Name that the last one to ask knew it by.
    pub name: Option<String>,
    /// Kinds of file that were requested under the id and that no upload brought yet.
    pub kinds: RequestedKinds,
    /// Kind of the last client that asked.
    pub asker: String,
    /// How often it was missed.
    pub times: u64,
    /// When it was missed first.
    pub first_at: DateTime<Utc>,
    /// When it was missed last.
    pub last_at: DateTime<Utc>,
    /// When an upload brought it, unless it was missed again.
    pub found_at: Option<DateTime<Utc>>,
}

words! {
    /// How bytes stand at rest.
    Encoding {
        /// As they are.
        Raw = "raw",
        /// One zstd frame.
        Zstd = "zstd",
    }
}

/// Where bytes are and how they stand there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRef {
    /// Key in the blob store.
    pub key: String,
    /// How they stand at rest.
    pub encoding: Encoding,
    /// Size of the content in bytes, after decoding.
    pub size: u64,
    /// Size at rest in bytes.
    pub stored_size: u64,
}

/// A piece of a file, stored once for everybody who proved to have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Row id.
    pub id: i64,
    /// Checksum of the content.
    pub sha1: Sha1,
    /// Its bytes.
    pub blob: BlobRef,
    /// Whether its bytes were found lost and were not uploaded again since.
    pub lost: bool,
}

/// A debug file of a project, whole and known to be what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugFile {
    /// Row id; on the wire a string. Higher is newer.
    pub id: i64,
    /// Owner.
    pub project_id: i64,
    /// Checksum of the whole content.
    pub sha1: Sha1,
    /// Size of the content in bytes.
    pub size: u64,
    /// Canonical debug id.
    pub debug_id: DebugId,
    /// A second spelling under which the file is found too (WASM ids differ by tool version).
    pub debug_id_alias: Option<DebugId>,
    /// Code id, if the file has one.
    pub code_id: Option<CodeId>,
    /// Base name under which it was uploaded.
    pub object_name: String,
    /// Architecture: `x86_64`, `arm64`, … `any`, `unknown`.
    pub cpu_name: String,
    /// File format.
    pub format: Format,
    /// What kind of object it is.
    pub kind: Kind,
    /// What it can be used for.
    pub features: Features,
    /// What the uploader should know although the file was taken (split DWARF without its `.dwo`).
    pub note: Option<String>,
    /// Build id of the file that `dwz` moved a part of its debug information to.
    pub supplement_id: Option<CodeId>,
    /// Whether `dwz` made it for other files: no symcache is made of it.
    pub is_supplement: bool,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
}

impl DebugFile {
    /// Whether a symcache is to be made of it: it has debug information, and addresses to look up.
    pub fn wants_symcache(&self) -> bool {
        self.features.contains(Features::DEBUG) && self.format.has_addresses() && !self.is_supplement
    }

    /// Whether a symcache of it can have names, from debug information or from a table of symbols.
    pub fn has_names(&self) -> bool {
        self.wants_symcache()
            || self.features.contains(Features::SYMTAB) && self.format.has_addresses() && !self.is_supplement
    }
}

/// A debug file about to be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDebugFile {
    /// Owner.
    pub project_id: i64,
    /// Checksum of the whole content.
    pub sha1: Sha1,
    /// Size of the content in bytes.
    pub size: u64,
    /// Canonical debug id.
    pub debug_id: DebugId,
    /// A second spelling under which the file is found too.
    pub debug_id_alias: Option<DebugId>,
    /// Code id, if the file has one.
    pub code_id: Option<CodeId>,
    /// Base name under which it was uploaded.
    pub object_name: String,
    /// Architecture.
    pub cpu_name: String,
    /// File format.
    pub format: Format,
    /// What kind of object it is.
    pub kind: Kind,
    /// What it can be used for.
    pub features: Features,
    /// What the uploader should know although the file was taken.
    pub note: Option<String>,
    /// Build id of the file that `dwz` moved a part of its debug information to.
    pub supplement_id: Option<CodeId>,
    /// Whether `dwz` made it for other files: no symcache is made of it.
    pub is_supplement: bool,
    /// Row ids of its chunks, in order, with repeats.
    pub chunk_ids: Vec<i64>,
}

words! {
    /// Where an assembly stands. Success has no word here: the debug file itself answers then.
    AssemblyState {
        /// Wanted and waiting for a worker.
        Created = "created",
        /// A worker holds the lease.
        Assembling = "assembling",
        /// It failed; the detail says why.
        Error = "error",
    }
}

/// The durable state of one wanted file in one project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembly {
    /// Row id.
    pub id: i64,
    /// Project that wants the file.
    pub project_id: i64,
    /// Owner of the project, whose chunks count.
    pub organization_id: i64,
    /// Checksum of the whole file.
    pub sha1: Sha1,
    /// Where it stands.
    pub state: AssemblyState,
    /// Why it failed, as a sentence.
    pub detail: Option<String>,
    /// Name the client gave.
    pub name: String,
    /// Debug id the client gave, as it wrote it.
    pub debug_id: Option<String>,
    /// Chunks in order, with repeats.
    pub chunks: Vec<Sha1>,
    /// How many times a worker has begun it.
    pub attempt: i64,
    /// Who holds it; changes with every take-over.
    pub lease_token: Option<String>,
    /// The converter that was in use when it failed.
    pub converter_version: Option<String>,
    /// When the state last changed.
    pub updated_at: DateTime<Utc>,
}

words! {
    /// What came of an attempt to make a symcache.
    SymcacheState {
        /// The bytes are there.
        Ready = "ready",
        /// The debug file cannot be converted; the detail says why.
        Malformed = "malformed",
    }
}

/// A symcache that was made, or the reason why it cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symcache {
    /// Row id.
    pub id: i64,
    /// The debug file it was made from.
    pub debug_file_id: i64,
    /// Version of the symcache format.
    pub format_version: i64,
    /// Version of the converter that made it.
    pub converter_version: String,
    /// Which name maps were applied: empty, or checksums with `+` between.
    pub mappings: String,
    /// What came of it.
    pub state: SymcacheState,
    /// Why there are no bytes.
    pub detail: Option<String>,
    /// Checksum of the bytes, if ready.
    pub sha1: Option<Sha1>,
    /// The bytes, if ready.
    pub blob: Option<BlobRef>,
    /// What it holds, if ready and counted.
    pub statistics: Option<Statistics>,
}
