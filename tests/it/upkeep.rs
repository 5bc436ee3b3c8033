//! Keeping house: what nobody wants goes and nothing else does; what is lost is found, said and mended.

mod at_rest;
mod dry_run;
mod files_delete;
mod fsck;
mod gc;
mod races;
mod retention;

use std::time::Duration;

use chrono::TimeDelta;
use symdepot::clock::Clock;
use symdepot::types::Sha1;

use crate::support::server::TestServer;

/// A file with debug information, in several chunks.
const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.debug";
const CALC_ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";

/// A server whose time moves only when a test moves it, and where nothing is cleaned up but by the test.
async fn server() -> TestServer {
    let clock = Clock::settable(Clock::System.now());
    TestServer::builder().clock(clock).settings(|config| config.gc.interval = Duration::ZERO).start().await
}

/// Lets a day and an hour go by.
fn a_day_later(server: &TestServer) {
    server.app.clock.advance(TimeDelta::hours(25));
}

/// Whether the default organization has these chunks.
async fn has(server: &TestServer, chunks: &[&[u8]]) -> bool {
    let sha1s: Vec<_> = chunks.iter().map(|chunk| Sha1::of(chunk)).collect();
    let owned = server.app.db.owned_chunks(server.account.organization.id, &sha1s).await.unwrap();
    sha1s.iter().all(|sha1| owned.contains_key(sha1))
}
