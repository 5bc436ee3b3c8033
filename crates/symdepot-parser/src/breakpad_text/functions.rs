//! From the ranges of a symcache to the functions of Breakpad text with their lines and inlined calls. It never looks at a
//! debug file.

use std::io::{self, Write};

use symbolic::common::Language;
use symbolic::symcache::{SourceLocation, SymCache};

use super::names::{Names, readable};
use super::ranges::Ranges;

/// Code of one function, without a gap.
pub(super) struct Function<'d, 'c> {
    /// Where it begins.
    pub begin: u64,
    /// Where it ends, if that is known.
    pub end: Option<u64>,
    /// Its ranges: the beginning, and what is there, innermost first.
    ranges: Vec<(u64, Vec<SourceLocation<'d, 'c>>)>,
}

/// Most ranges of one function that are kept at a time; a longer one is written in several parts.
const MOST_RANGES: usize = 1 << 20;

/// Calls `each` with every function of a symcache in order.
pub(super) fn functions<'d, 'c>(
    table: &'c SymCache<'d>,
    ranges: &Ranges<'_>,
    mut each: impl FnMut(&Function<'d, 'c>) -> io::Result<()>,
) -> io::Result<()> {
    let mut current: Option<Function<'d, 'c>> = None;
    for begin in ranges.iter().map(u64::from) {
        let found: Vec<_> = table.lookup(begin).collect();
        if let Some(function) = current.take_if(|function| !function.goes_on(&found)) {
            each(&Function { end: Some(begin), ..function })?;
        }
        if found.is_empty() {
            continue;
        }
        let function = current.get_or_insert(Function { begin, end: None, ranges: Vec::new() });
        function.ranges.push((begin, found));
    }
    current.map_or(Ok(()), |function| each(&function))
}

impl<'d, 'c> Function<'d, 'c> {
    fn goes_on(&self, found: &[SourceLocation<'d, 'c>]) -> bool {
        let of = |locations: &[SourceLocation<'d, 'c>]| {
            let function = locations.last()?.function();
            Some((function.entry_pc(), function.name().as_ptr()))
        };
        let own = self.ranges.first().and_then(|(_, locations)| of(locations));
        self.ranges.len() < MOST_RANGES && own.is_some() && own == of(found)
    }

    /// Gives everything that it refers to a number.
    pub(super) fn number(&self, names: &mut Names) {
        for (_, locations) in &self.ranges {
            for location in locations.iter().rev() {
                location.file().iter().for_each(|file| names.add_file(file));
            }
            let inlined = &locations[..locations.len() - 1];
            inlined.iter().rev().for_each(|location| names.add_origin(&location.function()));
        }
    }

    /// Writes its records.
    pub(super) fn write(&self, names: &Names, writer: &mut impl Write) -> io::Result<()> {
        let Some(outermost) = self.ranges.first().and_then(|(_, locations)| locations.last()) else { return Ok(()) };
        let name = readable(&outermost.function());
        // What is known by nothing but a name comes from a table of symbols.
        let bare = self.ranges.iter().all(|(_, locations)| locations.len() == 1 && locations[0].file().is_none());
        let Some(end) = self.end.filter(|_| !bare || outermost.function().language() != Language::Unknown) else {
            return writeln!(writer, "PUBLIC {:x} 0 {name}", self.begin);
        };
        writeln!(writer, "FUNC {:x} {:x} 0 {name}", self.begin, end - self.begin)?;
        for call in self.calls(names, end) {
            let Call { depth, line, file, origin, ranges } = call;
            write!(writer, "INLINE {depth} {line} {file} {origin}")?;
            for (begin, end) in ranges {
                write!(writer, " {begin:x} {:x}", end - begin)?;
            }
            writeln!(writer)?;
        }
        for (begin, end, locations) in self.spans(end) {
            if let Some(file) = locations[0].file().and_then(|file| names.file(&file)) {
                writeln!(writer, "{begin:x} {:x} {} {file}", end - begin, locations[0].line())?;
            }
        }
        Ok(())
    }

    /// The ranges with their ends.
    fn spans(&self, end: u64) -> impl Iterator<Item = (u64, u64, &[SourceLocation<'d, 'c>])> {
        let ends = self.ranges.iter().skip(1).map(|(begin, _)| *begin).chain([end]);
        self.ranges.iter().zip(ends).map(|((begin, locations), end)| (*begin, end, &locations[..]))
    }

    /// The inlined calls, outermost first and in order of address.
    fn calls(&self, names: &Names, end: u64) -> Vec<Call> {
        let mut calls: Vec<Call> = Vec::new();
        for (begin, end, locations) in self.spans(end) {
            // From the call by the function itself to the one by the innermost but one.
            for (depth, pair) in locations.windows(2).rev().enumerate() {
                let Some(origin) = names.origin(&pair[0].function()) else { continue };
                let file = pair[1].file().and_then(|file| names.file(&file)).unwrap_or(0);
                let line = pair[1].line();
                let same = calls
                    .iter_mut()
                    .rev()
                    .take(256)
                    .find(|call| (call.depth, call.line, call.file, call.origin) == (depth, line, file, origin));
                match same {
                    Some(call) => match call.ranges.last_mut() {
                        Some(last) if last.1 == begin => last.1 = end,
                        _ => call.ranges.push((begin, end)),
                    },
                    None => calls.push(Call { depth, line, file, origin, ranges: vec![(begin, end)] }),
                }
            }
        }
        calls.sort_by_key(|call| (call.depth, call.ranges[0].0));
        calls
    }
}

/// One inlined call and the code that belongs to it.
struct Call {
    depth: usize,
    line: u32,
    file: usize,
    origin: usize,
    ranges: Vec<(u64, u64)>,
}
