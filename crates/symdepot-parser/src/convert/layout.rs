//! Where the code of an object lies, and from where its addresses count. It never changes an address by guessing: what
//! lies outside of what the format can say is left out and counted.
//!
//! - An ELF file counts from the lowest segment that is mapped together with its code. The first segment need not be the
//!   lowest (linker scripts), and a segment far from all code, such as the per-CPU one of a kernel at 0, is not mapped there.
//! - A relocatable ELF file has no addresses yet: `.text` comes first, then its other executable sections in the order of
//!   their headers, those of `.init` last, each at its alignment, as Linux lays out a module.
//! - Of Mach-O and PE it is the image base; WebAssembly counts from the beginning of the file, as engines do, where its
//!   debug information counts from the beginning of the code section.

use object::elf::{self, FileHeader32, FileHeader64};
use object::endian::Endianness;
use object::read::elf::{FileHeader, ProgramHeader as _, SectionHeader as _};
use symbolic::debuginfo::Object;

/// A symcache holds offsets below this.
const FARTHEST: u64 = u32::MAX as u64;

/// Where code is.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    base: u64,
    /// Executable ranges, sorted; empty if the format does not say.
    code: Vec<(u64, u64)>,
    /// Of relocatable files: the address of each section, by index.
    sections: Vec<Option<u64>>,
    /// Whether bit 0 of a function symbol tells the instruction set.
    thumb: bool,
}

impl Layout {
    /// Reads the headers of an object.
    pub(crate) fn of(object: &Object<'_>) -> Self {
        match object {
            Object::Elf(file) => {
                let data = file.data();
                let read = if data.get(4) == Some(&1) {
                    Self::elf::<FileHeader32<Endianness>>(data)
                } else {
                    Self::elf::<FileHeader64<Endianness>>(data)
                };
                read.unwrap_or_else(|| Self { base: file.load_address(), ..Self::default() })
            }
            Object::Wasm(file) => Self { base: 0_u64.wrapping_sub(file.code_offset()), ..Self::default() },
            _ => Self { base: object.load_address(), ..Self::default() },
        }
    }

    fn elf<H: FileHeader<Endian = Endianness>>(data: &[u8]) -> Option<Self> {
        let header = H::parse(data).ok()?;
        let endian = header.endian().ok()?;
        let mut layout = Self { thumb: header.e_machine(endian) == elf::EM_ARM, ..Self::default() };
        let sections = header.sections(endian, data).ok();
        if header.e_type(endian) == elf::ET_REL {
            layout.place(&sections?, endian);
            return Some(layout);
        }
        let mut loads = Vec::new();
        for segment in header.program_headers(endian, data).unwrap_or_default() {
            if segment.p_type(endian) == elf::PT_LOAD {
                let start: u64 = segment.p_vaddr(endian).into();
                let size: u64 = segment.p_memsz(endian).into();
                let executable = segment.p_flags(endian).contains(elf::PF_X);
                loads.push((start, start.saturating_add(size), executable));
            }
        }
        for section in sections.iter().flat_map(|sections| sections.iter()) {
            let flags = section.sh_flags(endian);
            if flags.contains(elf::SHF_ALLOC) && flags.contains(elf::SHF_EXECINSTR) {
                let (start, size): (u64, u64) = (section.sh_addr(endian).into(), section.sh_size(endian).into());
                layout.code.push((start, start.saturating_add(size)));
            }
        }
        if layout.code.is_empty() {
            layout.code = loads.iter().filter(|load| load.2).map(|load| (load.0, load.1)).collect();
        }
        layout.code.sort_unstable();
        layout.base = base(&loads, layout.code.first().map(|code| code.0));
        Some(layout)
    }

    /// Lays out the executable sections of a relocatable file.
    fn place<H: FileHeader<Endian = Endianness>>(
        &mut self,
        sections: &object::read::elf::SectionTable<'_, H>,
        endian: Endianness,
    ) {
        let mut wanted: Vec<_> = Vec::new();
        for (index, section) in sections.iter().enumerate() {
            let flags = section.sh_flags(endian);
            if flags.contains(elf::SHF_ALLOC) && flags.contains(elf::SHF_EXECINSTR) {
                let name = sections.section_name(endian, section).unwrap_or_default();
                let rank = if name == b".text" { 0 } else { 1 + usize::from(name.starts_with(b".init")) };
                wanted.push((rank, index, section));
            }
        }
        wanted.sort_unstable_by_key(|&(rank, index, _)| (rank, index));
        self.sections = vec![None; sections.len()];
        let mut end: u64 = 0;
        for (_, index, section) in wanted {
            let align = section.sh_addralign(endian).into().max(1);
            let start = end.checked_next_multiple_of(align).unwrap_or(u64::MAX);
            end = start.saturating_add(section.sh_size(endian).into());
            self.sections[index] = Some(start);
            self.code.push((start, end));
        }
    }

    /// Of a relocatable file: where the section lies. Those without code lie at 0, as their own offsets say.
    pub(crate) fn section_address(&self, index: usize) -> u64 {
        self.sections.get(index).copied().flatten().unwrap_or(0)
    }

    /// Whether this is a file that is not linked yet.
    pub(crate) fn is_relocatable(&self) -> bool {
        !self.sections.is_empty()
    }

    /// Whether bit 0 of a function symbol is no part of its address (the Arm ELF specification).
    pub(crate) fn is_thumb(&self) -> bool {
        self.thumb
    }

    /// What addresses count from.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// Whether there is code at the address. Linkers leave debug information of what they dropped behind, at 0 or nearby.
    pub(crate) fn is_code(&self, address: u64) -> bool {
        if self.code.is_empty() {
            return address != 0;
        }
        let after = self.code.partition_point(|code| code.0 <= address);
        self.code[..after].iter().rev().take(4).any(|code| address < code.1)
    }

    /// The offset that a symcache has for the address.
    pub(crate) fn offset(&self, address: u64) -> Option<u64> {
        let offset = address.wrapping_sub(self.base);
        (offset < FARTHEST).then_some(offset)
    }
}

/// The lowest of the segments that lie within reach of the lowest code.
fn base(loads: &[(u64, u64, bool)], first_code: Option<u64>) -> u64 {
    let code = loads.iter().filter(|load| load.2).map(|load| load.0).min().or(first_code);
    let near = |start: u64| code.is_none_or(|code| start > code || code - start < FARTHEST);
    loads.iter().map(|load| load.0).filter(|start| near(*start)).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_count_from_the_lowest_segment_near_the_code() {
        assert_eq!(base(&[(0x600000, 0x601000, false), (0x200000, 0x202000, true)], None), 0x200000);
        let kernel = 0xffff_ffff_8100_0000;
        assert_eq!(base(&[(kernel, kernel + 9, true), (0, 0x1000, false)], None), kernel);
        assert_eq!(base(&[(0x40_0000, 1, false), (0x40_1000, 2, true), (0x9_0000_0000, 3, true)], None), 0x40_0000);
        assert_eq!(base(&[], Some(7)), 0);
    }

    #[test]
    fn what_a_symcache_cannot_hold_has_no_offset() {
        let layout = Layout { base: 0x1000, ..Layout::default() };
        assert_eq!(layout.offset(0x1004), Some(4));
        assert_eq!(layout.offset(0xfff), None);
        assert_eq!(layout.offset(0x1000 + FARTHEST), None);
    }
}
