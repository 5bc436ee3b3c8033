//! From an address to its functions, with names that people read, sizes and lines. It never looks for a table.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use symbolic::symcache::{SourceLocation, SymCache};

use super::{Symcaches, Table};
use crate::blobs::BlobError;

/// Questions that are looked up at a time. Each keeps a core busy.
pub(super) const AT_A_TIME: usize = 4;

/// Stack of a thread that reads names, several times of what that takes.
const STACK: usize = 4 * symdepot_demangle::STACK;

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
        let function = location.function();
        // Equal names stand once in a table.
        let at = function.name().as_ptr();
        let read = || symdepot_demangle::readable(function.name(), function.language()).into();
        Rc::clone(self.names.entry(at).or_insert_with(read))
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
