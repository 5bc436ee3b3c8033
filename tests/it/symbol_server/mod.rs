//! The symbol server as debuggers and symbolication services meet it: who gets in, and what each protocol is answered.

mod access;
mod breakpad;
mod cab;
mod debuggers;
mod debuginfod;
mod everyone;
mod hang_ups;
mod layouts;
mod libraries;
mod look_ups;
mod metadata;
mod person;
mod refusals;
mod sections;
mod sources;
mod stackwalk;
mod storms;
mod symbolicator;
mod upstreams;

use reqwest::{Method, Response};
use symdepot::accounts::issue_symbol_key;

use crate::support::server::{Account, TestServer};
use crate::support::uploads::Upload;

/// Build id of the small program in all its files.
pub const BUILD_ID: &str = "a932c94e9ae8cdf896b5496a980e4efee5dad2fc";
/// The program without its symbols, and what was taken out.
const STRIPPED: &str = "elf-x86_64-gcc-dwarf4/calc";
const COMPANION: &str = "elf-x86_64-gcc-dwarf4/calc.debug";

/// A server that has the program and its debug companion, uploaded as a pipeline does.
async fn with_calc() -> TestServer {
    let server = TestServer::start().await;
    for fixture in [STRIPPED, COMPANION] {
        server.upload_ok(&Upload::fixture(fixture).chunk_size(4 << 10)).await;
    }
    server
}

/// A key of the account's project.
pub async fn key(server: &TestServer, account: &Account) -> String {
    issue_symbol_key(&server.app.db, &server.app.clock, account.project.id, "a test's").await.unwrap().text
}

/// Asks for `path`, which begins with a slash, without a credential.
async fn anonymous(server: &TestServer, path: &str) -> Response {
    server.request(Method::GET, path).send().await.unwrap()
}
