//! Work goes on elsewhere: in another process, after a dead one, after a soft end.

use serde_json::json;

use super::{CALC, CALC_ID};
use crate::support::converter::WatchedConverter;
use crate::support::fsck::fsck;
use crate::support::process::TestProcess;
use crate::support::server::TestServer;
use crate::support::until;
use crate::support::uploads::Upload;

#[tokio::test]
async fn a_worker_of_its_own_does_the_work_of_a_server_without_workers() {
    let server = TestProcess::start_without_workers(&[]).await;
    let client = server.client();
    let calc = Upload::fixture(CALC);
    client.send(&client.account, &calc).await;
    assert_eq!(client.ask(&client.account, &calc).await, json!({ "state": "created", "missingChunks": [] }));
    let _worker = server.worker();
    assert_eq!(client.poll(&client.account, &calc).await["state"], "ok");
    assert_eq!(client.symcache(&client.account, CALC_ID, 60).await.status(), 200);
    let broken = client.upload(&Upload::new("garbage", "not a debug file")).await;
    assert_eq!(broken["detail"], "Invalid debug information file: unsupported object file format");
}

#[tokio::test]
async fn another_worker_takes_over_from_a_dead_one() {
    let converter = WatchedConverter::holding();
    let program = converter.program();
    let settings = [("SYMDEPOT_CONVERTER__PROGRAM", program.to_str().unwrap()), ("SYMDEPOT_JOBS__LEASE", "1s")];
    let server = TestProcess::start_without_workers(&settings).await;
    let client = server.client();
    let calc = Upload::fixture(CALC);
    client.send(&client.account, &calc).await;
    client.ask(&client.account, &calc).await;

    let mut first = server.worker();
    converter.begun(1).await;
    first.kill().await.unwrap();
    until("it is said to be worked on", || async {
        (client.ask(&client.account, &calc).await["state"] == "assembling").then_some(())
    })
    .await;
    let _second = server.worker();
    converter.begun(2).await;
    converter.release();
    assert_eq!(client.poll(&client.account, &calc).await["state"], "ok");
    let behind = server.behind().await;
    assert_eq!(fsck(&behind.db, behind.blobs.as_ref()).await, [""; 0]);
}

#[tokio::test]
async fn two_workers_share_the_work_and_do_nothing_twice() {
    let converter = WatchedConverter::new();
    let program = converter.program();
    let settings = [("SYMDEPOT_CONVERTER__PROGRAM", program.to_str().unwrap()), ("SYMDEPOT_JOBS__CONCURRENCY", "2")];
    let server = TestProcess::start_without_workers(&settings).await;
    let client = server.client();
    let files: Vec<_> = (0..20).map(|number| Upload::fixture(CALC).another(number)).collect();
    for file in &files {
        client.send(&client.account, file).await;
        client.ask(&client.account, file).await;
    }
    let _workers = [server.worker(), server.worker()];
    for file in &files {
        assert_eq!(client.poll(&client.account, file).await["state"], "ok");
    }
    assert_eq!((converter.detections(), converter.conversions()), (20, 20));
    let behind = server.behind().await;
    assert_eq!(fsck(&behind.db, behind.blobs.as_ref()).await, [""; 0]);
}

#[tokio::test]
async fn a_worker_that_is_slow_keeps_its_lease() {
    let converter = WatchedConverter::holding();
    let program = converter.program();
    let change = |config: &mut symdepot::config::Config| {
        config.converter.program = program;
        config.jobs.lease = std::time::Duration::from_secs(1);
    };
    let server = TestServer::builder().settings(change).start().await;
    let calc = Upload::fixture(CALC);
    server.send(&server.account, &calc).await;
    server.ask(&server.account, &calc).await;
    converter.begun(1).await;
    // Other jobs are taken for longer than the lease lasts.
    let begun = std::time::Instant::now();
    let mut number = 0;
    while begun.elapsed() < std::time::Duration::from_secs(3) {
        number += 1;
        let garbage = Upload::new("garbage", format!("not a debug file {number}"));
        assert_eq!(server.upload(&garbage).await["state"], "error");
    }
    assert_eq!(converter.conversions(), 1);
    converter.release();
    assert_eq!(server.poll(&server.account, &calc).await["state"], "ok");
    assert_eq!(converter.conversions(), 1);
}

#[tokio::test]
async fn a_soft_end_finishes_what_was_begun_and_leaves_the_rest_for_the_next_start() {
    let converter = WatchedConverter::holding();
    let program = converter.program();
    let settings = [("SYMDEPOT_CONVERTER__PROGRAM", program.to_str().unwrap()), ("SYMDEPOT_JOBS__CONCURRENCY", "1")];
    let mut server = TestProcess::start_with(&settings).await;
    let client = server.client();
    let files: Vec<_> = (0..3).map(|number| Upload::fixture(CALC).another(number)).collect();
    for file in &files {
        client.send(&client.account, file).await;
        client.ask(&client.account, file).await;
    }
    converter.begun(1).await;
    let end = async {
        until("no more requests are taken", || async {
            client.get("/health/ready").send().await.is_err().then_some(())
        })
        .await;
        converter.release();
    };
    let (code, ()) = tokio::join!(server.terminate(), end);
    assert_eq!(code, Some(0));
    assert_eq!(converter.conversions(), 1);
    server.restart().await;
    let client = server.client();
    assert_eq!(client.peek(&client.account, &files[0]).await["state"], "ok", "it was finished before the end");
    for file in &files {
        assert_eq!(client.poll(&client.account, file).await["state"], "ok");
    }
    assert_eq!(converter.conversions(), 3);
}

#[tokio::test]
async fn a_job_that_is_handed_back_at_every_end_is_never_given_up() {
    let converter = WatchedConverter::holding();
    let program = converter.program();
    let mut server = TestProcess::start_with(&[("SYMDEPOT_CONVERTER__PROGRAM", program.to_str().unwrap())]).await;
    let client = server.client();
    let calc = Upload::fixture(CALC);
    client.send(&client.account, &calc).await;
    client.ask(&client.account, &calc).await;
    // More often than a job is begun that fails.
    for round in 1..=7 {
        converter.begun(round).await;
        server.ask_to_end();
        until("the first signal is heard", || async {
            (server.log().matches("nothing new is begun").count() == round).then_some(())
        })
        .await;
        // The second one ends what the first one waits for.
        assert_eq!(server.terminate().await, Some(0));
        let behind = server.behind().await;
        let row = behind.db.assemblies(1, &[calc.sha1()]).await.unwrap().remove(0);
        assert_eq!((row.attempt, row.state.as_str()), (0, "created"), "round {round}");
        behind.db.close().await;
        server.restart().await;
    }
    converter.release();
    let client = server.client();
    let end = client.poll(&client.account, &calc).await;
    assert_eq!(end["state"], "ok", "{end}");
    let behind = server.behind().await;
    assert_eq!(fsck(&behind.db, behind.blobs.as_ref()).await, [""; 0]);
}
