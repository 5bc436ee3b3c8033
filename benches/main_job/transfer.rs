//! Uploading: the server's memory while files come in, and its CPU beside a bare program's.

use std::time::Duration;

use anyhow::Result;

use crate::client::{self, Cut};
use crate::process;
use crate::server::Server;
use crate::table::{Row, Target};
use crate::{bare, files};

/// Parallel requests, as sentry-cli makes them when told so.
const CONCURRENCY: usize = 8;
/// Pairs of measurements.
const RUNS: usize = 3;

/// Peak memory of the server while a file is uploaded and assembled, for a small and a large file.
pub fn memory(rows: &mut Vec<Row>) -> Result<()> {
    let small = peak("256 MiB", 256 << 20)?;
    let large = peak("1 GiB", 1 << 30)?;
    rows.push(Row::new("memory: server peak, 256 MiB file", small, "MB").target(Target::AtMost(120.0)));
    rows.push(Row::new("memory: server peak, 1 GiB file", large, "MB").target(Target::AtMost(120.0)));
    let growth = Row::new("memory: 1 GiB file beside 256 MiB file", large, "MB").peer(small);
    rows.push(growth.target(Target::RatioAtMost(1.15)));
    Ok(())
}

fn peak(what: &str, size: u64) -> Result<f64> {
    let path = files::padded_elf("padded.debug", size)?;
    let cut = Cut::of(&path)?;
    let server = Server::start(&[])?;
    client::upload(&server, &cut, CONCURRENCY)?;
    let after_upload = process::memory(server.pid(), "VmHWM").unwrap_or(f64::NAN);
    let (seconds, _) = client::assemble(&server, &cut.wish(), Duration::from_millis(50), Duration::from_secs(120))?;
    let peak = process::memory(server.pid(), "VmHWM").unwrap_or(f64::NAN);
    eprintln!("  {what}: peak {after_upload:.0} MB after upload, {peak:.0} MB after assembly in {seconds:.1} s");
    std::fs::remove_file(path)?;
    Ok(peak)
}

/// CPU seconds per GiB of chunk upload, beside a bare program with the same chunks.
pub fn chunk_cpu(rows: &mut Vec<Row>) -> Result<()> {
    let what = "chunk upload: CPU per GiB";
    let Some(path) = files::fetched("vmlinux").or_else(|| files::fetched("libjvm.debug")) else {
        rows.push(Row::absent(what, "no -dbg package to be had"));
        return Ok(());
    };
    let cut = Cut::of(&path)?;
    let gib = std::fs::metadata(&path)?.len() as f64 / f64::from(1 << 30);
    let sent = tempfile::TempDir::new_in(files::folder()?)?;
    for (at, sum) in cut.chunks.iter().enumerate() {
        std::fs::write(sent.path().join(sum), cut.gzipped(at)?)?;
    }
    let (mut ours, mut bares) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let server = Server::start(&[])?;
        let before = process::cpu(server.pid())?.own;
        client::upload(&server, &cut, CONCURRENCY)?;
        ours.push((process::cpu(server.pid())?.own - before) / gib);
        drop(server);
        let stored = tempfile::TempDir::new_in(files::folder()?)?;
        bares.push(bare::run("bare-chunks", &[sent.path(), stored.path()])?.cpu / gib);
    }
    eprintln!("  CPU s/GiB: server {ours:.2?}, bare {bares:.2?}");
    rows.push(Row::pairs(what, &ours, &bares, "s").target(Target::RatioAtMost(1.25)));
    Ok(())
}
