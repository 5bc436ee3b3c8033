//! The symbol table: names where debug information has no function. It never changes what a function was called.

use std::borrow::Cow;

use symbolic::debuginfo::{Object, Symbol};
use symbolic::symcache::SymCacheConverter;

use super::layout::Layout;
use super::ranges::Ranges;

/// The symbols of an object, by their offset from the image base.
#[derive(Debug, Default)]
pub(super) struct Symbols<'data> {
    /// Sorted by offset; the end is where the symbol or the next one says.
    symbols: Vec<Named<'data>>,
}

/// A symbol with a name.
#[derive(Clone, Debug)]
struct Named<'data> {
    offset: u64,
    size: u64,
    name: Cow<'data, str>,
}

impl<'data> Symbols<'data> {
    /// Reads the symbol table.
    pub(super) fn read(object: &Object<'data>, layout: &Layout) -> Self {
        let read = |symbol: Symbol<'data>| {
            let address = symbol.address.wrapping_add(object.load_address());
            let address = if layout.is_thumb() { address & !1 } else { address };
            let name = symbol.name.filter(|name| !name.is_empty())?;
            // What WebAssembly has is an offset from the beginning of the file already.
            let offset = if matches!(object, Object::Wasm(_)) { symbol.address } else { layout.offset(address)? };
            Some(Named { offset, size: symbol.size, name })
        };
        let mut symbols: Vec<_> = object.symbols().filter_map(read).collect();
        symbols.sort_by_key(|symbol| symbol.offset);
        Self { symbols }
    }

    /// The names of all symbols at exactly this offset.
    pub(super) fn at(&self, offset: u64) -> impl Iterator<Item = &str> {
        let first = self.symbols.partition_point(|symbol| symbol.offset < offset);
        self.symbols[first..].iter().take_while(move |symbol| symbol.offset == offset).map(|symbol| &*symbol.name)
    }

    /// The symbol that an offset lies in: its name, where it begins, and where it ends at the latest.
    pub(super) fn around(&self, offset: u64) -> Option<(&str, u64, u64)> {
        let after = self.symbols.partition_point(|symbol| symbol.offset <= offset);
        let symbol = self.symbols[..after].last()?;
        let next = self.symbols.get(after).map_or(u64::MAX, |next| next.offset);
        let end = if symbol.size == 0 { next } else { symbol.offset.saturating_add(symbol.size).min(next) };
        (offset < end).then_some((&*symbol.name, symbol.offset, end))
    }

    /// Where the first symbol behind an offset begins.
    pub(super) fn next(&self, offset: u64) -> u64 {
        let after = self.symbols.partition_point(|symbol| symbol.offset <= offset);
        self.symbols.get(after).map_or(u64::MAX, |symbol| symbol.offset)
    }

    /// Adds the symbols to a symcache, where no function is; says how many there are.
    pub(super) fn add_to(&self, converter: &mut SymCacheConverter<'_>, covered: &Ranges) -> u64 {
        let mut added = 0;
        for symbol in self.symbols.iter().filter(|symbol| !covered.contains(symbol.offset)) {
            let symbol = Symbol { name: Some(Cow::Borrowed(&*symbol.name)), address: symbol.offset, size: symbol.size };
            converter.process_symbolic_symbol(&symbol);
            added += 1;
        }
        added
    }
}
