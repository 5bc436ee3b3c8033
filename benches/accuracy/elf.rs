//! The executable sections of an ELF file, a sample of their addresses, and a copy of the file without symbol tables.

use std::io::Write as _;
use std::ops::Range;

use object::elf::{PF_X, SHT_DYNSYM, SHT_PROGBITS, SHT_SYMTAB};
use object::read::elf::FileHeader;
use object::{Endianness, Object as _, ObjectSection as _, ObjectSegment as _, SectionFlags};
use tempfile::NamedTempFile;

/// Where the code of a file is.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Lowest address that is mapped with the code; symcaches count from it.
    pub base: u64,
    /// Executable sections.
    pub code: Vec<Range<u64>>,
    /// File offsets of the type fields of the symbol tables' section headers.
    pub symbol_table_types: Vec<usize>,
    /// Whether numbers in the file are little-endian.
    pub little_endian: bool,
}

impl Layout {
    /// Reads the layout; the error says why the file is not compared.
    pub fn of(bytes: &[u8]) -> Result<Self, String> {
        let file = object::File::parse(bytes).map_err(|error| error.to_string())?;
        if file.format() != object::BinaryFormat::Elf {
            return Err("is not an ELF file".to_owned());
        }
        if file.section_by_name(".debug_info").is_none() && file.section_by_name(".zdebug_info").is_none() {
            return Err("has no DWARF".to_owned());
        }
        if file.kind() == object::ObjectKind::Relocatable {
            return Err("is relocatable: the tools answer for a linked copy only".to_owned());
        }
        let is_code = |section: &object::Section<'_, '_>| match section.flags() {
            SectionFlags::Elf { sh_flags, .. } => sh_flags.0 & object::elf::SHF_EXECINSTR.0 != 0,
            _ => false,
        };
        let mut code: Vec<_> = file
            .sections()
            .filter(|section| is_code(section) && section.size() > 0)
            .map(|section| section.address()..section.address() + section.size())
            .collect();
        code.sort_by_key(|range| range.start);
        if code.is_empty() {
            return Err("has no code".to_owned());
        }
        let base = base(&file, &code);
        let symbol_table_types = match file {
            object::File::Elf32(_) => symbol_table_types::<object::elf::FileHeader32<Endianness>>(bytes)?,
            _ => symbol_table_types::<object::elf::FileHeader64<Endianness>>(bytes)?,
        };
        Ok(Self { base, code, symbol_table_types, little_endian: file.is_little_endian() })
    }
}

/// The lowest loaded segment of the group that holds the first code: a per-CPU segment at address 0 is not it.
fn base(file: &object::File<'_>, code: &[Range<u64>]) -> u64 {
    let lowest = file.segments().map(|segment| segment.address()).min().unwrap_or(0);
    let with_code = file
        .segments()
        .filter(|segment| match segment.flags() {
            object::SegmentFlags::Elf { p_flags, .. } => p_flags.0 & PF_X.0 != 0,
            _ => false,
        })
        .map(|segment| segment.address())
        .min();
    match with_code {
        // Kernels map their text far above: 2 GiB and more are no part of the same image.
        Some(text) if text - lowest > 1 << 31 => text,
        Some(_) => lowest,
        None => code.first().map_or(lowest, |first| lowest.min(first.start)),
    }
}

fn symbol_table_types<H: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Result<Vec<usize>, String> {
    let header = H::parse(bytes).map_err(|error| error.to_string())?;
    let endian = header.endian().map_err(|error| error.to_string())?;
    let sections = header.section_headers(endian, bytes).map_err(|error| error.to_string())?;
    let start: u64 = header.e_shoff(endian).into();
    let size = u64::from(header.e_shentsize(endian));
    let mut found = Vec::new();
    for (index, section) in sections.iter().enumerate() {
        use object::read::elf::SectionHeader as _;
        if matches!(section.sh_type(endian), SHT_SYMTAB | SHT_DYNSYM) {
            found.push(usize::try_from(start + index as u64 * size + 4).map_err(|error| error.to_string())?);
        }
    }
    Ok(found)
}

/// A copy of the file in which no section is a symbol table.
pub fn without_symbols(bytes: &[u8], layout: &Layout) -> Result<NamedTempFile, String> {
    let mut copy = bytes.to_vec();
    for at in &layout.symbol_table_types {
        let kind = if layout.little_endian { SHT_PROGBITS.0.to_le_bytes() } else { SHT_PROGBITS.0.to_be_bytes() };
        copy[*at..*at + 4].copy_from_slice(&kind);
    }
    let mut file = NamedTempFile::new().map_err(|error| error.to_string())?;
    file.write_all(&copy).map_err(|error| error.to_string())?;
    Ok(file)
}

/// Every address of the ranges, or `most` of them chosen by a fixed seed; ascending.
pub fn sample(code: &[Range<u64>], most: usize) -> Vec<u64> {
    let all: u64 = code.iter().map(|range| range.end - range.start).sum();
    if all <= most as u64 {
        return code.iter().flat_map(Clone::clone).collect();
    }
    let mut state = 0x5eed_5eed_5eed_5eed_u64;
    let mut chosen: Vec<u64> = (0..most)
        .map(|_| {
            // SplitMix64, the same sequence on every machine.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let mut at = (mixed ^ (mixed >> 31)) % all;
            for range in code {
                let size = range.end - range.start;
                if at < size {
                    return range.start + at;
                }
                at -= size;
            }
            code[0].start
        })
        .collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}
