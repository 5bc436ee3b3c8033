//! Files without a symcache: why, who is told, and when it is tried again.

use serde_json::{Value, json};
use symdepot::app::App;

use super::CALC_ID;
use crate::support::answer::whole;
use crate::support::converter::WatchedConverter;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

/// Asks its converter for petabytes.
const HOSTILE: &str = "hostile/elf-zlib-chsize-huge.debug";

#[tokio::test]
async fn a_file_that_cannot_be_converted_stays_and_everybody_hears_why() {
    let converter = WatchedConverter::new();
    let program = converter.program();
    let server = TestServer::builder().settings(|config| config.converter.program = program).start().await;
    let hostile = Upload::fixture(HOSTILE);
    let end = server.upload(&hostile).await;
    let reason = end["detail"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("The file cannot be converted: "), "{reason}");
    let failed = json!({ "state": "error", "detail": reason, "missingChunks": [] });
    assert_eq!(end, failed);

    // The file is there, and can be had.
    let listed = server.listed(&server.account).await;
    assert_eq!((listed.len(), &listed[0]["sha1"]), (1, &json!(hostile.sha1())));
    let id = listed[0]["id"].as_str().unwrap();
    let debug_id = listed[0]["debugId"].as_str().unwrap();
    let path = format!("{}files/dsyms/?id={id}", server.account.project_path());
    let content = server.get(&path).send().await.unwrap().bytes().await.unwrap();
    assert!(content == hostile.content);

    // Nobody makes it be converted again: neither pollers, nor who asks for the symcache, nor a restart.
    let told = |server: TestServer| {
        let (hostile, failed, reason, debug_id) = (&hostile, &failed, &reason, debug_id);
        async move {
            for _ in 0..3 {
                assert_eq!(server.ask(&server.account, hostile).await, *failed);
                assert_eq!(server.peek(&server.account, hostile).await, *failed);
                let answer = whole(server.symcache(&server.account, debug_id, 60).await).await;
                assert_eq!((&answer["status"], &answer["body"]), (&json!(422), &json!({ "detail": reason })));
                let status = server.symcache_status(&server.account, debug_id).await;
                assert_eq!((&status["state"], &status["detail"]), (&json!("malformed"), &json!(reason)));
            }
            server
        }
    };
    let server = told(server).await;
    let server = told(server.restart(|builder| builder).await).await;
    assert_eq!(converter.conversions(), 1);

    // Another converter tries once.
    let newer = |app: &mut App| app.symcaches.converter_version = "newer".to_owned();
    let server = server.restart(|builder| builder.tweak(newer)).await;
    assert_eq!(server.symcache(&server.account, debug_id, 60).await.status(), 422);
    let server = told(server).await;
    assert_eq!(converter.conversions(), 2);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_file_that_can_have_no_symcache_is_unsupported_with_a_reason() {
    let server = TestServer::start().await;
    let stripped = "The elf file of this id (calc) has no debug information; upload the file that has it.";
    let cases = [
        ("elf-x86_64-gcc-dwarf4/calc", stripped),
        ("ppdb-mono/calc.pdb", "A symcache maps addresses, and files of format portablepdb have none."),
        (
            "sourcebundle/calc.src.zip",
            "The sourcebundle file of this id (calc.src.zip) has no debug information; upload the file that has it.",
        ),
    ];
    for (number, (path, reason)) in (0..).zip(cases) {
        let project = server.add_project(&format!("project-{number}")).await;
        let end = server.upload_to(&project, &Upload::fixture(path)).await;
        assert_eq!(end["state"], "ok", "{end}");
        let debug_id = end["dif"]["debugId"].as_str().unwrap();
        let answer = whole(server.symcache(&project, debug_id, 60).await).await;
        assert_eq!((&answer["status"], &answer["body"]), (&json!(422), &json!({ "detail": reason })));
        let status = server.symcache_status(&project, debug_id).await;
        assert_eq!((&status["state"], &status["detail"]), (&json!("unsupported"), &json!(reason)));
    }
    // The companion that has it comes later.
    let project = server.add_project("companion").await;
    server.upload_to(&project, &Upload::fixture("elf-x86_64-gcc-dwarf4/calc")).await;
    assert_eq!(server.symcache(&project, CALC_ID, 60).await.status(), 422);
    server.upload_to(&project, &Upload::fixture("elf-x86_64-gcc-dwarf4/calc.debug")).await;
    assert_eq!(server.symcache(&project, CALC_ID, 60).await.status(), 200);
}

#[tokio::test]
async fn an_id_that_nobody_uploaded_is_missing() {
    let server = TestServer::start().await;
    let answer = whole(server.symcache(&server.account, CALC_ID, 60).await).await;
    let reason = format!("The project has no debug file with the id {CALC_ID}.");
    assert_eq!((&answer["status"], &answer["body"]), (&json!(404), &json!({ "detail": reason })));
    let status = server.symcache_status(&server.account, CALC_ID).await;
    assert_eq!((&status["state"], &status["detail"]), (&json!("missing"), &Value::Null));
}
