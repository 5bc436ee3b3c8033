//! Disks that are full, chunks that were lost or damaged: tried again, then said, and mended by an upload.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use symdepot::blobs::{BlobKey, Fault};
use symdepot::clock::Clock;
use symdepot::config::{Compression, Config};
use symdepot::types::Sha1;

use super::{CALC, CALC_ID, key_of};
use crate::support::converter::WatchedConverter;
use crate::support::server::{Builder, TestServer};
use crate::support::uploads::Upload;

const FULL: &str = "The server's disk is full. Ask whoever runs it to make space, then upload the file again.";

/// More often than any job is tried.
const ALWAYS: u32 = 1_000_000;

fn impatient() -> Builder {
    TestServer::builder().settings(|config| config.jobs.back_off = Duration::from_millis(1))
}

fn error(detail: &str) -> Value {
    json!({ "state": "error", "detail": detail, "missingChunks": [] })
}

#[tokio::test]
async fn a_disk_that_is_full_for_a_while_only_takes_time() {
    let converter = WatchedConverter::new();
    let program = converter.program();
    let server = impatient().settings(|config| config.converter.program = program).start().await;
    let calc = Upload::fixture(CALC);
    server.send(&server.account, &calc).await;
    server.faults.inject(Fault::Full(2));
    assert_eq!(server.poll(&server.account, &calc).await["state"], "ok");
    assert_eq!(converter.conversions(), 3, "two of three symcaches could not be stored");
    assert_eq!(server.symcache(&server.account, CALC_ID, 0).await.status(), 200);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_disk_that_stays_full_is_an_error_that_says_so_until_there_is_space() {
    let server = impatient().clock(Clock::settable(Clock::System.now())).start().await;
    let calc = Upload::fixture(CALC);
    server.send(&server.account, &calc).await;
    server.faults.inject(Fault::Full(ALWAYS));
    let end = poll_on(&server, &calc).await;
    assert_eq!(end, error(FULL));
    assert!(server.listed(&server.account).await.is_empty());
    assert_eq!(server.fsck().await, [""; 0]);

    server.faults.heal();
    assert_eq!(server.ask(&server.account, &calc).await, error(FULL), "it is remembered for its time");
    server.app.clock.advance(TimeDelta::from_std(server.app.config.status.ttl).unwrap());
    assert_eq!(poll_on(&server, &calc).await["state"], "ok");
    assert_eq!(server.fsck().await, [""; 0]);
}

/// Polls a server whose time moves only by this.
async fn poll_on(server: &TestServer, upload: &Upload) -> Value {
    crate::support::until("the assembly ends", || async {
        let entry = server.ask(&server.account, upload).await;
        server.app.clock.advance(TimeDelta::milliseconds(10));
        (entry["state"] == "ok" || entry["state"] == "error").then_some(entry)
    })
    .await
}

#[tokio::test]
async fn a_chunk_that_does_not_fit_on_the_disk_is_not_taken_and_may_be_sent_again() {
    let server = TestServer::start().await;
    let calc = Upload::fixture(CALC);
    server.faults.inject(Fault::Full(1));
    let refused = server.send_chunks(&server.account, &calc.chunks()).await;
    assert_eq!(refused.status(), 507);
    assert_eq!(server.ask(&server.account, &calc).await["missingChunks"], json!([calc.sha1()]));
    assert_eq!(server.fsck().await, [""; 0]);
    server.upload_ok(&calc).await;
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_temp_folder_that_cannot_be_written_is_an_error_that_says_so() {
    let server = impatient().start().await;
    let calc = Upload::fixture(CALC);
    server.send(&server.account, &calc).await;
    std::fs::remove_dir_all(server.app.config.temp_dir()).unwrap();
    let sentence = "The server could not write to its disk. Ask whoever runs it to look at its log, then upload again.";
    assert_eq!(server.poll(&server.account, &calc).await, error(sentence));
    let server = server.restart(|builder| builder.settings(|config| config.status.ttl = Duration::ZERO)).await;
    assert_eq!(server.poll(&server.account, &calc).await["state"], "ok");
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn bytes_that_cannot_be_read_for_a_while_only_take_time() {
    let server = impatient().start().await;
    let calc = Upload::fixture(CALC);
    server.send(&server.account, &calc).await;
    server.faults.inject(Fault::OpenBroken(3));
    assert_eq!(server.poll(&server.account, &calc).await["state"], "ok");
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn bytes_that_cannot_be_read_at_all_are_an_error_that_does_not_ask_for_them_again() {
    let server = impatient().start().await;
    let calc = Upload::fixture(CALC);
    server.send(&server.account, &calc).await;
    server.faults.inject(Fault::OpenBroken(ALWAYS));
    let sentence = format!(
        "The server could not read chunk {} of this file from its disk. Ask whoever runs it to look at its log, then \
         upload the file again.",
        calc.sha1()
    );
    assert_eq!(server.poll(&server.account, &calc).await, error(&sentence));
    server.faults.heal();
    let server = server.restart(|builder| builder.settings(|config| config.status.ttl = Duration::ZERO)).await;
    assert_eq!(server.poll(&server.account, &calc).await["state"], "ok");
}

#[tokio::test]
async fn lost_and_damaged_chunks_are_named_then_asked_for_and_mended_by_an_upload() {
    for compression in [Compression::Zstd, Compression::None] {
        for fault in [Fault::Lost, Fault::Flipped, Fault::Shortened] {
            let change = move |config: &mut Config| config.blobs.compression = compression;
            let server = impatient().settings(change).start().await;
            let calc = Upload::fixture(CALC).chunk_size(4096);
            server.send(&server.account, &calc).await;
            let broken = Sha1::of(calc.chunks()[1]);
            let fault = fault(key_of(&server, broken).await);
            server.faults.inject(fault.clone());

            let sentence = format!("The server lost chunk {broken} of this file. Upload the file again to mend it.");
            let end = server.peek_until_error(&calc).await;
            assert_eq!(end, error(&sentence), "{compression:?} {fault:?}");
            let asked_for = json!({ "state": "not_found", "missingChunks": [broken] });
            assert_eq!(server.ask(&server.account, &calc).await, asked_for, "{compression:?} {fault:?}");
            assert_eq!(server.upload(&calc).await["state"], "ok", "{compression:?} {fault:?}");
            server.faults.heal();
            assert_eq!(server.fsck().await, [""; 0], "{compression:?} {fault:?}");
        }
    }
}

impl TestServer {
    /// Queues a file and looks on, without its chunks, until it has failed.
    async fn peek_until_error(&self, upload: &Upload) -> Value {
        self.ask(&self.account, upload).await;
        crate::support::until("it fails", || async {
            let entry = self.peek(&self.account, upload).await;
            (entry["state"] == "error").then_some(entry)
        })
        .await
    }
}

#[tokio::test]
async fn a_chunk_that_another_organization_shares_is_mended_for_both() {
    let server = impatient().start().await;
    let stranger = server.add_account("stranger", "project").await;
    let calc = Upload::fixture(CALC).chunk_size(4096);
    server.send(&server.account, &calc).await;
    server.send(&stranger, &calc).await;
    server.faults.inject(Fault::Flipped(key_of(&server, Sha1::of(calc.chunks()[0])).await));
    assert_eq!(server.peek_until_error(&calc).await["state"], "error");
    server.upload_ok(&calc).await;
    assert_eq!(server.poll(&stranger, &calc).await["state"], "ok", "its own chunks never were in question");
    server.faults.heal();
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_symcache_that_cannot_be_stored_on_demand_is_a_surprise_and_can_be_asked_for_again() {
    let server = TestServer::start().await;
    let calc = Upload::fixture(CALC);
    let dif = server.upload_ok(&calc).await;
    // Without any symcache: one of another version would be answered.
    for row in server.app.db.symcaches_of(&[dif["id"].as_str().unwrap().parse().unwrap()]).await.unwrap() {
        let key = server.app.db.delete_symcache(row.id).await.unwrap().unwrap();
        server.app.blobs.delete(&[BlobKey::from_row(&key)]).await.unwrap();
    }
    server.faults.inject(Fault::Full(1));
    assert_eq!(server.symcache(&server.account, CALC_ID, 60).await.status(), 503);
    assert_eq!(server.symcache(&server.account, CALC_ID, 60).await.status(), 200);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_chunk_that_one_job_finds_lost_is_asked_for_by_every_file_of_it() {
    let server = impatient().start().await;
    let first = Upload::fixture(CALC).chunk_size(4096);
    let second = first.another(7);
    server.upload_ok(&first).await;
    server.send(&server.account, &second).await;
    let shared = first.chunks().into_iter().find(|chunk| second.chunks().contains(chunk)).unwrap();
    let shared = Sha1::of(shared);
    server.app.blobs.delete(&[key_of(&server, shared).await]).await.unwrap();

    assert_eq!(server.peek(&server.account, &first).await["state"], "ok", "nobody has noticed yet");
    server.ask(&server.account, &second).await;
    assert_eq!(server.peek_until_error(&second).await["state"], "error");
    let asked_for = json!({ "state": "not_found", "missingChunks": [shared] });
    assert_eq!(server.ask(&server.account, &first).await, asked_for, "its file is not whole either");
    server.upload_ok(&first).await;
    server.upload_ok(&second).await;
    assert_eq!(server.fsck().await, [""; 0]);
}
