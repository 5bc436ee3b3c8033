//! Tables of symbols: which of their names belong to code, and which one where there are several. They name what debug
//! information does not cover, and everything in a file that has none.
//!
//! It never reads debug information. Rules and their reasons are beside the code: `choose` for names at one address,
//! `elf`, `coff` and `macho` for what is code at all.

mod choose;
mod elf;
mod mini;
mod native;

use std::borrow::Cow;

use symbolic::debuginfo::{Object, Symbol as Record};
use symbolic::symcache::SymCacheConverter;

use self::choose::{Candidate, choose};
use super::layout::Layout;
use super::ranges::Ranges;

/// A name and the code that it is for, by offsets from the image base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Symbol<'d> {
    /// Where the code begins.
    pub begin: u64,
    /// Where it ends; never where it begins.
    pub end: u64,
    /// Its name, mangled if it was.
    pub name: Cow<'d, str>,
}

/// The symbols of a file.
#[derive(Debug, Default)]
pub(crate) struct Symbols<'d> {
    /// In order, none upon another.
    chosen: Vec<Symbol<'d>>,
    /// All names with their offsets, in order, the best of an offset first.
    names: Vec<(u64, Cow<'d, str>)>,
}

impl<'d> Symbols<'d> {
    /// Reads the symbol tables of an object. At most `memory` bytes are unpacked for it.
    pub(crate) fn read(object: &Object<'d>, layout: &Layout, memory: u64) -> Self {
        let candidates = match object {
            Object::Elf(elf) => elf::candidates(elf.data(), layout, memory),
            Object::Pe(pe) => native::pe(pe.data()),
            Object::MachO(macho) => native::macho(macho.data(), layout, object),
            _ => native::others(object),
        };
        Self::of(candidates)
    }

    fn of(candidates: Vec<Candidate<'d>>) -> Self {
        let (chosen, names) = choose(candidates);
        Self { chosen, names }
    }

    /// All names at exactly this offset, the best first.
    pub(crate) fn at(&self, offset: u64) -> impl Iterator<Item = &str> {
        let first = self.names.partition_point(|(at, _)| *at < offset);
        self.names[first..].iter().take_while(move |(at, _)| *at == offset).map(|(_, name)| &**name)
    }

    /// The symbol that an offset lies in: its name, where it begins and where it ends.
    pub(crate) fn around(&self, offset: u64) -> Option<(&str, u64, u64)> {
        let behind = self.chosen.partition_point(|symbol| symbol.begin <= offset);
        let symbol = self.chosen.get(behind.checked_sub(1)?).filter(|symbol| offset < symbol.end)?;
        Some((&symbol.name, symbol.begin, symbol.end))
    }

    /// Where the first symbol behind an offset begins.
    pub(crate) fn next(&self, offset: u64) -> u64 {
        let behind = self.chosen.partition_point(|symbol| symbol.begin <= offset);
        self.chosen.get(behind).map_or(u64::MAX, |symbol| symbol.begin)
    }

    /// Adds them to a symcache where nothing is yet; says how many there are. A symbol whose beginning is covered adds
    /// nothing, and others end where something covered begins.
    pub(crate) fn add_to(&self, converter: &mut SymCacheConverter<'_>, covered: &Ranges) -> u64 {
        let mut added = 0;
        for Symbol { begin, end, name } in self.chosen.iter().filter(|symbol| symbol.begin < FARTHEST) {
            let gap = covered.gaps(*begin, (*end).min(FARTHEST)).into_iter().next();
            if let Some((start, end)) = gap.filter(|(start, _)| start == begin) {
                let name = Some(Cow::Borrowed(&**name));
                converter.process_symbolic_symbol(&Record { name, address: start, size: end - start });
                added += 1;
            }
        }
        added
    }
}

/// A symcache holds offsets below this.
const FARTHEST: u64 = u32::MAX as u64;

/// How a name is shown that a C compiler of 32-bit Windows decorated; on other machines nothing is decorated but what says
/// `__vectorcall`.
pub(crate) fn undecorated(name: &str, is_32_bit: bool) -> &str {
    if name.starts_with('?') || name.contains([':', '(', '<']) {
        return name;
    }
    let without_size = |name| {
        let (stem, size) = str::rsplit_once(name, '@')?;
        size.parse::<u32>().is_ok().then_some(stem).filter(|stem| !stem.is_empty())
    };
    if let Some(stem) = without_size(name).and_then(|stem| stem.strip_suffix('@')).filter(|stem| !stem.is_empty()) {
        return stem;
    }
    if !is_32_bit {
        return name;
    }
    match name.strip_prefix(['_', '@']) {
        Some(rest) if name.starts_with('_') => without_size(rest).unwrap_or(rest),
        Some(rest) => without_size(rest).unwrap_or(name),
        None => name,
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod rules {
    use super::*;

    #[test]
    fn the_underscore_of_c_is_cut_on_32_bit_windows_alone() {
        for (name, narrow, wide) in [
            ("_main", "main", "_main"),
            ("__private_helper", "_private_helper", "__private_helper"),
            ("__tailMerge_USER32.dll", "_tailMerge_USER32.dll", "__tailMerge_USER32.dll"),
            ("_stdcall@8", "stdcall", "_stdcall@8"),
            ("@fastcall@8", "fastcall", "@fastcall@8"),
            ("vectorcall@@16", "vectorcall", "vectorcall"),
            ("?f@@YAXXZ", "?f@@YAXXZ", "?f@@YAXXZ"),
            ("_", "", "_"),
            ("@feat.00", "@feat.00", "@feat.00"),
        ] {
            assert_eq!((undecorated(name, true), undecorated(name, false)), (narrow, wide), "{name}");
        }
    }

    fn symbols(names: &[(u64, u64, &'static str)]) -> Symbols<'static> {
        let candidate = |(begin, size, name): &(u64, u64, &'static str)| Candidate {
            begin: *begin,
            size: *size,
            limit: 0x100,
            function: true,
            name: (*name).into(),
            ..Candidate::default()
        };
        Symbols::of(names.iter().map(candidate).collect())
    }

    #[test]
    fn symbols_name_only_what_nothing_else_covers() {
        let symbols = symbols(&[(0, 4, "a"), (4, 4, "b"), (10, 10, "c"), (20, 10, "d")]);
        let mut covered = Ranges::default();
        [(2, 5), (12, 14), (20, 21)].into_iter().for_each(|(begin, end)| covered.insert(begin, end));
        let mut converter = SymCacheConverter::new();
        assert_eq!(symbols.add_to(&mut converter, &covered), 2);
        let mut bytes = Vec::new();
        converter.serialize(&mut bytes).expect("a vector takes everything");
        let table = symbolic::symcache::SymCache::parse(&bytes).expect("a table");
        let name = |address| table.lookup(address).next().map(|location| location.function().name().to_owned());
        let names: Vec<_> = [1, 2, 4, 10, 11, 12, 20].map(name).into_iter().map(Option::unwrap_or_default).collect();
        assert_eq!(names, ["a", "", "", "c", "c", "", ""]);
    }

    #[test]
    fn names_are_found_by_where_they_begin_and_by_what_they_hold() {
        let symbols = symbols(&[(0, 4, "a"), (8, 8, "alias"), (8, 8, "b")]);
        assert_eq!(symbols.at(8).collect::<Vec<_>>(), ["b", "alias"]);
        assert_eq!(symbols.around(10), Some(("b", 8, 16)));
        assert_eq!((symbols.around(4), symbols.around(16)), (None, None));
        assert_eq!((symbols.next(0), symbols.next(8)), (8, u64::MAX));
    }
}
