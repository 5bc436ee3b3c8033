//! What a response says of modules: where their tables stand, what their files have, and which files there are. It never looks
//! anything up.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::dump::Unwinding;
use super::files::{DebugStatus, ModuleFiles};
use super::frames::Resolved;
use super::request::{Address, Module};
use super::response::{Hex, entry};
use crate::types::{DebugFile, Features};

/// The modules of a response, in the order of the request.
pub struct Modules<'a> {
    /// The request and its files.
    pub resolved: &'a Resolved,
    /// `ORG/PROJECT`, for the addresses of candidates.
    pub project: &'a str,
}

impl Serialize for Modules<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (resolved, project) = (self.resolved, self.project);
        let (unused, not_walked) = (ModuleFiles::default(), Unwinding::default());
        let modules = resolved.request.modules.iter().enumerate();
        serializer.collect_seq(modules.map(|(at, module)| {
            let files = resolved.files.get(&at).unwrap_or(&unused);
            OneModule {
                resolved,
                project,
                module,
                files,
                unwinding: resolved.unwinding.as_ref().map(|all| all.get(&at).unwrap_or(&not_walked)),
            }
        }))
    }
}

struct OneModule<'a> {
    resolved: &'a Resolved,
    project: &'a str,
    module: &'a Module,
    files: &'a ModuleFiles,
    unwinding: Option<&'a Unwinding>,
}

impl Serialize for OneModule<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (module, files) = (self.module, self.files);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("debug_status", files.status.word())?;
        let unwinding = self.unwinding;
        entry(&mut map, "unwind_status", unwinding.map(|unwinding| unwinding.status.word()))?;
        let of_unwinding = unwinding.and_then(|unwinding| unwinding.detail.as_deref());
        entry(&mut map, "detail", files.detail.as_deref().or(of_unwinding))?;
        let unwinds = unwinding.is_some_and(|unwinding| unwinding.status == DebugStatus::Found);
        let features = if unwinds { files.features.union(Features::UNWIND) } else { files.features };
        map.serialize_entry("features", &Has(features))?;
        map.serialize_entry("arch", files.table.as_ref().map_or("unknown", |table| table.arch()))?;
        entry(&mut map, "type", module.kind.as_deref())?;
        entry(&mut map, "code_id", module.code_id.as_ref())?;
        entry(&mut map, "code_file", module.code_file.as_deref())?;
        entry(&mut map, "debug_id", module.debug_id.as_ref())?;
        entry(&mut map, "debug_file", module.debug_file.as_deref())?;
        map.serialize_entry("image_addr", &Hex(module.image_addr.0))?;
        entry(&mut map, "image_size", module.image_size.map(|Address(size)| size))?;
        if self.resolved.request.options.dif_candidates && files.status != DebugStatus::Unused {
            map.serialize_entry("candidates", &Candidates(self))?;
        }
        map.end()
    }
}

struct Candidates<'a>(&'a OneModule<'a>);

impl Serialize for Candidates<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let files = self.0.files;
        if files.files.is_empty() {
            return serializer.collect_seq([serde_json::json!({
                "source": "symdepot",
                "location": "No object files listed on this source",
                "download": { "status": "notfound" },
            })]);
        }
        serializer.collect_seq(files.files.iter().map(|file| Candidate { module: self.0, file }))
    }
}

struct Candidate<'a> {
    module: &'a OneModule<'a>,
    file: &'a DebugFile,
}

impl Serialize for Candidate<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (files, file) = (self.module.files, self.file);
        let mut map = serializer.serialize_map(None)?;
        let location = format!("symdepot://{}/files/dsyms/{}", self.module.project, file.id);
        map.serialize_entry("source", "symdepot")?;
        map.serialize_entry("location", &location)?;
        map.serialize_entry("download", &Download(file.features))?;
        if files.table_file == Some(file.id) {
            let (status, details) = match files.status {
                DebugStatus::Found => ("ok", None),
                DebugStatus::Malformed => ("malformed", files.detail.as_deref()),
                _ => ("error", files.detail.as_deref()),
            };
            map.serialize_entry("debug", &Outcome { status, details })?;
        }
        if let Some(unwinding) = self.module.unwinding.filter(|unwinding| unwinding.file == Some(file.id))
            && unwinding.status == DebugStatus::Found
        {
            map.serialize_entry("unwind", &Outcome { status: "ok", details: None })?;
        }
        map.end()
    }
}

struct Download(Features);

impl Serialize for Download {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("status", "ok")?;
        map.serialize_entry("features", &Has(self.0))?;
        map.end()
    }
}

struct Outcome<'a> {
    status: &'a str,
    details: Option<&'a str>,
}

impl Serialize for Outcome<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("status", self.status)?;
        entry(&mut map, "details", self.details)?;
        map.end()
    }
}

/// Features in the words of the wire.
struct Has(Features);

impl Serialize for Has {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let has = |feature| self.0.contains(feature);
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("has_debug_info", &has(Features::DEBUG))?;
        map.serialize_entry("has_unwind_info", &has(Features::UNWIND))?;
        map.serialize_entry("has_symbols", &has(Features::SYMTAB))?;
        map.serialize_entry("has_sources", &has(Features::SOURCES))?;
        map.end()
    }
}
