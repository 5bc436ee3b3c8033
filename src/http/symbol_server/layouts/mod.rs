//! What the paths of plain symbol servers ask for: SymStore and SSQP, Breakpad, Symbolicator's unified layout and the
//! folders of gdb and lldb. It never asks the database, and takes case for nothing anywhere.

pub mod breakpad;
mod ids;
mod native;
pub mod ssqp;
mod unified;

use crate::debug_files::Wanted;

/// Longest name in a path, in bytes.
const LONGEST_NAME: usize = 255;

/// Most names in a path: the folders of a UUID.
const MOST_NAMES: usize = 6;

/// The file that `path` asks for, decoded and without a slash at its beginning. `None` if no layout has such paths.
pub fn parse(path: &str) -> Option<Wanted> {
    let names = names(path)?;
    [breakpad::parse, ssqp::parse, unified::parse, native::parse].iter().find_map(|layout| layout(&names))
}

/// The names between the slashes, if all of them could be those of files.
fn names(path: &str) -> Option<Vec<&str>> {
    let names: Vec<_> = path.split('/').take(MOST_NAMES + 1).collect();
    let ordinary = |name: &&str| {
        !matches!(*name, "" | "." | "..")
            && name.len() <= LONGEST_NAME
            && !name.chars().any(|c| c.is_control() || c == '\\')
    };
    (names.len() <= MOST_NAMES && names.iter().all(ordinary)).then_some(names)
}

/// `text` without `suffix`, in whatever case, and not empty.
fn without<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let (rest, end) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    (!rest.is_empty() && end.eq_ignore_ascii_case(suffix)).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debug_files::WantedId;

    /// What is asked for in one line: sort, ids, name.
    pub fn line(wanted: Option<Wanted>) -> String {
        let Some(Wanted { id, what, name }) = wanted else { return "nothing".to_owned() };
        let id = match id {
            WantedId::Debug(id) => format!("debug {id}"),
            WantedId::AnyAge(id) => format!("debug {id}-*"),
            WantedId::Code(id) => format!("code {id}"),
            WantedId::PaddedCode(id) => format!("padded {id}"),
            WantedId::AnyOf { debug_ids, code_ids } => {
                let ids: Vec<_> = debug_ids.into_iter().map(String::from).chain(code_ids).collect();
                format!("any {}", ids.join(" "))
            }
        };
        format!("{what:?} {id} {}", name.unwrap_or_default()).trim_end().to_owned()
    }

    /// Every path of a table asks for what stands beside it, in every casing.
    pub fn table(cases: &[(&str, &str)]) {
        for (path, expected) in cases {
            assert_eq!(line(parse(path)), *expected, "{path}");
            for other in [path.to_lowercase(), path.to_uppercase()] {
                assert_eq!(line(parse(&other)).to_lowercase(), expected.to_lowercase(), "{other}");
            }
        }
    }

    #[test]
    fn what_is_no_path_of_a_layout_asks_for_nothing() {
        let long = "x".repeat(256);
        for path in [
            "",
            "/",
            "index2.txt",
            "pingme.txt",
            "000Admin/lastid.txt",
            "calc.exe",
            "calc.exe/5ab380779000",
            "calc.exe/5ab380779000/",
            "calc.exe//calc.exe",
            "/calc.exe/5ab380779000/calc.exe",
            "calc.exe/5ab380779000/file.ptr",
            "calc.pdb/3249d99d0c4049318610f4e4fb0b69361/file.ptr",
            "calc.pdb/3249d99d0c4049318610f4e4fb0b69361/calc.pd_",
            "calc.exe/5ab380779000/calc.ex_",
            "calc.exe/5ab380779000/other.exe",
            "calc.cs/sha1-497b72f6390a44fc878e5a2d63b6cc4b0c2d9984/calc.cs",
            "../5ab380779000/..",
            "./5ab380779000/.",
            "a/../calc.exe/5ab380779000/calc.exe",
            "calc\0.exe/5ab380779000/calc\0.exe",
            "a\\b.exe/5ab380779000/a\\b.exe",
            "a\nb.exe/5ab380779000/a\nb.exe",
            &format!("{long}/5ab380779000/{long}"),
            "df/b85de42daffd09640c8fe377d572de3e168920/metadata",
            "67E9/247C/814E/392B/A027/DBDE6748FCBF/more",
            "ünïcode",
            "é/é/é",
        ] {
            assert_eq!(line(parse(path)), "nothing", "{path:?}");
        }
        let fits = "x".repeat(255);
        assert_ne!(line(parse(&format!("{fits}/5ab380779000/{fits}"))), "nothing");
    }

    proptest::proptest! {
        #[test]
        fn no_path_is_too_strange(
            noise in ".{0,40}",
            names in proptest::collection::vec("[._a-fé]{0,3}|[0-9a-fA-F]{2,42}|(elf-buildid-|mach-uuid-sym-)[0-9a-f]{0,42}|[a-f]{1,3}[.](sym|src.zip|debug|pdb)|executable", 0..8),
        ) {
            for path in [noise.clone(), names.join("/"), format!("{noise}/{}", names.join("/"))] {
                let case = |path: &str| line(parse(path)).to_lowercase();
                if path.is_ascii() {
                    proptest::prop_assert_eq!(case(&path), case(&path.to_ascii_uppercase()));
                }
                if let Some(asked) = breakpad::by_code_id(&path) {
                    proptest::prop_assert!(breakpad::location(&asked.code_file, "0").is_ascii());
                }
            }
        }
    }

    #[test]
    fn a_suffix_has_no_case_and_is_not_everything() {
        assert_eq!(without("calc.SYM", ".sym"), Some("calc"));
        assert_eq!(without(".sym", ".sym"), None);
        assert_eq!(without("sym", ".sym"), None);
        assert_eq!(without("éé", "xyz"), None, "a letter is not cut in two");
    }
}
