//! Symbols of PE and Mach-O files, and of the formats of which symbolic's list is right. It never looks at ELF.

use object::read::coff::Symbol as _;
use object::read::pe::PeFile;
use object::{LittleEndian, Object as _, ObjectSection as _, ObjectSymbol as _, pe};
use symbolic::debuginfo::Object;

use super::choose::{Binding, Candidate};
use super::undecorated;
use crate::convert::layout::Layout;

/// Names of the header of a Mach-O file.
const MACH_HEADERS: [&str; 3] = ["mh_execute_header", "mh_dylib_header", "mh_bundle_header"];

/// Tables of pointers that MinGW lays between code.
const LISTS: [&str; 2] = ["_CTOR_LIST__", "_DTOR_LIST__"];

/// Exports of a PE file, and the symbols of COFF that MinGW and LLVM leave in it.
pub(super) fn pe(data: &[u8]) -> Vec<Candidate<'_>> {
    match object::FileKind::parse(data) {
        Ok(object::FileKind::Pe32) => pe_as::<pe::ImageNtHeaders32>(data, true),
        Ok(object::FileKind::Pe64) => pe_as::<pe::ImageNtHeaders64>(data, false),
        _ => Vec::new(),
    }
}

fn pe_as<H: object::read::pe::ImageNtHeaders>(data: &[u8], is_32_bit: bool) -> Vec<Candidate<'_>> {
    let Ok(file) = PeFile::<H>::parse(data) else { return Vec::new() };
    let base = file.relative_address_base();
    // From, to; by the number of the section.
    let mut code: Vec<Option<(u64, u64)>> = vec![None];
    for section in file.section_table().iter() {
        let characteristics = section.characteristics.get(LittleEndian);
        let runs =
            characteristics.contains(pe::IMAGE_SCN_MEM_EXECUTE) || characteristics.contains(pe::IMAGE_SCN_CNT_CODE);
        let begin = u64::from(section.virtual_address.get(LittleEndian));
        let size = section.virtual_size.get(LittleEndian).max(section.size_of_raw_data.get(LittleEndian));
        code.push(runs.then_some((begin, begin + u64::from(size))));
    }
    let (mut candidates, mut borders) = (Vec::new(), Vec::new());
    for symbol in file.symbols() {
        let raw = symbol.coff_symbol();
        let class = raw.storage_class;
        let global = class == pe::IMAGE_SYM_CLASS_EXTERNAL;
        if !global && class != pe::IMAGE_SYM_CLASS_STATIC && class != pe::IMAGE_SYM_CLASS_LABEL {
            continue;
        }
        let Some((begin, end)) = symbol.section_index().and_then(|index| code.get(index.0).copied().flatten()) else {
            continue;
        };
        let (Ok(name), Some(address)) = (symbol.name(), symbol.address().checked_sub(base)) else { continue };
        if address < begin {
            continue;
        }
        if name.starts_with('.') {
            // Here the part of another object file begins.
            borders.push(address);
            continue;
        }
        if LISTS.iter().any(|list| name.ends_with(list)) {
            continue;
        }
        let function = raw.derived_type() == pe::IMAGE_SYM_DTYPE_FUNCTION;
        let binding = if global { Binding::Global } else { Binding::Local };
        let name = undecorated(name, is_32_bit).into();
        candidates.push(Candidate { begin: address, limit: end, function, binding, name, ..Candidate::default() });
    }
    let exports = file.export_table().ok().flatten().and_then(|table| table.exports().ok()).unwrap_or_default();
    for export in exports {
        let (object::read::pe::ExportTarget::Address(address), Some(name)) = (export.target, export.name) else {
            continue;
        };
        let Ok(name) = std::str::from_utf8(name) else { continue };
        let address = u64::from(address);
        let Some((_, end)) = code.iter().flatten().find(|(begin, end)| (*begin..*end).contains(&address)) else {
            continue;
        };
        let name = undecorated(name, is_32_bit).into();
        // An export may be called otherwise than the function: it only names what nothing else does.
        candidates.push(Candidate { begin: address, limit: *end, variant: true, name, ..Candidate::default() });
    }
    borders.sort_unstable();
    for candidate in &mut candidates {
        let next = borders.partition_point(|border| *border <= candidate.begin);
        candidate.limit = borders.get(next).map_or(candidate.limit, |border| candidate.limit.min(*border));
    }
    candidates
}

/// Symbols of a Mach-O file, the underscore of C cut; `object` knows the names that were hidden.
pub(super) fn macho<'d>(data: &'d [u8], layout: &Layout, object: &Object<'d>) -> Vec<Candidate<'d>> {
    let mut code = Vec::new();
    if let Ok(file) = object::File::parse(data) {
        for section in file.sections() {
            if section.kind() == object::SectionKind::Text
                && let Some(begin) = layout.offset(section.address())
            {
                code.push((begin, begin.saturating_add(section.size())));
            }
        }
    }
    let within = |address: u64| code.iter().find(|(begin, end)| (*begin..*end).contains(&address)).map(|(_, end)| *end);
    let first = code.iter().map(|(begin, _)| *begin).min().unwrap_or(0);
    let named = object.symbols().filter_map(|symbol| {
        let name = symbol.name?;
        let header = MACH_HEADERS.iter().any(|header| name.trim_start_matches('_') == *header);
        // The header is no code, and ends where code begins.
        let limit = if header { first } else { within(symbol.address)? };
        // Assemblers mark places for themselves.
        let mark = name.starts_with("ltmp") || name.starts_with("Ltmp");
        (!mark).then_some(Candidate {
            begin: symbol.address,
            size: symbol.size,
            limit,
            function: true,
            binding: Binding::Global,
            variant: false,
            name,
        })
    });
    named.collect()
}

/// Symbols of WASM, Breakpad text and PDBs as symbolic has them. They end where the next one begins.
pub(super) fn others<'d>(object: &Object<'d>) -> Vec<Candidate<'d>> {
    let is_32_bit = object.arch() == symbolic::common::Arch::X86;
    let pdb = matches!(object, Object::Pdb(_));
    let named = object.symbols().filter_map(|symbol| {
        let mut name = symbol.name?;
        if pdb {
            name = undecorated(&name, is_32_bit).to_owned().into();
        }
        Some(Candidate {
            begin: symbol.address,
            size: symbol.size,
            limit: u64::from(u32::MAX),
            function: true,
            name,
            ..Candidate::default()
        })
    });
    named.collect()
}
