//! Files and inlined functions by number, and text that stays on its line. It never writes a function.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use symbolic::symcache::{File, Function};

use crate::convert::one_line::one_line;

/// What stands for a name that is empty.
const NAMELESS: &str = "<name omitted>";

/// Numbers in the order of first use.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Whether `..` in the paths of sources is resolved.
    normalize: bool,
    files: HashMap<String, usize>,
    file_list: Vec<String>,
    /// Equal names stand once in a symcache, so their place tells them apart.
    origins: HashMap<(*const u8, usize), usize>,
    origin_list: Vec<String>,
}

impl Names {
    /// Nothing has a number yet.
    pub(super) fn new(normalize: bool) -> Self {
        Self { normalize, ..Self::default() }
    }

    /// Gives a file a number.
    pub(super) fn add_file(&mut self, file: &File<'_>) {
        let path = file.full_path();
        if path.is_empty() || self.files.contains_key(&path) {
            return;
        }
        let shown = if self.normalize && path.starts_with('/') { normalized(&path) } else { path.clone() };
        self.files.insert(path, self.file_list.len());
        self.file_list.push(one_line(&shown).into_owned());
    }

    /// The number of a file that has one.
    pub(super) fn file(&self, file: &File<'_>) -> Option<usize> {
        self.files.get(&file.full_path()).copied()
    }

    /// Gives an inlined function a number.
    pub(super) fn add_origin(&mut self, function: &Function<'_>) {
        let number = self.origin_list.len();
        if let std::collections::hash_map::Entry::Vacant(entry) = self.origins.entry(key(function)) {
            entry.insert(number);
            self.origin_list.push(readable(function));
        }
    }

    /// The number of an inlined function that has one.
    pub(super) fn origin(&self, function: &Function<'_>) -> Option<usize> {
        self.origins.get(&key(function)).copied()
    }

    /// Writes what the numbers mean.
    pub(super) fn write(&self, writer: &mut impl Write) -> io::Result<()> {
        for (number, path) in self.file_list.iter().enumerate() {
            writeln!(writer, "FILE {number} {path}")?;
        }
        for (number, name) in self.origin_list.iter().enumerate() {
            writeln!(writer, "INLINE_ORIGIN {number} {name}")?;
        }
        Ok(())
    }
}

fn key(function: &Function<'_>) -> (*const u8, usize) {
    (function.name().as_ptr(), function.name().len())
}

/// The name as people read it, on one line.
pub(super) fn readable(function: &Function<'_>) -> String {
    let read = symdepot_demangle::readable(function.name(), function.language());
    let name = one_line(&read);
    if name.trim().is_empty() { NAMELESS.to_owned() } else { name.into_owned() }
}

/// A path without `.` and `..`.
fn normalized(path: &str) -> String {
    let mut normal = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal.to_string_lossy().into_owned()
}
