//! One unit: its functions as trees for the writer, and the rows of its line table that no function has. What is damaged in it
//! costs what stands behind the damage.

use std::borrow::Cow;
use std::collections::HashMap;

use symbolic::common::Name;
use symbolic::debuginfo::macho::BcSymbolMap;
use symbolic::debuginfo::{FileInfo, Function};

use super::budget::{Budget, Exhausted};
use super::entries::{self, Stop, Walk};
use super::lines::{Lines, NO_FILE, Row, path};
use super::names::Names;
use super::places::innermost;
use super::tree::{Call, Files, Ready, part};
use super::units::{Entry, Program, Unit};
use crate::convert::feed::Piece;
use crate::convert::layout::Layout;
use crate::convert::symbols::Symbols;

/// What all units are read with.
#[derive(Clone, Copy)]
pub(super) struct Context<'a, 'd> {
    /// The units.
    pub program: &'a Program<'d>,
    /// Where the code is.
    pub layout: &'a Layout,
    /// Symbols that may say more than a name does.
    pub symbols: &'a Symbols<'a>,
    /// Names that were hidden.
    pub hidden: Option<&'a BcSymbolMap<'a>>,
    /// How much may still be done.
    pub budget: &'a Budget,
}

/// What a unit gave.
#[derive(Default)]
pub(super) struct UnitOutput<'a> {
    /// Parts of functions; those of one follow each other, the part with the entry first.
    pub pieces: Vec<Piece<'a>>,
    /// Lines without a function.
    pub rows: UnitRows<'a>,
    /// How many inlined calls there are.
    pub inlined: u64,
    /// How many functions lie where a symcache has no address.
    pub far: u64,
    /// What is damaged.
    pub damage: Option<String>,
}

/// Rows of a line table that are in no function of their unit, by their offset from the image base.
#[derive(Default)]
pub(in crate::convert) struct UnitRows<'a> {
    /// The rows, lowest first.
    pub rows: Vec<Row>,
    /// Their files.
    pub files: HashMap<u32, FileInfo<'a>>,
    /// The compilation folder.
    pub folder: &'a [u8],
    /// What of rows is left behind the functions that they begin in.
    pub tails: Vec<Tail<'a>>,
}

/// Padding behind a function, which its last line counts up to. A call that never returns, at the end of a function, has its
/// return address here.
pub(in crate::convert) struct Tail<'a> {
    /// What is left of the row.
    pub row: Row,
    /// Name of the function.
    pub name: Name<'a>,
    /// Where it is entered.
    pub entry: u64,
}

/// Reads the unit of this index.
pub(super) fn read<'a, 'd>(context: Context<'a, 'd>, index: usize) -> UnitOutput<'a>
where
    'd: 'a,
{
    let mut output = UnitOutput::default();
    let unit = match context.program.main.open(index) {
        Ok(Some(unit)) => unit,
        Ok(None) => return output,
        Err(error) => {
            output.damage = Some(error.to_string());
            return output;
        }
    };
    let mut names = Names::new(context.program, context.symbols, context.hidden);
    let mut files = UnitFiles::new(context, &unit);
    if let Err(Stop::Damaged(error)) = read_functions(context, &unit, (&mut names, &mut files), &mut output) {
        output.damage = Some(error.to_string());
    }
    output
}

