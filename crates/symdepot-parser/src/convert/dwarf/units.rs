//! The units of `.debug_info`, and references between them. A unit that cannot be read is one that nothing refers to.

use std::sync::OnceLock;

use gimli::{AttributeValue, UnitHeader, UnitOffset, UnitSectionOffset, constants};
use symbolic::common::Language;

use super::sections::{Sections, Slice};

/// One unit, opened.
#[derive(Debug)]
pub(super) struct Unit<'d> {
    /// What gimli knows of it.
    pub unit: gimli::Unit<Slice<'d>>,
    /// Its language; partial units have none.
    pub language: Option<Language>,
}

/// All units of one file.
pub(super) struct Units<'d> {
    /// The sections.
    pub dwarf: gimli::Dwarf<Slice<'d>>,
    headers: Vec<UnitHeader<Slice<'d>>>,
    /// Those that others refer to.
    opened: Vec<OnceLock<Option<Box<Unit<'d>>>>>,
    /// Why the last unit is not the end of the section.
    pub cut: Option<gimli::Error>,
}

/// The units of an object, and of the file that `dwz` moved common entries to.
pub(super) struct Program<'d> {
    /// Those of the object.
    pub main: Units<'d>,
    /// The common ones.
    pub supplementary: Option<Units<'d>>,
}

/// An entry of debug information.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a, 'd> {
    /// The file it is in.
    pub units: &'a Units<'d>,
    /// The unit it is in.
    pub unit: &'a Unit<'d>,
    /// Where in the unit.
    pub offset: UnitOffset,
}

impl<'d> Program<'d> {
    /// Finds the units of both files.
    pub(super) fn new(sections: &'d Sections<'_>) -> Self {
        let mut main = sections.dwarf();
        main.populate_abbreviations_cache(gimli::AbbreviationsCacheStrategy::Duplicates);
        Self { main: Units::new(main), supplementary: sections.supplementary_dwarf().map(Units::new) }
    }

    /// The entry that an attribute of `from` refers to.
    pub(super) fn follow<'a>(&'a self, from: Entry<'a, 'd>, value: AttributeValue<Slice<'d>>) -> Option<Entry<'a, 'd>> {
        match value {
            AttributeValue::UnitRef(offset) => Some(Entry { offset, ..from }),
            AttributeValue::DebugInfoRef(offset) => {
                // Most references by section offset stay in their unit all the same.
                let section = UnitSectionOffset(offset.0);
                if let Some(offset) = section.to_unit_offset(&from.unit.unit.header) {
                    return Some(Entry { offset, ..from });
                }
                from.units.find(section)
            }
            AttributeValue::DebugInfoRefSup(offset) => self.supplementary.as_ref()?.find(UnitSectionOffset(offset.0)),
            _ => None,
        }
    }
}

impl<'d> Units<'d> {
    fn new(dwarf: gimli::Dwarf<Slice<'d>>) -> Self {
        let (mut headers, mut cut) = (Vec::new(), None);
        let mut iterator = dwarf.units();
        loop {
            match iterator.next() {
                Ok(Some(header)) => headers.push(header),
                Ok(None) => break,
                Err(error) => {
                    cut = Some(error);
                    break;
                }
            }
        }
        let opened = headers.iter().map(|_| OnceLock::new()).collect();
        Self { dwarf, headers, opened, cut }
    }

    /// How many units there are.
    pub(super) fn len(&self) -> usize {
        self.headers.len()
    }

    /// Opens a unit; those of types have no code and are `None`.
    pub(super) fn open(&self, index: usize) -> gimli::Result<Option<Unit<'d>>> {
        let header = self.headers[index];
        if matches!(header.type_(), gimli::UnitType::Type { .. } | gimli::UnitType::SplitType { .. }) {
            return Ok(None);
        }
        let unit = match self.dwarf.unit(header) {
            Ok(unit) => unit,
            // Some tools leave units without a single entry.
            Err(gimli::Error::MissingUnitDie) => return Ok(None),
            Err(error) => return Err(error),
        };
        let language = language(&unit)?;
        Ok(Some(Unit { unit, language }))
    }

    /// The entry at an offset of the section.
    fn find(&self, at: UnitSectionOffset) -> Option<Entry<'_, 'd>> {
        let index = self.headers.partition_point(|header| header.offset() <= at).checked_sub(1)?;
        let unit = self.opened[index].get_or_init(|| self.open(index).ok().flatten().map(Box::new)).as_deref()?;
        Some(Entry { units: self, unit, offset: at.to_unit_offset(&unit.unit.header)? })
    }
}

fn language(unit: &gimli::Unit<Slice<'_>>) -> gimli::Result<Option<Language>> {
    let mut entries = unit.entries_raw(None)?;
    let Some(abbreviation) = entries.read_abbreviation()? else { return Ok(None) };
    for attribute in abbreviation.attributes() {
        let attribute = entries.read_attribute(*attribute)?;
        if let (constants::DW_AT_language, AttributeValue::Language(language)) = (attribute.name(), attribute.value()) {
            return Ok(Some(known(language)));
        }
    }
    Ok(None)
}

/// The languages that a symcache can name.
fn known(language: gimli::DwLang) -> Language {
    match language {
        constants::DW_LANG_C
        | constants::DW_LANG_C89
        | constants::DW_LANG_C99
        | constants::DW_LANG_C11
        | constants::DW_LANG_C17 => Language::C,
        constants::DW_LANG_C_plus_plus
        | constants::DW_LANG_C_plus_plus_03
        | constants::DW_LANG_C_plus_plus_11
        | constants::DW_LANG_C_plus_plus_14
        | constants::DW_LANG_C_plus_plus_17
        | constants::DW_LANG_C_plus_plus_20 => Language::Cpp,
        constants::DW_LANG_D => Language::D,
        constants::DW_LANG_Go => Language::Go,
        constants::DW_LANG_ObjC => Language::ObjC,
        constants::DW_LANG_ObjC_plus_plus => Language::ObjCpp,
        constants::DW_LANG_Rust => Language::Rust,
        constants::DW_LANG_Swift => Language::Swift,
        _ => Language::Unknown,
    }
}
