//! Jobs outlive the process that queued them and the worker that had them, are done once for all who want them, and end when
//! what they are about is gone.

use serde_json::json;
use symdepot::blobs::{BlobKey, Fault};

use super::{CALC, CALC_ID, forget_symcaches, no_job_is_left};
use crate::support::answer::whole;
use crate::support::converter::WatchedConverter;
use crate::support::fsck::fsck;
use crate::support::process::TestProcess;
use crate::support::records::Record;
use crate::support::server::{Builder, TestServer};
use crate::support::symcaches::frames;
use crate::support::until;
use crate::support::uploads::Upload;

#[tokio::test]
async fn another_worker_takes_a_build_over_from_a_killed_one() {
    let converter = WatchedConverter::new();
    let program = converter.program();
    let settings = [("SYMDEPOT_CONVERTER__PROGRAM", program.to_str().unwrap()), ("SYMDEPOT_JOBS__LEASE", "1s")];
    let server = TestProcess::start_without_workers(&settings).await;
    let client = server.client();
    let mut first = server.worker();
    client.upload_ok(&Upload::fixture(CALC)).await;
    let behind = server.behind().await;
    let files = behind.db.debug_files_by_id(client.account.project.id, &[CALC_ID.parse().unwrap()]).await.unwrap();
    forget_symcaches(&behind, &files).await;
    converter.hold();
    assert_eq!(client.symcache(&client.account, CALC_ID, 0).await.status(), 202);
    converter.begun(2).await;
    first.kill().await.unwrap();
    assert_eq!(client.symcache(&client.account, CALC_ID, 0).await.status(), 202);
    let _second = server.worker();
    converter.begun(3).await;
    converter.release();
    let bytes = client.symcache_bytes(&client.account, CALC_ID).await;
    assert_eq!(frames(&bytes, 0x1129), ["main @ /src/fixture/main.c:3"]);
    no_job_is_left(&behind, client.account.organization.id).await;
    assert_eq!(fsck(&behind.db, behind.blobs.as_ref()).await, [""; 0]);
}

#[tokio::test]
async fn what_two_processes_want_is_built_once() {
    let converter = WatchedConverter::new();
    let program = converter.program();
    let server = TestServer::builder().settings(|config| config.converter.program = program).start().await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    let other = server.beside().start().await;
    let files = server.app.db.debug_files_by_id(server.account.project.id, &[CALC_ID.parse().unwrap()]).await.unwrap();
    forget_symcaches(&server.app, &files).await;
    let (here, there) =
        tokio::join!(server.symcache_bytes(&server.account, CALC_ID), other.symcache_bytes(&other.account, CALC_ID));
    assert!(here == there);
    assert_eq!(converter.conversions(), 2, "one for the upload and one for both");
    no_job_is_left(&server.app, server.account.organization.id).await;
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_job_of_a_file_that_was_deleted_ends_without_a_build() {
    let converter = WatchedConverter::new();
    let program = converter.program();
    let server = TestServer::builder().settings(|config| config.converter.program = program).start().await;
    let dif = server.upload_ok(&Upload::fixture(CALC)).await;
    let server = server.restart(Builder::without_workers).await;
    let files = server.app.db.debug_files_by_id(server.account.project.id, &[CALC_ID.parse().unwrap()]).await.unwrap();
    forget_symcaches(&server.app, &files).await;
    assert_eq!(server.symcache(&server.account, CALC_ID, 0).await.status(), 202);
    server.delete_file(dif["id"].as_str().unwrap()).await;
    assert_eq!(server.symcache(&server.account, CALC_ID, 0).await.status(), 404);
    let server = server.restart(|builder| builder).await;
    no_job_is_left(&server.app, server.account.organization.id).await;
    assert_eq!(converter.conversions(), 1, "only that of the upload");
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_job_under_which_every_worker_was_stopped_ends_with_a_reason() {
    let server = TestServer::builder().without_workers().start().await;
    let file = server.put_file(&server.account, Record::new("killer", CALC_ID)).await;
    assert_eq!(server.symcache(&server.account, CALC_ID, 0).await.status(), 202);
    // Five workers took it and were never heard of again.
    let now = server.app.clock.now();
    for _ in 0..5 {
        server.app.db.claim(&[], "gone", now, now).await.unwrap().expect("it is due");
    }
    let server = server.restart(|builder| builder).await;
    let answer = until("it is given up", || async {
        let response = server.symcache(&server.account, CALC_ID, 0).await;
        (response.status() == 422).then_some(response)
    });
    let reason = answer.await.json::<serde_json::Value>().await.unwrap();
    let sentence = "The file cannot be converted: the server was stopped 5 times while it worked on it. Ask whoever runs \
                    the server to look at its log.";
    assert_eq!(reason, json!({ "detail": sentence }));
    assert_eq!(server.app.db.symcaches_of(&[file.id]).await.unwrap().len(), 1);
    no_job_is_left(&server.app, server.account.organization.id).await;
}

#[tokio::test]
async fn a_build_that_fails_is_said_to_have_failed_and_is_tried_again() {
    let server = TestServer::start().await;
    let calc = Upload::fixture(CALC);
    server.upload_ok(&calc).await;
    let files = server.app.db.debug_files_by_id(server.account.project.id, &[CALC_ID.parse().unwrap()]).await.unwrap();
    forget_symcaches(&server.app, &files).await;
    let owned = server.app.db.owned_chunks(server.account.organization.id, &[calc.sha1()]).await.unwrap();
    server.faults.inject(Fault::Lost(BlobKey::from_row(&owned[&calc.sha1()].chunk.blob.key)));
    let answer = whole(server.symcache(&server.account, CALC_ID, 60).await).await;
    let sentence = json!({ "detail": "The symcache could not be built just now. Ask again." });
    assert_eq!((&answer["status"], &answer["body"]), (&json!(503), &sentence));
    assert_eq!(answer["headers"]["retry-after"], "2");
    assert_eq!(server.symcache_status(&server.account, CALC_ID).await["state"], "building", "another attempt follows");
    server.faults.heal();
    until("it is built", || async {
        (server.symcache(&server.account, CALC_ID, 60).await.status() == 200).then_some(())
    })
    .await;
    no_job_is_left(&server.app, server.account.organization.id).await;
    assert_eq!(server.fsck().await, [""; 0]);
}
