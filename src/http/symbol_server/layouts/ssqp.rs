//! `name/key/name`: SymStore, and the same with more kinds of keys, SSQP. A pointer to elsewhere (`file.ptr`) is never looked
//! for, and neither is a compressed name (`calc.pd_`) unless somebody asks for [`compressed`]: clients take "not there" for an
//! answer and ask for the plain name.

use super::ids;
use crate::debug_files::{Wanted, WantedId, What};

/// Digits of a build id that is not padded.
const BUILD_ID: usize = 40;

/// The name and the key of an ELF file with debug information, whatever it is called.
const ANY_ELF: (&str, &str) = ("_.debug", "elf-buildid-sym-");

/// The same of a Mach-O file.
const ANY_MACHO: (&str, &str) = ("_.dwarf", "mach-uuid-sym-");

/// What these names ask for, if they are of this layout.
pub fn parse(names: &[&str]) -> Option<Wanted> {
    let [name, key, again] = names else { return None };
    if !name.eq_ignore_ascii_case(again) {
        return None;
    }
    let key = key.to_ascii_lowercase();
    for (marker, prefix) in [ANY_ELF, ANY_MACHO] {
        if let Some(digits) = key.strip_prefix(prefix) {
            let id = if prefix == ANY_ELF.1 { build_id(digits) } else { mach_uuid(digits) }?;
            let named = name.eq_ignore_ascii_case(marker);
            return named.then_some(Wanted { id, what: What::DebugInfo, name: None });
        }
    }
    let (id, what) = if let Some(digits) = key.strip_prefix("elf-buildid-") {
        (build_id(digits)?, What::Executable)
    } else if let Some(digits) = key.strip_prefix("mach-uuid-") {
        (mach_uuid(digits)?, What::Executable)
    } else if let Some(id) = pdb(&key) {
        (id, What::Pdb)
    } else if super::without(name, ".pdb").is_none() {
        (WantedId::Code(ids::time_stamp_and_size(&key)?), What::Executable)
    } else {
        // The time stamp of a PDB that is older than UUIDs.
        return None;
    };
    Some(Wanted { id, what, name: Some((*name).to_owned()) })
}

/// What `path` asks for whose last name ends with `_` instead of its last letter: the same file in a cabinet. Only files
/// of Windows are ever asked for like that.
pub fn compressed(path: &str) -> Option<Wanted> {
    let names = super::names(path)?;
    let [name, key, again] = names.as_slice() else { return None };
    let (stem, last) = name.split_at_checked(name.len().checked_sub(1)?)?;
    let packed = again.strip_suffix('_')?;
    let of_windows = !key.contains('-') && stem.contains('.') && last != "_" && packed.eq_ignore_ascii_case(stem);
    of_windows.then(|| parse(&[name, key, name])).flatten()
}

/// A build id. A shorter one may have been filled up with zeros, which cannot be seen.
fn build_id(digits: &str) -> Option<WantedId> {
    let id = ids::code(digits)?;
    let padded = id.len() == BUILD_ID && id.ends_with("00");
    Some(if padded { WantedId::PaddedCode(id) } else { WantedId::Code(id) })
}

/// The UUID of a Mach-O file, which is its code id too.
fn mach_uuid(digits: &str) -> Option<WantedId> {
    ids::uuid(digits).map(|id| WantedId::Code(id.uuid().replace('-', "")))
}

