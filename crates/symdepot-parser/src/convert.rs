//! Debug file -> symcache bytes, hashed while they are written. The same input gives the same bytes, always.
//!
//! For the child process alone: the file decides how much memory and time this takes.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::rc::Rc;

use sha1::Digest as _;
use symbolic::debuginfo::Object;
use symbolic::debuginfo::dwarf::Dwarf as _;
use symbolic::debuginfo::macho::BcSymbolMap;
use symbolic::il2cpp::LineMapping;
use symbolic::symcache::SymCacheConverter;
use symbolic::symcache::transform::{SourceLocation, Transformer};

use symdepot_types::{DebugId, Sha1};

use crate::detect::{chain, read_objects};
use crate::precheck;

/// Name maps to apply.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NameMaps<'a> {
    /// `BCSymbolMap`, for Mach-O.
    pub bcsymbolmap: Option<&'a [u8]>,
    /// il2cpp line mapping.
    pub il2cpp: Option<&'a [u8]>,
}

/// Why there is no symcache.
#[derive(Debug)]
pub(super) enum Failure {
    /// The file; the words fit after a colon.
    Input(String),
    /// The output.
    Output(io::Error),
}

/// Writes the symcache of the object `debug_id` in `bytes`; says how long it is and its checksum.
///
/// A name map that cannot be read is left out: the addresses are right without it.
pub(super) fn convert(
    bytes: &[u8],
    debug_id: &DebugId,
    maps: NameMaps<'_>,
    memory: u64,
    output: File,
) -> Result<(u64, Sha1), Failure> {
    let object = wanted_object(bytes, debug_id, maps.bcsymbolmap, memory).map_err(Failure::Input)?;
    let mut converter = SymCacheConverter::new();
    if let Some(mapping) = maps.il2cpp.and_then(LineMapping::parse) {
        converter.add_transformer(mapping);
    }
    let lines = Rc::new(Cell::new(false));
    converter.add_transformer(LinesSeen(lines.clone()));
    converter.process_object(&object).map_err(|error| Failure::Input(chain(&error)))?;
    if !lines.get()
        && let Some(section) = damaged_section(&object)
    {
        return Err(Failure::Input(format!("its section .{section} cannot be inflated; it is damaged")));
    }
    // Ours, where symbolic would have taken another, and with the age of the request.
    converter.set_debug_id(debug_id.as_str().parse().expect("a debug id is one for symbolic too"));
    let mut writer = Counted::new(output);
    converter.serialize(&mut writer).map_err(Failure::Output)?;
    writer.finish().map_err(Failure::Output)
}

/// The object `debug_id` in `bytes`, its hidden names brought back by a `BCSymbolMap`. What it claims of the sizes of its
/// sections has been checked.
pub(super) fn wanted_object<'data>(
    bytes: &'data [u8],
    debug_id: &DebugId,
    bcsymbolmap: Option<&'data [u8]>,
    memory: u64,
) -> Result<Object<'data>, String> {
    precheck::pdb(bytes)?;
    let objects = read_objects(bytes, memory)?;
    let wanted = objects.into_iter().find(|read| read.debug_id.uuid() == debug_id.uuid());
    let mut object = wanted.ok_or_else(|| format!("it holds no object with the id {debug_id}"))?.object;
    if let Object::Elf(elf) = &object {
        precheck::elf(elf.data(), memory)?;
    }
    if let Object::MachO(macho) = &mut object
        && let Some(Ok(map)) = bcsymbolmap.map(BcSymbolMap::parse)
    {
        macho.load_symbolmap(map);
    }
    Ok(object)
}

/// Remembers whether there was a single line: without any, something may have been skipped in silence.
struct LinesSeen(Rc<Cell<bool>>);

impl Transformer for LinesSeen {
    fn transform_source_location<'f>(&'f mut self, location: SourceLocation<'f>) -> SourceLocation<'f> {
        self.0.set(true);
        location
    }
}

/// A section that symbolic skips because it cannot be inflated.
pub(super) fn damaged_section(object: &Object<'_>) -> Option<&'static str> {
    let Object::Elf(elf) = object else { return None };
    ["debug_abbrev", "debug_info", "debug_line"]
        .into_iter()
        .find(|name| elf.raw_section(name).is_some() && elf.section(name).is_none())
}

/// Counts and hashes what is written.
pub(super) struct Counted {
    inner: BufWriter<File>,
    size: u64,
    sha1: sha1::Sha1,
}

impl Counted {
    /// Nothing is written to `output` yet.
    pub(super) fn new(output: File) -> Self {
        Self { inner: BufWriter::with_capacity(1 << 18, output), size: 0, sha1: sha1::Sha1::new() }
    }

    /// How much was written, and its checksum.
    pub(super) fn finish(mut self) -> io::Result<(u64, Sha1)> {
        self.inner.flush()?;
        Ok((self.size, Sha1::from_bytes(self.sha1.finalize().into())))
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sha1.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
