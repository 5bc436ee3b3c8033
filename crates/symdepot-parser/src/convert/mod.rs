//! Debug file -> symcache bytes, hashed while they are written. The same input gives the same bytes, always.
//!
//! Answers reports of `getsentry/symbolic` (functions that were split, 441; symbols that lie at the address of a function, 510)
//! and of `mozilla/dump_syms` (files of calls, 466).
//!
//! For the child process alone: the file decides how much memory and time this takes.
//!
//! Functions come from DWARF ([`dwarf`], our own reading of it) or, for the other formats, from symbolic's session. What they
//! cover is noted in [`ranges`], and only where there is nothing yet names come from the symbol table ([`symbols`]).
//! Everything goes through [`feed`] into symbolic's writer, so the format is the standard one.

pub(crate) mod breakpad;
mod dwarf;
mod feed;
mod layout;
pub(crate) mod one_line;
mod output;
mod ranges;
mod relocations;
mod session;
mod symbols;

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::rc::Rc;

use symbolic::debuginfo::Object;
use symbolic::debuginfo::dwarf::Dwarf as _;
use symbolic::debuginfo::elf::ElfObject;
use symbolic::debuginfo::macho::BcSymbolMap;
use symbolic::il2cpp::LineMapping;
use symbolic::symcache::SymCacheConverter;
use symbolic::symcache::transform::{SourceLocation, Transformer};

use symdepot_types::child_protocol::Statistics;
use symdepot_types::{DebugId, Sha1};

use crate::detect::read_objects;
use crate::precheck;

pub(crate) use output::Counted;

use dwarf::{Others, Sections};
use feed::Feed;
use layout::Layout;
use one_line::OneLine;
use symbols::Symbols;

/// Further files that go into a symcache.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NameMaps<'a> {
    /// `BCSymbolMap`, for Mach-O.
    pub bcsymbolmap: Option<&'a [u8]>,
    /// il2cpp line mapping.
    pub il2cpp: Option<&'a [u8]>,
    /// The file that `dwz` moved common entries to, for ELF.
    pub supplementary: Option<&'a [u8]>,
}

/// What a conversion may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Means {
    /// What sections may inflate to, in bytes.
    pub memory: u64,
    /// How many threads may work at a time.
    pub threads: usize,
}

/// A symcache that was written.
#[derive(Debug)]
pub(super) struct Made {
    /// How long it is.
    pub size: u64,
    /// Its checksum.
    pub sha1: Sha1,
    /// What it holds; `None` if that was not counted.
    pub statistics: Option<Statistics>,
}

/// Why there is no symcache.
#[derive(Debug)]
pub(super) enum Failure {
    /// The file; the words fit after a colon.
    Input(String),
    /// The output.
    Output(io::Error),
}

/// Writes the symcache of the object `debug_id` in `bytes`; says how long it is, its checksum and what it holds.
///
/// A name map that cannot be read is left out: the addresses are right without it.
pub(super) fn convert(
    bytes: &[u8],
    debug_id: &DebugId,
    maps: NameMaps<'_>,
    means: Means,
    output: File,
) -> Result<Made, Failure> {
    let tidied = breakpad::tidy(bytes);
    let object = wanted_object(&tidied.text, debug_id, maps.bcsymbolmap, means.memory).map_err(Failure::Input)?;
    let (converter, statistics) = table(&object, debug_id, maps, means).map_err(Failure::Input)?;
    let mut writer = Counted::new(output);
    converter.serialize(&mut writer).map_err(Failure::Output)?;
    let (size, sha1) = writer.finish().map_err(Failure::Output)?;
    Ok(Made { size, sha1, statistics })
}

/// The symcaches of all objects of a file whose debug information is DWARF, or why there are none. For the fuzz target.
pub fn symcaches(bytes: &[u8], memory: u64, threads: usize) -> Result<Vec<Result<Vec<u8>, String>>, String> {
    let made = |read: crate::detect::Read<'_>| {
        let debug_id = read.debug_id.clone();
        let object = wanted_object(bytes, &debug_id, None, memory)?;
        if !has_own_reader(&object) {
            return Err("its debug information is not DWARF".to_owned());
        }
        let mut symcache = Vec::new();
        let (converter, _) = table(&object, &debug_id, NameMaps::default(), Means { memory, threads })?;
        converter.serialize(&mut symcache).map_err(|error| error.to_string())?;
        Ok(symcache)
    };
    Ok(read_objects(bytes, memory)?.into_iter().map(made).collect())
}

