//! Answering: status polls, large batches, symcache fetches and downloads, beside bare servers on the same cores.

use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::client::{self, ASSEMBLE, Cut, JSON};
use crate::server::Server;
use crate::table::{Row, Target, median};
use crate::wire::Connection;
use crate::wrk::{Load, requests_per_second};
use crate::{bare, files};

/// Files in the large batch.
const BATCH: u128 = 3000;
/// Functions that make a symcache of about 20 KB.
const FUNCTIONS: u64 = 77;
/// Size of the download.
const DOWNLOAD: u64 = 100_000_000;
/// Downloads at a time.
const DOWNLOADS: usize = 4;
/// Downloads, and asks for the large batch, of which the middle one counts.
const RUNS: usize = 9;
/// Where symcaches are.
const SYMCACHES: &str = "/api/v1/projects/default/default/symcaches";
/// Where debug files are.
const FILES: &str = "/api/0/projects/default/default/files/dsyms/";

/// Polls of one known file, and one request for thousands.
pub fn poll(rows: &mut Vec<Row>) -> Result<()> {
    let server = Server::start(&[])?;
    let (wish, answer) = client::register_small(&server, &[files::breakpad(1, 20)])?;
    let body = wish.to_string();
    let load = Load { address: &server.address, path: ASSEMBLE, token: &server.token, body: Some(&body) };
    let ours = requests_per_second(&load)?;
    let peer = beside(&Value::Object(answer).to_string().into_bytes(), &load)?;
    let row = Row::new("status poll of a known file", ours, "requests/s").peer(peer);
    rows.push(row.target(Target::AtLeast(5000.0)));

    let many: Vec<_> = (0..BATCH).map(|id| files::breakpad(0xb0_0000 + id, 0)).collect();
    let begin = Instant::now();
    let (wish, _) = client::register_small(&server, &many)?;
    let seconds = begin.elapsed().as_secs_f64();
    let mut connection = server.connect()?;
    let body = wish.to_string();
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let begin = Instant::now();
        connection.ask("POST", ASSEMBLE, JSON, &[body.as_bytes()])?.json()?;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    eprintln!("  {BATCH} files: registered in {seconds:.1} s; asked in {times:.0?} ms");
    rows.push(
        Row::new(format!("one request for {BATCH} known files"), median(times), "ms").target(Target::AtMost(150.0)),
    );
    rows.push(Row::new(format!("upload and registration of {BATCH} tiny files"), BATCH as f64 / seconds, "files/s"));
    Ok(())
}

/// Fetches of a small symcache, and a large download.
pub fn fetch(rows: &mut Vec<Row>) -> Result<()> {
    let server = Server::start(&[])?;
    let (_, answer) = client::register_small(&server, &[files::breakpad(2, FUNCTIONS)])?;
    let entry = answer.values().next().context("one answer")?;
    let path = format!("{SYMCACHES}/{}", entry["dif"]["debugId"].as_str().context("a debug id")?);
    let symcache = server.connect()?.ask("GET", &path, JSON, &[])?;
    anyhow::ensure!(symcache.status == 200, "symcache: status {}", symcache.status);
    let load = Load { address: &server.address, path: &path, token: &server.token, body: None };
    let ours = requests_per_second(&load)?;
    let peer = beside(&symcache.body, &load)?;
    let what = format!("symcache fetch of {:.1} KB", symcache.body.len() as f64 / 1e3);
    rows.push(Row::new(what, ours, "requests/s").peer(peer).target(Target::AtLeast(15_000.0)));
    drop(server);
    download(rows)
}

fn download(rows: &mut Vec<Row>) -> Result<()> {
    let server = Server::start(&[("SYMDEPOT_BLOBS__COMPRESSION", "none")])?;
    let padded = files::padded_elf("download.debug", DOWNLOAD)?;
    let cut = Cut::of(&padded)?;
    client::upload(&server, &cut, 2)?;
    let limit = std::time::Duration::from_secs(60);
    let (_, answer) = client::assemble(&server, &cut.wish(), std::time::Duration::from_millis(50), limit)?;
    let id = answer.values().next().map(|entry| entry["dif"]["id"].clone()).unwrap_or(json!(null));
    let path = format!("{FILES}?id={}", id.as_str().context("an id")?);
    let (_serving, bare) = bare::start("bare-send", &[&padded])?;
    for connections in [1, DOWNLOADS] {
        let ours = rate(connections, &path, || server.connect())?;
        let peer = rate(connections, "/", || Connection::open(&bare, ""))?;
        let row = Row::new(format!("download of 100 MB, raw at rest, {connections} at a time"), ours, "GB/s");
        rows.push(row.peer(peer).target(Target::AtLeast(2.0)));
    }
    std::fs::remove_file(padded)?;
    Ok(())
}

/// The middle of several rates in GB/s of `connections` downloads at the same time.
pub fn rate(connections: usize, path: &str, connect: impl Fn() -> Result<Connection>) -> Result<f64> {
    let mut open = (0..connections).map(|_| connect()).collect::<Result<Vec<_>>>()?;
    let mut rates = Vec::new();
    for _ in 0..RUNS {
        let begin = Instant::now();
        let bytes = std::thread::scope(|scope| {
            let downloads: Vec<_> = open.iter_mut().map(|one| scope.spawn(|| one.discard(path))).collect();
            downloads.into_iter().try_fold(0, |sum, one| match one.join() {
                Ok(bytes) => Ok(sum + bytes?),
                Err(_) => bail!("a download panicked"),
            })
        })?;
        rates.push(bytes as f64 / 1e9 / begin.elapsed().as_secs_f64());
    }
    eprintln!("  {connections} at a time: GB/s {rates:.2?}");
    Ok(median(rates))
}

/// The same load on a server that only answers with these bytes.
fn beside(body: &[u8], load: &Load<'_>) -> Result<f64> {
    let path = files::folder()?.join("answer");
    std::fs::write(&path, body)?;
    let (_serving, address) = bare::start("bare-answer", &[&path])?;
    requests_per_second(&Load { address: &address, ..*load })
}
