//! Relocations of the debug sections of files that are not linked: objects and kernel modules. It applies all of a section
//! or refuses the file; an address that was filled in by half is a wrong answer.

use std::borrow::Cow;

use object::elf::{self, FileHeader32, FileHeader64, RelocationType};
use object::endian::{Endian as _, Endianness};
use object::read::elf::{ElfFile, FileHeader};
use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, Relocation, RelocationFlags, RelocationKind, RelocationTarget,
};

use super::layout::Layout;

/// Applies the relocations of the section `name` (without the dot) to its inflated bytes.
pub(super) fn apply<'data>(
    file: &[u8],
    layout: &Layout,
    name: &str,
    bytes: Cow<'data, [u8]>,
) -> Result<Cow<'data, [u8]>, String> {
    if file.get(4) == Some(&1) {
        apply_to::<FileHeader32<Endianness>>(file, layout, name, bytes)
    } else {
        apply_to::<FileHeader64<Endianness>>(file, layout, name, bytes)
    }
}

fn apply_to<'data, H: FileHeader<Endian = Endianness>>(
    file: &[u8],
    layout: &Layout,
    name: &str,
    bytes: Cow<'data, [u8]>,
) -> Result<Cow<'data, [u8]>, String> {
    let broken = |error| format!("its relocations cannot be read: {error}");
    let elf = ElfFile::<H>::parse(file).map_err(broken)?;
    let wanted =
        |full: &str| full.strip_prefix(['.']).is_some_and(|full| full == name || full.strip_prefix('z') == Some(name));
    let Some(section) = elf.sections().find(|section| section.name().is_ok_and(wanted)) else { return Ok(bytes) };
    let mut relocations = section.relocations().peekable();
    if relocations.peek().is_none() {
        return Ok(bytes);
    }
    let mut place =
        Place { bytes: bytes.into_owned(), endian: elf.endian(), machine: elf.elf_header().e_machine(elf.endian()) };
    for (offset, relocation) in relocations {
        let Some(symbol) = target(&elf, layout, &relocation)? else { continue };
        place
            .relocate(offset, &relocation, symbol)
            .map_err(|reason| format!("a relocation of its section .{name} {reason}"))?;
    }
    Ok(Cow::Owned(place.bytes))
}

/// The address that a relocation is about; `None` for thread-local variables, which are no code.
fn target<H: FileHeader<Endian = Endianness>>(
    elf: &ElfFile<'_, H>,
    layout: &Layout,
    relocation: &Relocation,
) -> Result<Option<u64>, String> {
    let index = match relocation.target() {
        RelocationTarget::Symbol(index) => index,
        RelocationTarget::Section(index) => return Ok(Some(layout.section_address(index.0))),
        _ => return Ok(Some(0)),
    };
    let symbol = elf.symbol_by_index(index).map_err(|_| "a relocation names a symbol that is not there".to_owned())?;
    if symbol.kind() == object::SymbolKind::Tls {
        return Ok(None);
    }
    let start = symbol.section_index().map_or(0, |section| layout.section_address(section.0));
    Ok(Some(start.wrapping_add(symbol.address())))
}

/// The bytes that are filled in.
struct Place {
    bytes: Vec<u8>,
    endian: Endianness,
    machine: elf::Machine,
}

