//! Names of native functions without what differs from build to build: arguments, template arguments, return types, suffixes of
//! compilers. Linear in the length of the name, and bounded in depth.

/// How deep names at the beginning of names are looked into.
const DEEPEST: usize = 8;
/// Words and signs that end a name.
const TRAILING: &[&str] = &["const", "volatile", "noexcept", "&&", "&"];
/// Suffixes that compilers give to parts and copies of functions.
const SUFFIXES: &[&str] = &["cold", "isra", "constprop", "part", "llvm", "lto_priv"];
/// Signs behind `operator` that are not what they look like elsewhere.
const SIGNS: &[&str] = &["<=>", "<<=", ">>=", "->*", "<<", ">>", "<=", ">=", "->", "<", ">", "-", "()"];

/// The name for grouping; as it is if nothing of it would be left.
pub fn simplified(name: &str) -> String {
    if name.starts_with("-[") || name.starts_with("+[") {
        return name.to_owned();
    }
    let mut rest = name;
    while let Some(inner) = without_closure(rest) {
        rest = inner;
    }
    let simple = from_left(without_suffixes(rest), DEEPEST);
    if simple.is_empty() { name.to_owned() } else { simple }
}

/// What follows `closure #1 in `.
fn without_closure(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("closure #")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest[digits..].strip_prefix(" in ").filter(|_| digits > 0)
}

fn without_suffixes(name: &str) -> &str {
    let mut name = name;
    loop {
        let before = name;
        name = name.trim_end();
        for word in TRAILING {
            if let Some(rest) = name.strip_suffix(word)
                && (word.starts_with('&') || rest.ends_with([' ', ')']))
                && !ends_with_operator(rest)
            {
                name = rest.trim_end();
            }
        }
        if name.ends_with(']')
            && let Some(open) = name.rfind('[')
            && (name[open..].starts_with("[abi:") || name[open..].starts_with("[clone "))
        {
            name = name[..open].trim_end();
        }
        name = without_part(name);
        if let Some((rest, hash)) = name.rsplit_once("::h")
            && hash.len() == 16
            && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            name = rest;
        }
        if name == before {
            return name;
        }
    }
}

/// Whether the sign behind these bytes belongs to `operator`.
fn ends_with_operator(name: &str) -> bool {
    let name = name.trim_end_matches(['&', ' ']);
    name.strip_suffix("operator").is_some_and(|rest| !rest.ends_with(is_word))
}

/// The name without one suffix such as `.cold` or `.isra.0`.
fn without_part(name: &str) -> &str {
    let numbers = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    for end in [name, numbers] {
        for suffix in SUFFIXES {
            if let Some(rest) = end.strip_suffix(suffix).and_then(|rest| rest.strip_suffix('.')) {
                return rest;
            }
        }
    }
    name
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

/// The name read from the left.
fn from_left(name: &str, depth: usize) -> String {
    let mut written = String::with_capacity(name.len());
    let mut at = 0;
    while let Some(c) = name[at..].chars().next() {
        let rest = &name[at..];
        match c {
            '<' => {
                let end = closing(rest);
                let inside = &rest[1..end.unwrap_or(rest.len())];
                if at == 0 && depth > 0 && end.is_some() {
                    let sides: Vec<_> = around_as(inside).iter().map(|side| from_left(side, depth - 1)).collect();
                    written.push_str(&format!("<{}>", sides.join(" as ")));
                } else {
                    written.push_str("<T>");
                }
                at += end.map_or(rest.len(), |end| end + 1);
            }
            '(' if rest.starts_with("(anonymous namespace)") => {
                written.push_str("{anon}");
                at += "(anonymous namespace)".len();
            }
            '(' => at += closing_parenthesis(rest).map_or(rest.len(), |end| end + 1),
            ' ' => {
                written.clear();
                at += 1;
            }
            _ if rest.starts_with("operator")
                && !written.ends_with(is_word)
                && !rest["operator".len()..].starts_with(is_word) =>
            {
                written.push_str("operator");
                at += "operator".len();
                at += operator(&name[at..], &mut written);
            }
            c => {
                written.push(c);
                at += c.len_utf8();
            }
        }
    }
    written
}

/// Writes the sign behind `operator`, or the blank; the bytes that were read.
fn operator(rest: &str, written: &mut String) -> usize {
    if rest.starts_with(' ') {
        written.push(' ');
        return rest.len() - rest.trim_start_matches(' ').len();
    }
    let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) else { return 0 };
    written.push_str(sign);
    let behind = &rest[sign.len()..];
    let blanks = behind.len() - behind.trim_start_matches(' ').len();
    match behind[blanks..].starts_with('<') {
        true => sign.len() + blanks,
        false => sign.len(),
    }
}

/// Where the `<` at the beginning is closed. `->` and `>=` close nothing.
fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'<' => depth += 1,
            b'>' if at > 0 && bytes[at - 1] == b'-' || bytes.get(at + 1) == Some(&b'=') => {}
            b'>' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

fn closing_parenthesis(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// Both sides of the ` as ` that stands in no brackets, or the whole.
fn around_as(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let mut depth = 0_i64;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'<' | b'(' => depth += 1,
            b'>' if at > 0 && bytes[at - 1] == b'-' => {}
            b'>' | b')' => depth -= 1,
            b' ' if depth == 0 && text[at..].starts_with(" as ") => return vec![&text[..at], &text[at + 4..]],
            _ => {}
        }
    }
    vec![text]
}