/// UUID and age of a PDB. The largest age stands for that of any portable PDB, where it is a time stamp.
fn pdb(key: &str) -> Option<WantedId> {
    match key.strip_suffix("ffffffff").and_then(ids::uuid) {
        Some(id) => Some(WantedId::AnyAge(id)),
        None => ids::with_age(key).map(WantedId::Debug),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::symbol_server::layouts::tests::{line, table};

    #[test]
    fn every_key_of_the_layout_is_read_in_either_casing() {
        table(&[
            ("crash.exe/5AB380779000/crash.exe", "Executable code 5ab380779000 crash.exe"),
            ("foo.exe/542d574232000/foo.exe", "Executable code 542d574232000 foo.exe"),
            (
                "crash.pdb/3249D99D0C4049318610F4E4FB0B69361/crash.pdb",
                "Pdb debug 3249d99d-0c40-4931-8610-f4e4fb0b6936-1 crash.pdb",
            ),
            (
                "crash.pdb/3249d99d0c4049318610f4e4fb0b6936A/crash.pdb",
                "Pdb debug 3249d99d-0c40-4931-8610-f4e4fb0b6936-a crash.pdb",
            ),
            (
                "crash.pdb/3249d99d0c4049318610f4e4fb0b6936FFFFFFFF/crash.pdb",
                "Pdb debug 3249d99d-0c40-4931-8610-f4e4fb0b6936-* crash.pdb",
            ),
            (
                "libm-2.23.so/elf-buildid-dfb85de42daffd09640c8fe377d572de3e168920/libm-2.23.so",
                "Executable code dfb85de42daffd09640c8fe377d572de3e168920 libm-2.23.so",
            ),
            (
                "_.debug/elf-buildid-sym-dfb85de42daffd09640c8fe377d572de3e168920/_.debug",
                "DebugInfo code dfb85de42daffd09640c8fe377d572de3e168920",
            ),
            (
                "a.so/elf-buildid-180a373d6afbabf0eb1f09be1bc45bd700000000/a.so",
                "Executable padded 180a373d6afbabf0eb1f09be1bc45bd700000000 a.so",
            ),
            (
                "_.debug/elf-buildid-sym-180a373d6afbabf0eb1f09be1bc45bd700000000/_.debug",
                "DebugInfo padded 180a373d6afbabf0eb1f09be1bc45bd700000000",
            ),
            (
                "_.debug/elf-buildid-sym-180a373d6afbabf0eb1f09be1bc45bd7/_.debug",
                "DebugInfo code 180a373d6afbabf0eb1f09be1bc45bd7",
            ),
            (
                "crash/mach-uuid-67e9247c814e392ba027dbde6748fcbf/crash",
                "Executable code 67e9247c814e392ba027dbde6748fcbf crash",
            ),
            (
                "_.dwarf/mach-uuid-sym-67e9247c814e392ba027dbde6748fcbf/_.dwarf",
                "DebugInfo code 67e9247c814e392ba027dbde6748fcbf",
            ),
        ]);
    }

    #[test]
    fn a_name_that_ends_with_a_line_means_the_file_in_a_cabinet() {
        for (path, expected) in [
            ("calc.exe/5AB380779000/calc.ex_", "Executable code 5ab380779000 calc.exe"),
            ("Calc.DLL/5AB380779000/calc.dl_", "Executable code 5ab380779000 Calc.DLL"),
            (
                "crash.pdb/3249D99D0C4049318610F4E4FB0B69361/crash.pd_",
                "Pdb debug 3249d99d-0c40-4931-8610-f4e4fb0b6936-1 crash.pdb",
            ),
            ("crash.pdb/3249D99D0C4049318610F4E4FB0B69361/other.pd_", "nothing"),
            ("crash.pdb/3249D99D0C4049318610F4E4FB0B69361/crash.pdb", "nothing"),
            ("crash.pd_/3249D99D0C4049318610F4E4FB0B69361/crash.pd_", "nothing"),
            ("crash/5AB380779000/cras_", "nothing"),
            ("é/5AB380779000/_", "nothing"),
            ("a.so/elf-buildid-dfb85de42daffd09640c8fe377d572de3e168920/a.s_", "nothing"),
            ("../5AB380779000/._", "nothing"),
        ] {
            assert_eq!(line(compressed(path)), expected, "{path}");
        }
    }

    #[test]
    fn what_only_looks_like_a_key_is_none() {
        for path in [
            "crash.pdb/3249D99D1/crash.pdb",
            "a.so/elf-buildid-sym-dfb85de42daffd09640c8fe377d572de3e168920/a.so",
            "a/mach-uuid-sym-67e9247c814e392ba027dbde6748fcbf/a",
            "a.so/elf-buildid-xyz/a.so",
            "a.so/elf-buildid-/a.so",
            "a.so/elf-buildid-dfb85/a.so",
            "a/mach-uuid-67e9247c/a",
            "a/mach-uuid-00000000000000000000000000000000/a",
            "crash.exe/5AB38077/crash.exe",
            "crash.exe/nonsense/crash.exe",
            "crash.pdb/00000000000000000000000000000000FFFFFFFF/crash.pdb",
        ] {
            let names: Vec<_> = path.split('/').collect();
            assert_eq!(line(parse(&names)), "nothing", "{path}");
        }
    }
}
