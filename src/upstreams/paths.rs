//! Where a symbol server of each kind keeps what is wanted. An id in a path is hexadecimal digits and a name is escaped
//! and one name alone, so that no path leads anywhere else.

use crate::debug_files::{Wanted, WantedId, What};
use crate::types::{DebugId, UpstreamKind, path_segment};

/// One file that is wanted, as an upstream knows it: by one path or another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// Paths behind the base, the likeliest first; at least one.
    pub paths: Vec<String>,
    /// The id that they are made of, as in the rows of files.
    pub file_id: String,
    /// What the file is to be called.
    pub name: String,
}

/// Longest name in a path.
const LONGEST_NAME: usize = 255;

/// Fewest and most digits of a build id that is taken for one.
const BUILD_ID: std::ops::RangeInclusive<usize> = 16..=128;

/// Digits of a build id in SSQP, filled up with zeros.
const SSQP_BUILD_ID: usize = 40;

/// Digits of a UUID.
const UUID: usize = 32;

/// Most digits of the code id of a PE file.
const PE_CODE_ID: usize = 16;

/// How to ask an upstream of this kind; `None` if it cannot have such a file.
pub(super) fn question(kind: UpstreamKind, wanted: &Wanted) -> Option<Question> {
    let name = wanted.name.as_deref().filter(|name| is_ordinary(name));
    let (file_id, named) = match (wanted.what, kind) {
        (What::Executable, UpstreamKind::Debuginfod) | (What::DebugInfo, UpstreamKind::Debuginfod) => {
            let id = code_id(&wanted.id).filter(|id| is_build_id(id))?;
            let word = if wanted.what == What::Executable { "executable" } else { "debuginfo" };
            (id, vec![format!("buildid/{id}/{word}")])
        }
        (What::Pdb, UpstreamKind::Ssqp | UpstreamKind::Native) => {
            let (id, key) = pdb_key(&wanted.id)?;
            (id, twice(name?, &key))
        }
        (What::Executable, UpstreamKind::Ssqp) => {
            let id = code_id(&wanted.id)?;
            let paths = ssqp_executable(name?, id);
            (id, paths)
        }
        (What::Executable, UpstreamKind::Native) => {
            let id = code_id(&wanted.id)?;
            let paths = match (pe_key(id), name) {
                (Some(key), Some(name)) => twice(name, &key),
                _ => folders(id, ("", ".app"))?,
            };
            (id, paths)
        }
        (What::DebugInfo, UpstreamKind::Ssqp) => {
            let id = code_id(&wanted.id).filter(|id| is_build_id(id))?;
            let mut paths = vec![format!("_.debug/elf-buildid-sym-{id:0<SSQP_BUILD_ID$}/_.debug")];
            if id.len() == UUID {
                paths.insert(0, format!("_.dwarf/mach-uuid-sym-{id}/_.dwarf"));
            }
            (id, paths)
        }
        (What::DebugInfo, UpstreamKind::Native) => {
            let id = code_id(&wanted.id)?;
            (id, folders(id, (".debug", ""))?)
        }
        (What::Breakpad, UpstreamKind::Breakpad | UpstreamKind::Native) => {
            let id = debug_id(&wanted.id)?;
            let name = name?;
            let stem = without_pdb(name);
            (id.as_str(), vec![format!("{}/{}/{}.sym", path_segment(name), id.breakpad(), path_segment(stem))])
        }
        _ => return None,
    };
    (!named.is_empty()).then(|| Question {
        paths: named,
        file_id: file_id.to_owned(),
        name: file_name(wanted, file_id),
    })
}

/// What the file is to be called: as it was asked for, or after its id.
fn file_name(wanted: &Wanted, id: &str) -> String {
    match (wanted.name.as_deref().filter(|name| is_ordinary(name)), wanted.what) {
        (Some(name), What::Breakpad) => format!("{}.sym", without_pdb(name)),
        (Some(name), _) => name.to_owned(),
        (None, What::DebugInfo) => format!("{id}.debug"),
        (None, _) => id.to_owned(),
    }
}

/// Whether a name can be that of a file, and of one file alone.
pub(super) fn is_ordinary(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= LONGEST_NAME
        && !name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\'))
}

