//! The bench of the main job: `make bench`, or `benches/run.sh SECTION...`. It prints measurements beside those of bare
//! programs in one table and never fails because something is slow.
//!
//! Everything runs on one machine: the client's work is done on the same cores as the server's, so rates are lower
//! bounds, and on a machine that does other things only the ratios mean much.

mod answers;
mod bare;
mod client;
mod conversion;
mod debuginfod;
mod files;
mod fill;
mod postgres;
mod process;
mod scale;
mod server;
mod symbols;
mod table;
mod transfer;
mod wire;
mod wrk;

use anyhow::Result;

use crate::table::Row;

type Section = fn(&mut Vec<Row>) -> Result<()>;

/// The sections that run if none is named, in their order.
const SECTIONS: [(&str, Section); 8] = [
    ("memory", transfer::memory),
    ("chunks", transfer::chunk_cpu),
    ("assemble", conversion::assemble),
    ("poll", answers::poll),
    ("fetch", answers::fetch),
    ("symbols", symbols::debuginfod),
    ("compressed-section", symbols::compressed_section),
    ("breakpad", symbols::breakpad),
];

/// Those that run only when they are named, because they take long.
const LONG: [(&str, Section); 2] = [("scale-sqlite", scale::sqlite), ("scale-postgres", scale::postgres)];

fn main() -> Result<()> {
    // Cargo adds `--bench`; nothing here has options.
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let Some(done) = bare::is_one(&arguments) {
        return done;
    }
    let mut rows = Vec::new();
    let named = |name: &str| arguments.iter().any(|wanted| wanted == name);
    let chosen = SECTIONS.into_iter().filter(|(name, _)| arguments.is_empty() || named(name));
    for (name, section) in chosen.chain(LONG.into_iter().filter(|(name, _)| named(name))) {
        eprintln!("{name} ...");
        if let Err(error) = section(&mut rows) {
            rows.push(Row::absent(name, format!("could not be measured: {error:#}")));
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("\nsymdepot on {cores} cores, shared with the client's own work; MB and GB are decimal\n");
    table::print(&rows);
    Ok(())
}
