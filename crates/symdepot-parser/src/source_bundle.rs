//! One source file out of a source bundle, by the path that debug information names it by. Runs in the child process.
//!
//! A path is only compared with other paths: nothing is ever opened under it.

use symbolic::debuginfo::sourcebundle::SourceBundle;

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
    fn a_path_is_what_it_means() {
        for path in ["/src/a.c", "src/a.c", "//src/./a.c", "/src/lib/../a.c", "/../src/a.c", "\\src\\a.c"] {
            assert_eq!(canonical(path), ["src", "a.c"], "{path}");
        }
    }
}
