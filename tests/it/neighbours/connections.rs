//! Connections: those that do nothing end, and more than there may be are refused while health is answered.

use std::time::Duration;

use symdepot::config::Config;

use super::Raw;
use crate::support::server::TestServer;
use crate::support::until;

const LIVE: &str = "GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n";
const OTHER: &str = "GET /api/0/ HTTP/1.1\r\nhost: x\r\n\r\n";

fn short_header(config: &mut Config) {
    config.http.header_timeout = Duration::from_secs(1);
}

/// Waits until a connection answered, and leaves it open.
async fn answered(server: &TestServer, request: &str) -> Raw {
    let mut raw = Raw::connect(server).await;
    raw.send(request).await;
    let mut first = [0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut raw.0, &mut first).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&first), "HTTP/1.1 200");
    raw
}

#[tokio::test]
async fn a_connection_whose_header_never_ends_is_closed() {
    let server = TestServer::builder().settings(short_header).start().await;
    let mut silent = Raw::connect(&server).await;
    let mut half = Raw::connect(&server).await;
    half.send("GET /health/live HTTP/1.1\r\nhost:").await;
    let mut second = answered(&server, LIVE).await;
    second.send("GET /health/live HT").await;
    for raw in [&mut silent, &mut half] {
        assert_eq!(raw.response().await, "");
    }
    // Of the second request nothing is answered either.
    assert!(!second.response().await.contains("HTTP/1.1"));
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed_and_one_with_a_long_one_is_not() {
    let server = TestServer::builder()
        .settings(|config| {
            config.http.idle_timeout = Duration::from_secs(1);
            short_header(config);
        })
        .start()
        .await;
    let held = server.faults.clone();
    held.hold_puts();
    let upload = server.send_chunks(&server.account, &[b"hello"]);
    let mut upload = std::pin::pin!(upload);
    let mut idle = answered(&server, LIVE).await;
    tokio::select! {
        _ = &mut upload => panic!("it is held"),
        _ = idle.response() => {}
    }
    held.heal();
    assert_eq!(upload.await.status(), 200, "a request in flight outlives every limit on doing nothing");
}

#[tokio::test]
async fn connections_above_the_maximum_are_refused_while_health_is_answered() {
    let server = TestServer::builder().settings(|config| config.http.max_connections = 4).start().await;
    // Half-sent requests cannot be asked to leave.
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut raw = Raw::connect(&server).await;
        raw.send("GET /health/live HTTP/1.1\r\n").await;
        held.push(raw);
    }
    let mut refused = Raw::connect(&server).await;
    refused.send(OTHER).await;
    let response = refused.response().await;
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    assert!(response.to_lowercase().contains("retry-after"), "{response}");
    assert!(response.contains("as many connections as it may have"), "{response}");
    let mut live = Raw::connect(&server).await;
    live.send(LIVE).await;
    assert!(live.response().await.starts_with("HTTP/1.1 200 "));
    let mut debugger = Raw::connect(&server).await;
    debugger.send("GET /symbols/default/default/buildid/ab/debuginfo HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(debugger.response().await, "", "an answer would be remembered as a file that does not exist");

    drop(held);
    until("there are connections again", || async {
        let mut raw = Raw::connect(&server).await;
        raw.send(OTHER.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n")).await;
        raw.response().await.starts_with("HTTP/1.1 401 ").then_some(())
    })
    .await;
}

#[tokio::test]
async fn idle_connections_make_room_for_new_ones() {
    let server = TestServer::builder().settings(|config| config.http.max_connections = 4).start().await;
    let mut idle = Vec::new();
    for _ in 0..4 {
        idle.push(answered(&server, LIVE).await);
    }
    until("a new connection is served", || async {
        let mut raw = Raw::connect(&server).await;
        raw.send(OTHER.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n")).await;
        raw.response().await.starts_with("HTTP/1.1 401 ").then_some(())
    })
    .await;
    for mut raw in idle {
        raw.response().await;
    }
}
