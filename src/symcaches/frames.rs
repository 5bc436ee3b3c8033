//! From an address to its functions, with names that people read, sizes and lines. It never looks for a table.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use symbolic::common::{Language, Name, NameMangling};
use symbolic::demangle::{Demangle as _, DemangleOptions};
use symbolic::symcache::{SourceLocation, SymCache};

use super::{Symcaches, Table};
use crate::blobs::BlobError;

/// Questions that are looked up at a time. Each keeps a core busy.
pub(super) const AT_A_TIME: usize = 4;

/// Longest mangled name that is read: deeper ones than fit in here would need too much stack.
const LONGEST_MANGLED: usize = 4 << 10;

/// Longest name that is answered; where a name becomes longer, it stays mangled.
const LONGEST_READABLE: usize = 16 << 10;

/// Stack of a thread that reads names, several times of what the limits above allow.
const STACK: usize = 16 << 20;

/// What is known of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The function that was called, with what was inlined into it.
    pub function: Rc<str>,
    /// How far behind its beginning the address is.
    pub offset: Option<u64>,
    /// How many bytes of code it has, if that is known.
    pub size: Option<u64>,
    /// Where in it the address is.
    pub place: Place,
    /// What was inlined at the address, innermost first.
    pub inlines: Vec<Inline>,
}

/// A function that was inlined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inline {
    /// The function.
    pub function: Rc<str>,
    /// Where in it the address is.
    pub place: Place,
}

/// A place in a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Path of the source file.
    pub file: Option<Rc<str>>,
    /// The line, if there is a file.
    pub line: Option<u32>,
}

/// Looks up in one table, and remembers what it took time to find out.
pub struct Frames<'t> {
    table: &'t Table,
    reader: Option<SymCache<'t>>,
    names: HashMap<*const u8, Rc<str>>,
    sizes: HashMap<u32, Option<u64>>,
}

impl Symcaches {
    /// Runs `work`, which looks addresses up, where it may take its time and as much stack as names need.
    pub async fn look_up<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, BlobError> {
        let failed = |error: io::Error| BlobError::io("look addresses up", error);
        let turn = Arc::clone(&self.look_up_turns).acquire_owned().await.expect("the semaphore is never closed");
        let ended = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let thread = std::thread::Builder::new().stack_size(STACK).spawn(work)?;
            thread.join().map_err(|_| io::Error::other("the thread that looks addresses up panicked"))
        });
        ended.await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(failed)
    }
}

impl<'t> Frames<'t> {
    /// Nothing is looked up yet.
    pub fn new(table: &'t Table) -> Self {
        Self { table, reader: table.reader(), names: HashMap::new(), sizes: HashMap::new() }
    }

    /// What is known of an address, counted from the beginning of the module.
    pub fn at(&mut self, address: u64) -> Option<Frame> {
        let reader = self.reader.clone()?;
        let mut locations: Vec<_> = reader.lookup(address).collect();
        // Innermost first: the last one is the function that was called.
        let outermost = locations.pop()?;
        let entry = Some(outermost.function().entry_pc()).filter(|entry| u64::from(*entry) <= address);
        let size = entry.and_then(|entry| self.size(entry, address));
        let inlines =
            locations.iter().map(|location| Inline { function: self.name(location), place: place(location) }).collect();
        Some(Frame {
            function: self.name(&outermost),
            offset: entry.map(|entry| address - u64::from(entry)),
            size,
            place: place(&outermost),
            inlines,
        })
    }

    fn name(&mut self, location: &SourceLocation<'t, '_>) -> Rc<str> {
        let name = location.function().name_for_demangling();
        // Equal names stand once in a table.
        let at = location.function().name().as_ptr();
        Rc::clone(self.names.entry(at).or_insert_with(|| readable(&name).into()))
    }

    /// The size of the function that begins at `entry` and has code at `address`: the table says where functions begin
    /// and, by saying nothing, where they end.
    fn size(&mut self, entry: u32, address: u64) -> Option<u64> {
        if let Some(size) = self.sizes.get(&entry) {
            return *size;
        }
        let size = self.reader.as_ref().and_then(|reader| {
            let is_of = |address: u64| {
                let outermost = reader.lookup(address).last();
                outermost.is_some_and(|location| location.function().entry_pc() == entry)
            };
            let next = self.table.next_entry(entry).map(u64::from);
            let mut inside = if is_of(u64::from(entry)) { u64::from(entry) } else { address };
            let mut outside = next.unwrap_or(u64::from(u32::MAX));
            if outside <= inside || next.is_none() && is_of(outside) {
                return None;
            }
            while outside - inside > 1 {
                let middle = inside + (outside - inside) / 2;
                if is_of(middle) { inside = middle } else { outside = middle }
            }
            Some(outside - u64::from(entry))
        });
        self.sizes.insert(entry, size);
        size
    }
}

