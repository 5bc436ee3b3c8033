//! From an address to its functions as the table has them: mangled and readable names, languages, files and lines. It never
//! looks for a table, and looks each address up once.

use std::collections::HashMap;
use std::sync::Arc;

use symbolic::common::Language;
use symbolic::symcache::{SourceLocation, SymCache};

use super::Table;

/// One function at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Its name as the compiler wrote it.
    pub symbol: Arc<str>,
    /// Its name as people read it.
    pub function: Arc<str>,
    /// Its language, if it is known.
    pub language: Option<&'static str>,
    /// Where it begins, from the beginning of the module.
    pub entry: u64,
    /// Path of the source file.
    pub file: Option<Arc<str>>,
    /// The line, if there is a file.
    pub line: Option<u32>,
}

/// A name as the compiler wrote it, and as people read it.
type Names = (Arc<str>, Arc<str>);

/// Looks up in one table.
pub struct Locations<'t> {
    reader: Option<SymCache<'t>>,
    names: HashMap<(*const u8, usize), Names>,
    paths: HashMap<String, Arc<str>>,
    found: HashMap<u64, Arc<[Location]>>,
}

impl Table {
    /// Its architecture.
    pub fn arch(&self) -> &'static str {
        self.reader().map_or("unknown", |reader| reader.arch().name())
    }
}

impl<'t> Locations<'t> {
    /// Nothing is looked up yet.
    pub fn new(table: &'t Table) -> Self {
        Self { reader: table.reader(), names: HashMap::new(), paths: HashMap::new(), found: HashMap::new() }
    }

    /// The functions at an address from the beginning of the module, what was inlined first. Nothing is known of addresses
    /// that the format cannot hold.
    pub fn at(&mut self, address: u64) -> Arc<[Location]> {
        if let Some(found) = self.found.get(&address) {
            return Arc::clone(found);
        }
        let found: Arc<[Location]> = match (self.reader.clone(), u32::try_from(address)) {
            (Some(reader), Ok(_)) => reader.lookup(address).map(|location| self.location(&location)).collect(),
            _ => Arc::default(),
        };
        self.found.insert(address, Arc::clone(&found));
        found
    }

    fn location(&mut self, location: &SourceLocation<'t, '_>) -> Location {
        let function = location.function();
        let (symbol, readable) = self.name(function.name(), function.language());
        let path = location.file().map(|file| file.full_path()).filter(|path| !path.is_empty());
        let file = path.map(|path| match self.paths.get(&path) {
            Some(known) => Arc::clone(known),
            None => {
                let shared: Arc<str> = path.as_str().into();
                self.paths.insert(path, Arc::clone(&shared));
                shared
            }
        });
        Location {
            symbol,
            function: readable,
            language: language(function.language()),
            entry: u64::from(function.entry_pc()),
            line: Some(location.line()).filter(|line| *line > 0 && file.is_some()),
            file,
        }
    }

    fn name(&mut self, name: &'t str, language: Language) -> Names {
        // Equal names stand once in a table.
        let read = || (name.into(), symdepot_demangle::readable(name, language).into());
        self.names.entry((name.as_ptr(), name.len())).or_insert_with(read).clone()
    }
}

/// The word for a language on the wire.
fn language(language: Language) -> Option<&'static str> {
    Some(match language {
        Language::C => "c",
        Language::Cpp => "cpp",
        Language::Rust => "rust",
        Language::Swift => "swift",
        Language::ObjC => "objc",
        Language::ObjCpp => "objcpp",
        Language::D => "d",
        Language::Go => "go",
        Language::CSharp => "csharp",
        Language::VisualBasic => "vb",
        Language::FSharp => "fsharp",
        _ => return None,
    })
}