/// The code id that is meant; a padded one is taken as it stands.
fn code_id(id: &WantedId) -> Option<&str> {
    let id = match id {
        WantedId::Code(id) | WantedId::PaddedCode(id) => id.as_str(),
        WantedId::AnyOf { code_ids, .. } => code_ids.first()?.as_str(),
        WantedId::Debug(_) | WantedId::AnyAge(_) => return None,
    };
    id.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(id)
}

fn debug_id(id: &WantedId) -> Option<&DebugId> {
    match id {
        WantedId::Debug(id) => Some(id),
        _ => None,
    }
}

fn is_build_id(id: &str) -> bool {
    BUILD_ID.contains(&id.len()) && id.len().is_multiple_of(2)
}

/// The id of a PDB in rows, and its key: UUID in upper case and age.
fn pdb_key(id: &WantedId) -> Option<(&str, String)> {
    match id {
        WantedId::Debug(id) => Some((id.as_str(), id.breakpad())),
        WantedId::AnyAge(id) => {
            let uuid = id.uuid().replace('-', "").to_ascii_uppercase();
            Some((id.as_str(), format!("{uuid}FFFFFFFF")))
        }
        _ => None,
    }
}

/// The key of a PE file: its time in upper case and its size in lower case.
fn pe_key(id: &str) -> Option<String> {
    let (time, size) = id.split_at_checked(8)?;
    (!size.is_empty() && id.len() <= PE_CODE_ID).then(|| format!("{}{size}", time.to_ascii_uppercase()))
}

/// `name/key/name` as `SymStore` writes it and as SSQP does, each plain and packed.
fn twice(name: &str, key: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (name, key) in [(name.to_owned(), key.to_owned()), (name.to_lowercase(), key.to_lowercase())] {
        let path = format!("{0}/{key}/{0}", path_segment(&name));
        if paths.contains(&path) {
            continue;
        }
        paths.push(path);
        if let Some((at, _)) = name.char_indices().last() {
            paths.push(format!("{}/{key}/{}_", path_segment(&name), path_segment(&name[..at])));
        }
    }
    paths
}

/// Where SSQP has an executable. Which format the id is of can be told by its length alone.
fn ssqp_executable(name: &str, id: &str) -> Vec<String> {
    let lower = path_segment(&name.to_lowercase());
    let mut paths = pe_key(id).map(|key| twice(name, &key)).unwrap_or_default();
    if id.len() == UUID {
        paths.push(format!("{lower}/mach-uuid-{id}/{lower}"));
    }
    if is_build_id(id) {
        paths.push(format!("{lower}/elf-buildid-{id:0<SSQP_BUILD_ID$}/{lower}"));
    }
    paths
}

/// The folders of gdb, with the first ending, and if it can be a UUID those of lldb, with the second.
fn folders(id: &str, (elf, macho): (&str, &str)) -> Option<Vec<String>> {
    if !is_build_id(id) {
        return None;
    }
    let mut paths = vec![format!("{}/{}{elf}", &id[..2], &id[2..])];
    if id.len() == UUID {
        let id = id.to_ascii_uppercase();
        let parts: Vec<_> = (0..5).map(|part| &id[part * 4..part * 4 + 4]).collect();
        paths.push(format!("{}/{}{macho}", parts.join("/"), &id[20..]));
    }
    Some(paths)
}

