//! Names of MSVC, and what its newer versions write that the crate `symbolic-demangle` does not know. It never changes a name
//! that has none of these.

use symbolic_common::{Language, Name, NameMangling};
use symbolic_demangle::{Demangle as _, DemangleOptions};

/// Reads a name that begins with `?`.
pub(super) fn demangle(name: &str) -> Option<String> {
    let auto = name.split_once("$M").is_some_and(|(before, _)| before.contains("?$"));
    if !auto
        && !name.contains("?__L")
        && let Some(read) = read(name)
    {
        return Some(read);
    }
    // Of these two operators one is known, and the other is written like it.
    let operator = if name.contains("?__M") { "operator<=>" } else { "operator co_await" };
    let known = name.replacen("?__M", "?__L", 1);
    let read = read(&without_auto(&known)?)?;
    Some(if known.contains("?__L") { read.replacen(" co_await", operator, 1) } else { read })
}

fn read(name: &str) -> Option<String> {
    let options = DemangleOptions::complete().return_type(false);
    Name::new(name, NameMangling::Mangled, Language::Cpp).demangle(options)
}

/// The name without the types of `auto` template arguments: `$M`, the type, then what otherwise follows a `$`.
fn without_auto(name: &str) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find("$M") {
        out.push_str(&rest[..=at]);
        let (behind, named) = skip_type(&rest[at + 2..], 0)?;
        // A name in the type could be referred to by its number, which would be another without it.
        if named && behind.get(2..)?.bytes().any(|byte| byte.is_ascii_digit()) {
            return None;
        }
        rest = behind;
    }
    out.push_str(rest);
    Some(out)
}

/// What follows a type, and whether there is a name in it.
fn skip_type(text: &str, depth: usize) -> Option<(&str, bool)> {
    let bytes = text.as_bytes();
    if depth > 8 {
        return None;
    }
    match *bytes.first()? {
        b'C'..=b'O' | b'X' => Some((&text[1..], false)),
        b'_' => Some((text.get(2..)?, false)),
        b'T' | b'U' | b'V' => Some((behind_name(&text[1..])?, true)),
        b'W' => Some((behind_name(text.get(2..)?)?, true)),
        b'P' | b'Q' | b'R' | b'S' | b'A' => {
            let target = text[1..].trim_start_matches(['E', 'F', 'I']);
            matches!(target.as_bytes().first()?, b'A'..=b'D').then(|| skip_type(&target[1..], depth + 1))?
        }
        _ => None,
    }
}

fn behind_name(text: &str) -> Option<&str> {
    let (name, behind) = text.split_once("@@")?;
    (!name.contains(['?', '$'])).then_some(behind)
}
