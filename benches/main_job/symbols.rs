//! Answering debuggers: small files, misses, large files, sections, all beside Debian's `debuginfod` on the same files, and
//! Breakpad text beside `dump_syms`.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::answers::rate;
use crate::client::{self, Cut};
use crate::debuginfod::Debuginfod;
use crate::files::{self, Extra};
use crate::server::Server;
use crate::table::{Row, Target, median};
use crate::wire::Connection;
use crate::wrk::{Load, counted};
use crate::{bare, process};

/// Where files are by build id.
const BASE: &str = "/symbols/default/default/buildid";
/// Size of the small file.
const SMALL: u64 = 17_000;
/// Size of the large files.
const LARGE: u64 = 100_000_000;
/// Size of the section that is cut out of one.
const SECTION: u64 = 32_000_000;
/// Downloads at a time.
const DOWNLOADS: usize = 4;
/// Times a section is fetched, of which the middle one counts.
const RUNS: usize = 9;
/// Pairs of conversions.
const CONVERSIONS: u8 = 3;
/// What may go wrong with an assembly for so long is no assembly.
const LIMIT: Duration = Duration::from_secs(120);
/// Bits of every eight bytes that differ: like debug information, this shrinks to a third.
const LIKE_DWARF: u64 = 0x0000_00ff_0000_ffff;

/// Build ids, as bytes that are repeated.
const SMALL_ID: u8 = 0x51;
const NOISE_ID: u8 = 0x52;
const DEBUG_ID: u8 = 0x53;

/// Everything that both servers can do.
pub fn debuginfod(rows: &mut Vec<Row>) -> Result<()> {
    let folder = tempfile::TempDir::new_in(files::folder()?)?;
    let section = |called, size, bits| Extra { called, size, bits };
    let sections = [section(Some(".comment"), SECTION, LIKE_DWARF), section(None, LARGE - SECTION, LIKE_DWARF)];
    let made = [
        files::elf(&folder.path().join("small.debug"), SMALL_ID, &[section(None, SMALL - 8_000, u64::MAX)])?,
        files::elf(&folder.path().join("noise.debug"), NOISE_ID, &[section(None, LARGE, u64::MAX)])?,
        files::elf(&folder.path().join("large.debug"), DEBUG_ID, &sections)?,
    ];
    let server = Server::start(&[])?;
    for path in &made {
        upload(&server, path)?;
    }
    let peer = Debuginfod::start(folder.path(), &id(DEBUG_ID))?;

    let small = format!("{}/debuginfo", id(SMALL_ID));
    let hits = pair(&server, &peer, &small, true)?;
    let what = format!("debug file of {:.1} KB by build id", std::fs::metadata(&made[0])?.len() as f64 / 1e3);
    rows.push(Row::new(what, hits.0, "requests/s").peer(hits.1).target(Target::RatioAtLeast(1.0)));
    rows.push(
        Row::new("the same beside the figure of the issue", hits.0, "requests/s").target(Target::AtLeast(15_300.0)),
    );
    let misses = pair(&server, &peer, &format!("{}/debuginfo", id(0)), false)?;
    rows.push(
        Row::new("a build id that is not there", misses.0, "requests/s")
            .peer(misses.1)
            .target(Target::RatioAtLeast(1.0)),
    );

    for (file, how) in [(NOISE_ID, "raw"), (DEBUG_ID, "packed")] {
        let asked = format!("{}/debuginfo", id(file));
        let ours = rate(DOWNLOADS, &format!("{BASE}/{asked}"), || server.connect())?;
        let theirs = rate(DOWNLOADS, &format!("/buildid/{asked}"), || Connection::open(&peer.address, ""))?;
        let row = Row::new(format!("debug file of 100 MB, {how} at rest, {DOWNLOADS} at a time"), ours, "GB/s");
        rows.push(row.peer(theirs).target(Target::RatioAtLeast(0.4)));
    }
    let asked = format!("{}/section/.comment", id(DEBUG_ID));
    let ours = milliseconds(&format!("{BASE}/{asked}"), || server.connect())?;
    let theirs = milliseconds(&format!("/buildid/{asked}"), || Connection::open(&peer.address, ""))?;
    rows.push(Row::new("section of 32 MB of a file of 100 MB", ours, "ms").peer(theirs).target(Target::AtMost(62.0)));
    Ok(())
}