/// The table of an object, ready to be written, and what it holds if that was counted.
pub(super) fn table<'d, 'c>(
    object: &Object<'d>,
    debug_id: &DebugId,
    maps: NameMaps<'d>,
    means: Means,
) -> Result<(SymCacheConverter<'c>, Option<Statistics>), String> {
    let mut converter = SymCacheConverter::new();
    converter.add_transformer(OneLine);
    if let Some(mapping) = maps.il2cpp.and_then(LineMapping::parse) {
        converter.add_transformer(mapping);
    }
    let (mut converter, statistics) = if has_own_reader(object) {
        let (converter, statistics) = read_own(object, maps, means, converter)?;
        (converter, Some(statistics))
    } else {
        (session::read(object, means.memory, converter)?, None)
    };
    converter.set_arch(object.arch());
    // Ours, where symbolic would have taken another, and with the age of the request.
    converter.set_debug_id(debug_id.as_str().parse().expect("a debug id is one for symbolic too"));
    Ok((converter, statistics))
}

/// Why there is no symcache of a file that has neither.
const NAMELESS: &str = "it has no debug information and no names of code";

/// Whether debug information of this object is DWARF, which is read here.
fn has_own_reader(object: &Object<'_>) -> bool {
    match object {
        Object::Elf(_) | Object::MachO(_) | Object::Wasm(_) => true,
        Object::Pe(file) => file.has_section("debug_info"),
        _ => false,
    }
}

/// Functions of DWARF, then symbols where no function is.
fn read_own<'d, 'c>(
    object: &Object<'d>,
    maps: NameMaps<'d>,
    means: Means,
    mut converter: SymCacheConverter<'c>,
) -> Result<(SymCacheConverter<'c>, Statistics), String> {
    let lines = Rc::new(Cell::new(false));
    converter.add_transformer(LinesSeen(lines.clone()));
    let layout = Layout::of(object);
    let symbols = Symbols::read(object, &layout, means.memory);
    let common = maps.supplementary.and_then(|bytes| supplementary(bytes, means.memory));
    let sections = Sections::load(object, &layout, common.as_ref())?;
    let hidden = matches!(object, Object::MachO(_)).then_some(maps.bcsymbolmap).flatten();
    let hidden = hidden.and_then(|bytes| BcSymbolMap::parse(bytes).ok());
    let mut feed = Feed::new(converter);
    let others = Others { layout: &layout, symbols: &symbols, hidden: hidden.as_ref(), threads: means.threads };
    dwarf::read(&sections, others, &mut feed)?;
    if !lines.get()
        && let Some(section) = damaged_section(object)
    {
        return Err(format!("its section .{section} cannot be inflated; it is damaged"));
    }
    let statistics = feed.told();
    let added = symbols.add_to(&mut feed.converter, &feed.covered);
    if statistics.functions == 0
        && let Some(left_out) = statistics.left_out.first()
    {
        return Err(format!("it gives no function; left out are {} {}", left_out.count, left_out.what));
    }
    if statistics.functions + added == 0 {
        return Err(match object.has_debug_info() {
            true => "its debug information has no function with code".to_owned(),
            false => NAMELESS.to_owned(),
        });
    }
    Ok((feed.converter, statistics))
}

/// The file that `dwz` made, if it can be read.
fn supplementary(bytes: &[u8], memory: u64) -> Option<ElfObject<'_>> {
    precheck::elf(bytes, memory).ok()?;
    ElfObject::parse(bytes).ok()
}

/// The object `debug_id` in `bytes`, its hidden names brought back by a `BCSymbolMap`. What it claims of the sizes of its
/// sections has been checked.
pub(crate) fn wanted_object<'data>(
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
pub(crate) fn damaged_section(object: &Object<'_>) -> Option<&'static str> {
    let Object::Elf(elf) = object else { return None };
    ["debug_abbrev", "debug_info", "debug_line"]
        .into_iter()
        .find(|name| elf.raw_section(name).is_some() && elf.section(name).is_none())
}

#[cfg(test)]
mod tests;
