//! `kill -9`: whatever the server was doing, every acknowledged chunk is there afterwards and every file that was asked
//! for ends by polling alone.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use symdepot::types::Sha1;

use super::{CALC, CALC_ID};
use crate::support::converter::WatchedConverter;
use crate::support::form::left_over;
use crate::support::fsck::{fsck, losses};
use crate::support::process::TestProcess;
use crate::support::symcaches::frames;
use crate::support::until;
use crate::support::uploads::Upload;

/// When the server is killed, in milliseconds after the last answer. Chosen once by chance; a failure names its round.
const DELAYS: [u64; 8] = [0, 7, 19, 43, 88, 151, 290, 430];

/// What a row speaks of is there. Bytes that no row speaks of may be left over, for the clean-up.
async fn rows_have_bytes(server: &TestProcess) {
    let behind = server.behind().await;
    let differences = fsck(&behind.db, behind.blobs.as_ref()).await;
    assert_eq!(losses(differences), [""; 0]);
    behind.db.close().await;
}

/// Polls a file whose chunks were acknowledged, by asking alone.
async fn ends(server: &TestProcess, upload: &Upload) -> Value {
    let client = server.client();
    until("the file ends", || async {
        let entry = client.ask(&client.account, upload).await;
        assert_ne!(entry["state"], "not_found", "{entry}");
        (entry["state"] == "ok" || entry["state"] == "error").then_some(entry)
    })
    .await
}

#[tokio::test]
async fn in_the_middle_of_an_upload_what_was_acknowledged_stays_and_the_rest_is_asked_for() {
    let mut server = TestProcess::start().await;
    let client = server.client();
    let calc = Upload::fixture(CALC).chunk_size(1024);
    let chunks = calc.chunks();
    assert_eq!(client.send_chunks(&client.account, &chunks[..3]).await.status(), 200);

    // One request with a whole chunk and one that never ends.
    let beginning = chunks[4][..10].to_vec();
    let endless =
        futures_util::stream::iter([Ok::<_, std::io::Error>(beginning)]).chain(futures_util::stream::pending());
    let part = |body: Part, chunk: &[u8]| body.file_name(Sha1::of(chunk).to_string());
    let form = Form::new()
        .part("file", part(Part::bytes(chunks[3].to_vec()), chunks[3]))
        .part("file", part(Part::stream(reqwest::Body::wrap_stream(endless)), chunks[4]));
    let path = format!("{}chunk-upload/", client.account.organization_path());
    let request = client.request_as(&client.account.token, Method::POST, &path).multipart(form).send();
    let kill = async {
        until("the first chunk of the endless request is there", || async {
            let missing = client.ask(&client.account, &calc).await;
            (missing["missingChunks"][0] == json!(Sha1::of(chunks[4]))).then_some(())
        })
        .await;
        server.kill().await;
    };
    let (answer, ()) = tokio::join!(request, kill);
    assert!(answer.is_err(), "it was never acknowledged");
    rows_have_bytes(&server).await;

    server.restart().await;
    let client = server.client();
    let rest: Vec<_> = chunks[4..].iter().map(|chunk| Sha1::of(chunk)).collect();
    assert_eq!(client.ask(&client.account, &calc).await, json!({ "state": "not_found", "missingChunks": rest }));
    assert_eq!(client.send_chunks(&client.account, &chunks[4..]).await.status(), 200);
    assert_eq!(ends(&server, &calc).await["state"], "ok");
    rows_have_bytes(&server).await;
}

#[tokio::test]
async fn every_acknowledged_chunk_is_there_after_a_kill_at_any_moment() {
    let mut server = TestProcess::start().await;
    for (round, delay) in DELAYS.into_iter().enumerate() {
        let client = server.client();
        // Four senders, who note what was acknowledged, until the server dies.
        let sender = |sender: usize| {
            let client = &client;
            async move {
                let mut acknowledged = Vec::new();
                for number in 0.. {
                    let chunk = format!("{round} {sender} {number} ").repeat(2000).into_bytes();
                    let name = Sha1::of(&chunk).to_string();
                    let form = Form::new().part("file", Part::bytes(chunk.clone()).file_name(name));
                    let path = format!("{}chunk-upload/", client.account.organization_path());
                    let request = client.request_as(&client.account.token, Method::POST, &path).multipart(form);
                    match request.send().await {
                        Ok(answer) if answer.status() == 200 => acknowledged.push(Sha1::of(&chunk)),
                        _ => break,
                    }
                }
                acknowledged
            }
        };
        let kill = async {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            server.kill().await;
        };
        let (acknowledged, ()) = tokio::join!(join_all((0..4).map(sender)), kill);
        rows_have_bytes(&server).await;
        server.restart().await;
        let client = server.client();
        let acknowledged = acknowledged.concat();
        if acknowledged.is_empty() {
            continue;
        }
        let entry = json!({ "name": "all", "chunks": acknowledged });
        let whole = Sha1::of(format!("round {round}").as_bytes());
        let answer = client.ask_with(&client.account, whole, entry).await;
        assert_ne!(answer["state"], "not_found", "round {round}: {answer}");
    }
}

