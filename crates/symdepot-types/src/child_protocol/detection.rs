//! What the child says a file is, and what it is told of the file. Plain values; nothing here looks at bytes.

use serde::{Deserialize, Serialize};

use crate::{CodeId, DebugId, Features, Format, Kind};

/// What the uploader said of a file, which some formats need.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hints {
    /// Name as sent: a base name, or `/proguard/<uuid>.txt`, or a path inside a zip.
    pub name: String,
    /// Debug id as sent.
    pub debug_id: Option<String>,
}

/// What one object in a file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Build id of the file that `dwz` moved a part of the debug information to.
    #[serde(default)]
    pub supplement_id: Option<CodeId>,
    /// Whether `dwz` made it for other files: it has debug information and no code, so no symcache is made of it.
    #[serde(default)]
    pub is_supplement: bool,
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Detection {
    /// A debug file with these objects (0 or several only in archives such as fat Mach-O).
    Objects(Vec<ObjectInfo>),
    /// It begins like a debug file and cannot be taken for one; the sentence says why.
    Rejected(String),
    /// It is not meant as a debug file: it is empty, of no known format, or text that is not named by an id. The
    /// message is for the client that sent it as one.
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
