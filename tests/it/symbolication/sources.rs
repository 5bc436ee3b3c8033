//! Lines of source around the lines of frames, out of source bundles.

use serde_json::{Value, json};

use super::{CALC, at_offsets, completed};
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

const BUNDLE: &str = "sourcebundle/calc.src.zip";

#[tokio::test]
async fn frames_get_the_lines_of_their_source_bundle() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    let request = at_offsets(&[0x1158]);
    let without = completed(&server, &request).await;
    assert_eq!(without["stacktraces"][0]["frames"][0]["context_line"], Value::Null);
    server.upload_ok(&Upload::fixture(BUNDLE)).await;
    let with = completed(&server, &request).await;
    let frame = &with["stacktraces"][0]["frames"][0];
    assert_eq!((&frame["function"], &frame["lineno"]), (&json!("square"), &json!(6)));
    let line = frame["context_line"].as_str().unwrap_or_else(|| panic!("{with}"));
    assert!(line.contains("return"), "{line}");
    assert_eq!(frame["pre_context"].as_array().unwrap().len(), 5, "{frame}");
    assert!(!frame["post_context"].as_array().unwrap().is_empty(), "{frame}");
    assert_eq!(with["modules"][0]["features"]["has_sources"], true);
    assert_eq!(with["modules"][0]["debug_status"], "found");

    let mut request = request;
    request["options"] = json!({ "apply_source_context": false });
    let switched_off = completed(&server, &request).await;
    assert_eq!(switched_off["stacktraces"][0]["frames"][0]["context_line"], Value::Null);
}

#[tokio::test]
async fn the_bundle_of_another_project_gives_no_lines() {
    let server = TestServer::start().await;
    let other = server.add_account("other", "app").await;
    assert_eq!(server.upload_to(&other, &Upload::fixture(BUNDLE)).await["state"], "ok");
    server.upload_ok(&Upload::fixture(CALC)).await;
    let response = completed(&server, &at_offsets(&[0x1158])).await;
    assert_eq!(response["stacktraces"][0]["frames"][0]["context_line"], Value::Null);
    assert_eq!(response["modules"][0]["features"]["has_sources"], false);
}
