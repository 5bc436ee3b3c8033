//! Walks the entries of a unit and finds its functions and what was inlined into them. It keeps a stack of its own: the depth
//! of entries is the file's to choose.
//!
//! - A function may have several ranges (`DW_AT_ranges`): GCC and LLVM move unlikely parts away, often to lower addresses
//!   than the entry. The entry is `DW_AT_entry_pc`, else `DW_AT_low_pc`, else where the first range begins (DWARF 5, 2.18).
//! - Inlined calls may stand in lexical blocks, and what is inlined may have several ranges too.
//! - A function without code is no function; those that were found before at the same addresses stay.

use gimli::{AttributeValue, constants};

use super::budget::{Budget, Exhausted};
use super::names::Naming;
use super::sections::Slice;
use super::units::{Unit, Units};
use crate::convert::layout::Layout;
use crate::convert::ranges::Ranges;

/// Inlined calls deeper than this are not read; every level costs stack where symcaches are written.
const DEEPEST: usize = 500;

/// The function itself, in place of something inlined into it.
pub(super) const OUTERMOST: u32 = u32::MAX;

/// A function as debug information has it.
pub(super) struct Function<'d> {
    /// Where its entry is in the unit.
    pub offset: gimli::UnitOffset,
    /// What names it.
    pub naming: Naming<'d>,
    /// Address of its first instruction.
    pub entry: u64,
    /// Its parts, lowest first; they neither overlap nor touch.
    pub parts: Vec<(u64, u64)>,
    /// What was inlined into it; callers come before what they called.
    pub inlined: Vec<Inlined<'d>>,
    /// Where that is: start, end, index of the inlined call. Those that come later win.
    pub places: Vec<(u64, u64, u32)>,
}

/// An inlined call.
pub(super) struct Inlined<'d> {
    /// Where its entry is in the unit.
    pub offset: gimli::UnitOffset,
    /// What names the function that was called.
    pub naming: Naming<'d>,
    /// What called it: an index, or [`OUTERMOST`].
    pub caller: u32,
    /// File of the call.
    pub file: Option<u64>,
    /// Line of the call.
    pub line: u64,
}

/// Why the rest of a unit was not read.
#[derive(Debug)]
pub(super) enum Stop {
    /// It is damaged.
    Damaged(gimli::Error),
    /// The file asks for more work than its size allows.
    Exhausted,
}

impl From<gimli::Error> for Stop {
    fn from(error: gimli::Error) -> Self {
        Self::Damaged(error)
    }
}

impl From<Exhausted> for Stop {
    fn from(_: Exhausted) -> Self {
        Self::Exhausted
    }
}

/// What the children of an entry belong to.
#[derive(Clone, Copy)]
enum Scope {
    /// The innermost open function, and the inlined call in it, with the depth of that.
    In(u32, usize),
    /// Nothing that has code.
    Nothing,
}

/// The functions of one unit.
pub(super) struct Walk<'a, 'd> {
    units: &'a Units<'d>,
    unit: &'a Unit<'d>,
    layout: &'a Layout,
    budget: &'a Budget,
    /// Of the functions found so far.
    pub covered: Ranges,
    scopes: Vec<(isize, Scope)>,
    open: Vec<(isize, Function<'d>)>,
}

/// The attributes that matter here.
#[derive(Default)]
struct Attributes<'d> {
    naming: Naming<'d>,
    low: Option<u64>,
    high: Option<High>,
    entry: Option<High>,
    ranges: Vec<(u64, u64)>,
    file: Option<u64>,
    line: u64,
}

#[derive(Clone, Copy)]
enum High {
    Address(u64),
    Offset(u64),
}

impl<'a, 'd> Walk<'a, 'd> {
    pub(super) fn new(units: &'a Units<'d>, unit: &'a Unit<'d>, layout: &'a Layout, budget: &'a Budget) -> Self {
        let (scopes, open) = (Vec::new(), Vec::new());
        Self { units, unit, layout, budget, covered: Ranges::default(), scopes, open }
    }

