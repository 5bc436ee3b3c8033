//! Which symbols of an ELF file name code: functions and labels in sections that can run. Never data, never what is defined
//! elsewhere, never the marks that assemblers leave (`$a`, `$t`, `$d`, `$x`, `.L…`).
//!
//! Of code that BOLT moved the table names the new place alone; in the old section it names what stayed there.

use std::borrow::Cow;

use object::read::elf::{FileHeader, SectionHeader as _, SectionTable, Sym as _};
use object::{Endianness, SymbolIndex, elf};

use super::choose::{Binding, Candidate};
use super::mini;
use crate::convert::layout::Layout;

/// The names of code in an ELF file, and in the small one that it may have inside of it.
pub(super) fn candidates<'d>(data: &'d [u8], layout: &Layout, memory: u64) -> Vec<Candidate<'d>> {
    let mut candidates = in_tables(data, layout);
    if let Some(inner) = mini::unpack(data, memory) {
        // The small file does not outlive this call.
        let names = in_tables(&inner, layout).into_iter().map(Candidate::into_owned).collect::<Vec<_>>();
        candidates.extend(names);
    }
    candidates
}

fn in_tables<'d>(data: &'d [u8], layout: &Layout) -> Vec<Candidate<'d>> {
    let read = match data.get(4) {
        Some(1) => read::<elf::FileHeader32<Endianness>>(data, layout),
        Some(2) => read::<elf::FileHeader64<Endianness>>(data, layout),
        _ => None,
    };
    read.unwrap_or_default()
}

fn read<'d, H: FileHeader<Endian = Endianness>>(data: &'d [u8], layout: &Layout) -> Option<Vec<Candidate<'d>>> {
    let header = H::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, data).ok()?;
    let code = code(endian, &sections, layout);
    let mut candidates = Vec::new();
    for kind in [elf::SHT_DYNSYM, elf::SHT_SYMTAB] {
        let Ok(table) = sections.symbols(endian, data, kind) else { continue };
        let strings = table.strings();
        for (index, symbol) in table.iter().enumerate().skip(1) {
            let function = matches!(symbol.st_type(), elf::STT_FUNC | elf::STT_GNU_IFUNC);
            if !function && symbol.st_type() != elf::STT_NOTYPE {
                continue;
            }
            let Ok(Some(section)) = table.symbol_section(endian, symbol, SymbolIndex(index)) else { continue };
            let Some(Some((begin, end))) = code.get(section.0) else { continue };
            let mut address: u64 = symbol.st_value(endian).into();
            if layout.is_relocatable() {
                address = address.saturating_add(layout.section_address(section.0));
            }
            if layout.is_thumb() && function {
                // Bit 0 says that the code is Thumb.
                address &= !1;
            }
            let Ok(name) = symbol.name(endian, strings) else { continue };
            let Some(offset) = layout.offset(address).filter(|_| address >= *begin && names_code(name, function))
            else {
                continue;
            };
            let name = String::from_utf8_lossy(name);
            let length = shown(&name).len();
            candidates.push(Candidate {
                begin: offset,
                size: symbol.st_size(endian).into(),
                limit: end.saturating_sub(layout.base()),
                function,
                binding: match symbol.st_bind() {
                    elf::STB_LOCAL => Binding::Local,
                    elf::STB_WEAK => Binding::Weak,
                    _ => Binding::Global,
                },
                variant: length != name.len(),
                name: cut(name, length),
            });
        }
    }
    Some(candidates)
}

/// For each section, where it begins and ends if it holds code.
fn code<H: FileHeader<Endian = Endianness>>(
    endian: Endianness,
    sections: &SectionTable<'_, H>,
    layout: &Layout,
) -> Vec<Option<(u64, u64)>> {
    let range = |(index, section): (usize, &H::SectionHeader)| {
        let flags = section.sh_flags(endian);
        let runs = flags.contains(elf::SHF_ALLOC) && flags.contains(elf::SHF_EXECINSTR);
        let begin =
            if layout.is_relocatable() { layout.section_address(index) } else { section.sh_addr(endian).into() };
        runs.then_some((begin, begin.saturating_add(section.sh_size(endian).into())))
    };
    sections.iter().enumerate().map(range).collect()
}

/// Whether a name says anything of code. Marks of assemblers tell data in code apart, and jump targets.
fn names_code(name: &[u8], function: bool) -> bool {
    match name {
        [] => false,
        [b'.', b'L', ..] => false,
        [b'$', b'a' | b't' | b'd' | b'x', rest @ ..] if !function => {
            !matches!(rest, [] | [b'.', ..] | [b'r', b'v', ..])
        }
        _ => true,
    }
}

/// The name without its version (`f@@V2`) and without the calling convention that Go adds (`f.abi0`).
fn shown(name: &str) -> &str {
    let name = name.strip_suffix(".abi0").unwrap_or(name);
    match name.find('@') {
        Some(at) if at > 0 && !name[at..].eq("@plt") => &name[..at],
        _ => name,
    }
}

fn cut(name: Cow<'_, str>, length: usize) -> Cow<'_, str> {
    match name {
        Cow::Borrowed(name) => name[..length].into(),
        Cow::Owned(mut name) => {
            name.truncate(length);
            name.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_assemblers_are_no_names_and_versions_are_not_shown() {
        for (name, function, is) in [
            ("main", true, true),
            ("bare_label", false, true),
            ("$a", false, false),
            ("$x.12", false, false),
            ("$xrv64i2p1_m2p0", false, false),
            ("$dollar", false, true),
            ("$a", true, true),
            (".Lloop", false, false),
            ("", true, false),
        ] {
            assert_eq!(names_code(name.as_bytes(), function), is, "{name}");
        }
        for (name, expected) in [
            ("versioned@@V2", "versioned"),
            ("versioned@V1", "versioned"),
            ("runtime.memmove.abi0", "runtime.memmove"),
            ("puts@plt", "puts@plt"),
            ("@odd", "@odd"),
        ] {
            assert_eq!(shown(name), expected);
        }
    }
}
