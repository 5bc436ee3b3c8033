//! Debug file -> Breakpad text: functions, lines, inlined calls, and how to unwind. The text is written from the symcache of
//! the same file, so that both say the same of every address.
//!
//! For the child process alone: the file decides how much memory and time this takes. It opens no file by a path that a
//! debug file names.

mod functions;
mod names;
mod ranges;

use std::fs::File;
use std::io::{self, Write};

use symbolic::cfi::AsciiCfiWriter;
use symbolic::debuginfo::{Object, ObjectKind};
use symbolic::symcache::SymCache;

use symdepot_types::Sha1;
use symdepot_types::child_protocol::BreakpadText;

use self::functions::functions;
use self::names::Names;
use self::ranges::Ranges;
use crate::convert::one_line::one_line;
use crate::convert::{Counted, Failure, Means, NameMaps, table, wanted_object};
use crate::detect::elf::Elf;

/// Further files that go into the text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Others<'a> {
    /// The file with the code, which has unwind information.
    pub unwinding: Option<&'a [u8]>,
    /// `BCSymbolMap`, for Mach-O.
    pub bcsymbolmap: Option<&'a [u8]>,
    /// The file that `dwz` moved common entries to, for ELF.
    pub supplementary: Option<&'a [u8]>,
}

/// Writes the text of the object in `bytes` that has the debug id; says how long it is and its checksum.
pub(super) fn dump(
    bytes: &[u8],
    text: &BreakpadText,
    others: Others<'_>,
    memory: u64,
    output: File,
) -> Result<(u64, Sha1), Failure> {
    let object = wanted_object(bytes, &text.debug_id, others.bcsymbolmap, memory).map_err(Failure::Input)?;
    // Without the code the text is of use too: then there is no way to unwind.
    let code = others.unwinding.and_then(|code| wanted_object(code, &text.debug_id, None, memory).ok());
    let os = match &object {
        Object::Elf(_) => "Linux",
        Object::MachO(_) => "Mac",
        Object::Pdb(_) | Object::Pe(_) => "windows",
        _ => return Err(Failure::Input("Breakpad text is made of ELF, Mach-O, PDB and PE files only".to_owned())),
    };
    let mut symcache = Vec::new();
    let means = Means { memory, threads: 1 };
    let maps = NameMaps { bcsymbolmap: others.bcsymbolmap, il2cpp: None, supplementary: others.supplementary };
    let (converter, _) = table(&object, &text.debug_id, maps, means).map_err(Failure::Input)?;
    converter.serialize(&mut symcache).map_err(Failure::Output)?;
    let mut writer = Counted::new(output);
    write_text(&mut writer, &symcache, &object, os, text)
        .and_then(|()| write_unwinding(&mut writer, &object, code.as_ref()))
        .map_err(Failure::Output)?;
    writer.finish().map_err(Failure::Output)
}

fn write_text(
    writer: &mut Counted,
    symcache: &[u8],
    object: &Object<'_>,
    os: &str,
    text: &BreakpadText,
) -> io::Result<()> {
    let table = SymCache::parse(symcache).map_err(io::Error::other)?;
    let ranges =
        Ranges::read(symcache).ok_or_else(|| io::Error::other("the table that was just written is cut off"))?;
    let name = own_name(object).unwrap_or(&text.name);
    let name = one_line(name.rsplit('/').next().unwrap_or(name));
    writeln!(writer, "MODULE {os} {} {} {name}", object.arch().name(), text.debug_id.breakpad())?;
    if let Some(code_id) = &text.code_id {
        let code_file = text.code_file.as_deref().map(|name| one_line(name).into_owned()).unwrap_or_default();
        let line = format!("INFO CODE_ID {} {code_file}", code_id.as_str().to_ascii_uppercase());
        writeln!(writer, "{}", line.trim_end())?;
    }
    let mut names = Names::new(!matches!(object, Object::Pdb(_) | Object::Pe(_)));
    functions(&table, &ranges, |function| {
        function.number(&mut names);
        Ok(())
    })?;
    names.write(writer)?;
    let mut fillers = fillers(object, &name).into_iter().peekable();
    let mut end = 0;
    functions(&table, &ranges, |function| {
        while let Some((address, name)) = fillers.next_if(|(address, _)| *address <= function.begin) {
            if address < function.begin && address >= end {
                writeln!(writer, "PUBLIC {address:x} 0 {name}")?;
            }
        }
        end = function.end.unwrap_or(u64::from(u32::MAX));
        function.write(&names, writer)
    })?;
    for (address, name) in fillers.filter(|(address, _)| *address >= end) {
        writeln!(writer, "PUBLIC {address:x} 0 {name}")?;
    }
    if matches!(object, Object::Pe(_) | Object::Pdb(_)) && end > 0 && end < u64::from(u32::MAX) {
        writeln!(writer, "PUBLIC {end:x} 0 <unknown in {name}>")?;
    }
    Ok(())
}

/// A name that the object has in itself.
fn own_name<'o>(object: &'o Object<'_>) -> Option<&'o str> {
    match object {
        Object::Elf(elf) => elf.name(),
        Object::MachO(macho) => macho.name(),
        _ => None,
    }
    .filter(|name| !name.is_empty())
}

/// Where sections with code begin. A `PUBLIC` record has no end, so that the last one before a section would go on into it
/// unless something stood at its beginning.
fn fillers(object: &Object<'_>, name: &str) -> Vec<(u64, String)> {
    let Object::Elf(file) = object else { return Vec::new() };
    if object.kind() == ObjectKind::Relocatable {
        return Vec::new();
    }
    let base = file.load_address();
    let mut fillers: Vec<_> = Elf::code_sections(file.data())
        .into_iter()
        .filter_map(|(section, address)| {
            let address = address.checked_sub(base).filter(|address| *address < u64::from(u32::MAX))?;
            Some((address, format!("<{} ELF section in {name}>", one_line(&section))))
        })
        .collect();
    fillers.sort();
    fillers.dedup_by_key(|(address, _)| *address);
    fillers
}

/// How to unwind: from the file with the code, and from the debug file itself, because some have it in both. A PDB has only
/// what its executable has too.
fn write_unwinding<'o>(writer: &mut Counted, object: &Object<'o>, code: Option<&Object<'o>>) -> io::Result<()> {
    let code = code.filter(|code| code.has_unwind_info());
    let own = object.has_unwind_info().then_some(object);
    let mut lines = Vec::new();
    if let Some(first) = code.or(own) {
        // What could be read is of use although the rest could not.
        drop(AsciiCfiWriter::new(&mut lines).process(first));
        writer.write_all(&lines)?;
    }
    if code.is_some()
        && let Some(own) = own.filter(|own| !matches!(own, Object::Pdb(_)))
    {
        lines.clear();
        // Sections that were emptied cannot be read, and have nothing to say.
        if AsciiCfiWriter::new(&mut lines).process(own).is_ok() {
            writer.write_all(&lines)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
