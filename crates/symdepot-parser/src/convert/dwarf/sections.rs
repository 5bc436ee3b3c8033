//! The DWARF sections of an object, inflated and relocated, and those of the file that `dwz` moved common entries to. It
//! loads only what functions and lines need.

use std::borrow::Cow;
use std::sync::Arc;

use gimli::{EndianSlice, RunTimeEndian, SectionId};
use symbolic::debuginfo::Object;
use symbolic::debuginfo::dwarf::{Dwarf, DwarfSection};
use symbolic::debuginfo::elf::ElfObject;

use crate::convert::layout::Layout;
use crate::convert::relocations;

/// How gimli reads a section.
pub(super) type Slice<'a> = EndianSlice<'a, RunTimeEndian>;

/// The bytes of all sections.
pub(in crate::convert) struct Sections<'data> {
    main: gimli::DwarfSections<Cow<'data, [u8]>>,
    supplementary: Option<gimli::DwarfSections<Cow<'data, [u8]>>>,
    endian: RunTimeEndian,
}

impl<'data> Sections<'data> {
    /// Loads the sections of an object. What a section lacks reads as empty; only a relocation is a reason to refuse.
    pub(in crate::convert) fn load(
        object: &Object<'data>,
        layout: &Layout,
        supplementary: Option<&ElfObject<'data>>,
    ) -> Result<Self, String> {
        let main = gimli::DwarfSections::load(|id| {
            if !is_needed(id) {
                return Ok(Cow::default());
            }
            let bytes = section(object, &id.name()[1..]).map(|section| section.data).unwrap_or_default();
            match object {
                Object::Elf(file) if layout.is_relocatable() => {
                    relocations::apply(file.data(), layout, &id.name()[1..], bytes)
                }
                _ => Ok(bytes),
            }
        })?;
        let load = |id: SectionId| {
            let file = supplementary.filter(|_| is_needed(id));
            let section = file.and_then(|file| file.section(&id.name()[1..]));
            Ok::<_, String>(section.map(|section| section.data).unwrap_or_default())
        };
        let supplementary = supplementary.map(|_| gimli::DwarfSections::load(load)).transpose()?;
        Ok(Self { main, supplementary, endian: endian(object) })
    }

    /// The sections as gimli reads them.
    pub(super) fn dwarf(&self) -> gimli::Dwarf<Slice<'_>> {
        let mut dwarf = self.main.borrow(|section| EndianSlice::new(section, self.endian));
        dwarf.sup = self.supplementary_dwarf().map(Arc::new);
        dwarf
    }

    /// The sections of the file that `dwz` moved common entries to.
    pub(super) fn supplementary_dwarf(&self) -> Option<gimli::Dwarf<Slice<'_>>> {
        Some(self.supplementary.as_ref()?.borrow(|section| EndianSlice::new(section, self.endian)))
    }

    /// How many bytes there are to read.
    pub(super) fn size(&self) -> u64 {
        let sizes = |sections: &gimli::DwarfSections<Cow<'data, [u8]>>| {
            let mut size = 0;
            sections.borrow(|section| {
                size += section.len() as u64;
                EndianSlice::new(section, self.endian)
            });
            size
        };
        sizes(&self.main) + self.supplementary.as_ref().map_or(0, sizes)
    }
}

fn is_needed(id: SectionId) -> bool {
    use SectionId as S;
    matches!(
        id,
        S::DebugAbbrev
            | S::DebugAddr
            | S::DebugInfo
            | S::DebugLine
            | S::DebugLineStr
            | S::DebugRanges
            | S::DebugRngLists
            | S::DebugStr
            | S::DebugStrOffsets
    )
}

fn section<'data>(object: &Object<'data>, name: &str) -> Option<DwarfSection<'data>> {
    match object {
        Object::Elf(file) => file.section(name),
        Object::MachO(file) => file.section(name),
        Object::Pe(file) => Dwarf::section(file, name),
        Object::Wasm(file) => file.section(name),
        _ => None,
    }
}

fn endian(object: &Object<'_>) -> RunTimeEndian {
    match object {
        Object::Elf(file) => file.endianity(),
        Object::MachO(file) => file.endianity(),
        Object::Pe(file) => file.endianity(),
        _ => RunTimeEndian::Little,
    }
}
