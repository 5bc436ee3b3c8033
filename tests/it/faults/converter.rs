//! A converter that panics, takes too much memory or time, or dies: a reason for the uploader, nothing for the server.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::{CALC, CALC_ID};
use crate::support::form::left_over;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

/// The fault and what is said of it.
const FAULTS: [(&str, &str); 5] = [
    ("panic", "the converter stopped with \"a fault for a test\""),
    ("memory", "it needs more than 64 MiB of memory (setting `converter.memory`)"),
    ("deep", "it is nested too deeply"),
    ("hang", "it took longer than 2s (setting `converter.timeout`)"),
    ("abort", "the converter crashed (signal SIGABRT)"),
];

async fn server_with(fault: &str) -> TestServer {
    let fault = fault.to_owned();
    let change = |config: &mut symdepot::config::Config| {
        config.converter.test_fault = fault;
        config.converter.memory = 64 << 20;
        config.converter.timeout = Duration::from_secs(2);
    };
    TestServer::builder().settings(change).start().await
}

#[tokio::test]
async fn a_converter_that_fails_is_an_error_with_its_reason_and_the_file_stays() {
    for (fault, reason) in FAULTS {
        let server = server_with(fault).await;
        let calc = Upload::fixture(CALC);
        let failed = json!({
            "state": "error",
            "detail": format!("The file cannot be converted: {reason}."),
            "missingChunks": [],
        });
        assert_eq!(server.upload(&calc).await, failed, "{fault}");
        assert_eq!(server.ask(&server.account, &calc).await, failed, "{fault}");
        let listed = server.listed(&server.account).await;
        assert_eq!((listed.len(), &listed[0]["debugId"]), (1, &json!(CALC_ID)), "{fault}");
        assert_eq!(server.symcache(&server.account, CALC_ID, 60).await.status(), 422, "{fault}");
        still_works(&server).await;
    }
}

#[tokio::test]
async fn a_reader_that_fails_is_an_error_with_its_reason_and_nothing_is_registered() {
    for (fault, reason) in FAULTS {
        let server = server_with(&format!("detect-{fault}")).await;
        let calc = Upload::fixture(CALC);
        let failed = json!({
            "state": "error",
            "detail": format!("The file cannot be read: {reason}."),
            "missingChunks": [],
        });
        assert_eq!(server.upload(&calc).await, failed, "{fault}");
        assert_eq!(server.ask(&server.account, &calc).await, failed, "{fault}");
        assert!(server.listed(&server.account).await.is_empty(), "{fault}");
        let healthy = server.restart(|builder| {
            builder.settings(|config| {
                config.converter.test_fault = String::new();
                config.status.ttl = Duration::ZERO;
            })
        });
        let healthy = healthy.await;
        assert_eq!(healthy.poll(&healthy.account, &calc).await["state"], "ok", "{fault}");
        assert_eq!(healthy.fsck().await, [""; 0]);
    }
}

#[tokio::test]
async fn the_hostile_files_end_in_reasons() {
    let change = |config: &mut symdepot::config::Config| config.converter.memory = 64 << 20;
    let server = TestServer::builder().settings(change).start().await;
    for path in ["hostile/elf-zlib-chsize-huge.debug", "hostile/pdb-alloc-abort.pdb"] {
        let end = server.upload(&Upload::fixture(path)).await;
        assert_eq!(end["state"], "error", "{path} {end}");
        let detail = end["detail"].as_str().unwrap();
        assert!(detail.starts_with("The file cannot be converted: "), "{path} {detail}");
    }
    server.upload_ok(&Upload::fixture(CALC)).await;
    still_works(&server).await;
}

#[tokio::test]
async fn a_converter_that_cannot_be_run_is_tried_again_and_then_an_error() {
    let change = |config: &mut symdepot::config::Config| {
        config.converter.program = "/nowhere/symdepot".into();
        config.jobs.back_off = Duration::from_millis(1);
    };
    let server = TestServer::builder().settings(change).start().await;
    let calc = Upload::fixture(CALC);
    let failed = json!({
        "state": "error",
        "detail": "The server could not finish this file. Upload it again later, or ask its operator to look at \
                   its log.",
        "missingChunks": [],
    });
    assert_eq!(server.upload(&calc).await, failed);
    assert!(server.listed(&server.account).await.is_empty());
    still_works(&server).await;
}

/// The server answers, its rows agree with its bytes, and no temp file was left behind.
async fn still_works(server: &TestServer) {
    assert_eq!(server.get("/health/ready").send().await.unwrap().status(), 200);
    assert_eq!(server.fsck().await, [""; 0]);
    assert_eq!(left_over(&server.app.config.temp_dir()), [""; 0].map(PathBuf::from));
}