impl Place {
    fn relocate(&mut self, offset: u64, relocation: &Relocation, symbol: u64) -> Result<(), &'static str> {
        let value = symbol.wrapping_add_signed(relocation.addend());
        let (change, width) = match (relocation.kind(), relocation.flags()) {
            (RelocationKind::None, _) => return Ok(()),
            (RelocationKind::Absolute, _) if relocation.has_implicit_addend() => {
                (Change::Add, usize::from(relocation.size() / 8))
            }
            (RelocationKind::Absolute, _) => (Change::Set, usize::from(relocation.size() / 8)),
            (_, RelocationFlags::Elf { r_type }) => self.paired(r_type).ok_or("is of a kind that is not known here")?,
            _ => return Err("is of a kind that is not known here"),
        };
        let at = usize::try_from(offset).map_err(|_| OUTSIDE)?;
        let place = self.bytes.get_mut(at..).ok_or(OUTSIDE)?;
        match change {
            Change::Leb(combine) => leb(place, |old| combine(old, value)),
            Change::Low6(combine) => {
                let byte = place.first_mut().ok_or(OUTSIDE)?;
                let low = u8::try_from(combine(u64::from(*byte & 0x3f), value) & 0x3f).unwrap_or(0);
                *byte = *byte & 0xc0 | low;
                Ok(())
            }
            Change::Set => write(place, width, self.endian, value),
            Change::Add => {
                let old = read(place, width, self.endian)?;
                write(place, width, self.endian, old.wrapping_add(value))
            }
            Change::Subtract => {
                let old = read(place, width, self.endian)?;
                write(place, width, self.endian, old.wrapping_sub(value))
            }
        }
    }

    /// RISC-V and `LoongArch` write differences as two relocations of one place.
    fn paired(&self, r_type: RelocationType) -> Option<(Change, usize)> {
        let set: fn(u64, u64) -> u64 = |_, value| value;
        let subtract: fn(u64, u64) -> u64 = u64::wrapping_sub;
        let add: fn(u64, u64) -> u64 = u64::wrapping_add;
        Some(match (self.machine, r_type) {
            (elf::EM_RISCV, elf::R_RISCV_ADD8) | (elf::EM_LOONGARCH, elf::R_LARCH_ADD8) => (Change::Add, 1),
            (elf::EM_RISCV, elf::R_RISCV_ADD16) | (elf::EM_LOONGARCH, elf::R_LARCH_ADD16) => (Change::Add, 2),
            (elf::EM_RISCV, elf::R_RISCV_ADD32) | (elf::EM_LOONGARCH, elf::R_LARCH_ADD32) => (Change::Add, 4),
            (elf::EM_RISCV, elf::R_RISCV_ADD64) | (elf::EM_LOONGARCH, elf::R_LARCH_ADD64) => (Change::Add, 8),
            (elf::EM_RISCV, elf::R_RISCV_SUB8) | (elf::EM_LOONGARCH, elf::R_LARCH_SUB8) => (Change::Subtract, 1),
            (elf::EM_RISCV, elf::R_RISCV_SUB16) | (elf::EM_LOONGARCH, elf::R_LARCH_SUB16) => (Change::Subtract, 2),
            (elf::EM_RISCV, elf::R_RISCV_SUB32) | (elf::EM_LOONGARCH, elf::R_LARCH_SUB32) => (Change::Subtract, 4),
            (elf::EM_RISCV, elf::R_RISCV_SUB64) | (elf::EM_LOONGARCH, elf::R_LARCH_SUB64) => (Change::Subtract, 8),
            (elf::EM_RISCV, elf::R_RISCV_SET8) => (Change::Set, 1),
            (elf::EM_RISCV, elf::R_RISCV_SET16) => (Change::Set, 2),
            (elf::EM_RISCV, elf::R_RISCV_SET32) => (Change::Set, 4),
            (elf::EM_RISCV, elf::R_RISCV_SET6) => (Change::Low6(set), 1),
            (elf::EM_RISCV, elf::R_RISCV_SUB6) | (elf::EM_LOONGARCH, elf::R_LARCH_SUB6) => (Change::Low6(subtract), 1),
            (elf::EM_LOONGARCH, elf::R_LARCH_ADD6) => (Change::Low6(add), 1),
            (elf::EM_RISCV, elf::R_RISCV_SET_ULEB128) => (Change::Leb(set), 0),
            (elf::EM_LOONGARCH, elf::R_LARCH_ADD_ULEB128) => (Change::Leb(add), 0),
            (elf::EM_RISCV, elf::R_RISCV_SUB_ULEB128) | (elf::EM_LOONGARCH, elf::R_LARCH_SUB_ULEB128) => {
                (Change::Leb(subtract), 0)
            }
            (elf::EM_LOONGARCH, elf::R_LARCH_32) => (Change::Set, 4),
            (elf::EM_LOONGARCH, elf::R_LARCH_64) => (Change::Set, 8),
            _ => return None,
        })
    }
}

/// What a relocation does to what stands in its place.
enum Change {
    Set,
    Add,
    Subtract,
    /// The low six bits of a byte.
    Low6(fn(u64, u64) -> u64),
    /// A number in LEB128, whose length stays.
    Leb(fn(u64, u64) -> u64),
}

const OUTSIDE: &str = "points outside of the section";

fn read(place: &[u8], width: usize, endian: Endianness) -> Result<u64, &'static str> {
    let bytes = place.get(..width).ok_or(OUTSIDE)?;
    let join = |all: u64, byte: &u8| all << 8 | u64::from(*byte);
    Ok(if endian.is_big_endian() { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) })
}

fn write(place: &mut [u8], width: usize, endian: Endianness, value: u64) -> Result<(), &'static str> {
    if !(1..=8).contains(&width) {
        return Err("is of a kind that is not known here");
    }
    let bytes = place.get_mut(..width).ok_or(OUTSIDE)?;
    if endian.is_big_endian() {
        bytes.copy_from_slice(&value.to_be_bytes()[8 - width..]);
    } else {
        bytes.copy_from_slice(&value.to_le_bytes()[..width]);
    }
    Ok(())
}

/// Changes a number in LEB128 in place.
fn leb(place: &mut [u8], change: impl Fn(u64) -> u64) -> Result<(), &'static str> {
    let length = place.iter().take(10).position(|byte| byte & 0x80 == 0).ok_or(OUTSIDE)? + 1;
    let join = |all: u64, byte: &u8| all << 7 | u64::from(byte & 0x7f);
    let mut value = change(place[..length].iter().rev().fold(0, join));
    for (index, byte) in place[..length].iter_mut().enumerate() {
        let more = if index + 1 < length { 0x80 } else { 0 };
        *byte = u8::try_from(value & 0x7f).unwrap_or(0) | more;
        value >>= 7;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_machine_has_them() {
        let mut bytes = [0; 8];
        write(&mut bytes, 4, Endianness::Little, 0x0102_0304).expect("it fits");
        assert_eq!(bytes, [4, 3, 2, 1, 0, 0, 0, 0]);
        write(&mut bytes, 2, Endianness::Big, 0x0102).expect("it fits");
        assert_eq!(read(&bytes, 4, Endianness::Big), Ok(0x0102_0201));
        assert_eq!(write(&mut bytes[..3], 4, Endianness::Little, 1), Err(OUTSIDE));
    }

    #[test]
    fn a_number_in_leb128_keeps_its_length() {
        let mut bytes = [0x80, 0x80, 0x00, 0xff];
        leb(&mut bytes, |_| 0x85).expect("it fits");
        assert_eq!(bytes, [0x85, 0x81, 0x00, 0xff]);
        leb(&mut bytes, |old| old - 5).expect("it fits");
        assert_eq!(bytes, [0x80, 0x81, 0x00, 0xff]);
        assert_eq!(leb(&mut [0x80, 0x80], |old| old), Err(OUTSIDE));
    }
}
