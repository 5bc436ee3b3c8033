//! Names as compilers write them, made readable: C++ of clang, GCC and MSVC, and Rust. The one place where that is done, so
//! that a symcache, Breakpad text and an event show the same name.
//!
//! It takes bounded time, stack and memory whatever the name is, and never guesses: what cannot be read stays as it is.

mod itanium;
mod msvc;

use std::borrow::Cow;

use symbolic_common::Language;

/// The longest mangled name that is read, in bytes.
pub const LONGEST_MANGLED: usize = 64 << 10;

/// The longest name that is answered, in bytes; what would become longer stays mangled.
pub const LONGEST_READABLE: usize = 64 << 10;

/// Stack that reading a name takes at most, in bytes, without optimization.
pub const STACK: usize = 4 << 20;

/// A name as people read it: readable if it can be, else as it is. Of some languages nothing is mangled.
pub fn readable(name: &str, language: Language) -> Cow<'_, str> {
    match language {
        Language::Unknown | Language::Cpp | Language::Rust | Language::ObjC | Language::ObjCpp => {
            demangle(name).map_or(Cow::Borrowed(name), Cow::Owned)
        }
        _ => Cow::Borrowed(name),
    }
}

/// The readable form of a name, without what a function returns; `None` if it is not mangled or cannot be read.
///
/// Names of Swift stay as they are: what reads them is not safe from those who make them up.
pub fn demangle(name: &str) -> Option<String> {
    if name.len() > LONGEST_MANGLED {
        return None;
    }
    let begins = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
    let read = if begins(&["_R", "__R"]) {
        rust(name)
    } else if begins(&["?", "@?"]) {
        msvc::demangle(name)
    } else if begins(&["_Z", "__Z", "___Z", "____Z"]) {
        let name = without_hash(name);
        old_rust(name).or_else(|| itanium::demangle(name, LONGEST_READABLE))
    } else {
        None
    };
    read.filter(|read| read.len() <= LONGEST_READABLE)
}

/// Longest name of Rust: its reader takes a level of stack for every few bytes.
const LONGEST_RUST: usize = 16 << 10;

fn rust(name: &str) -> Option<String> {
    if name.len() > LONGEST_RUST {
        return None;
    }
    let read = rustc_demangle::try_demangle(name).ok()?;
    let mut out = Bounded(String::new());
    std::fmt::write(&mut out, format_args!("{read:#}")).ok()?;
    Some(out.0)
}

/// The older form of Rust's names looks like C++, but for the hash at its end.
fn old_rust(name: &str) -> Option<String> {
    let hash = name.find("17h")?;
    let digits = name.as_bytes().get(hash + 3..hash + 19)?;
    (digits.iter().all(u8::is_ascii_hexdigit) && name.as_bytes().get(hash + 19) == Some(&b'E')).then(|| rust(name))?
}

/// A name without the hash that some linkers add: `$` and 32 hexadecimal digits.
fn without_hash(name: &str) -> &str {
    match name.len().checked_sub(33).and_then(|at| name.split_at_checked(at)) {
        Some((stem, hash)) if hash.starts_with('$') && hash[1..].bytes().all(|byte| byte.is_ascii_hexdigit()) => stem,
        _ => name,
    }
}

/// Text that does not grow beyond what is answered.
struct Bounded(String);

impl std::fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.0.len() + text.len() > LONGEST_READABLE {
            return Err(std::fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