fn read_functions<'a, 'd>(
    context: Context<'a, 'd>,
    unit: &Unit<'d>,
    (names, files): (&mut Names<'a, 'd>, &mut UnitFiles<'a, '_, 'd>),
    output: &mut UnitOutput<'a>,
) -> Result<(), Stop>
where
    'd: 'a,
{
    let Context { program, layout, budget, .. } = context;
    let lines = Lines::read(unit, layout, budget)?;
    let units = &program.main;
    let mut walk = Walk::new(units, unit, layout, budget);
    let mut ends = HashMap::new();
    let ended = walk.run(|function| {
        budget.spend(((function.inlined.len() + 1) * function.parts.len() + function.places.len()) as u64)?;
        let entry = |offset| Entry { units, unit, offset };
        let from_base = layout.offset(function.entry).unwrap_or(u64::MAX);
        let ready = Ready {
            name: names.function(entry(function.offset), function.naming, from_base),
            entry: function.entry,
            calls: function.inlined.iter().map(|call| called(names, files, entry(call.offset), call)).collect(),
            places: innermost(function.places),
        };
        output.inlined += ready.calls.len() as u64;
        ends.extend(function.parts.iter().map(|part| (part.1, (ready.name.clone(), ready.entry))));
        parts(context, &ready, function.parts, &lines, files, output)
    });
    output.rows.folder = files.folder();
    for row in lines.all().iter().filter(|row| row.line != 0) {
        let Some(&rest) = walk.covered.gaps(row.start, row.end).first() else { continue };
        let (Some(start), Some(end)) = (layout.offset(rest.0), layout.offset(rest.1)) else { continue };
        let left = Row { start, end, ..*row };
        if rest.0 == row.start {
            output.rows.rows.push(left);
        } else if let Some((name, entry)) = ends.get(&rest.0)
            && let Some(entry) = layout.offset(*entry)
        {
            output.rows.tails.push(Tail { row: left, name: name.clone(), entry });
        } else {
            continue;
        }
        output.rows.files.entry(row.file).or_insert_with(|| files.file(row.file));
    }
    ended
}

fn called<'a, 'd>(
    names: &mut Names<'a, 'd>,
    files: &UnitFiles<'a, '_, 'd>,
    entry: Entry<'_, 'd>,
    call: &entries::Inlined<'d>,
) -> Call<'a>
where
    'd: 'a,
{
    Call {
        name: names.inlined(entry, call.naming),
        caller: call.caller,
        file: call.file.map_or(NO_FILE, |file| files.of_call(file)),
        line: u32::try_from(call.line).unwrap_or(0),
    }
}

/// Adds the parts of a function, the one with the entry first.
fn parts<'a, 'd>(
    context: Context<'a, 'd>,
    function: &Ready<'a>,
    mut parts: Vec<(u64, u64)>,
    lines: &Lines,
    files: &mut UnitFiles<'a, '_, 'd>,
    output: &mut UnitOutput<'a>,
) -> Result<(), Exhausted>
where
    'd: 'a,
{
    let layout = context.layout;
    let holds = |part: &(u64, u64)| part.0 <= function.entry && function.entry < part.1;
    parts.sort_by_key(|part| !holds(part));
    let mut far = false;
    for range in parts {
        let (Some(start), Some(end), Some(entry)) =
            (layout.offset(range.0), layout.offset(range.1), layout.offset(function.entry))
        else {
            far = true;
            continue;
        };
        let (mut tree, count) = part(function, range, lines, files);
        context.budget.spend(count)?;
        shift(&mut tree, layout.base());
        output.pieces.push(Piece { tree, start, end, entry });
    }
    output.far += u64::from(far);
    Ok(())
}

/// Makes offsets from the image base of addresses.
fn shift(function: &mut Function<'_>, base: u64) {
    function.address = function.address.wrapping_sub(base);
    for line in &mut function.lines {
        line.address = line.address.wrapping_sub(base);
    }
    // As deep as inlined calls are read.
    function.inlinees.iter_mut().for_each(|inlined| shift(inlined, base));
}

/// The files of a unit, each read once.
struct UnitFiles<'a, 'u, 'd> {
    context: Context<'a, 'd>,
    unit: &'u Unit<'d>,
    known: HashMap<u32, FileInfo<'a>>,
    folder: &'a [u8],
}

impl<'a, 'u, 'd: 'a> UnitFiles<'a, 'u, 'd> {
    fn new(context: Context<'a, 'd>, unit: &'u Unit<'d>) -> Self {
        let folder = unit.unit.comp_dir.map_or(&[][..], |folder| folder.slice());
        Self { context, unit, known: HashMap::new(), folder: shown(context.hidden, folder) }
    }

    /// The index for the file of a call: before DWARF 5, 0 says that it is not known.
    fn of_call(&self, file: u64) -> u32 {
        if file == 0 && self.unit.unit.header.version() < 5 {
            return NO_FILE;
        }
        u32::try_from(file).unwrap_or(NO_FILE)
    }
}

impl<'a, 'd: 'a> Files<'a> for UnitFiles<'a, '_, 'd> {
    fn file(&mut self, index: u32) -> FileInfo<'a> {
        if index == NO_FILE {
            return FileInfo::default();
        }
        let (context, unit) = (self.context, self.unit);
        let read = || {
            let path = path(&context.program.main, unit, u64::from(index)).unwrap_or_default();
            let [folder, name] = [path.folder, path.name].map(|text| Cow::Borrowed(shown(context.hidden, text)));
            FileInfo::new(folder, name)
        };
        self.known.entry(index).or_insert_with(read).clone()
    }

    fn folder(&self) -> &'a [u8] {
        self.folder
    }
}

/// A text of the file, brought back if it was hidden.
fn shown<'a>(hidden: Option<&'a BcSymbolMap<'a>>, text: &'a [u8]) -> &'a [u8] {
    let Some(map) = hidden else { return text };
    std::str::from_utf8(text).map_or(text, |text| map.resolve(text).as_bytes())
}
