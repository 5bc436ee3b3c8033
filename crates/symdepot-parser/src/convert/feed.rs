//! What was found goes to symbolic's writer through here, so that nothing overlaps: what came first stays, and of what comes
//! later the rest is taken. It never looks into the file.
//!
//! The writer takes one contiguous function at a time. A function in several parts is fed once for each part, with the same
//! name and entry, which makes it one function of the symcache; see [`end_size`] for how a part below its entry is said.

use std::collections::{BTreeMap, HashSet};

use symbolic::common::{Language, Name, NameMangling};
use symbolic::debuginfo::{FileInfo, Function, LineInfo};
use symbolic::symcache::SymCacheConverter;

use symdepot_types::child_protocol::Statistics;

use super::dwarf::{NO_FILE, Row, Tail, UNKNOWN, UnitRows};
use super::ranges::Ranges;
use super::symbols::Symbols;

/// A contiguous part of a function, by offsets from the image base.
pub(super) struct Piece<'a> {
    /// Its lines and inlined calls.
    pub tree: Function<'a>,
    /// Where it begins.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// Where its function is entered.
    pub entry: u64,
}

/// The way to the writer.
pub(super) struct Feed<'c> {
    /// The writer.
    pub converter: SymCacheConverter<'c>,
    /// Where functions are.
    pub covered: Ranges,
    /// What was found.
    pub statistics: Statistics,
    /// Units that are damaged, by reason.
    damaged: BTreeMap<String, u64>,
    far: u64,
    /// Where functions are entered, of which the first instruction is known here.
    entered: HashSet<u64>,
}

impl<'c> Feed<'c> {
    /// Feeds this writer.
    pub(super) fn new(converter: SymCacheConverter<'c>) -> Self {
        let (covered, statistics) = (Ranges::default(), Statistics::default());
        Self { converter, covered, statistics, damaged: BTreeMap::new(), far: 0, entered: HashSet::new() }
    }

    /// Counts a unit that is left out, at least in part.
    pub(super) fn damaged(&mut self, reason: &str) {
        *self.damaged.entry(reason.to_owned()).or_default() += 1;
    }

    /// Counts functions that lie too far from the image base.
    pub(super) fn far(&mut self, count: u64) {
        self.far += count;
    }

    /// What was found, and what was left out and why.
    pub(super) fn told(&self) -> Statistics {
        let mut statistics = self.statistics.clone();
        if self.far > 0 {
            statistics.leave_out(
                "functions 4 GiB or more from the image base, which a symcache has no addresses for",
                self.far,
            );
        }
        for (reason, count) in &self.damaged {
            statistics.leave_out(
                &format!("units, in whole or in part, because their debug information is damaged ({reason})"),
                *count,
            );
        }
        statistics
    }

    /// Takes the parts of functions.
    pub(super) fn functions(&mut self, pieces: Vec<Piece<'_>>) {
        let mut last = None;
        for piece in pieces {
            let (entry, lines) = (piece.entry, !piece.tree.lines.is_empty() || !piece.tree.inlinees.is_empty());
            if self.piece(piece) && last != Some(entry) {
                last = Some(entry);
                self.statistics.functions += 1;
                self.statistics.with_lines += u64::from(lines);
            }
        }
    }

    /// Takes what is new of a part of a function; says whether that is anything.
    fn piece(&mut self, mut piece: Piece<'_>) -> bool {
        let gaps = self.covered.gaps(piece.start, piece.end);
        if gaps.iter().any(|gap| gap.0 <= piece.entry && piece.entry < gap.1) {
            self.entered.insert(piece.entry);
        } else if !self.entered.contains(&piece.entry) {
            // Another function has the entry: what is left counts from its own beginning.
            piece.entry = gaps.first().map_or(piece.start, |gap| gap.0);
            self.entered.insert(piece.entry);
        }
        for &(start, end) in &gaps {
            let mut tree = if (start, end) == (piece.start, piece.end) {
                std::mem::replace(&mut piece.tree, nothing())
            } else {
                let mut tree = piece.tree.clone();
                cut(&mut tree, start, end);
                tree
            };
            tree.address = piece.entry;
            tree.size = end_size(piece.entry, end);
            self.converter.process_symbolic_function(&tree);
            self.covered.insert(start, end);
        }
        !gaps.is_empty()
    }

