//! Source files, and lines of them, out of a source bundle, by the path that debug information names it by. Runs in the child process.
//!
//! A path is only compared with other paths: nothing is ever opened under it.

use std::collections::HashMap;

use symbolic::debuginfo::sourcebundle::SourceBundle;
use symdepot_types::child_protocol::{SourceLines, SourceWant};

/// Lines on either side of a line.
const NEIGHBOURS: usize = 5;

/// A line of more bytes is cut to the second number.
const LONG_LINE: (usize, usize) = (150, 140);

/// What follows a line that was cut.
const CUT: &str = " {snip}";

/// Bytes of one source that are looked at.
const MAX_SOURCE: usize = 8 << 20;

/// The text of the file that `path` names in `bundle`, if it is there. The error says what is wrong with the bundle.
pub fn source(bundle: &[u8], path: &str) -> Result<Option<String>, String> {
    let bundle = SourceBundle::parse(bundle).map_err(|error| error.to_string())?;
    let session = bundle.debug_session().map_err(|error| error.to_string())?;
    let text = |path: &str| -> Result<Option<String>, String> {
        let found = session.source_by_path(path).map_err(|error| error.to_string())?;
        Ok(found.and_then(|source| source.contents().map(str::to_owned)))
    };
    if let Some(found) = text(path)? {
        return Ok(Some(found));
    }
    // Compilers write what they were told (`/src/./lib/../a.c`), debuggers ask for what that means.
    let wanted = canonical(path);
    for file in session.files() {
        let named = file.map_err(|error| error.to_string())?.abs_path_str();
        if canonical(&named) == wanted {
            return text(&named);
        }
    }
    Ok(None)
}

/// The lines that are wanted, of every source that the bundle has. A path is that of a source exactly, or else with `/` for
/// `\\` and without case; one that begins with `~/` is the address of a source.
pub fn source_lines(bundle: &[u8], wants: &[SourceWant]) -> Result<Vec<SourceLines>, String> {
    let bundle = SourceBundle::parse(bundle).map_err(|error| error.to_string())?;
    let session = bundle.debug_session().map_err(|error| error.to_string())?;
    let text = |path: &str| -> Option<String> {
        let found = match path.starts_with("~/") {
            true => session.source_by_url(path),
            false => session.source_by_path(path),
        };
        found.ok().flatten().and_then(|source| source.contents().map(str::to_owned))
    };
    let mut folded: Option<HashMap<String, String>> = None;
    let mut found = Vec::new();
    for want in wants {
        let text = text(&want.path).or_else(|| {
            let named = folded.get_or_insert_with(|| {
                let files = session.files().filter_map(Result::ok).map(|file| file.abs_path_str());
                files.map(|path| (fold(&path), path)).collect()
            });
            text(named.get(&fold(&want.path))?)
        });
        if let Some(text) = text {
            lines_of(&text, want, &mut found);
        }
    }
    Ok(found)
}

fn fold(path: &str) -> String {
    path.replace('\\', "/").to_lowercase()
}

/// The wanted lines of a text, with their neighbours. A line beyond the text is none.
fn lines_of(text: &str, want: &SourceWant, found: &mut Vec<SourceLines>) {
    let text = &text[..text.floor_char_boundary(MAX_SOURCE)];
    let lines: Vec<_> = text.lines().collect();
    let cut = |lines: &[&str]| lines.iter().map(|line| shortened(line)).collect();
    for &number in &want.lines {
        let at = usize::try_from(number).unwrap_or(usize::MAX).wrapping_sub(1);
        let Some(line) = lines.get(at) else { continue };
        found.push(SourceLines {
            path: want.path.clone(),
            number,
            before: cut(&lines[at.saturating_sub(NEIGHBOURS)..at]),
            line: shortened(line),
            behind: cut(&lines[at + 1..lines.len().min(at + 1 + NEIGHBOURS)]),
        });
    }
}

fn shortened(line: &str) -> String {
    let (longest, kept) = LONG_LINE;
    match line.len() > longest {
        true => format!("{}{CUT}", &line[..line.floor_char_boundary(kept)]),
        false => line.to_owned(),
    }
}

/// The parts of a path without those that lead nowhere or back.
fn canonical(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for part in path.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_up_to_five_neighbours_and_none_beyond_the_text() {
        let text: String = (1..=9).map(|n| format!("line {n}\r\n")).collect();
        let want = SourceWant { path: "a.c".to_owned(), lines: [1, 4, 9, 10].into() };
        let mut found = Vec::new();
        lines_of(&text, &want, &mut found);
        let shape: Vec<_> =
            found.iter().map(|lines| (lines.before.len(), lines.line.as_str(), lines.behind.len())).collect();
        assert_eq!(shape, [(0, "line 1", 5), (3, "line 4", 5), (5, "line 9", 0)]);
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        assert_eq!(shortened(&"x".repeat(150)), "x".repeat(150));
        assert_eq!(shortened(&"x".repeat(151)), format!("{} {{snip}}", "x".repeat(140)));
        assert_eq!(
            shortened(&format!("{}é{}", "x".repeat(139), "y".repeat(20))),
            format!("{} {{snip}}", "x".repeat(139))
        );
    }

    #[test]
    fn a_path_is_what_it_means() {
        for path in ["/src/a.c", "src/a.c", "//src/./a.c", "/src/lib/../a.c", "/../src/a.c", "\\src\\a.c"] {
            assert_eq!(canonical(path), ["src", "a.c"], "{path}");
        }
    }
}
