//! Uploads beside clients that send slowly, hold on to what they began, or send what has no room.

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use serde_json::Value;
use symdepot::config::Config;
use symdepot::types::{Quota, Sha1};

use super::{MULTIPART, Raw, form, head};
use crate::support::server::{Account, TestServer};
use crate::support::until;

/// Connections of a neighbour: four times what is worked on at a time.
const MANY: usize = 64;

/// Rates that a test can wait for.
fn impatient(config: &mut Config) {
    config.http.rate_grace = Duration::from_millis(200);
    config.http.rate_window = Duration::from_millis(600);
}

/// No rate, so that a slow machine changes nothing.
fn patient(config: &mut Config) {
    config.http.min_rate = 0;
}

/// A connection that has sent the head of an upload and the first bytes of a chunk.
async fn begun(server: &TestServer, account: &Account, bytes: usize) -> Raw {
    let mut raw = Raw::connect(server).await;
    let path = format!("{}chunk-upload/", account.organization_path());
    raw.send(head(account, &path, MULTIPART)).await;
    raw.send(form("file", &Sha1::of(b"never complete").to_string())).await;
    raw.send(vec![7; bytes]).await;
    raw
}

async fn upload_five_bytes(server: &TestServer, account: &Account) {
    let response = server.send_chunks(account, &[b"hello"]).await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn an_upload_is_answered_beside_sixty_four_connections_that_sent_one_byte_each() {
    let server = TestServer::builder().settings(patient).start().await;
    let mut slow = Vec::new();
    for _ in 0..MANY {
        slow.push(begun(&server, &server.account, 1).await);
    }
    upload_five_bytes(&server, &server.account).await;
    assert!(slow.iter().all(|raw| !raw.is_closed()), "they still hold their connections");
    assert!(server.temp_files().is_empty(), "a byte costs no file");
}

#[tokio::test]
async fn an_upload_is_answered_beside_more_half_sent_chunks_than_may_be_in_hand() {
    let server = TestServer::builder().settings(patient).start().await;
    let busy = server.add_account("busy", "app").await;
    let mut slow = Vec::new();
    for _ in 0..MANY + 16 {
        slow.push(begun(&server, &busy, 100_000).await);
    }
    until("the slots of one organization are taken", || async { (server.temp_files().len() >= MANY).then_some(()) })
        .await;
    upload_five_bytes(&server, &server.account).await;
    assert_eq!(server.temp_files().len(), MANY, "and no more than the share of one organization");
}

#[tokio::test]
async fn a_sender_below_the_least_rate_is_answered_408_and_gives_back_what_it_held() {
    let server = TestServer::builder()
        .settings(|config| {
            impatient(config);
            config.uploads.parallel = 1;
            config.uploads.queue = 0;
        })
        .start()
        .await;
    let mut slow = begun(&server, &server.account, 100_000).await;
    let response = slow.response().await;
    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
    assert!(response.contains("The request sent fewer than 16384 bytes a second."), "{response}");
    upload_five_bytes(&server, &server.account).await;
    assert!(server.temp_files().is_empty());
}

#[tokio::test]
async fn every_route_that_reads_a_body_answers_408_to_a_slow_sender() {
    let server = TestServer::builder().settings(impatient).start().await;
    let project = server.account.project_path();
    for (path, content_type) in [
        (format!("{}chunk-upload/", server.account.organization_path()), MULTIPART),
        (format!("{project}files/dsyms/"), MULTIPART),
        (format!("{project}files/difs/assemble/"), "application/json"),
        ("/api/v1/projects/default/default/symcaches/status".to_owned(), "application/json"),
        ("/symbols/default/default/symbolicate/v5".to_owned(), "application/json"),
        ("/api/v1/projects/default/default/symbolicate".to_owned(), "application/json"),
        ("/api/v1/projects/default/default/symbolicate-jvm".to_owned(), "application/json"),
        ("/api/v1/projects/default/default/minidump".to_owned(), MULTIPART),
        ("/api/v1/projects/default/default/applecrashreport".to_owned(), MULTIPART),
    ] {
        let mut slow = Raw::connect(&server).await;
        let head = head(&server.account, &path, content_type).replace("1073741824", "1000");
        slow.send(head).await;
        slow.send("{").await;
        let response = slow.response().await;
        assert!(response.starts_with("HTTP/1.1 408 "), "{path}: {response}");
        assert!(response.contains("connection: close"), "{path}: {response}");
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_answered_408_however_fast_it_is() {
    let server = TestServer::builder()
        .settings(|config| {
            config.http.min_rate = 0;
            config.http.body_timeout = Duration::from_millis(300);
        })
        .start()
        .await;
    let mut endless = begun(&server, &server.account, 100_000).await;
    let response = endless.response().await;
    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
}

#[tokio::test]
async fn a_zip_without_room_is_refused_before_a_byte_of_it_is_stored() {
    let server = TestServer::start().await;
    let project = &server.account.project;
    let mut policy = server.app.db.policy(project.id).await.unwrap();
    policy.quota = Quota { bytes: None, files: Some(1) };
    server.app.db.set_policy(project.id, &policy).await.unwrap();
    server.upload_ok(&crate::support::uploads::Upload::fixture("elf-x86_64-gcc-dwarf4/calc.debug")).await;

    // Long before the end of the zip, of which only a part is ever sent.
    let mut raw = Raw::connect(&server).await;
    let path = format!("{}files/dsyms/", server.account.project_path());
    let body = format!("{}{}\r\n--x--\r\n", form("file", "a.zip"), "z".repeat(1 << 20));
    raw.send(head(&server.account, &path, MULTIPART).replace("1073741824", &body.len().to_string())).await;
    raw.send(body).await;
    let mut first = [0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut raw.0, &mut first).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&first), "HTTP/1.1 400");

    let form = Form::new().part("file", Part::bytes(b"PK".to_vec()).file_name("a.zip"));
    let response = server.post(&path).multipart(form).send().await.unwrap();
    assert_eq!(response.status(), 400);
    let said: Value = response.json().await.unwrap();
    assert!(said["detail"].as_str().unwrap().contains("quota"), "{said}");
    assert!(server.temp_files().is_empty());
}

#[tokio::test]
async fn a_zip_waits_in_the_queue_of_uploads_and_is_sent_away_when_it_is_full() {
    let server = TestServer::builder()
        .settings(|config| {
            config.uploads.parallel = 1;
            config.uploads.queue = 0;
        })
        .start()
        .await;
    let slot = server.app.upload_limits.begin(server.account.organization.id).await.unwrap();
    let path = format!("{}files/dsyms/", server.account.project_path());
    let send = || {
        let form = Form::new().part("file", Part::bytes(b"no zip".to_vec()).file_name("a.zip"));
        server.post(&path).multipart(form).send()
    };
    let busy = send().await.unwrap();
    assert_eq!(busy.status(), 503);
    assert!(busy.headers().contains_key("retry-after"));
    drop(slot);
    assert_eq!(send().await.unwrap().status(), 400, "it is looked at now");
}
