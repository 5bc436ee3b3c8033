//! Reads Rust source just well enough to say which paths it names: comments and literals are blanked, `use` trees are
//! unfolded. It never judges; the rules do.

use std::fs;
use std::path::{Path, PathBuf};

/// One source file.
pub struct Source {
    /// Its path below `src`, with forward slashes: `db/chunks.rs`.
    pub path: String,
    /// The text as it stands.
    pub text: String,
    /// The text with every comment, string and character literal blanked, lines kept.
    pub code: String,
}

/// One path that the code names, such as `crate::db::Db` or `axum::Json`.
#[derive(Debug, PartialEq, Eq)]
pub struct Mention {
    /// The line it stands on, counted from one.
    pub line: usize,
    /// Its names, outermost first.
    pub names: Vec<String>,
}

impl Source {
    /// A file's text under the path that it claims to have.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { path: path.into(), code: blank(&text), text }
    }

    /// The room the file belongs to: its first folder, or its own name when it stands at the top.
    pub fn room(&self) -> &str {
        let first = self.path.split('/').next().expect("a split gives at least one piece");
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Whether a leading `super::` leaves the room and so means the crate's root.
    fn is_room_top(&self) -> bool {
        !self.path.contains('/') || (self.path.ends_with("/mod.rs") && self.path.matches('/').count() == 1)
    }

    /// The code that is not inside `#[cfg(test)]`, which by habit closes a file.
    pub fn shipped_code(&self) -> &str {
        self.code.split("#[cfg(test)]\nmod ").next().expect("a split gives at least one piece")
    }

    /// Every path the code names, `use` trees unfolded; `super::` is spelled `crate::` where it means that.
    pub fn mentions(&self) -> Vec<Mention> {
        let tokens = tokens(&self.code);
        let mut found = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            let (line, token) = tokens[at];
            let before = at.checked_sub(1).map_or("", |before| tokens[before].1);
            at += 1;
            if token == "use" || (token == "crate" && before == "extern") {
                at = unfold(&tokens, at, &[], &mut found);
            } else if starts_path(&tokens, at - 1) {
                let mut names = vec![token.to_owned()];
                while let (Some((_, "::")), Some((_, name))) = (tokens.get(at), tokens.get(at + 1)) {
                    if !is_name(name) {
                        break;
                    }
                    names.push((*name).to_owned());
                    at += 2;
                }
                found.push(Mention { line, names });
            }
        }
        found.retain(|mention| !mention.names.is_empty());
        if self.is_room_top() {
            for mention in &mut found {
                if mention.names[0] == "super" && mention.names.len() > 1 {
                    mention.names[0] = "crate".into();
                }
            }
        }
        found
    }
}

/// All `.rs` files below a folder, in order of their paths.
pub fn sources(root: &Path) -> Vec<Source> {
    let mut paths = files(root, &|_| true);
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a source file is readable text");
        let below = path.strip_prefix(root).expect("the file was found below this folder");
        Source::new(below.to_string_lossy().replace('\\', "/"), text)
    };
    paths.into_iter().map(read).collect()
}

/// All files below a folder whose folders are wanted.
pub fn files(root: &Path, wanted: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is readable") {
            let path = entry.expect("the entry is readable").path();
            match path.is_dir() {
                true if wanted(&path) => folders.push(path),
                true => {}
                false => found.push(path),
            }
        }
    }
    found.sort();
    found
}

/// Replaces comments and literals by spaces, so that what is left is code on its own lines.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => find(bytes, at, b"\n").unwrap_or(bytes.len()),
            b'/' if bytes[at..].starts_with(b"/*") => end_of_comment(bytes, at),
            b'r' if is_raw_string(bytes, at) => end_of_raw_string(bytes, at),
            b'"' => end_of_quoted(bytes, at, b'"'),
            b'\'' if is_character(bytes, at) => end_of_quoted(bytes, at, b'\''),
            _ => {
                at += 1;
                continue;
            }
        };
        for byte in &mut code[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8_lossy(&code).into_owned()
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes[from..].windows(what.len()).position(|window| window == what).map(|offset| from + offset)
}

fn end_of_comment(bytes: &[u8], from: usize) -> usize {
    let mut depth = 0;
    let mut at = from;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

fn is_raw_string(bytes: &[u8], at: usize) -> bool {
    let is_own_word = at == 0 || !is_name_byte(bytes[at - 1]) || (bytes[at - 1] == b'b' || bytes[at - 1] == b'c');
    is_own_word && bytes[at + 1..].iter().find(|byte| **byte != b'#') == Some(&b'"')
}

fn end_of_raw_string(bytes: &[u8], from: usize) -> usize {
    let hashes = bytes[from + 1..].iter().take_while(|byte| **byte == b'#').count();
    let close = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
    find(bytes, from + hashes + 2, &close).map_or(bytes.len(), |at| at + close.len())
}

fn end_of_quoted(bytes: &[u8], from: usize, quote: u8) -> usize {
    let mut at = from + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Tells `'a'` and `'\n'` from the lifetime `'a`.
fn is_character(bytes: &[u8], at: usize) -> bool {
    match &bytes[at + 1..] {
        [b'\\', ..] => true,
        [first, rest @ ..] if first.is_ascii() => rest.first() == Some(&b'\''),
        _ => true,
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

fn is_name(token: &str) -> bool {
    token.bytes().next().is_some_and(|byte| is_name_byte(byte) && !byte.is_ascii_digit())
}

/// Splits code into names, `::` and single signs, each with its line.
fn tokens(code: &str) -> Vec<(usize, &str)> {
    let bytes = code.as_bytes();
    let (mut found, mut at, mut line) = (Vec::new(), 0, 1);
    while at < bytes.len() {
        let length = match bytes[at] {
            byte if is_name_byte(byte) => bytes[at..].iter().take_while(|byte| is_name_byte(**byte)).count(),
            b':' if bytes.get(at + 1) == Some(&b':') => 2,
            byte if byte.is_ascii() => 1,
            _ => code[at..].chars().next().map_or(1, char::len_utf8),
        };
        let token = &code[at..at + length];
        if token == "\n" {
            line += 1;
        }
        if !token.trim().is_empty() {
            found.push((line, token));
        }
        at += length;
    }
    found
}

/// Whether a path of at least two names begins at this token.
fn starts_path(tokens: &[(usize, &str)], at: usize) -> bool {
    let token = |at: Option<usize>| at.and_then(|at| tokens.get(at)).map_or("", |token| token.1);
    if !is_name(token(Some(at))) || token(Some(at + 1)) != "::" {
        return false;
    }
    match token(at.checked_sub(1)) {
        "." => false,
        "::" => !is_name(token(at.checked_sub(2))) && token(at.checked_sub(2)) != ">",
        _ => true,
    }
}

/// Reads one `use` tree from `at`, adds its paths, and says where it ended.
fn unfold(tokens: &[(usize, &str)], mut at: usize, above: &[String], found: &mut Vec<Mention>) -> usize {
    let mut names = above.to_vec();
    let line = tokens.get(at).map_or(0, |token| token.0);
    while let Some((_, token)) = tokens.get(at) {
        match *token {
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token.1 != "}") {
                    at = unfold(tokens, at, &names, found);
                    if tokens.get(at).is_some_and(|token| token.1 == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "as" => at += 2,
            "::" | "*" => at += 1,
            name if is_name(name) => {
                names.push(name.to_owned());
                at += 1;
            }
            _ => break,
        }
    }
    found.push(Mention { line, names });
    at
}
