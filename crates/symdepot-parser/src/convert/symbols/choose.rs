//! Which name is meant where a table has several. Pure: it never looks at a file.
//!
//! In this order: a name with a size (section markers and Go's `runtime.text` have none), a function (labels of assemblers
//! are none), the longest, then how far it is seen: a global name is the function itself (`__newlocale`), a weak one its
//! alias (`newlocale`), a local one an accident. What is left is decided by the name without a version and by the order of
//! the table, as LLVM does.

use std::borrow::Cow;
use std::cmp::Reverse;

use super::Symbol;

/// How far a name is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Binding {
    /// In its object file.
    #[default]
    Local,
    /// Everywhere, unless another is.
    Weak,
    /// Everywhere.
    Global,
}

/// A name that may be the one.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidate<'d> {
    /// Where it points.
    pub begin: u64,
    /// How much code it says it is for; 0 if it does not say.
    pub size: u64,
    /// Where the section ends that it points into.
    pub limit: u64,
    /// The table says that it is a function.
    pub function: bool,
    /// How far it is seen.
    pub binding: Binding,
    /// A form of another name, which is shown without what makes it one.
    pub variant: bool,
    /// The name.
    pub name: Cow<'d, str>,
}

impl Candidate<'_> {
    /// The same with a name of its own.
    pub(super) fn into_owned(self) -> Candidate<'static> {
        let Self { begin, size, limit, function, binding, variant, name } = self;
        Candidate { begin, size, limit, function, binding, variant, name: Cow::Owned(name.into_owned()) }
    }
}

/// Names with their offsets, in order, the best of an offset first.
pub(super) type Names<'d> = Vec<(u64, Cow<'d, str>)>;

/// One symbol for each address, in order, none upon another; and all names.
pub(super) fn choose(mut candidates: Vec<Candidate<'_>>) -> (Vec<Symbol<'_>>, Names<'_>) {
    candidates.retain(|candidate| candidate.begin < candidate.limit && !candidate.name.is_empty());
    // Of equal ones the last of the table comes first.
    candidates.reverse();
    candidates.sort_by_key(|candidate| {
        let size = candidate.size.min(candidate.limit - candidate.begin);
        let rank = (size > 0, candidate.function, size, candidate.binding, !candidate.variant);
        (candidate.begin, Reverse(rank))
    });
    let mut symbols: Vec<Symbol<'_>> = Vec::new();
    let mut names: Names<'_> = Vec::with_capacity(candidates.len());
    // How far a name with a size reaches. One without is no more than a mark inside of it.
    let mut reaches = 0;
    for Candidate { begin, size, limit, name, .. } in candidates {
        let first = names.last().is_none_or(|(before, _)| *before != begin);
        if first && (size > 0 || begin >= reaches) {
            if let Some(before) = symbols.last_mut() {
                before.end = before.end.min(begin);
            }
            let end = if size == 0 { limit } else { begin.saturating_add(size).min(limit) };
            if size > 0 {
                reaches = end;
            }
            symbols.push(Symbol { begin, end, name: name.clone() });
        }
        names.push((begin, name));
    }
    (symbols, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(begin: u64, size: u64, name: &'static str) -> Candidate<'static> {
        Candidate { begin, size, limit: 0x100, function: true, name: name.into(), ..Candidate::default() }
    }

    fn chosen(candidates: &[Candidate<'static>]) -> String {
        let (symbols, _) = choose(candidates.to_vec());
        let words = symbols.iter().map(|symbol| format!("{:x}-{:x} {}", symbol.begin, symbol.end, symbol.name));
        words.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_name_ends_at_its_size_the_next_name_or_its_section() {
        assert_eq!(
            chosen(&[candidate(0x10, 8, "a"), candidate(0x20, 0, "b"), candidate(0x30, 0, "c")]),
            "10-18 a, 20-30 b, 30-100 c"
        );
        assert_eq!(chosen(&[candidate(0x10, 0x50, "a"), candidate(0x20, 8, "b")]), "10-20 a, 20-28 b");
        assert_eq!(chosen(&[candidate(0xf0, u64::MAX, "a"), candidate(0x100, 0, "etext")]), "f0-100 a");
        assert_eq!(chosen(&[]), "");
    }

    #[test]
    fn marks_without_a_size_never_win_over_a_name_that_has_one() {
        let label = Candidate { function: false, ..candidate(0x14, 0, "label") };
        assert_eq!(
            chosen(&[candidate(0x10, 8, "f"), candidate(0x10, 0, "section_begins_here"), label.clone()]),
            "10-18 f"
        );
        assert_eq!(chosen(&[label]), "14-100 label");
    }

    #[test]
    fn of_aliases_the_one_that_is_the_function_wins() {
        let weak = Candidate { binding: Binding::Weak, ..candidate(0x10, 8, "newlocale") };
        let global = Candidate { binding: Binding::Global, ..candidate(0x10, 8, "__newlocale") };
        let local = candidate(0x10, 8, "newlocale_local");
        let version = Candidate { variant: true, ..global.clone() };
        for order in [[&weak, &global, &local, &version], [&version, &local, &global, &weak]] {
            assert_eq!(chosen(&order.map(Clone::clone)), "10-18 __newlocale");
        }
        assert_eq!(chosen(&[candidate(0x10, 8, "a"), candidate(0x10, 8, "b")]), "10-18 b");
    }

    #[test]
    fn very_many_names_at_one_address_are_one() {
        let many = (0..100_000).map(|_| candidate(0x10, 8, "f")).collect::<Vec<_>>();
        assert_eq!(chosen(&many), "10-18 f");
    }
}
