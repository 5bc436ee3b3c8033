//! Functions, lines and inlined calls of DWARF, read here and not by symbolic's session. It never writes; what it finds goes to
//! [`Feed`].
//!
//! One file for each kind of record: [`entries`] finds functions, [`names`] names them, [`lines`] reads line tables, [`places`]
//! decides between overlapping inlined calls, [`tree`] puts a function together, [`mod@unit`] reads one unit with all of these, and
//! [`parallel`] reads several at once.

mod budget;
mod entries;
mod lines;
mod names;
mod parallel;
mod places;
mod sections;
mod tree;
mod unit;
mod units;

use std::panic::{AssertUnwindSafe, catch_unwind};

use symbolic::debuginfo::macho::BcSymbolMap;

use super::feed::Feed;
use super::layout::Layout;
use super::symbols::Symbols;

pub(super) use lines::{NO_FILE, Row};
pub(super) use names::UNKNOWN;
pub(super) use sections::Sections;
pub(super) use unit::{Tail, UnitRows};

use budget::Budget;
use unit::{Context, UnitOutput};
use units::Program;

/// What is read besides the sections.
#[derive(Clone, Copy)]
pub(super) struct Others<'a> {
    /// Where the code is.
    pub layout: &'a Layout,
    /// Symbols that may say more than a name does.
    pub symbols: &'a Symbols<'a>,
    /// Names that were hidden.
    pub hidden: Option<&'a BcSymbolMap<'a>>,
    /// How many units to read at a time.
    pub threads: usize,
}

/// Feeds the functions of all units, in the order of the units, and then the lines without a function.
pub(super) fn read(sections: &Sections<'_>, others: Others<'_>, feed: &mut Feed<'_>) -> Result<(), String> {
    let program = Program::new(sections);
    let budget = Budget::new(sections.size());
    let context = Context {
        program: &program,
        layout: others.layout,
        symbols: others.symbols,
        hidden: others.hidden,
        budget: &budget,
    };
    let work = |index| {
        let unit = catch_unwind(AssertUnwindSafe(|| unit::read(context, index)));
        unit.unwrap_or_else(|_| UnitOutput {
            damage: Some("the reader stopped in it".to_owned()),
            ..UnitOutput::default()
        })
    };
    let mut rows = Vec::new();
    parallel::in_order(program.main.len(), others.threads, work, |unit| {
        feed.statistics.inlined += unit.inlined;
        feed.far(unit.far);
        if let Some(damage) = unit.damage {
            feed.damaged(&damage);
        }
        feed.functions(unit.pieces);
        if !(unit.rows.rows.is_empty() && unit.rows.tails.is_empty()) {
            rows.push(unit.rows);
        }
    });
    if budget.is_exhausted() {
        return Err("its debug information refers to the same records over and over".to_owned());
    }
    if let Some(cut) = program.main.cut {
        feed.damaged(&cut.to_string());
    }
    rows.into_iter().for_each(|rows| feed.rows(rows, others.symbols));
    Ok(())
}
