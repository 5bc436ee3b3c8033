//! What a debug file is: its formats, ids, kind and features, and which of several files of one id count.
//!
//! What reads untrusted bytes ([`detect()`], `read_objects`) is for the child process alone and is never called in
//! the server; the one exception is `elf_section`, which says why.

mod bcsymbolmap;
mod bulk;
mod dart;
mod detect;
pub(crate) mod elf;
mod elf_header;
mod elf_section;
mod fill_section;
mod glob;
mod il2cpp;
mod misses;
mod name_map;
mod objects;
mod proguard;
mod redundancy;
mod registry;
mod section_cache;
mod shelf;
mod source;
mod split_dwarf;
mod together;
mod uncab;
mod unpack_section;
mod unzip;
mod uses;
mod uuidmap;
mod wanted;
mod wasm;

use crate::types::{CodeId, DebugId, Features, Format, Kind};

pub use bulk::{BulkDeleted, BulkError, BulkFilter, announce, delete_many, find_many};
pub use detect::detect;
pub use elf_section::{Section, find_section, section_in};
pub use glob::{MAX_PATTERN, glob_matches};
pub use misses::Misses;
pub(crate) use objects::{chain, read_objects};
pub use redundancy::{best, redundant};
pub use registry::{OpenFile, Search, delete, list, open, open_found, unknown};
pub use section_cache::SectionCache;
pub use shelf::Shelf;
pub(crate) use source::source;
pub(crate) use uncab::uncab;
pub use unzip::{ZipEntry, unzip};
pub use uses::Uses;
pub use wanted::{Wanted, WantedId, What, expired_files, find_wanted, wanted_files};

/// What the uploader said of a file, which some formats need.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Hints {
    /// Name as sent: a base name, or `/proguard/<uuid>.txt`, or a path inside a zip.
    pub name: String,
    /// Debug id as sent.
    pub debug_id: Option<String>,
}

/// What one object in a file is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ObjectInfo {
    /// Debug id, the age of the request put in.
    pub debug_id: DebugId,
    /// A second id: the other spelling of a WASM id, or the original id that a `UuidMap` leads to.
    pub debug_id_alias: Option<DebugId>,
    /// Code id.
    pub code_id: Option<CodeId>,
    /// Architecture.
    pub cpu_name: String,
    /// Format.
    pub format: Format,
    /// Kind.
    pub kind: Kind,
    /// Features.
    pub features: Features,
    /// Name to register, if the kind dictates one (`proguard-mapping`), else `None`.
    pub object_name: Option<String>,
    /// What the uploader should know although the file is taken.
    pub note: Option<String>,
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Detection {
    /// A debug file with these objects (0 or several only in archives such as fat Mach-O).
    Objects(Vec<ObjectInfo>),
    /// It begins like a debug file and cannot be taken for one; the sentence says why.
    Rejected(String),
    /// Nobody would take it for a debug file: it is empty, of no known format, or text that is not named by an id. The
    /// sentence is for whoever sent it as one.
    SomethingElse(String),
}

impl Detection {
    /// Why the file is refused, if it is.
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Self::Objects(_) => None,
            Self::Rejected(reason) | Self::SomethingElse(reason) => Some(reason),
        }
    }
}
