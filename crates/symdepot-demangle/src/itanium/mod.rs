//! Names of the Itanium C++ ABI, which clang and GCC write: read by a grammar that keeps up with C++20 and later, written
//! the way `c++filt` has them, without the type that a function returns. Time, depth and length are bounded whatever the
//! name is.
//!
//! The grammar is that of the ABI and of LLVM's own reader. It never guesses: what it cannot read whole stays mangled.

mod expressions;
mod names;
mod node;
mod operators;
mod parser;
mod special;
mod templates;
mod types;
mod unresolved;
mod write;
mod write_expressions;
mod write_names;

use parser::Parser;
use write::Writer;

/// Reads a name that begins with `_Z`, or with more underscores.
pub(super) fn demangle(mangled: &str, longest: usize) -> Option<String> {
    let (mangled, behind) = match mangled.split_once('@') {
        Some((name, _)) => (name, &mangled[name.len()..]),
        None => (mangled, ""),
    };
    let underscores = mangled.bytes().take_while(|byte| *byte == b'_').count();
    if !(1..=4).contains(&underscores) || mangled.as_bytes().get(underscores) != Some(&b'Z') {
        return None;
    }
    let mut parser = Parser::new(mangled);
    parser.at = underscores + 1;
    let root = parser.encoding()?;
    let block = parser.eat("_block_invoke");
    if block {
        let numbered = parser.eat("_");
        if parser.number(false).is_empty() && numbered {
            return None;
        }
    }
    let suffix = parser.rest();
    if !suffix.is_empty() && !suffix.starts_with('.') {
        return None;
    }
    let mut writer = Writer::new(&parser.nodes, longest);
    if block {
        writer.put("invocation function for block in ").ok()?;
    }
    writer.all(root).ok()?;
    for clone in clones(suffix) {
        writer.put(" [clone ").ok()?;
        writer.put(clone).ok()?;
        writer.put("]").ok()?;
    }
    writer.put(behind).ok()?;
    Some(writer.out)
}

/// The suffixes of compilers: letters with the numbers behind them, one after the other.
fn clones(suffix: &str) -> impl Iterator<Item = &str> {
    let mut rest = suffix;
    std::iter::from_fn(move || {
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let mut end = 0;
        for (index, part) in rest.split('.').enumerate().skip(1) {
            if index > 1 && !is_number(part) {
                break;
            }
            end += 1 + part.len();
        }
        let (clone, behind) = rest.split_at(end);
        rest = behind;
        (!clone.is_empty()).then_some(clone)
    })
}
