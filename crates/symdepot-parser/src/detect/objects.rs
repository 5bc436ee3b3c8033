//! Object files of every format that symbolic knows, and where our own reading of their ids differs from symbolic's.
//!
//! An object without an id is never taken, because nothing could ever ask for it.

use std::error::Error;

use symbolic::debuginfo::{Archive, FileFormat, Object, ObjectKind, ParseObjectOptions};

use super::elf::Elf;
use super::{split_dwarf, wasm};
use crate::convert::breakpad;
use symdepot_types::child_protocol::{Hints, ObjectInfo};
use symdepot_types::{CodeId, DebugId, Features, Format, Kind};

/// Code ids longer than this are not ids.
const LONGEST_CODE_ID: usize = 128;

/// Inlined calls deeper than this are not read; every level costs stack.
const DEEPEST_INLINE: u32 = 512;

/// What the uploader of a file of Go should know that has no GNU build id. Its debug id is a hash of its code.
const GO_WITHOUT_ID: &str = "This file has no GNU build id, so that debuggers cannot find it by one. Build it with Go 1.24 \
                             or newer, or with `go build -ldflags=-B=gobuildid`, and upload it again.";

/// One object of a file with the ids that name it here.
#[derive(Debug)]
pub(crate) struct Read<'data> {
    /// The object.
    pub object: Object<'data>,
    /// Its debug id.
    pub debug_id: DebugId,
    code_id: Option<CodeId>,
    alias: Option<DebugId>,
    kind: Kind,
    note: Option<String>,
    supplement_id: Option<CodeId>,
    is_supplement: bool,
}

/// What an object file is.
pub(super) fn read(bytes: &[u8], hints: &Hints, memory: u64) -> Result<Vec<ObjectInfo>, String> {
    let tidied = breakpad::tidy(bytes);
    let read =
        read_objects(&tidied.text, memory).map_err(|reason| format!("Invalid debug information file: {reason}"))?;
    let note = tidied.faults.note();
    let info =
        |read: Read<'_>| read.info(hints).map(|info| ObjectInfo { note: info.note.or_else(|| note.clone()), ..info });
    read.into_iter().map(info).collect()
}

/// Whether a file begins like none of the formats.
pub(super) fn is_unknown(bytes: &[u8]) -> bool {
    !Archive::test(bytes)
}

/// The objects of a file, or why it cannot be read.
pub(crate) fn read_objects(bytes: &[u8], memory: u64) -> Result<Vec<Read<'_>>, String> {
    let mut options = ParseObjectOptions::default();
    let most = usize::try_from(memory).unwrap_or(usize::MAX);
    options.max_decompressed_section_size = Some(most);
    options.max_decompressed_embedded_source_size = Some(most);
    options.max_inline_depth = Some(DEEPEST_INLINE);
    let archive = Archive::parse_with_opts(bytes, options).map_err(|error| chain(&error))?;
    archive.objects().map(|object| Ok(Read::new(object.map_err(|error| chain(&error))?))).collect()
}

impl<'data> Read<'data> {
    fn new(object: Object<'data>) -> Self {
        let mut read = Self {
            debug_id: debug_id(&object),
            code_id: object.code_id().map(|id| CodeId::new(id.as_str())).filter(|id| !id.as_str().is_empty()),
            alias: None,
            kind: kind(object.kind()),
            note: None,
            supplement_id: None,
            is_supplement: false,
            object,
        };
        match &read.object {
            Object::Elf(file) => {
                if let Some(elf) = Elf::read(file.data()) {
                    read.code_id = elf.code_id();
                    read.debug_id = elf.debug_id();
                    if let Some(kind) = elf.kind_by_segments() {
                        read.kind = kind;
                    } else if read.kind == Kind::Debug && elf.can_run() {
                        // symbolic takes every executable without an interpreter for a debug companion.
                        read.kind = Kind::Executable;
                    }
                    read.supplement_id = elf.supplement_id();
                    read.is_supplement = elf.is_supplement();
                    let unfindable = elf.is_of_go() && read.code_id.is_none();
                    read.note = split_dwarf::note(&elf).or_else(|| unfindable.then(|| GO_WITHOUT_ID.to_owned()));
                }
            }
            Object::Wasm(file) => read.alias = wasm::alias(file),
            _ => {}
        }
        read
    }

