//! Errors: told to every poller, kept with their reason, and tried again once their cause can have gone.

use chrono::TimeDelta;
use serde_json::{Value, json};
use symdepot::app::App;
use symdepot::blobs::BlobKey;
use symdepot::clock::Clock;
use symdepot::types::Sha1;
use symdepot::uploads::{Answer, Wanted};

use super::{GARBAGE, error, garbage, queued};
use crate::support::server::{Builder, TestServer};
use crate::support::until;
use crate::support::uploads::Upload;

const MISMATCH: &str = "Reported checksum mismatch";

/// A file whose chunks do not make it.
struct Wrong {
    sha1: Sha1,
    entry: Value,
}

impl Wrong {
    fn new() -> Self {
        let entry = json!({ "name": "calc", "chunks": [Sha1::of(b"aaaa"), Sha1::of(b"bbbb")] });
        Self { sha1: Sha1::of(b"bbbbaaaa"), entry }
    }

    /// The same, but for one field.
    fn but(&self, field: &str, value: Value) -> Self {
        let mut entry = self.entry.clone();
        entry[field] = value;
        Self { sha1: self.sha1, entry }
    }

    async fn ask(&self, server: &TestServer) -> Value {
        server.ask_with(&server.account, self.sha1, self.entry.clone()).await
    }

    /// Asks until it has failed.
    async fn fails(&self, server: &TestServer) {
        let end = until("it fails", || async {
            let entry = self.ask(server).await;
            (entry["state"] == "error").then_some(entry)
        });
        assert_eq!(end.await, error(MISMATCH));
    }

    /// Fails it once, on a server whose time stands still.
    async fn failed() -> (TestServer, Self) {
        let server = still().start().await;
        assert_eq!(server.send_chunks(&server.account, &[b"aaaa", b"bbbb"]).await.status(), 200);
        let wrong = Self::new();
        assert_eq!(wrong.ask(&server).await, queued());
        wrong.fails(&server).await;
        (server, wrong)
    }
}

/// A server whose time stands still until it is moved.
fn still() -> Builder {
    TestServer::builder().clock(Clock::settable(Clock::System.now()))
}

#[tokio::test]
async fn an_error_is_told_to_every_poller_and_is_not_tried_again_for_nothing() {
    let (server, wrong) = Wrong::failed().await;
    for _ in 0..3 {
        assert_eq!(wrong.ask(&server).await, error(MISMATCH));
        assert_eq!(wrong.but("chunks", json!([])).ask(&server).await, error(MISMATCH));
    }
    let elsewhere = server.add_project("elsewhere").await;
    let entry = server.ask_with(&elsewhere, wrong.sha1, wrong.entry.clone()).await;
    assert_eq!(entry, queued(), "another project has its own assembly");
}

#[tokio::test]
async fn another_name_another_debug_id_and_other_chunks_are_tried() {
    let (server, wrong) = Wrong::failed().await;
    let renamed = wrong.but("name", json!("other"));
    assert_eq!(renamed.ask(&server).await, queued());
    renamed.fails(&server).await;
    let identified = renamed.but("debug_id", json!("4ec932a9-e89a-f8cd-96b5-496a980e4efe"));
    assert_eq!(identified.ask(&server).await, queued());
    identified.fails(&server).await;
    let ordered = identified.but("chunks", json!([Sha1::of(b"bbbb"), Sha1::of(b"aaaa")]));
    assert_eq!(ordered.ask(&server).await, queued());
    assert_eq!(server.poll(&server.account, &garbage("bbbbaaaa")).await, error(GARBAGE), "these are the right ones");
}

#[tokio::test]
async fn an_error_is_tried_again_when_its_time_is_over() {
    let (server, wrong) = Wrong::failed().await;
    let ttl = TimeDelta::from_std(server.app.config.status.ttl).unwrap();
    server.app.clock.advance(ttl - TimeDelta::microseconds(1));
    assert_eq!(wrong.ask(&server).await, error(MISMATCH));
    server.app.clock.advance(TimeDelta::microseconds(1));
    assert_eq!(wrong.ask(&server).await, queued());
    wrong.fails(&server).await;
    assert_eq!(wrong.ask(&server).await, error(MISMATCH), "and its time begins anew");
}