/// The largest section of a real debug file, which is stored compressed. We send its content; `debuginfod` 0.188 sends the
/// compressed bytes, about half as many, from a copy that its first request makes.
pub fn compressed_section(rows: &mut Vec<Row>) -> Result<()> {
    let what = "section .debug_info of libjvm, decompressed (peer: as compressed)";
    let Some(path) = files::fetched("libjvm.debug") else {
        rows.push(Row::absent(what, "no -dbg package to be had"));
        return Ok(());
    };
    let folder = tempfile::TempDir::new_in(files::folder()?)?;
    let copy = folder.path().join("libjvm.debug");
    std::fs::copy(&path, &copy)?;
    let server = Server::start(&[])?;
    let build_id = uploaded(&server, &copy)?["codeId"].as_str().context("a build id")?.to_owned();
    let peer = Debuginfod::start(folder.path(), &build_id)?;
    let asked = format!("{build_id}/section/.debug_info");
    let first = |path: &str, mut connection: Connection| -> Result<f64> {
        let begin = Instant::now();
        connection.discard(path)?;
        Ok(begin.elapsed().as_secs_f64() * 1e3)
    };
    let ours_first = first(&format!("{BASE}/{asked}"), server.connect()?)?;
    let theirs_first = first(&format!("/buildid/{asked}"), Connection::open(&peer.address, "")?)?;
    rows.push(Row::new(format!("{what}, first request"), ours_first, "ms").peer(theirs_first));
    let ours = milliseconds(&format!("{BASE}/{asked}"), || server.connect())?;
    let theirs = milliseconds(&format!("/buildid/{asked}"), || Connection::open(&peer.address, ""))?;
    rows.push(Row::new(what, ours, "ms").peer(theirs).target(Target::RatioAtMost(1.5)));
    Ok(())
}

/// The first byte of Breakpad text that is made when it is asked for.
pub fn breakpad(rows: &mut Vec<Row>) -> Result<()> {
    let what = "Breakpad text of libjvm: first byte";
    let Some(path) = files::fetched("libjvm.debug") else {
        rows.push(Row::absent(what, "no -dbg package to be had"));
        return Ok(());
    };
    let server = Server::start(&[])?;
    let (mut ours, mut bares) = (Vec::new(), Vec::new());
    for run in 1..=CONVERSIONS {
        let copy = files::distinct_copy(&path, "libjvm.so", run)?;
        let debug_id = upload(&server, &copy)?.replace('-', "").to_uppercase();
        let asked = format!("/symbols/default/default/libjvm.so/{debug_id}0/libjvm.so.sym");
        let begin = Instant::now();
        server.connect()?.first_byte(&asked)?;
        ours.push(begin.elapsed().as_secs_f64());
        let text = files::folder()?.join("libjvm.sym");
        bares.push(bare::run("bare-breakpad", &[&copy, &text])?.wall);
        std::fs::remove_file(text)?;
        std::fs::remove_file(copy)?;
    }
    let peak = process::memory(server.pid(), "VmHWM").unwrap_or(f64::NAN);
    eprintln!("  libjvm: server {ours:.2?} s with a peak of {peak:.0} MB, dump_syms {bares:.2?} s");
    rows.push(Row::pairs(what, &ours, &bares, "s").target(Target::RatioAtMost(1.1)));
    Ok(())
}

/// Uploads a file to its end; returns its debug id.
fn upload(server: &Server, path: &Path) -> Result<String> {
    Ok(uploaded(server, path)?["debugId"].as_str().context("a debug id")?.to_owned())
}

/// Uploads a file to its end; returns what it became.
fn uploaded(server: &Server, path: &Path) -> Result<serde_json::Value> {
    let cut = Cut::of(path)?;
    client::upload(server, &cut, 2)?;
    let (_, answer) = client::assemble(server, &cut.wish(), Duration::from_millis(50), LIMIT)?;
    Ok(answer.values().next().context("one answer")?["dif"].clone())
}

/// The build id that is one byte over and over.
fn id(byte: u8) -> String {
    format!("{byte:02x}").repeat(20)
}

/// Requests per second of what is `asked` below the base: ours and the peer's.
fn pair(server: &Server, peer: &Debuginfod, asked: &str, found: bool) -> Result<(f64, f64)> {
    let path = format!("{BASE}/{asked}");
    let load = Load { address: &server.address, path: &path, token: &server.token, body: None };
    let ours = counted(&load, 2, found)?;
    let path = format!("/buildid/{asked}");
    let theirs = counted(&Load { address: &peer.address, path: &path, token: "", body: None }, 2, found)?;
    Ok((ours, theirs))
}

/// The middle of several fetches.
fn milliseconds(path: &str, connect: impl Fn() -> Result<Connection>) -> Result<f64> {
    let mut connection = connect()?;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let begin = Instant::now();
        connection.discard(path)?;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    eprintln!("  {path}: {times:.0?} ms");
    Ok(median(times))
}
