//! The bench of the main job: `make bench`, or `benches/run.sh SECTION...`. It prints measurements beside those of bare
//! programs in one table and never fails because something is slow.
//!
//! Everything runs on one machine: the client's work is done on the same cores as the server's, so rates are lower
//! bounds, and on a machine that does other things only the ratios mean much.

mod answers;
mod bare;
mod client;
mod conversion;
mod files;
mod process;
mod server;
mod table;
mod transfer;
mod wire;
mod wrk;

use anyhow::Result;

use crate::table::Row;

type Section = fn(&mut Vec<Row>) -> Result<()>;

/// All sections by name, in the order in which they run.
const SECTIONS: [(&str, Section); 5] = [
    ("memory", transfer::memory),
    ("chunks", transfer::chunk_cpu),
    ("assemble", conversion::assemble),
    ("poll", answers::poll),
    ("fetch", answers::fetch),
];

fn main() -> Result<()> {
    // Cargo adds `--bench`; nothing here has options.
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let Some(done) = bare::is_one(&arguments) {
        return done;
    }
    let mut rows = Vec::new();
    for (name, section) in SECTIONS {
        if !arguments.is_empty() && !arguments.iter().any(|wanted| wanted == name) {
            continue;
        }
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