fn place(location: &SourceLocation<'_, '_>) -> Place {
    let file = location.file().map(|file| file.full_path()).filter(|path| !path.is_empty());
    let line = Some(location.line()).filter(|line| *line > 0 && file.is_some());
    Place { file: file.map(Into::into), line }
}

/// The name as people read it. Names of Swift stay as they are: what reads them is not safe from those who make them up.
fn readable(name: &Name<'_>) -> String {
    let text = name.as_str();
    let begins = |starts: &[&str]| starts.iter().any(|start| text.starts_with(start));
    let language = match name.language() {
        Language::Unknown if begins(&["_R", "__R"]) => Language::Rust,
        // The end of a name tells these apart.
        Language::Unknown if begins(&["_Z", "__Z", "___Z", "____Z", "?", "@?"]) => Language::Unknown,
        language @ (Language::Cpp | Language::Rust | Language::ObjC | Language::ObjCpp) => language,
        _ => return text.to_owned(),
    };
    if text.len() > LONGEST_MANGLED {
        return text.to_owned();
    }
    let options = DemangleOptions::complete().return_type(false);
    let read = Name::new(text, NameMangling::Unknown, language).try_demangle(options).into_owned();
    if read.len() > LONGEST_READABLE { text.to_owned() } else { read }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, language: Language) -> String {
        readable(&Name::new(text, NameMangling::Unknown, language))
    }

    #[test]
    fn names_of_every_language_are_read_but_those_of_swift() {
        for (name, language, expected) in [
            ("_ZN3foo3barEiPKc", Language::Unknown, "foo::bar(int, char const*)"),
            ("_ZN3foo3barEiPKc", Language::Cpp, "foo::bar(int, char const*)"),
            ("?square@@YAHH@Z", Language::Unknown, "square(int)"),
            ("_ZN6shapes5boxes17h0123456789abcdefE", Language::Unknown, "shapes::boxes"),
            ("_RNvCs1234_7mycrate3foo", Language::Unknown, "mycrate::foo"),
            ("-[Foo bar:]", Language::ObjC, "-[Foo bar:]"),
            (
                "$s8mangling12GenericUnionO3FooyACyxGSicAEmlF",
                Language::Swift,
                "$s8mangling12GenericUnionO3FooyACyxGSicAEmlF",
            ),
            ("$s8mangling12GenericUnionO", Language::Unknown, "$s8mangling12GenericUnionO"),
            ("_Rnonsense", Language::Unknown, "_Rnonsense"),
            ("main", Language::C, "main"),
            ("", Language::Cpp, ""),
        ] {
            assert_eq!(read(name, language), expected);
        }
    }

    #[test]
    fn names_that_double_with_each_letter_stay_as_they_are() {
        // a<int, int>, a<of those two>, a<of those two>, …: each parameter is twice as long as the one before.
        let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let parameters = digits.iter().map(|digit| format!("S_IS{0}_S{0}_E", char::from(*digit)));
        let name = format!("_Z1f1aIiiE{}", parameters.collect::<String>());
        assert!(read(&name, Language::Unknown).len() <= LONGEST_READABLE);
        assert_eq!(read(&name, Language::Cpp), name, "36 doublings are too long");
    }

    #[test]
    fn hostile_names_stay_as_they_are() {
        let deep = |start: &str, middle: &str, count: usize| format!("{start}{}", middle.repeat(count));
        for name in [
            deep("_Z1f", "P", 4000),
            deep("_Z1fI", "N1aI", 1000),
            deep("?f@@YAX", "PEA", 1300),
            deep("?", "?0", 2000),
            deep("_RNv", "N", 4000),
            deep("_RIC1a", "TR", 2000),
            deep("_Z", "\u{e9}", 2000),
        ] {
            assert_eq!(read(&name, Language::Unknown), name);
        }
        let long = deep("_Z1f", "i", LONGEST_MANGLED);
        assert_eq!(read(&long, Language::Unknown), long);
    }
}
