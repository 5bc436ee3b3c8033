//! Upstreams: what a project does not have is asked of other symbol servers, kept, and asked again only after a while.

mod answers;
mod hostile;
mod layouts;
mod once;
mod quotas;
mod real;
mod tls;

use reqwest::StatusCode;
use serde_json::Value;
use symdepot::types::UpstreamKind;

use super::key;
use crate::support::server::{Builder, TestServer};
use crate::support::uploads::Upload;

/// A server that may ask upstreams on this machine.
fn asking() -> Builder {
    TestServer::builder().settings(|config| config.upstreams.allow_private = true)
}

/// Has the default project ask another server.
async fn name(server: &TestServer, kind: UpstreamKind, url: &str) {
    let (app, project) = (&server.app, server.account.project.id);
    app.db.add_upstream(project, kind, url, app.clock.now()).await.unwrap();
}

/// A server that has these fixtures, and where its symbols are, with a key.
async fn stocked(fixtures: &[&str]) -> (TestServer, String) {
    let server = TestServer::start().await;
    for fixture in fixtures {
        server.upload_ok(&Upload::fixture(fixture)).await;
    }
    let key = key(&server, &server.account).await;
    let url = format!("{}/symbols/default/default/key/{key}/", server.url);
    (server, url)
}

/// What the symbol server of the default project answers to a path.
async fn ask(server: &TestServer, path: &str) -> (StatusCode, Vec<u8>) {
    let answer = server.get(&format!("/symbols/default/default/{path}")).send().await.unwrap();
    (answer.status(), answer.bytes().await.unwrap().to_vec())
}

/// What `explain` says that upstreams said of a code id.
async fn said(server: &TestServer, code_id: &str) -> Vec<Value> {
    let path = format!("/api/v1/projects/default/default/explain?code_id={code_id}");
    let mut told: Value = server.get(&path).send().await.unwrap().json().await.unwrap();
    serde_json::from_value(told["upstreams"].take()).unwrap()
}

/// The one reason that `explain` has for a code id.
async fn reason(server: &TestServer, code_id: &str) -> String {
    let said = said(server, code_id).await;
    let [said] = &said[..] else { panic!("{said:?}") };
    said["reason"].as_str().unwrap().to_owned()
}
