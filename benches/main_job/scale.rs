//! The same questions to a store with a few thousand files and to one as large as a company's: 1 000 000 chunks and 200 000
//! files of 1000 projects. What grows with the store would show here.

use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::client::{self, ASSEMBLE, JSON};
use crate::files;
use crate::fill::Rows;
use crate::postgres::Postgres;
use crate::server::Server;
use crate::table::{Row, Target, median};
use crate::wrk::{Load, requests_per_second};

const PROJECTS: u64 = 1000;
const FILES: u64 = 200_000;
/// Chunks that a collection has to remove.
const UNWANTED: u64 = 100_000;
/// Numbers of unwanted chunks begin here, beyond those of the company.
const UNWANTED_FROM: u64 = 2_000_000;
/// Files that polls and look-ups ask for.
const KNOWN: u128 = 3000;
/// Times the large batch is asked, of which the middle one counts.
const RUNS: usize = 9;
/// How many times as much an answer may cost in a full store.
const MOST: f64 = 1.5;
/// What may take longer in a full store.
const LOOK: &str = "gc of as many, and a look through the whole store";
const LIST: &str = "/api/0/projects/default/default/files/dsyms/";

/// On `SQLite`.
pub fn sqlite(rows: &mut Vec<Row>) -> Result<()> {
    let server = Server::start(&[])?;
    let url = format!("sqlite://{}", server.data().join("symdepot.db").display());
    compare("SQLite", &server, &url, rows)
}

/// On `PostgreSQL`.
pub fn postgres(rows: &mut Vec<Row>) -> Result<()> {
    let database = Postgres::start()?;
    let server = Server::start(&[("SYMDEPOT_DATABASE__URL", &database.url)])?;
    compare("PostgreSQL", &server, &database.url, rows)
}

/// What questions cost: name, unit, cost.
type Costs = Vec<(&'static str, &'static str, f64)>;

fn compare(engine: &str, server: &Server, url: &str, table: &mut Vec<Row>) -> Result<()> {
    let many: Vec<_> = (0..KNOWN).map(|id| files::breakpad(0x5ca1_e000 + id, 1)).collect();
    let blobs = server.data().join("blobs");
    let mut rows = Rows::open(url)?;
    let before = rows.spent()?;
    let sums = client::upload_small(server, &many)?;
    let sent = rows.spent()?;
    let (wish, answer) = client::register_sent(server, sums)?;
    if let (Some(before), Some(sent), Some(after)) = (before, sent, rows.spent()?) {
        for (what, from, to) in [("a chunk", before, sent), ("a file of one chunk, with its symcache", sent, after)] {
            let of_each = |from: i64, to: i64| (to - from) as f64 / KNOWN as f64;
            table.push(Row::new(format!("{engine}: transactions of {what}"), of_each(from.0, to.0), ""));
            table.push(Row::new(format!("{engine}: log written for {what}"), of_each(from.1, to.1) / 1e3, "KB"));
        }
    }
    let small = rows.megabytes()?;

    let mut empty = questions(server, &wish, &answer)?;
    empty.extend(collections(server, &mut rows, UNWANTED_FROM)?);

    let begin = Instant::now();
    rows.company(PROJECTS, FILES, &blobs)?;
    eprintln!("  {engine} filled in {:.0} s", begin.elapsed().as_secs_f64());
    let grown = (rows.megabytes()? - small) * 1e6 / FILES as f64 / 1e3;
    table.push(Row::new(format!("{engine}: rows of one file of five chunks"), grown, "KB"));
    let mut full = questions(server, &wish, &answer)?;
    full.extend(collections(server, &mut rows, UNWANTED_FROM + 2 * UNWANTED)?);

    for ((what, unit, full), (_, _, empty)) in full.into_iter().zip(empty) {
        let row = Row::new(format!("{engine}, full beside empty: {what}"), full, unit).peer(empty);
        table.push(if what == LOOK { row } else { row.target(Target::RatioAtMost(MOST)) });
    }
    Ok(())
}

fn questions(server: &Server, wish: &Value, answer: &serde_json::Map<String, Value>) -> Result<Costs> {
    let (sha1, entry) = answer.iter().next().context("an answer")?;
    let one = json!({ sha1: wish[sha1] }).to_string();
    let debug_id = entry["dif"]["debugId"].as_str().context("a debug id")?;
    let by_id = format!("{LIST}?debug_id={debug_id}");
    let symcache = format!("/api/v1/projects/default/default/symcaches/{debug_id}");
    let sym = format!("/symbols/default/default/bench/{}/bench.sym", breakpad_id(debug_id));
    // Built by the first who asks.
    server.connect()?.ask("GET", &format!("{symcache}?wait=30"), JSON, &[])?;

    let mut costs = vec![
        ("poll of a known file", "us", cost(server, ASSEMBLE, Some(&one))?),
        ("list of a project's files", "us", cost(server, LIST, None)?),
        ("look-up by debug id", "us", cost(server, &by_id, None)?),
        ("fetch of a symcache", "us", cost(server, &symcache, None)?),
        ("fetch of a file by a debugger's path", "us", cost(server, &sym, None)?),
    ];
    let mut connection = server.connect()?;
    let (body, mut times) = (wish.to_string(), Vec::new());
    for _ in 0..RUNS {
        let begin = Instant::now();
        connection.ask("POST", ASSEMBLE, JSON, &[body.as_bytes()])?.json()?;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    costs.push(("one request for 3000 known files", "ms", median(times)));
    Ok(costs)
}

/// Seconds that `gc` takes for chunks nobody wants, in the store as it is: as a server does it every hour, and as it does it
/// once a day. Their numbers begin at `from`.
fn collections(server: &Server, rows: &mut Rows, from: u64) -> Result<Costs> {
    let blobs = server.data().join("blobs");
    let mut collect = |from: u64, arguments: &[&str]| {
        rows.unwanted_chunks(from, UNWANTED, &blobs)?;
        let begin = Instant::now();
        let said = server.verb(arguments)?;
        let seconds = begin.elapsed().as_secs_f64();
        eprintln!("  {}: {seconds:.1} s: {}", arguments.join(" "), said.trim().replace('\n', "; "));
        anyhow::Ok(seconds)
    };
    Ok(vec![
        ("gc of 100 000 unreferenced chunks", "s", collect(from, &["gc", "--rows-only"])?),
        (LOOK, "s", collect(from + UNWANTED, &["gc"])?),
    ])
}

/// Microseconds of the server's time for one answer, sixteen connections asking.
fn cost(server: &Server, path: &str, body: Option<&str>) -> Result<f64> {
    let load = Load { address: &server.address, path, token: &server.token, body };
    let rate = requests_per_second(&load).with_context(|| path.to_owned())?;
    Ok(1e6 / rate)
}

/// A debug id as Breakpad's paths have it.
fn breakpad_id(debug_id: &str) -> String {
    let digits: String = debug_id.chars().filter(char::is_ascii_hexdigit).collect();
    if digits.len() > 32 { digits.to_uppercase() } else { format!("{}0", digits.to_uppercase()) }
}