    /// Takes lines that are in no function: their names are those of the symbols around them.
    pub(super) fn rows(&mut self, mut unit: UnitRows<'_>, symbols: &Symbols<'_>) {
        let left: Vec<_> = unit.tails.iter().filter_map(|tail| self.tail(tail, &unit, symbols)).collect();
        unit.rows.extend(left);
        unit.rows.sort_by_key(|row| row.start);
        let mut group: Option<Group<'_>> = None;
        let mut begun = HashSet::new();
        for row in &unit.rows {
            // The rest of a row that begins in a function is the padding behind it.
            if self.covered.contains(row.start) {
                continue;
            }
            let Some(&(mut at, end)) = self.covered.gaps(row.start, row.end).first() else { continue };
            while at < end {
                let around = symbols.around(at);
                let stop = around.map_or(symbols.next(at), |around| around.2).min(end).max(at + 1);
                let begin = around.map(|around| around.1);
                if group.as_ref().is_none_or(|group| group.begin != begin || begin.is_none() && group.end != at) {
                    if let Some(group) = group.take() {
                        self.group(group, &unit, &mut begun);
                    }
                    let (name, rest) = around.map_or((UNKNOWN, stop), |around| (around.0, around.2));
                    group = Some(Group { name, begin, rest, end: at, rows: Vec::new() });
                }
                if let Some(group) = &mut group {
                    group.add(Row { start: at, end: stop, ..*row });
                }
                at = stop;
            }
        }
        if let Some(group) = group {
            self.group(group, &unit, &mut begun);
        }
    }

    /// Takes the padding behind a function. What begins with a symbol is none, but a thunk; it is returned.
    fn tail(&mut self, tail: &Tail<'_>, unit: &UnitRows<'_>, symbols: &Symbols<'_>) -> Option<Row> {
        let row = tail.row;
        let gap = self.covered.gaps(row.start, row.end).first().copied().filter(|gap| gap.0 == row.start);
        let (start, last) = gap.filter(|_| self.entered.contains(&tail.entry))?;
        let end = last.min(symbols.next(start.saturating_sub(1)));
        let left = (end < last).then_some(Row { start: end, end: last, ..row });
        if start >= end {
            return left;
        }
        let file = unit.files.get(&row.file).cloned().unwrap_or_default();
        let lines = vec![LineInfo { address: start, size: Some(end - start), file, line: u64::from(row.line) }];
        let (name, compilation_dir) = (tail.name.clone(), unit.folder);
        let (address, size) = (tail.entry, end_size(tail.entry, end));
        let tree = Function { address, size, name, compilation_dir, lines, ..nothing() };
        self.converter.process_symbolic_function(&tree);
        self.covered.insert(start, end);
        left
    }

