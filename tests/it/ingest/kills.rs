//! What is acknowledged is digested, once: after a restart, a torn record, a damaged byte, with rows for a spool.

use std::io::Write as _;

use serde_json::json;
use symdepot::config::SpoolKind;

use super::{Sdk, error, uuid};
use crate::support::process::TestProcess;
use crate::support::server::{Builder, TestServer};
use crate::support::until;

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

/// Sends events until the server goes away; the ids that were acknowledged.
async fn send_until_gone(url: String, key: String, client: usize, round: usize) -> Vec<String> {
    let http = crate::support::client::http();
    let mut acknowledged = Vec::new();
    for number in 0..10_000 {
        let id = uuid();
        let mut event = error("Kill", &format!("v{}", number % 3));
        event["event_id"] = json!(id);
        event["extra"] = json!({ "client": client, "round": round });
        let sent = http.post(format!("{url}/api/1/store/?sentry_key={key}")).body(event.to_string()).send().await;
        match sent {
            Ok(response) if response.status() == 200 => acknowledged.push(id),
            Ok(response) => panic!("{}", response.status()),
            Err(_) => break,
        }
    }
    acknowledged
}

#[tokio::test]
async fn a_process_that_is_killed_again_and_again_loses_no_acknowledged_event_and_counts_none_twice() {
    let mut process = TestProcess::start().await;
    let created = process.run(&["dsn", "create", "--project", "default/default"]).await;
    let dsn = String::from_utf8(created.stdout).unwrap();
    let key = dsn.split("//").nth(1).unwrap().split('@').next().unwrap().to_owned();
    let mut acknowledged = Vec::new();
    for round in 0..4 {
        let clients: Vec<_> = (0..8)
            .map(|client| tokio::spawn(send_until_gone(process.url.clone(), key.clone(), client, round)))
            .collect();
        let before = acknowledged.len();
        // Enough is under way in every step between the socket and the rows.
        let behind = process.behind().await;
        until("some events are digested", || async {
            let (stored, _) = behind.db.stored_events(1).await.unwrap();
            (stored > i64::try_from(before).unwrap()).then_some(())
        })
        .await;
        behind.db.close().await;
        process.kill().await;
        for client in clients {
            acknowledged.extend(client.await.unwrap());
        }
        process.restart().await;
    }
    let behind = process.behind().await;
    until("every acknowledged event is stored", || async {
        let found = behind.db.stored_events_by_id(1, &acknowledged).await.unwrap();
        (found.len() == acknowledged.len()).then_some(())
    })
    .await;
    let (stored, _) = until("the spool is digested", || async {
        let (stored, bytes) = behind.db.stored_events(1).await.unwrap();
        let outcomes: i64 = behind.db.outcomes(1, 0).await.unwrap().iter().map(|row| row.3).sum();
        (outcomes == stored).then_some((stored, bytes))
    })
    .await;
    let counted: i64 =
        behind.db.issues_of_project(1, 0, 100).await.unwrap().iter().map(|issue| issue.event_count).sum();
    assert_eq!(counted, stored);
    assert!(stored >= i64::try_from(acknowledged.len()).unwrap());
    assert_eq!(behind.db.miscounted_issues().await.unwrap(), []);
}