fn without_pdb(name: &str) -> &str {
    match name.len().checked_sub(4).and_then(|at| name.split_at_checked(at)) {
        Some((stem, end)) if end.eq_ignore_ascii_case(".pdb") && !stem.is_empty() => stem,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILD: &str = "dfb85de42daffd09640c8fe377d572de3e168920";
    const MACHO: &str = "67e9247c814e392ba027dbde6748fcbf";

    /// Who is asked for what, by which paths.
    type Case<'a> = (UpstreamKind, What, WantedId, Option<&'a str>, &'a [&'a str]);

    fn paths(kind: UpstreamKind, what: What, id: WantedId, name: Option<&str>) -> Vec<String> {
        let wanted = Wanted { id, what, name: name.map(str::to_owned) };
        question(kind, &wanted).map_or_else(Vec::new, |question| question.paths)
    }

    fn code(id: &str) -> WantedId {
        WantedId::Code(id.to_owned())
    }

    fn pdb() -> WantedId {
        WantedId::Debug("3249d99d-0c40-4931-8610-f4e4fb0b6936-1".parse().unwrap())
    }

    #[test]
    fn each_kind_of_server_is_asked_in_its_own_paths() {
        use UpstreamKind::{Breakpad, Debuginfod, Native, Ssqp};
        let cases: &[Case<'_>] = &[
            (Debuginfod, What::Executable, code(BUILD), None, &[&format!("buildid/{BUILD}/executable")]),
            (Debuginfod, What::DebugInfo, code(BUILD), None, &[&format!("buildid/{BUILD}/debuginfo")]),
            (Debuginfod, What::Executable, code("5ab380779000"), Some("a.exe"), &[]),
            (Debuginfod, What::Pdb, pdb(), Some("a.pdb"), &[]),
            (
                Ssqp,
                What::Executable,
                code("5ab380779000"),
                Some("Crash.exe"),
                &[
                    "Crash.exe/5AB380779000/Crash.exe",
                    "Crash.exe/5AB380779000/Crash.ex_",
                    "crash.exe/5ab380779000/crash.exe",
                    "crash.exe/5ab380779000/crash.ex_",
                ],
            ),
            (
                Ssqp,
                What::Pdb,
                pdb(),
                Some("crash.pdb"),
                &[
                    "crash.pdb/3249D99D0C4049318610F4E4FB0B69361/crash.pdb",
                    "crash.pdb/3249D99D0C4049318610F4E4FB0B69361/crash.pd_",
                    "crash.pdb/3249d99d0c4049318610f4e4fb0b69361/crash.pdb",
                    "crash.pdb/3249d99d0c4049318610f4e4fb0b69361/crash.pd_",
                ],
            ),
            (Ssqp, What::Pdb, pdb(), None, &[]),
            (
                Ssqp,
                What::Executable,
                code(BUILD),
                Some("libm-2.23.so"),
                &[&format!("libm-2.23.so/elf-buildid-{BUILD}/libm-2.23.so")],
            ),
            (
                Ssqp,
                What::DebugInfo,
                code("180a373d6afbabf0eb1f09be1bc45bd7"),
                None,
                &[
                    "_.dwarf/mach-uuid-sym-180a373d6afbabf0eb1f09be1bc45bd7/_.dwarf",
                    "_.debug/elf-buildid-sym-180a373d6afbabf0eb1f09be1bc45bd700000000/_.debug",
                ],
            ),
            (
                Breakpad,
                What::Breakpad,
                pdb(),
                Some("crash.pdb"),
                &["crash.pdb/3249D99D0C4049318610F4E4FB0B69361/crash.sym"],
            ),
            (Breakpad, What::Pdb, pdb(), Some("crash.pdb"), &[]),
            (Native, What::Executable, code(BUILD), None, &[&format!("df/{}", &BUILD[2..])]),
            (Native, What::DebugInfo, code(BUILD), None, &[&format!("df/{}.debug", &BUILD[2..])]),
            (
                Native,
                What::DebugInfo,
                code(MACHO),
                None,
                &["67/e9247c814e392ba027dbde6748fcbf.debug", "67E9/247C/814E/392B/A027/DBDE6748FCBF"],
            ),
            (
                Native,
                What::Executable,
                code(MACHO),
                Some("crash"),
                &["67/e9247c814e392ba027dbde6748fcbf", "67E9/247C/814E/392B/A027/DBDE6748FCBF.app"],
            ),
            (Native, What::DebugInfo, code("../../../../etc/passwd"), None, &[]),
            (Native, What::Proguard, code(BUILD), None, &[]),
        ];
        for (kind, what, id, name, expected) in cases {
            assert_eq!(paths(*kind, *what, id.clone(), *name), *expected, "{kind} {what:?} {id:?}");
        }
    }

    #[test]
    fn no_name_leads_anywhere_else() {
        for name in ["..", ".", "", "a/b", "a\\b", "a\0b", "a\r\nb", &"x".repeat(256)] {
            assert!(paths(UpstreamKind::Ssqp, What::Pdb, pdb(), Some(name)).is_empty(), "{name:?}");
        }
        let hostile = paths(UpstreamKind::Breakpad, What::Breakpad, pdb(), Some("a b?x=1#y@%2e%2e:é.pdb"));
        let key = "3249D99D0C4049318610F4E4FB0B69361";
        let name = "a%20b%3Fx%3D1%23y%40%252e%252e%3A%C3%A9";
        assert_eq!(hostile, [format!("{name}.pdb/{key}/{name}.sym")]);
    }
}
