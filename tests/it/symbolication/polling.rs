//! Clients that do not wait, and ask for the response later.

use std::time::Duration;

use serde_json::{Value, json};

use super::{CALC, PATH, at_offsets, names};
use crate::support::server::{Builder, TestServer};
use crate::support::until;
use crate::support::uploads::Upload;

async fn later(server: &TestServer, id: &str, timeout: u32) -> (u16, Value) {
    let path = format!("/api/v1/projects/default/default/requests/{id}?timeout={timeout}");
    let response = server.get(&path).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_request_that_takes_longer_than_its_client_waits_is_answered_later_as_often_as_it_is_asked_for() {
    let server = TestServer::start().await;
    let dif = server.upload_ok(&Upload::fixture(CALC)).await;
    // No table is built until a worker starts.
    let server = server.restart(Builder::without_workers).await;
    crate::symcaches::forget_symcaches(&server, &dif).await;
    let path = format!("{PATH}?timeout=0&scope=ignored");
    let response: Value = server.post(&path).json(&at_offsets(&[0x1158])).send().await.unwrap().json().await.unwrap();
    assert_eq!((&response["status"], &response["retry_after"]), (&json!("pending"), &json!(1)), "{response}");
    let id = response["request_id"].as_str().unwrap();
    assert_eq!(later(&server, id, 0).await, (200, response.clone()));

    let other = server.add_account("other", "app").await;
    let theirs = format!("/api/v1/projects/other/app/requests/{id}");
    let foreign = server.request_as(&other.token, reqwest::Method::GET, &theirs).send().await.unwrap();
    assert_eq!(foreign.status(), 404, "a request of another project");

    let worker = server.beside().start().await;
    let first = until("the response is there", || async {
        let (status, response) = later(&server, id, 1).await;
        assert_eq!(status, 200);
        (response["status"] != "pending").then_some(response)
    })
    .await;
    assert_eq!(names(&first, 0)[0], "square 6", "{first}");
    for _ in 0..3 {
        assert_eq!(later(&server, id, 0).await, (200, first.clone()));
    }
    drop(worker);
}

#[tokio::test]
async fn ids_of_no_request_are_not_there() {
    let server = TestServer::start().await;
    for id in ["7", "x", "0194e3a0-0000-7000-8000-000000000000"] {
        let (status, body) = later(&server, id, 0).await;
        assert_eq!((status, body["detail"].is_string()), (404, true), "{id}");
    }
}

#[tokio::test]
async fn requests_beyond_the_queue_are_sent_away_and_another_organization_is_served() {
    let server = TestServer::builder()
        .settings(|config| {
            config.symbolication.parallel = 2;
            config.symbolication.queue = 2;
            config.symbolication.timeout = Duration::from_secs(30);
        })
        .start()
        .await;
    let other = server.add_account("other", "app").await;
    let limiter = &server.app.symbolication.limiter;
    let _held = limiter.acquire(server.account.organization.id).await.unwrap();
    let (a, b) = (server.post(PATH).json(&at_offsets(&[])).send(), server.post(PATH).json(&at_offsets(&[])).send());
    let waiting = (tokio::spawn(a), tokio::spawn(b));
    until("two wait", || async { (limiter.waiting() == 2).then_some(()) }).await;
    let refused = server.post(PATH).json(&at_offsets(&[])).send().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let path = "/api/v1/projects/other/app/symbolicate";
    let served =
        server.request_as(&other.token, reqwest::Method::POST, path).json(&at_offsets(&[])).send().await.unwrap();
    assert_eq!(served.status(), 200);
    waiting.0.abort();
    waiting.1.abort();
}
