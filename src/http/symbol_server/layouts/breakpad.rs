//! `debug_file/DEBUGID/name.sym`: Breakpad symbols by debug id, source bundles beside them, and the question which debug
//! id a file has whose code id is known.

use super::{ids, names, without};
use crate::debug_files::{Wanted, WantedId, What};
use crate::types::path_segment;

/// A client knows a file by its code id and wants to know its debug id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByCodeId {
    /// Name of the file.
    pub code_file: String,
    /// Its code id, as in the rows.
    pub code_id: String,
}

/// What these names ask for, if they are of this layout.
pub fn parse(names: &[&str]) -> Option<Wanted> {
    let [debug_file, id, last] = names else { return None };
    let what = match last {
        _ if without(last, ".sym").is_some() => What::Breakpad,
        _ if without(last, ".src.zip").is_some() => What::SourceBundle,
        _ => return None,
    };
    let id = WantedId::Debug(ids::with_age(id)?);
    Some(Wanted { id, what, name: Some((*debug_file).to_owned()) })
}

/// The question for a debug id that `path` may be: `code_file/CODEID/name.sym`.
pub fn by_code_id(path: &str) -> Option<ByCodeId> {
    let names = names(path)?;
    let [code_file, id, last] = names.as_slice() else { return None };
    without(last, ".sym")?;
    // The size in the code id of a PE file may have an odd number of digits.
    let code_id = ids::code(id).or_else(|| ids::time_stamp_and_size(id))?;
    Some(ByCodeId { code_file: (*code_file).to_owned(), code_id })
}

/// What the debug file of `code_file` is called if there is no PDB to ask: as the linker of Windows would call it, or like
/// the file itself.
pub fn debug_file(code_file: &str) -> String {
    let stem = [".exe", ".dll"].into_iter().find_map(|extension| without(code_file, extension));
    stem.map_or_else(|| code_file.to_owned(), |stem| format!("{stem}.pdb"))
}

/// Where the symbols of a file are, seen from where its debug id was asked for. `debug_file` is the name of its PDB,
/// or of the file itself where there is none.
pub fn location(debug_file: &str, debug_id: &str) -> String {
    let stem = without(debug_file, ".pdb").unwrap_or(debug_file);
    format!("../../{}/{debug_id}/{}.sym", path_segment(debug_file), path_segment(stem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::symbol_server::layouts::tests::table;

    #[test]
    fn symbols_and_sources_are_asked_for_by_debug_id() {
        table(&[
            (
                "crash.pdb/3249D99D0C4049318610F4E4FB0B69361/crash.sym",
                "Breakpad debug 3249d99d-0c40-4931-8610-f4e4fb0b6936-1 crash.pdb",
            ),
            (
                "libm-2.23.so/E45DB8DFAF2D09FD640C8FE377D572DE0/libm-2.23.so.sym",
                "Breakpad debug e45db8df-af2d-09fd-640c-8fe377d572de libm-2.23.so",
            ),
            (
                "crash.pdb/3249D99D0C4049318610F4E4FB0B69361/crash.src.zip",
                "SourceBundle debug 3249d99d-0c40-4931-8610-f4e4fb0b6936-1 crash.pdb",
            ),
            (
                "libm-2.23.so/E45DB8DFAF2D09FD640C8FE377D572DE0/libm-2.23.so.src.zip",
                "SourceBundle debug e45db8df-af2d-09fd-640c-8fe377d572de libm-2.23.so",
            ),
            ("crash.exe/5AB380779000/crash.sym", "nothing"),
            ("crash/67E9247C814E392BA027DBDE6748FCBF/crash.sym", "nothing"),
            ("crash.pdb/000000000000000000000000000000000/crash.sym", "nothing"),
            ("crash.pdb/3249D99D0C4049318610F4E4FB0B69361/.sym", "nothing"),
            ("crash.pdb/3249D99D0C4049318610F4E4FB0B69361/crash.txt", "nothing"),
        ]);
    }

    #[test]
    fn a_code_id_asks_for_the_debug_id() {
        let asked = |path| by_code_id(path).map(|asked| format!("{} {}", asked.code_file, asked.code_id));
        for (path, expected) in [
            ("crash.exe/5AB380779000/crash.sym", Some("crash.exe 5ab380779000")),
            ("crash.dll/542D574232000/crash.SYM", Some("crash.dll 542d574232000")),
            ("crash/67E9247C814E392BA027DBDE6748FCBF/crash.sym", Some("crash 67e9247c814e392ba027dbde6748fcbf")),
            (
                "a.so/DFB85DE42DAFFD09640C8FE377D572DE3E168920/a.so.sym",
                Some("a.so dfb85de42daffd09640c8fe377d572de3e168920"),
            ),
            ("crash.exe/5AB380779000/crash.exe", None),
            ("crash.exe/nonsense/crash.sym", None),
            ("crash.exe/../crash.sym", None),
            ("crash\0.exe/5AB380779000/crash.sym", None),
        ] {
            assert_eq!(asked(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_debug_file_is_called_like_its_file() {
        for (code_file, expected) in
            [("calc.exe", "calc.pdb"), ("Calc.DLL", "Calc.pdb"), ("libm.so", "libm.so"), ("exe", "exe")]
        {
            assert_eq!(debug_file(code_file), expected);
        }
    }

    #[test]
    fn a_location_is_an_address() {
        let id = "3249D99D0C4049318610F4E4FB0B69361";
        for (name, expected) in [
            ("crash.pdb", format!("../../crash.pdb/{id}/crash.sym")),
            ("libm.so", format!("../../libm.so/{id}/libm.so.sym")),
            ("a b%?.PDB", format!("../../a%20b%25%3F.PDB/{id}/a%20b%25%3F.sym")),
            ("é\r\n", format!("../../%C3%A9%0D%0A/{id}/%C3%A9%0D%0A.sym")),
        ] {
            assert_eq!(location(name, id), expected);
        }
    }
}
