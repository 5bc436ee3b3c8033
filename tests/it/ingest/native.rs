//! Native events and dumps: named by the project's own files, grouped by addresses until these come, and named when they do.

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::Sdk;
use crate::support::server::TestServer;
use crate::support::until;
use crate::support::uploads::Upload;

fn fixture(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/crashes/nolibc").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

async fn upload(server: &TestServer, name: &str) {
    let entry = server.upload(&Upload::new(name, fixture(name))).await;
    assert_eq!(entry["state"], "ok", "{entry}");
}

async fn crash(sdk: &Sdk<'_>, dump: &str) -> Value {
    let url = format!("{}/api/{}/minidump/?sentry_key={}", sdk.server.url, sdk.project.id, sdk.key);
    let form = Form::new()
        .part("upload_file_minidump", Part::bytes(fixture(dump)).file_name("crash.dmp"))
        .text("sentry[release]", "game@1.0")
        .text("note", "more");
    let response = crate::support::client::http().post(url).multipart(form).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()), (200, "text/plain"));
    let id = response.text().await.unwrap();
    assert_eq!((id.len(), id.matches('-').count()), (36, 4));
    sdk.event(&id).await
}

fn functions(event: &Value) -> Vec<&str> {
    let entries = event["entries"].as_array().unwrap();
    let exception = entries.iter().find(|entry| entry["type"] == "exception").unwrap();
    let frames = exception["data"]["values"][0]["stacktrace"]["frames"].as_array().unwrap();
    frames.iter().map(|frame| frame["function"].as_str().unwrap_or_default()).collect()
}

const DUMP: &str = "cfi-null.dmp";

#[tokio::test]
async fn a_crash_has_names_and_its_dump_stays_an_attachment() {
    let server = TestServer::start().await;
    upload(&server, "crash-cfi").await;
    upload(&server, "crash-cfi.debug").await;
    let sdk = Sdk::of(&server).await;
    let event = crash(&sdk, DUMP).await;
    assert_eq!(event["symbolication"]["state"], "done");
    assert_eq!(
        (&event["release"], &event["level"], &event["platform"]),
        (&json!("game@1.0"), &json!("fatal"), &json!("native"))
    );
    let names = functions(&event);
    assert_eq!(names.first(), Some(&"_start"), "{names:?}");
    assert!(names.contains(&"step_one"), "{names:?}");
    let attachments = sdk.get(&format!("{}/events/{}/attachments/", sdk.base(), event["id"].as_str().unwrap())).await;
    assert_eq!(attachments[0]["type"], "event.minidump");
}

#[tokio::test]
async fn a_crash_gets_its_names_when_the_files_arrive_and_stays_in_its_issue() {
    let server = TestServer::start().await;
    let sdk = Sdk::of(&server).await;
    let before = crash(&sdk, DUMP).await;
    assert!(!before["symbolication"]["missing"].as_array().unwrap().is_empty(), "{before}");
    upload(&server, "crash-cfi").await;
    upload(&server, "crash-cfi.debug").await;
    let id = before["id"].as_str().unwrap();
    let after = until("the event has names", || async {
        let event = sdk.event(id).await;
        functions(&event).contains(&"step_one").then_some(event)
    })
    .await;
    assert_eq!(after["groupID"], before["groupID"]);
    assert_eq!(sdk.count_of(&after).await, "1");
    assert_eq!(sdk.outcomes().await["accepted"], 1);
    assert_eq!(server.app.db.miscounted_issues().await.unwrap(), []);
}

#[tokio::test]
async fn what_is_no_dump_is_refused_and_one_without_content_is_still_an_event() {
    let server = TestServer::start().await;
    let sdk = Sdk::of(&server).await;
    assert_eq!(sdk.send("minidump", "hello").await.status(), 400);
    let mut header = b"MDMP\x93\xa7\x00\x00".to_vec();
    header.resize(32, 0);
    let response = sdk.send("minidump", header).await;
    assert_eq!(response.status(), 200);
    let event = sdk.event(&response.text().await.unwrap()).await;
    assert_eq!(event["symbolication"]["state"], "failed");
}