#[tokio::test]
async fn every_file_that_was_asked_for_ends_well_after_a_kill_at_any_moment() {
    let settings = [("SYMDEPOT_JOBS__LEASE", "1s"), ("SYMDEPOT_JOBS__BACK_OFF", "10ms")];
    let mut server = TestProcess::start_with(&settings).await;
    let mut files = Vec::new();
    for (round, delay) in (0u32..).zip(DELAYS) {
        let client = server.client();
        for number in 0..6 {
            let file = Upload::fixture(CALC).another(round * 100 + number).chunk_size(1024);
            client.send(&client.account, &file).await;
            assert_ne!(client.ask(&client.account, &file).await["state"], "not_found");
            files.push(file);
        }
        tokio::time::sleep(Duration::from_millis(delay)).await;
        server.kill().await;
        rows_have_bytes(&server).await;
        server.restart().await;
        // Some rounds come upon what the one before has left undone.
        if round % 2 == 1 {
            for file in &files {
                let end = ends(&server, file).await;
                assert_eq!(end["state"], "ok", "round {round}: {end}");
            }
        }
    }
    let client = server.client();
    assert_eq!(client.listed(&client.account).await.len(), 20, "one page of them");
    for file in &files {
        let end = ends(&server, file).await;
        let bytes = client.symcache_bytes(&client.account, end["dif"]["debugId"].as_str().unwrap()).await;
        assert_eq!(frames(&bytes, 0x1129), ["main @ /src/fixture/main.c:3"]);
    }
    rows_have_bytes(&server).await;
}

#[tokio::test]
async fn in_the_middle_of_a_conversion_it_is_converted_again() {
    let converter = WatchedConverter::holding();
    let program = converter.program();
    let settings = [("SYMDEPOT_CONVERTER__PROGRAM", program.to_str().unwrap()), ("SYMDEPOT_JOBS__LEASE", "1s")];
    let mut server = TestProcess::start_with(&settings).await;
    let client = server.client();
    let calc = Upload::fixture(CALC);
    client.send(&client.account, &calc).await;
    client.ask(&client.account, &calc).await;
    converter.begun(1).await;
    server.kill().await;
    rows_have_bytes(&server).await;
    converter.release();
    server.restart().await;
    assert_eq!(ends(&server, &calc).await["state"], "ok");
    assert_eq!(converter.conversions(), 2);
    assert_eq!(left_over(&server.data_dir().join("tmp")), [""; 0].map(PathBuf::from));
    rows_have_bytes(&server).await;
}

#[tokio::test]
async fn between_row_and_cache_the_row_answers() {
    let mut server = TestProcess::start().await;
    let client = server.client();
    let calc = Upload::fixture(CALC);
    client.send(&client.account, &calc).await;
    let behind = server.behind().await;
    client.ask(&client.account, &calc).await;
    until("the row is there", || async {
        let known = behind.db.known_files(1, &[calc.sha1()], "").await.unwrap();
        (!known.is_empty()).then_some(())
    })
    .await;
    server.kill().await;
    assert_eq!(fsck(&behind.db, behind.blobs.as_ref()).await, [""; 0]);
    server.restart().await;
    let client = server.client();
    assert_eq!(client.peek(&client.account, &calc).await["state"], "ok");
    let bytes = client.symcache_bytes(&client.account, CALC_ID).await;
    assert_eq!(frames(&bytes, 0x1129), ["main @ /src/fixture/main.c:3"]);
}

#[tokio::test]
async fn a_file_whose_server_dies_again_and_again_ends_in_an_error_that_says_so_and_can_be_sent_again() {
    let converter = WatchedConverter::holding();
    let program = converter.program();
    let settings = [
        ("SYMDEPOT_CONVERTER__PROGRAM", program.to_str().unwrap()),
        // Long enough that nothing but a death ends it.
        ("SYMDEPOT_JOBS__LEASE", "2s"),
        ("SYMDEPOT_STATUS__TTL", "2s"),
    ];
    let mut server = TestProcess::start_with(&settings).await;
    let client = server.client();
    let calc = Upload::fixture(CALC);
    client.send(&client.account, &calc).await;
    client.ask(&client.account, &calc).await;
    for attempt in 1..=5 {
        converter.begun(attempt).await;
        server.kill().await;
        server.restart().await;
    }
    let client = server.client();
    let end = until("it is given up", || async {
        let entry = client.peek(&client.account, &calc).await;
        (entry["state"] == "error").then_some(entry)
    });
    let sentence = "The server was stopped 5 times while it worked on this file. Upload it again, or ask whoever runs \
                    the server to look at its log.";
    assert_eq!(end.await["detail"], sentence);
    converter.release();
    let end = until("it is tried again when its time is over", || async {
        let entry = client.ask(&client.account, &calc).await;
        (entry["state"] == "ok").then_some(entry)
    });
    assert_eq!(end.await["dif"]["debugId"], CALC_ID);
    rows_have_bytes(&server).await;
}
