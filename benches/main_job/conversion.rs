//! From the assemble request to `ok`, beside a bare program that reads, hashes and converts the same file.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Map, Value};

use crate::client::{self, Cut};
use crate::process::{self, ChildWatch};
use crate::server::Server;
use crate::table::{Row, Target};
use crate::{bare, files};

/// Pairs of measurements per file.
const RUNS: usize = 5;
/// Files converted at a time.
const PARALLEL: u8 = 4;
/// Pause between polls: small beside the work, and cheap.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// No assembly may take longer.
const LIMIT: Duration = Duration::from_secs(120);

/// Wall time and memory for each large file, and cores kept busy by several.
pub fn assemble(rows: &mut Vec<Row>) -> Result<()> {
    for name in ["libjvm.debug", "vmlinux"] {
        match files::fetched(name) {
            Some(path) => one_by_one(rows, name, &path)?,
            None => rows.push(Row::absent(format!("assemble {name}"), "its -dbg package is not to be had")),
        }
    }
    match files::fetched("libjvm.debug").or_else(|| files::fetched("vmlinux")) {
        Some(path) => in_parallel(rows, &path)?,
        None => rows.push(Row::absent("assemble in parallel", "no -dbg package to be had")),
    }
    Ok(())
}

fn one_by_one(rows: &mut Vec<Row>, name: &str, path: &Path) -> Result<()> {
    let server = Server::start(&[])?;
    let symcache = files::folder()?.join("bare.symcache");
    let (mut walls, mut peaks) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for run in 1..=RUNS {
        let copy = files::distinct_copy(path, name, run as u8)?;
        let cut = Cut::of(&copy)?;
        client::upload(&server, &cut, 2)?;
        let watch = ChildWatch::begin(server.pid());
        let (seconds, _) = client::assemble(&server, &cut.wish(), LOOK_AGAIN, LIMIT)?;
        walls.0.push(seconds);
        peaks.0.push(watch.end());
        let report = bare::run("bare-convert", &[&copy, &symcache])?;
        walls.1.push(report.wall);
        peaks.1.push(report.peak);
        std::fs::remove_file(copy)?;
    }
    std::fs::remove_file(symcache)?;
    eprintln!("  {name}: server {:.2?} s, bare {:.2?} s", walls.0, walls.1);
    let wall = Row::pairs(format!("assemble {name}: wall to ok"), &walls.0, &walls.1, "s");
    rows.push(wall.target(Target::RatioAtMost(1.2)));
    let peak = Row::pairs(format!("assemble {name}: peak of the converter"), &peaks.0, &peaks.1, "MB");
    rows.push(peak.target(Target::RatioAtMost(1.1)));
    Ok(())
}

fn in_parallel(rows: &mut Vec<Row>, path: &Path) -> Result<()> {
    let server = Server::start(&[])?;
    let mut wishes = Map::new();
    for copy in 1..=PARALLEL {
        let copy = files::distinct_copy(path, &format!("copy{copy}.debug"), 100 + copy)?;
        let cut = Cut::of(&copy)?;
        client::upload(&server, &cut, 2)?;
        if let Value::Object(wish) = cut.wish() {
            wishes.extend(wish);
        }
        std::fs::remove_file(copy)?;
    }
    let (before, machine, begin) = (process::cpu(server.pid())?, process::machine(), Instant::now());
    client::assemble(&server, &Value::Object(wishes), LOOK_AGAIN, LIMIT)?;
    let (after, wall) = (process::cpu(server.pid())?, begin.elapsed().as_secs_f64());
    let idle = process::machine();
    let spent = after.own - before.own + after.children - before.children;
    eprintln!(
        "  {PARALLEL} files at once: {wall:.1} s, server {:.1} s and children {:.1} s of CPU, machine idle {:.0} %",
        after.own - before.own,
        after.children - before.children,
        (idle.0 - machine.0) / (idle.1 - machine.1) * 100.0
    );
    let cores = std::thread::available_parallelism().map_or(1.0, |cores| usize::from(cores) as f64);
    let row = Row::new(format!("assemble {PARALLEL} files at once: cores busy of {cores}"), spent / wall, "cores");
    rows.push(row.target(Target::AtLeast(0.9 * cores.min(f64::from(PARALLEL)))));
    Ok(())
}
