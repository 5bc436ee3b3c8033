//! What is acknowledged is digested, once: after a restart, a torn record, a damaged byte, with rows for a spool.

use std::io::Write as _;

use serde_json::json;
use symdepot::config::SpoolKind;

use super::{Sdk, error};
use crate::support::server::{Builder, TestServer};

#[tokio::test]
async fn events_that_wait_in_the_spool_are_digested_at_the_next_start_once() {
    let server = TestServer::builder().without_workers().start().await;
    let sdk = Sdk::of(&server).await;
    for number in 0..20 {
        sdk.store(error("E", &format!("v{number}"))).await;
    }
    assert_eq!(sdk.outcomes().await["accepted"], 0);
    let spool = server.data_dir().join("spool");
    let (token, key) = (sdk.token.clone(), sdk.key.clone());
    let server = server.restart(Builder::without_workers).await;
    // A machine that fails in the middle of a write leaves the beginning of a record.
    let segment = std::fs::read_dir(&spool)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "seg"))
        .unwrap();
    std::fs::OpenOptions::new().append(true).open(&segment).unwrap().write_all(b"\xf5sdrec1\n1234").unwrap();
    let server = server.restart(|builder| builder).await;
    let project = server.account.project.clone();
    let sdk = Sdk { server: &server, project, key, token };
    assert_eq!(sdk.settled(20).await["stored"], 20);
    let sdk_token = sdk.token.clone();
    let sdk_key = sdk.key.clone();
    let server = server.restart(|builder| builder).await;
    let project = server.account.project.clone();
    let sdk = Sdk { server: &server, project, key: sdk_key, token: sdk_token };
    let event = sdk.digested(error("E", "last")).await;
    assert_eq!(sdk.outcomes().await["accepted"], 21);
    assert_eq!(sdk.count_of(&event).await, "1");
    assert_eq!(server.app.db.miscounted_issues().await.unwrap(), []);
}

#[tokio::test]
async fn a_damaged_byte_costs_its_record_and_no_other() {
    let server = TestServer::builder().without_workers().start().await;
    let sdk = Sdk::of(&server).await;
    for number in 0..5 {
        sdk.store(error("E", &format!("v{number}"))).await;
    }
    let spool = server.data_dir().join("spool");
    let (token, key) = (sdk.token.clone(), sdk.key.clone());
    let server = server.restart(Builder::without_workers).await;
    let segment = std::fs::read_dir(&spool)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "seg"))
        .unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let server = server.restart(|builder| builder).await;
    let project = server.account.project.clone();
    let sdk = Sdk { server: &server, project, key, token };
    assert_eq!(sdk.settled(4).await["stored"], 4);
}

#[tokio::test]
async fn a_spool_of_rows_is_digested_by_another_process() {
    let server = TestServer::builder()
        .without_workers()
        .settings(|config| config.events.spool = SpoolKind::Database)
        .start()
        .await;
    let sdk = Sdk::of(&server).await;
    for _ in 0..10 {
        sdk.store(error("E", "v")).await;
    }
    let _worker = server.beside().start().await;
    assert_eq!(sdk.settled(10).await["stored"], 10);
}

#[tokio::test]
async fn a_full_spool_is_answered_503_and_nothing_is_lost_once_there_is_room() {
    let server =
        TestServer::builder().without_workers().settings(|config| config.events.spool_max = 4_000).start().await;
    let sdk = Sdk::of(&server).await;
    let mut accepted = 0;
    let refused = loop {
        let response = sdk.send("store", error("E", "v").to_string()).await;
        match response.status().as_u16() {
            200 => accepted += 1,
            _ => break response,
        }
        assert!(accepted < 100);
    };
    assert_eq!(refused.status(), 503);
    assert!(refused.headers()["x-sentry-rate-limits"].to_str().unwrap().ends_with("::organization:overload"));
    assert!(refused.headers().contains_key("retry-after"));
    let (token, key) = (sdk.token.clone(), sdk.key.clone());
    let server = server.restart(|builder| builder.settings(|config| config.events.spool_max = 1 << 30)).await;
    let project = server.account.project.clone();
    let sdk = Sdk { server: &server, project, key, token };
    let outcomes = sdk.settled(accepted).await;
    assert_eq!(outcomes["stored"], json!(accepted));
}