    /// Takes the lines of one symbol.
    fn group(&mut self, mut group: Group<'_>, unit: &UnitRows<'_>, begun: &mut HashSet<u64>) {
        // What a symbol holds behind its last line has its name too.
        if let Some(&(start, end)) = self.covered.gaps(group.end, group.rest.max(group.end)).first()
            && start == group.end
        {
            group.add(Row { start, end, file: NO_FILE, line: 0 });
        }
        let Some(first) = group.rows.first().map(|row| row.start) else { return };
        let own = |begin: &u64| begun.contains(begin) || !self.covered.contains(*begin);
        let entry = group.begin.filter(own).unwrap_or(first);
        begun.insert(entry);
        let name = Name::new(group.name, NameMangling::Unknown, Language::Unknown);
        for (start, end) in self.covered.gaps(first.min(entry), group.end) {
            let rows = group.rows.iter().filter(|row| row.start < end && start < row.end);
            let line = |row: &Row| LineInfo {
                address: row.start.max(start),
                size: Some(row.end.min(end) - row.start.max(start)),
                file: unit.files.get(&row.file).cloned().unwrap_or_default(),
                line: u64::from(row.line),
            };
            let lines: Vec<_> = rows.map(line).collect();
            if lines.is_empty() {
                continue;
            }
            let nameless = lines.iter().any(|line| line.file.name_str().is_empty());
            let mut tree = Function { name: name.clone(), compilation_dir: unit.folder, lines, ..nothing() };
            if nameless {
                join_folder(&mut tree);
            }
            tree.address = entry;
            tree.size = end_size(entry, end);
            self.converter.process_symbolic_function(&tree);
            self.covered.insert(start, end);
        }
        self.statistics.functions += 1;
        self.statistics.with_lines += 1;
    }
}

/// The lines of one symbol.
struct Group<'s> {
    name: &'s str,
    /// Where the symbol begins, if there is one.
    begin: Option<u64>,
    /// Where the symbol ends.
    rest: u64,
    /// Where the rows end.
    end: u64,
    rows: Vec<Row>,
}

impl Group<'_> {
    /// Adds a row; what lies between is without a line.
    fn add(&mut self, row: Row) {
        if let Some(last) = self.rows.last()
            && last.end < row.start
        {
            let (start, end) = (last.end, row.start);
            self.rows.push(Row { start, end, file: NO_FILE, line: 0 });
        }
        self.end = row.end;
        self.rows.push(row);
    }
}

/// The size of a function that is entered at `entry`, for the part of it that ends at `end`.
///
/// The writer marks the end of a function at its address plus its size, cut to 32 bits. So the size of a part that ends at
/// or below the entry goes once around the address space.
fn end_size(entry: u64, end: u64) -> u64 {
    if end > entry { end - entry } else { (1 << 32) - (entry - end) }
}

/// Cuts a function to `start..end`.
fn cut(function: &mut Function<'_>, start: u64, end: u64) {
    function.lines.retain_mut(|line| {
        let from = line.address.max(start);
        let to = line.address.saturating_add(line.size.unwrap_or(1)).min(end);
        (line.address, line.size) = (from, Some(to.saturating_sub(from)));
        from < to
    });
    function.inlinees.retain_mut(|inlined| {
        cut(inlined, start, end);
        if let (Some(first), Some(last)) = (inlined.lines.first(), inlined.lines.last()) {
            let end = last.address + last.size.unwrap_or(1);
            (inlined.address, inlined.size) = (first.address, end - first.address);
        }
        !inlined.lines.is_empty()
    });
}

/// Puts the compilation folder before the folder of each file: a file without a name is none only where there is none.
pub(super) fn join_folder(function: &mut Function<'_>) {
    let folder = std::mem::take(&mut function.compilation_dir);
    if folder.is_empty() {
        return;
    }
    let folder = String::from_utf8_lossy(folder);
    for line in function.lines.iter_mut().filter(|line| !line.file.name_str().is_empty()) {
        let whole = symbolic::common::join_path(&folder, &line.file.dir_str());
        let name = line.file.name_str().into_owned().into_bytes();
        line.file = FileInfo::new(whole.into_bytes().into(), name.into());
    }
}

fn nothing<'a>() -> Function<'a> {
    Function {
        address: 0,
        size: 0,
        name: Name::new("", NameMangling::Unmangled, Language::Unknown),
        compilation_dir: &[],
        lines: Vec::new(),
        inlinees: Vec::new(),
        inline: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_part_is_where_the_writer_marks_it() {
        for (entry, end) in [(0x1000_u64, 0x1010_u64), (0x1000, 0x800), (0x1000, 0x1000), (7, 0)] {
            let size = end_size(entry, end);
            assert!(size > 0);
            assert_eq!((entry + size) & 0xffff_ffff, end);
        }
    }
}
