//! An error says what is true: what passes is tried again, and anything else ends the job at once, with a reference.

use serde_json::Value;

use super::{CALC, queued};
use crate::support::converter::WatchedConverter;
use crate::support::process::TestProcess;
use crate::support::raw::Raw;
use crate::support::until;
use crate::support::uploads::Upload;

#[tokio::test]
async fn what_the_database_refuses_for_good_ends_the_job_at_once_with_a_reference_to_the_log() {
    let server = TestProcess::start().await;
    let url = server.behind().await.config.database_url();
    Raw::open(&url).await.refuse_debug_files("no such luck").await;
    let client = server.client();
    let end = client.upload_to(&client.account, &Upload::fixture(CALC)).await;
    assert_eq!(end["state"], "error");
    let detail = end["detail"].as_str().unwrap();
    let reference = detail.strip_prefix("The server could not register this file (reference ");
    let (reference, advice) = reference.and_then(|rest| rest.split_once(')')).unwrap_or_else(|| panic!("{detail}"));
    assert_eq!((reference.len(), advice), (32, ". Ask its operator to look for this reference in its log."));
    let log = server.log();
    let with_cause: Vec<_> = log.lines().filter(|line| line.contains("no such luck")).collect();
    assert!(with_cause.len() == 1 && with_cause[0].contains(reference) && with_cause[0].contains("ERROR"), "{log}");
    assert!(!log.contains("tried again"), "it was done once: {log}");
}

#[tokio::test]
async fn a_database_that_is_held_up_for_a_while_has_the_job_done_again() {
    let converter = WatchedConverter::holding();
    let program = converter.program();
    let server = TestProcess::start_with(&[
        ("SYMDEPOT_CONVERTER__PROGRAM", program.to_str().unwrap()),
        ("SYMDEPOT_DATABASE__LOCK_TIMEOUT", "300ms"),
        ("SYMDEPOT_JOBS__LEASE", "3s"),
        ("SYMDEPOT_JOBS__BACK_OFF", "100ms"),
    ])
    .await;
    let client = server.client();
    let calc = Upload::fixture(CALC);
    client.send(&client.account, &calc).await;
    assert_eq!(client.ask(&client.account, &calc).await, queued());
    until("the job is under way", || async { (converter.conversions() == 1).then_some(()) }).await;
    let mut held = Raw::open(&server.behind().await.config.database_url()).await;
    held.hold_debug_files().await;
    converter.release();
    until("the job found it held up", || async {
        server.log().contains("a job failed and is tried again").then_some(())
    })
    .await;
    drop(held);
    let end = client.poll(&client.account, &calc).await;
    assert_eq!(end["state"], "ok", "{end}");
    assert_ne!(end["dif"], Value::Null);
}