    /// Calls `found` for each function. What was found before an error counts.
    pub(super) fn run(&mut self, mut found: impl FnMut(Function<'d>) -> Result<(), Exhausted>) -> Result<(), Stop> {
        let mut entries = self.unit.unit.entries_raw(None)?;
        let result = loop {
            if entries.is_empty() {
                break Ok(());
            }
            let (offset, depth) = (entries.next_offset(), entries.next_depth());
            let abbreviation = match entries.read_abbreviation() {
                Ok(Some(abbreviation)) => abbreviation,
                Ok(None) => continue,
                Err(error) => break Err(error.into()),
            };
            let tag = abbreviation.tag();
            self.close(depth, &mut found)?;
            if !matches!(tag, constants::DW_TAG_subprogram | constants::DW_TAG_inlined_subroutine) {
                match entries.skip_attributes(abbreviation.attributes()) {
                    Ok(()) => continue,
                    Err(error) => break Err(error.into()),
                }
            }
            let attributes = match self.attributes(&mut entries, abbreviation) {
                Ok(attributes) => attributes,
                Err(stop) => break Err(stop),
            };
            if tag == constants::DW_TAG_subprogram {
                self.function(depth, offset, attributes);
            } else {
                self.inlined(depth, offset, attributes);
            }
        };
        self.close(isize::MIN, &mut found)?;
        result
    }

    /// Leaves what ends before an entry of this depth.
    fn close(
        &mut self,
        depth: isize,
        found: &mut impl FnMut(Function<'d>) -> Result<(), Exhausted>,
    ) -> Result<(), Exhausted> {
        while self.scopes.last().is_some_and(|scope| scope.0 >= depth) {
            self.scopes.pop();
        }
        while self.open.last().is_some_and(|open| open.0 >= depth) {
            if let Some((_, function)) = self.open.pop() {
                found(function)?;
            }
        }
        Ok(())
    }

    fn function(&mut self, depth: isize, offset: gimli::UnitOffset, attributes: Attributes<'d>) {
        let parts = parts(attributes.code(self.layout));
        if parts.is_empty() || parts.iter().all(|part| self.covered.covers(part.0, part.1)) {
            self.scopes.push((depth, Scope::Nothing));
            return;
        }
        for (start, end) in &parts {
            self.covered.insert(*start, *end);
        }
        let inside = |entry: &u64| parts.iter().any(|part| part.0 <= *entry && *entry < part.1);
        let entry = attributes.entries().into_iter().flatten().find(inside).unwrap_or(parts[0].0);
        let naming = attributes.naming;
        let function = Function { offset, naming, entry, parts, inlined: Vec::new(), places: Vec::new() };
        self.open.push((depth, function));
        self.scopes.push((depth, Scope::In(OUTERMOST, 0)));
    }

    fn inlined(&mut self, depth: isize, offset: gimli::UnitOffset, attributes: Attributes<'d>) {
        let Some((_, Scope::In(caller, nested))) = self.scopes.last().copied() else { return };
        let Some((_, function)) = self.open.last_mut() else { return };
        let code = attributes.code(self.layout);
        if code.is_empty() || nested >= DEEPEST {
            // Of code that was dropped; what was inlined into it was dropped too.
            self.scopes.push((depth, Scope::Nothing));
            return;
        }
        let index = u32::try_from(function.inlined.len()).unwrap_or(OUTERMOST - 1);
        function.places.extend(code.iter().map(|&(start, end)| (start, end, index)));
        let (naming, file, line) = (attributes.naming, attributes.file, attributes.line);
        function.inlined.push(Inlined { offset, naming, caller, file, line });
        self.scopes.push((depth, Scope::In(index, nested + 1)));
    }

    fn attributes(
        &self,
        entries: &mut gimli::EntriesRaw<'_, Slice<'d>>,
        abbreviation: &gimli::Abbreviation,
    ) -> Result<Attributes<'d>, Stop> {
        let mut all = Attributes::default();
        let dwarf = &self.units.dwarf;
        let mut ranges = None;
        for attribute in abbreviation.attributes() {
            let attribute = entries.read_attribute(*attribute)?;
            let value = attribute.value();
            match attribute.name() {
                constants::DW_AT_low_pc => all.low = dwarf.attr_address(&self.unit.unit, value)?,
                constants::DW_AT_high_pc => all.high = self.high(value)?,
                constants::DW_AT_entry_pc => all.entry = self.high(value)?,
                constants::DW_AT_ranges => ranges = Some(value),
                constants::DW_AT_call_file => {
                    if let AttributeValue::FileIndex(file) = value {
                        all.file = Some(file);
                    }
                }
                constants::DW_AT_call_line => all.line = value.udata_value().unwrap_or(0),
                _ => all.naming.take(&attribute),
            }
        }
        if let Some(ranges) = ranges {
            self.ranges(ranges, &mut all.ranges)?;
        }
        Ok(all)
    }

    fn high(&self, value: AttributeValue<Slice<'d>>) -> Result<Option<High>, Stop> {
        if let Some(address) = self.units.dwarf.attr_address(&self.unit.unit, value)? {
            return Ok(Some(High::Address(address)));
        }
        Ok(value.udata_value().map(High::Offset))
    }

    /// A list of ranges; where it cannot be read any more it ends.
    fn ranges(&self, value: AttributeValue<Slice<'d>>, all: &mut Vec<(u64, u64)>) -> Result<(), Stop> {
        let Some(mut ranges) = self.units.dwarf.attr_ranges(&self.unit.unit, value)? else { return Ok(()) };
        while let Ok(Some(range)) = ranges.next() {
            self.budget.spend(1)?;
            all.push((range.begin, range.end));
        }
        Ok(())
    }
}

impl Attributes<'_> {
    /// Where the code is, as far as it was kept.
    fn code(&self, layout: &Layout) -> Vec<(u64, u64)> {
        let alive = |&(start, end): &(u64, u64)| start < end && layout.is_code(start);
        if !self.ranges.is_empty() {
            return self.ranges.iter().copied().filter(alive).collect();
        }
        let (Some(low), Some(high)) = (self.low, self.high) else { return Vec::new() };
        let high = match high {
            High::Address(address) => address,
            High::Offset(size) => low.saturating_add(size),
        };
        Some((low, high)).filter(alive).into_iter().collect()
    }

    /// Where the function may be entered, the best word first.
    fn entries(&self) -> [Option<u64>; 3] {
        let first = self.ranges.first().map(|range| range.0);
        let entry = match self.entry {
            Some(High::Address(address)) => Some(address),
            Some(High::Offset(offset)) => self.low.or(first).map(|base| base.saturating_add(offset)),
            None => None,
        };
        [entry, self.low, first]
    }
}

/// Ranges in order, those that touch joined.
fn parts(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut parts: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match parts.last_mut() {
            Some(last) if last.1 >= start => last.1 = last.1.max(end),
            _ => parts.push((start, end)),
        }
    }
    parts
}
