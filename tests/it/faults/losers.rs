//! Who goes away in the middle, or comes back too late, leaves neither rows nor bytes behind.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use rustix::process::Signal;
use serde_json::json;
use symdepot::types::Sha1;

use super::CALC;
use crate::support::converter::WatchedConverter;
use crate::support::form::is_cluster;
use crate::support::fsck::{fsck, losses};
use crate::support::process::{TestProcess, signal};
use crate::support::server::TestServer;
use crate::support::until;
use crate::support::uploads::Upload;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_go_away_at_any_moment_leave_no_bytes_without_a_row() {
    let server = TestServer::start().await;
    for round in 0..20u64 {
        let client = |number: u64| {
            let server = &server;
            async move {
                let chunk = format!("{round} {number} ").repeat(20_000).into_bytes();
                let name = Sha1::of(&chunk).to_string();
                let form = Form::new().part("file", Part::bytes(chunk).file_name(name));
                let path = format!("{}chunk-upload/", server.account.organization_path());
                let http = crate::support::client::http();
                let url = format!("{}{path}", server.url);
                let request = http.request(Method::POST, url).bearer_auth(&server.account.token).multipart(form);
                // Gone without a word, connection and all.
                let patience = Duration::from_millis((round * 8 + number) % 40);
                tokio::time::timeout(patience, request.send()).await.ok();
            }
        };
        join_all((0..8).map(client)).await;
    }
    until("rows and bytes agree", || async { server.fsck().await.is_empty().then_some(()) }).await;
}

#[tokio::test]
async fn a_worker_that_was_frozen_comes_back_too_late_and_leaves_nothing() {
    let converter = WatchedConverter::holding();
    let program = converter.program();
    let settings = [("SYMDEPOT_CONVERTER__PROGRAM", program.to_str().unwrap()), ("SYMDEPOT_JOBS__LEASE", "1s")];
    let server = TestProcess::start_without_workers(&settings).await;
    let client = server.client();
    let calc = Upload::fixture(CALC);
    client.send(&client.account, &calc).await;
    client.ask(&client.account, &calc).await;

    let mut frozen = server.worker();
    converter.begun(1).await;
    signal(&frozen, Signal::STOP);
    let mut awake = server.worker();
    converter.begun(2).await;
    converter.release();
    let end = client.poll(&client.account, &calc).await;
    assert_eq!(end["state"], "ok");

    signal(&frozen, Signal::CONT);
    until("it sees that it came too late", || async {
        let log = server.log();
        (log.contains("ended by another worker") || log.contains("took the job over")).then_some(())
    })
    .await;
    // A soft end waits for what is under way.
    for worker in [&mut frozen, &mut awake] {
        signal(worker, Signal::TERM);
        assert_eq!(worker.wait().await.unwrap().code(), Some(0));
    }
    assert_eq!(client.ask(&client.account, &calc).await, end);
    assert_eq!(client.listed(&client.account).await, [end["dif"].clone()]);
    let behind = server.behind().await;
    assert_eq!(fsck(&behind.db, behind.blobs.as_ref()).await, [""; 0]);
}

#[tokio::test]
async fn a_hard_end_in_the_middle_of_jobs_leaves_no_bytes_without_a_row() {
    let settings = [("SYMDEPOT_JOBS__CONCURRENCY", "4")];
    let mut server = TestProcess::start_with(&settings).await;
    for round in 0..6u32 {
        let client = server.client();
        let files: Vec<_> = (0..6).map(|number| Upload::fixture(CALC).another(round * 10 + number)).collect();
        for file in &files {
            client.send(&client.account, file).await;
            client.ask(&client.account, file).await;
        }
        tokio::time::sleep(Duration::from_millis(u64::from(round) * 30)).await;
        // The second signal ends what the first one waits for.
        server.ask_to_end();
        server.terminate().await;
        let behind = server.behind().await;
        let differences = fsck(&behind.db, behind.blobs.as_ref()).await;
        // A bucket may keep what was on its way to it when the process ended.
        let differences = if is_cluster() { losses(differences) } else { differences };
        assert_eq!(differences, [""; 0], "round {round}");
        behind.db.close().await;
        server.restart().await;
        let client = server.client();
        for file in &files {
            let end = client.poll(&client.account, file).await;
            assert_eq!(end["state"], json!("ok"), "round {round}: {end}");
        }
    }
}