#[tokio::test]
async fn an_error_is_tried_again_when_one_of_its_chunks_was_stored_again() {
    let (server, wrong) = Wrong::failed().await;
    server.app.clock.advance(TimeDelta::seconds(1));
    assert_eq!(server.send_chunks(&server.account, &[b"aaaa", b"bbbb"]).await.status(), 200);
    assert_eq!(wrong.ask(&server).await, error(MISMATCH), "the chunks were there and are what they were");

    let sha1 = Sha1::of(b"aaaa");
    let owned = server.app.db.owned_chunks(server.account.organization.id, &[sha1]).await.unwrap();
    server.app.blobs.delete(&[BlobKey::from_row(&owned[&sha1].chunk.blob.key)]).await.unwrap();
    assert_eq!(server.send_chunks(&server.account, &[b"aaaa"]).await.status(), 200);
    assert_eq!(wrong.ask(&server).await, queued());
    wrong.fails(&server).await;
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn an_error_is_answered_from_its_row_after_a_restart_and_tried_again_by_another_converter() {
    let (server, wrong) = Wrong::failed().await;
    let server = server.restart(|builder| builder).await;
    assert_eq!(wrong.but("chunks", json!([])).ask(&server).await, error(MISMATCH));
    assert_eq!(wrong.ask(&server).await, error(MISMATCH));

    let newer = |app: &mut App| app.symcaches.converter_version = "newer".to_owned();
    let server = server.restart(|builder| builder.tweak(newer)).await;
    assert_eq!(wrong.but("chunks", json!([])).ask(&server).await, error(MISMATCH), "a mere poll tries nothing");
    assert_eq!(wrong.ask(&server).await, queued());
    wrong.fails(&server).await;
    assert_eq!(wrong.ask(&server).await, error(MISMATCH));
}

#[tokio::test]
async fn a_map_without_an_id_is_an_error_until_it_is_sent_with_one() {
    const MAP: &str = "bcsymbolmap/c8374b6d-6e96-34d8-ae38-efaa5fec424f.bcsymbolmap";
    const ID: &str = "c8374b6d-6e96-34d8-ae38-efaa5fec424f";
    let server = TestServer::start().await;
    let map = Upload::fixture(MAP);
    assert_eq!(server.upload(&map).await, error("Missing debug_id for BCSymbolMap"));
    let named = map.clone().debug_id(ID);
    assert_eq!(server.ask(&server.account, &named).await, queued());
    let dif = server.upload_ok(&named).await;
    assert_eq!(dif["debugId"], ID);
    assert_eq!(server.ask(&server.account, &map).await["dif"], dif, "whoever asks without an id means this one");
}

#[tokio::test]
async fn two_clients_with_two_names_for_one_broken_file_both_hear_its_error() {
    let server = TestServer::start().await;
    let one = garbage("not a debug file");
    let other = one.clone().name("other.txt");
    server.send(&server.account, &one).await;
    let (one, other) = tokio::join!(server.poll(&server.account, &one), server.poll(&server.account, &other));
    assert_eq!((one, other), (error(GARBAGE), error(GARBAGE)));
}

#[tokio::test]
async fn a_name_with_a_zero_character_hears_its_error_too() {
    let server = TestServer::start().await;
    assert_eq!(server.upload(&garbage("not a debug file").name("a\0b")).await, error(GARBAGE));
}

#[tokio::test]
async fn a_remembered_error_never_hides_a_file_that_another_process_assembled_since() {
    const MAP: &str = "bcsymbolmap/c8374b6d-6e96-34d8-ae38-efaa5fec424f.bcsymbolmap";
    const ID: &str = "c8374b6d-6e96-34d8-ae38-efaa5fec424f";
    let server = TestServer::start().await;
    let map = Upload::fixture(MAP);
    assert_eq!(server.upload(&map).await["state"], "error");

    // Another server on the same rows, with a memory of its own.
    let other = App::build((*server.app.config).clone(), Clock::System).await.unwrap();
    let wish = Wanted {
        sha1: map.sha1(),
        name: map.name.clone(),
        debug_id: Some(ID.to_owned()),
        chunks: map.chunks().into_iter().map(Sha1::of).collect(),
    };
    until("the other server has it", || async {
        let answers = other.requests().answer(&server.account.project, std::slice::from_ref(&wish)).await.unwrap();
        matches!(answers[..], [Answer::Ok { .. }]).then_some(())
    })
    .await;
    assert_eq!(server.peek(&server.account, &map.clone().debug_id(ID)).await["state"], "ok");
    assert_eq!(server.peek(&server.account, &map).await["state"], "ok");
}
