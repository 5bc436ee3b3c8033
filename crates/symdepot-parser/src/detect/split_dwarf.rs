//! Split DWARF: files whose debug information was left behind in `.dwo` files, which the uploader should know.
//!
//! It reads the abbreviations only, which are small, and never the debug information itself.

use std::io::Read as _;

use super::elf::{Elf, Method};

/// Abbreviations longer than this are not looked at.
const LONGEST: u64 = 64 << 20;

const COMPILE_UNIT: u64 = 0x11;
const SKELETON_UNIT: u64 = 0x4a;
const DWO_NAME: u64 = 0x76;
const GNU_DWO_NAME: u64 = 0x2130;
const IMPLICIT_CONST: u64 = 0x21;

/// What the uploader should know of a file with split DWARF, if it is one.
pub(super) fn note(elf: &Elf<'_>) -> Option<String> {
    let section = elf.section(b".debug_abbrev").or_else(|| elf.section(b".zdebug_abbrev"))?;
    let inflated;
    let abbreviations = match elf.compression(section) {
        None => section.data,
        Some(compressed) if compressed.inflated > LONGEST => return None,
        Some(compressed) => {
            let mut bytes = Vec::new();
            match compressed.method {
                Method::Zlib => {
                    flate2::read::ZlibDecoder::new(compressed.data).take(LONGEST).read_to_end(&mut bytes).ok()?;
                }
                Method::Zstd => {
                    zstd::Decoder::new(compressed.data).ok()?.take(LONGEST).read_to_end(&mut bytes).ok()?;
                }
                Method::Other => return None,
            }
            inflated = bytes;
            &inflated
        }
    };
    let units = Units::count(abbreviations);
    let which = match units {
        Units { split: 0, .. } => return None,
        Units { whole: 0, .. } => "The debug information of this file was",
        _ => "A part of the debug information of this file was",
    };
    Some(format!(
        "{which} split off into .dwo files, which cannot be read here: only function names are known there, no source \
         files, lines or inlined functions. Build without -gsplit-dwarf and upload the file again."
    ))
}

/// How many tables of abbreviations describe compilation units of either sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Units {
    split: usize,
    whole: usize,
}

impl Units {
    fn count(abbreviations: &[u8]) -> Self {
        let mut units = Self::default();
        let mut reader = Leb(abbreviations);
        // Garbage at the end is no reason to forget what came before.
        while let Some(found) = reader.abbreviation() {
            match found {
                Some(true) => units.split += 1,
                Some(false) => units.whole += 1,
                None => {}
            }
        }
        units
    }
}

/// Reads numbers of variable length.
struct Leb<'data>(&'data [u8]);

impl Leb<'_> {
    /// Of the next abbreviation: whether it describes a unit, and if so whether that unit is split. `None` at the end.
    fn abbreviation(&mut self) -> Option<Option<bool>> {
        if self.number()? == 0 {
            return Some(None);
        }
        let tag = self.number()?;
        self.0 = self.0.get(1..)?;
        let mut split = tag == SKELETON_UNIT;
        loop {
            let (attribute, form) = (self.number()?, self.number()?);
            if form == IMPLICIT_CONST {
                self.number()?;
            }
            if (attribute, form) == (0, 0) {
                return Some(matches!(tag, COMPILE_UNIT | SKELETON_UNIT).then_some(split));
            }
            split |= matches!(attribute, DWO_NAME | GNU_DWO_NAME);
        }
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for (index, byte) in self.0.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(index).ok()?).unwrap_or(0);
            if byte & 0x80 == 0 {
                self.0 = &self.0[index + 1..];
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_counted_across_tables_and_garbage_ends_the_count() {
        let whole = [1, 0x11, 1, 0x25, 0x25, 0, 0, 2, 0x2e, 0, 3, 0x21, 0x7f, 0, 0, 0];
        let skeleton = [1, 0x4a, 0, 0x76, 0x25, 0, 0, 0, 0];
        let gnu = [1, 0x11, 0, 0xb0, 0x42, 0x0e, 0, 0, 0];
        assert_eq!(Units::count(&[]), Units::default());
        assert_eq!(Units::count(&whole), Units { split: 0, whole: 1 });
        assert_eq!(Units::count(&[&whole[..], &skeleton, &gnu].concat()), Units { split: 2, whole: 1 });
        assert_eq!(Units::count(&[&gnu[..], &[0xff; 40]].concat()), Units { split: 1, whole: 0 });
    }
}