    fn info(self, hints: &Hints) -> Result<ObjectInfo, String> {
        if self.debug_id.is_nil() {
            return Err(without_id(&self.object));
        }
        // The request may add the age, never change the id.
        let asked = hints.debug_id.as_deref().and_then(|id| id.parse::<DebugId>().ok());
        let debug_id = asked.filter(|asked| asked.uuid() == self.debug_id.uuid()).unwrap_or(self.debug_id);
        Ok(ObjectInfo {
            debug_id,
            debug_id_alias: self.alias,
            code_id: self.code_id.filter(|id| id.as_str().len() <= LONGEST_CODE_ID),
            cpu_name: self.object.arch().name().to_owned(),
            format: format(self.object.file_format()).ok_or("Invalid debug information file: unknown format")?,
            kind: self.kind,
            features: features(&self.object),
            object_name: None,
            note: self.note,
            supplement_id: self.supplement_id,
            is_supplement: self.is_supplement,
        })
    }
}

/// An error and its causes in one line, short enough for a screen and without control characters.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    let words: Vec<_> = text.split(|c: char| c.is_control() || c == ' ').filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(300).collect()
}

/// The id that symbolic found. What is no UUID, such as the time stamp of a very old PDB in a Breakpad file, is none.
fn debug_id(object: &Object<'_>) -> DebugId {
    object.debug_id().to_string().parse().unwrap_or_else(|_| DebugId::nil())
}

fn without_id(object: &Object<'_>) -> String {
    let advice = match object {
        Object::Elf(file) if Elf::read(file.data()).is_some_and(|elf| elf.is_dwo()) => {
            return "This is a .dwo or .dwp file of split DWARF: it has no id of its own and cannot be read here. Build \
                    without -gsplit-dwarf and upload the executable or library."
                .to_owned();
        }
        Object::Elf(_) => "link it with `-Wl,--build-id`",
        Object::MachO(_) => "link it without `-no_uuid`",
        Object::Pe(file) => match toolchain(file.data()) {
            Toolchain::Gnu => "link it with `-Wl,--build-id`, as MinGW's linker writes an id only then",
            Toolchain::Go => "build it with `go build -ldflags='-linkmode=external -extldflags=-Wl,--build-id'`",
            Toolchain::Other => "link it with `/DEBUG`, which writes the id of its PDB",
        },
        Object::Wasm(_) => "link it with `--build-id`, or give it an id with `wasm-split`",
        Object::Breakpad(_) => "make it from a binary that has a build id",
        Object::SourceBundle(_) => "make it with `sentry-cli debug-files bundle-sources` from a file that has an id",
        Object::Pdb(_) | Object::PortablePdb(_) => "let the linker or compiler write it anew",
    };
    format!("This {} file has no debug id, so that nothing could find it: {advice}, and upload it again.", {
        object.file_format().name()
    })
}

/// Which linker made a PE file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Toolchain {
    Gnu,
    Go,
    Other,
}

/// The linker by its version: that of GNU writes the 2 of its own version, that of Go always 3.
fn toolchain(pe: &[u8]) -> Toolchain {
    let major = || {
        let header = u32::from_le_bytes(*pe.get(0x3c..)?.first_chunk()?);
        pe.get(usize::try_from(header).ok()?.checked_add(26)?).copied()
    };
    match major() {
        Some(2) => Toolchain::Gnu,
        Some(3) => Toolchain::Go,
        _ => Toolchain::Other,
    }
}

fn features(object: &Object<'_>) -> Features {
    [
        (object.has_symbols(), Features::SYMTAB),
        (object.has_debug_info(), Features::DEBUG),
        (object.has_unwind_info(), Features::UNWIND),
        (object.has_sources(), Features::SOURCES),
    ]
    .into_iter()
    .filter(|(has, _)| *has)
    .fold(Features::default(), |all, (_, feature)| all.union(feature))
}

fn format(format: FileFormat) -> Option<Format> {
    Some(match format {
        FileFormat::Breakpad => Format::Breakpad,
        FileFormat::Elf => Format::Elf,
        FileFormat::MachO => Format::MachO,
        FileFormat::Pdb => Format::Pdb,
        FileFormat::Pe => Format::Pe,
        FileFormat::SourceBundle => Format::SourceBundle,
        FileFormat::Wasm => Format::Wasm,
        FileFormat::PortablePdb => Format::PortablePdb,
        FileFormat::Unknown => return None,
    })
}

fn kind(kind: ObjectKind) -> Kind {
    match kind {
        ObjectKind::None => Kind::None,
        ObjectKind::Relocatable => Kind::Relocatable,
        ObjectKind::Executable => Kind::Executable,
        ObjectKind::Library => Kind::Library,
        ObjectKind::Dump => Kind::Dump,
        ObjectKind::Debug => Kind::Debug,
        ObjectKind::Sources => Kind::Sources,
        ObjectKind::Other => Kind::Other,
    }
}
