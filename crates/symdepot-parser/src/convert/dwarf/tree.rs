//! Makes of one function with its inlined calls and lines what symbolic's writer takes: for each contiguous part a tree, in
//! which the lines of a caller stand for the calls as well. It never asks the file again.

use symbolic::common::Name;
use symbolic::debuginfo::{FileInfo, Function, LineInfo};

use super::entries::OUTERMOST;
use super::lines::{Lines, NO_FILE};
use super::places::{Place, within};
use crate::convert::feed::join_folder;

/// A function that is ready to be put together.
pub(super) struct Ready<'a> {
    /// Its name.
    pub name: Name<'a>,
    /// Its first instruction.
    pub entry: u64,
    /// What was inlined into it.
    pub calls: Vec<Call<'a>>,
    /// Where that is.
    pub places: Vec<Place>,
}

/// An inlined call.
pub(super) struct Call<'a> {
    /// The function that was called.
    pub name: Name<'a>,
    /// What called it.
    pub caller: u32,
    /// Index of the file of the call, or [`NO_FILE`].
    pub file: u32,
    /// Line of the call.
    pub line: u32,
}

/// The files of a unit, by their index in its line table.
pub(super) trait Files<'a> {
    /// The file; an empty one is none.
    fn file(&mut self, index: u32) -> FileInfo<'a>;
    /// The compilation folder.
    fn folder(&self) -> &'a [u8];
}

/// Instructions of one line of one function, or of one call in it.
struct Stretch {
    start: u64,
    end: u64,
    file: u32,
    line: u32,
    /// The call, or [`OUTERMOST`] if these are the function's own instructions.
    call: u32,
}

/// The tree of the part `start..end` and how many lines are in it. Addresses are still those of the file.
pub(super) fn part<'a>(
    function: &Ready<'a>,
    (start, end): (u64, u64),
    lines: &Lines,
    files: &mut impl Files<'a>,
) -> (Function<'a>, u64) {
    let mut stretches: Vec<Vec<Stretch>> = Vec::new();
    stretches.resize_with(function.calls.len() + 1, Vec::new);
    let mut count = 0;
    for place in within(&function.places, start, end) {
        for piece in pieces(lines, place, function.entry) {
            count += 1;
            add(&mut stretches, function, place.call, piece);
        }
    }
    (assemble(function, (start, end), stretches, files), count)
}

/// The lines of a place; what has none is a piece without a file. One begins at the entry, if that is in the place.
fn pieces(lines: &Lines, place: Place, entry: u64) -> Vec<Stretch> {
    let mut pieces = Vec::new();
    let mut add = |start: u64, end: u64, file, line| {
        let mut start = start;
        if start < entry && entry < end {
            pieces.push(Stretch { start, end: entry, file, line, call: OUTERMOST });
            start = entry;
        }
        if start < end {
            pieces.push(Stretch { start, end, file, line, call: OUTERMOST });
        }
    };
    let mut at = place.start;
    for row in lines.within(place.start, place.end) {
        add(at, row.start.max(at), NO_FILE, 0);
        let end = row.end.min(place.end);
        add(row.start.max(at), end, row.file, row.line);
        at = end;
    }
    add(at, place.end, NO_FILE, 0);
    pieces
}

/// Adds a piece to the innermost call, and the calls that led there to those around it.
fn add(stretches: &mut [Vec<Stretch>], function: &Ready<'_>, innermost: u32, piece: Stretch) {
    let (start, end) = (piece.start, piece.end);
    let (mut at, mut stretch) = (innermost, piece);
    loop {
        let list = &mut stretches[slot(at)];
        match list.last_mut() {
            Some(last)
                if last.end == stretch.start
                    && (last.file, last.line, last.call) == (stretch.file, stretch.line, stretch.call)
                    && stretch.call != OUTERMOST =>
            {
                last.end = stretch.end;
            }
            _ => list.push(stretch),
        }
        if at == OUTERMOST {
            return;
        }
        let call = &function.calls[at as usize];
        stretch = Stretch { start, end, file: call.file, line: call.line, call: at };
        at = call.caller;
    }
}

/// Index of the list of a call; the function itself comes first.
fn slot(call: u32) -> usize {
    if call == OUTERMOST { 0 } else { call as usize + 1 }
}

/// Hangs what was inlined below what it was inlined into.
fn assemble<'a>(
    function: &Ready<'a>,
    (start, end): (u64, u64),
    mut stretches: Vec<Vec<Stretch>>,
    files: &mut impl Files<'a>,
) -> Function<'a> {
    let mut below: Vec<Vec<Function<'a>>> = Vec::new();
    below.resize_with(stretches.len(), Vec::new);
    // Callers come first, so those that are called are complete before their callers.
    for (index, call) in function.calls.iter().enumerate().rev() {
        let list = std::mem::take(&mut stretches[index + 1]);
        let (Some(first), Some(last)) = (list.first(), list.last()) else { continue };
        let (start, end) = (first.start, last.end);
        let inlinees = below[index + 1].drain(..).rev().collect();
        let inlined = node(&call.name, (start, end), list, inlinees, files, true);
        below[slot(call.caller)].push(inlined);
    }
    let inlinees = below[0].drain(..).rev().collect();
    let mut list = std::mem::take(&mut stretches[0]);
    // The writer has an entry without a file by itself.
    if list.len() == 1 && list[0].file == NO_FILE && list[0].call == OUTERMOST && start == function.entry {
        list.clear();
    }
    node(&function.name, (start, end), list, inlinees, files, false)
}

fn node<'a>(
    name: &Name<'a>,
    (start, end): (u64, u64),
    list: Vec<Stretch>,
    inlinees: Vec<Function<'a>>,
    files: &mut impl Files<'a>,
    inline: bool,
) -> Function<'a> {
    let named: Vec<_> = list.iter().map(|stretch| files.file(stretch.file)).collect();
    let nameless = named.iter().any(|file| file.name_str().is_empty());
    let line = |(stretch, file): (Stretch, FileInfo<'a>)| LineInfo {
        address: stretch.start,
        size: Some(stretch.end - stretch.start),
        file,
        line: u64::from(stretch.line),
    };
    let lines = list.into_iter().zip(named).map(line).collect();
    let (name, compilation_dir) = (name.clone(), files.folder());
    let mut function = Function { address: start, size: end - start, name, compilation_dir, lines, inlinees, inline };
    if nameless {
        join_folder(&mut function);
    }
    function
}
