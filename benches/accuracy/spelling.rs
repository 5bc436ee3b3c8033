//! Which spellings of a name or a path are the same. Each rule is a row of the report.

use symbolic::common::{Language, Name, NameMangling};
use symbolic::demangle::{Demangle as _, DemangleOptions};

/// The rules in words, as the report prints them.
pub const RULES: &[&str] = &[
    "Names are compared as the debug information has them (not demangled); only if they differ, demangled.",
    "Blanks, parameter lists, return types and template arguments are left out of demangled names.",
    "`std::__cxx11::` and other inline namespaces of the standard library (`__1`, `__cxx11`) are left out.",
    "The hash of a Rust name (`::h` and 16 digits) is left out.",
    "Suffixes of parts and copies of a function (`.cold`, `.part.0`, `.isra.0`, `.constprop.0`, `.llvm.123`, `.lto_priv.0`) are left out.",
    "A linkage name may say more than a DWARF name: `deep::er::leaf` is `leaf`.",
    "Files are compared by their last component, whole paths without `.` and `..` components.",
];

/// Whether two names mean the same function.
pub fn same_name(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let (one, other) = (plain(one), plain(other));
    one == other || last(&one) == last(&other) && (one.ends_with(&other) || other.ends_with(&one))
}

/// The last component of a path.
pub fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// A path without components that lead nowhere or back.
pub fn clean_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            "" if !parts.is_empty() => {}
            ".." if parts.last().is_some_and(|last| !last.is_empty() && *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn last(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

/// A name without what the rules leave out.
fn plain(name: &str) -> String {
    let name = without_suffixes(name);
    let demangled = Name::new(name, NameMangling::Unknown, Language::Unknown)
        .try_demangle(DemangleOptions::name_only())
        .into_owned();
    let mut text = without_brackets(&demangled);
    text = text.replace("::__cxx11::", "::").replace("::__1::", "::");
    text.retain(|character| !character.is_whitespace());
    if let Some((before, hash)) = text.rsplit_once("::h")
        && hash.len() == 16
        && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        text.truncate(before.len());
    }
    text
}

fn without_suffixes(name: &str) -> &str {
    const SUFFIXES: [&str; 6] = [".cold", ".part.", ".isra.", ".constprop.", ".llvm.", ".lto_priv."];
    let ends = SUFFIXES.iter().filter_map(|suffix| name.find(suffix)).filter(|at| *at > 0);
    ends.min().map_or(name, |end| &name[..end])
}

/// A demangled name without everything in `<>` and `()`, as far as these are balanced. Operators keep theirs.
fn without_brackets(name: &str) -> String {
    if name.contains("operator") {
        return name.split('(').next().unwrap_or(name).to_owned();
    }
    let mut depth = 0_i32;
    let mut plain = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '<' | '(' => depth += 1,
            '>' | ')' => depth -= 1,
            other if depth <= 0 => plain.push(other),
            _ => {}
        }
    }
    if plain.is_empty() { name.to_owned() } else { plain }
}
