//! The line table of a unit: rows in the order of their addresses, none over another. It never takes a row of code that the
//! linker dropped.
//!
//! A row counts up to the next one, and of several at one address the last one counts (DWARF 5, 6.2.2). Rows that overlap
//! those of another sequence are cut: linkers leave copies of functions behind that they folded.

use gimli::{AttributeValue, LineProgramHeader};

use super::budget::{Budget, Exhausted};
use super::sections::Slice;
use super::units::{Unit, Units};
use crate::convert::layout::Layout;

/// No file.
pub(in crate::convert) const NO_FILE: u32 = u32::MAX;

/// How many rows are read between two looks at the budget.
const STRIDE: usize = 1 << 12;

/// Some instructions that come from one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::convert) struct Row {
    /// Address of the first byte.
    pub start: u64,
    /// Address behind the last byte.
    pub end: u64,
    /// Index of the file in the line table, or [`NO_FILE`].
    pub file: u32,
    /// Line, 0 if it is not known.
    pub line: u32,
}

/// The rows of one line table.
#[derive(Debug, Default)]
pub(super) struct Lines {
    rows: Vec<Row>,
}

/// A path as a line table has it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Path<'d> {
    /// Folder; the compilation folder comes before it unless it is absolute.
    pub folder: &'d [u8],
    /// Name.
    pub name: &'d [u8],
}

impl Lines {
    /// Reads the line table of a unit. An error in it costs what stands behind the error.
    pub(super) fn read(unit: &Unit<'_>, layout: &Layout, budget: &Budget) -> Result<Self, Exhausted> {
        let Some(program) = unit.unit.line_program.clone() else { return Ok(Self::default()) };
        let mut rows = program.rows();
        let (mut sequences, mut sequence): (Vec<Vec<Row>>, Vec<Row>) = (Vec::new(), Vec::new());
        let mut count = 0;
        while let Ok(Some((_, row))) = rows.next_row() {
            count += 1;
            if count % STRIDE == 0 {
                budget.spend(STRIDE as u64)?;
            }
            let address = row.address();
            if let Some(last) = sequence.last_mut() {
                if address < last.start {
                    // Addresses only rise within a sequence; this row is none.
                    continue;
                }
                last.end = address;
                if address == last.start {
                    sequence.pop();
                }
            }
            if row.end_sequence() {
                if sequence.first().is_some_and(|first| layout.is_code(first.start)) {
                    sequences.push(std::mem::take(&mut sequence));
                }
                sequence.clear();
                continue;
            }
            let file = u32::try_from(row.file_index()).unwrap_or(NO_FILE);
            let line = row.line().map_or(0, |line| u32::try_from(line.get()).unwrap_or(0));
            match sequence.last_mut() {
                // The end of the row before was moved to here, and moves on with the next row.
                Some(last) if (last.file, last.line) == (file, line) => {}
                _ => sequence.push(Row { start: address, end: address.saturating_add(1), file, line }),
            }
        }
        if sequence.first().is_some_and(|first| layout.is_code(first.start)) {
            sequences.push(sequence);
        }
        Ok(Self { rows: flatten(sequences) })
    }

    /// The rows that share an address with `start..end`.
    pub(super) fn within(&self, start: u64, end: u64) -> &[Row] {
        let first = self.rows.partition_point(|row| row.end <= start);
        let after = first + self.rows[first..].partition_point(|row| row.start < end);
        &self.rows[first..after]
    }

    /// All rows.
    pub(super) fn all(&self) -> &[Row] {
        &self.rows
    }
}

/// One list of sequences, cut where they overlap.
fn flatten(mut sequences: Vec<Vec<Row>>) -> Vec<Row> {
    sequences.sort_by_key(|sequence| sequence[0].start);
    let mut rows = Vec::with_capacity(sequences.iter().map(Vec::len).sum());
    let mut end = 0;
    for sequence in sequences {
        for mut row in sequence {
            row.start = row.start.max(end);
            if row.start < row.end {
                end = row.end;
                rows.push(row);
            }
        }
    }
    rows
}

/// The path of a file of a unit's line table.
///
/// Folder 0 *is* the compilation folder (DWARF 4, 6.2.4 and DWARF 5, 6.2.4.1): it is not joined to it once more where it is
/// relative.
pub(super) fn path<'d>(units: &Units<'d>, unit: &Unit<'d>, file: u64) -> Option<Path<'d>> {
    let header = unit.unit.line_program.as_ref()?.header();
    let entry = header.file(file)?;
    let text = |value| units.dwarf.attr_string(&unit.unit, value).map(|slice| slice.slice()).unwrap_or_default();
    let name = text(entry.path_name());
    let folder = match entry.directory_index() {
        0 => compilation_folder(header, &text).filter(|folder| {
            unit.unit.comp_dir.is_none() || is_absolute(folder) && !is_compilation_folder(unit, folder)
        }),
        index => header.directory(index).map(text),
    };
    (!name.is_empty()).then_some(Path { folder: folder.unwrap_or_default(), name })
}

fn compilation_folder<'d>(
    header: &LineProgramHeader<Slice<'d>>,
    text: &impl Fn(AttributeValue<Slice<'d>>) -> &'d [u8],
) -> Option<&'d [u8]> {
    (header.version() >= 5).then(|| header.directory(0)).flatten().map(text)
}

fn is_compilation_folder(unit: &Unit<'_>, folder: &[u8]) -> bool {
    unit.unit.comp_dir.is_some_and(|compilation| compilation.slice() == folder)
}

/// Whether a path needs no folder before it.
pub(super) fn is_absolute(path: &[u8]) -> bool {
    matches!(path, [b'/' | b'\\', ..] | [_, b':', b'/' | b'\\', ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(start: u64, end: u64, line: u32) -> Row {
        Row { start, end, file: 1, line }
    }

    #[test]
    fn sequences_that_overlap_are_cut() {
        let sequences = vec![vec![row(30, 40, 3)], vec![row(10, 20, 1), row(20, 32, 2)], vec![row(10, 20, 9)]];
        let lines = Lines { rows: flatten(sequences) };
        assert_eq!(lines.all(), [row(10, 20, 1), row(20, 32, 2), row(32, 40, 3)]);
        assert_eq!(lines.within(20, 33), [row(20, 32, 2), row(32, 40, 3)]);
        assert_eq!(lines.within(0, 10), []);
    }
}
