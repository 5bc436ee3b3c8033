//! Many files in one question and many questions at once.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use symdepot::types::Sha1;

use super::{CALC, garbage, not_found, queued};
use crate::support::converter::WatchedConverter;
use crate::support::queries::Queries;
use crate::support::records::Record;
use crate::support::server::TestServer;
use crate::support::until;
use crate::support::uploads::Upload;

/// An entry per file of `count`, with two chunks each.
fn entries(count: usize, sort: &str, chunks: [Sha1; 2]) -> Map<String, Value> {
    let entry = |number| {
        let sha1 = Sha1::of(format!("{sort} {number}").as_bytes());
        (sha1.to_string(), json!({ "name": format!("{sort} {number}"), "chunks": chunks }))
    };
    (0..count).map(entry).collect()
}

#[tokio::test]
async fn a_batch_of_three_thousand_files_takes_as_many_queries_as_one_of_thirty() {
    let server = TestServer::builder().without_workers().start().await;
    let account = server.account.clone();
    assert_eq!(server.send_chunks(&account, &[b"aaaa", b"bbbb"]).await.status(), 200);
    let (here, there, gone) = (Sha1::of(b"aaaa"), Sha1::of(b"bbbb"), Sha1::of(b"cccc"));
    let queries = Queries::listen();
    let mut asked = Vec::new();
    for count in [30, 3000] {
        let mut batch = entries(count, &format!("whole of {count}"), [here, there]);
        batch.extend(entries(count, &format!("partly of {count}"), [here, gone]));
        let mut polls = entries(count, &format!("poll of {count}"), [here, there]);
        polls.values_mut().for_each(|entry| entry["chunks"] = json!([]));
        batch.extend(polls);
        // The second time the same files are on their way already.
        for first in [queued(), json!({ "state": "created", "detail": null, "missingChunks": [] })] {
            queries.take();
            let answer = server.ask_assemble(&account, &Value::Object(batch.clone())).await;
            // Who asks is remembered for a moment, and not what this is about.
            let about_files = ["db.debug_files.", "db.assemblies.", "db.chunks."];
            let mut of_batch = queries.take();
            of_batch.retain(|name| about_files.iter().any(|table| name.starts_with(table)));
            asked.push(of_batch);
            let answer: BTreeMap<String, Value> = answer.json().await.unwrap();
            let of = |entry: &Value| answer.values().filter(|answer| *answer == entry).count();
            assert_eq!((of(&first), of(&not_found(&[gone])), of(&not_found(&[]))), (count, count, count));
        }
    }
    assert_eq!(asked[0], asked[2], "the first time");
    assert_eq!(asked[1], asked[3], "the second time");
    let most = ["known", "of", "known", "owned", "queue"];
    assert_eq!(asked[0].iter().map(|name| name.rsplit('.').next().unwrap()).collect::<Vec<_>>(), most);
}

#[tokio::test]
async fn files_that_are_there_are_one_question_however_many() {
    let server = TestServer::builder().without_workers().start().await;
    let account = server.account.clone();
    let mut batch = Map::new();
    for number in 1..=30 {
        let id = format!("{number:08x}-0000-0000-0000-000000000000");
        let file = server.put_file(&account, Record::new(&format!("file {number}"), &id)).await;
        // Half of them have no symcache of today's converter, which is nobody's fault.
        if number % 2 == 0 {
            server.put_symcache(&file, Ok(b"symcache")).await;
        }
        batch.insert(file.sha1.to_string(), json!({ "name": "file", "chunks": [file.sha1] }));
    }
    let queries = Queries::listen();
    let answer = server.ask_assemble(&account, &Value::Object(batch)).await;
    let mut asked = queries.take();
    asked
        .retain(|name| ["db.debug_files.", "db.assemblies.", "db.chunks."].iter().any(|table| name.starts_with(table)));
    assert_eq!(asked, ["db.debug_files.known"]);
    let answer: BTreeMap<String, Value> = answer.json().await.unwrap();
    assert!(answer.len() == 30 && answer.values().all(|entry| entry["state"] == "ok"), "{answer:?}");
}

#[tokio::test]
async fn sixty_four_first_questions_at_once_queue_a_file_once() {
    let converter = WatchedConverter::new();
    let program = converter.program();
    let server = TestServer::builder().settings(|config| config.converter.program = program).start().await;
    let calc = Upload::fixture(CALC).chunk_size(1024);
    server.send(&server.account, &calc).await;
    let answers = join_all((0..64).map(|_| server.ask(&server.account, &calc))).await;
    assert!(answers.iter().all(|answer| answer["state"] != "not_found" && answer["state"] != "error"), "{answers:?}");
    let ends = join_all((0..64).map(|_| server.poll(&server.account, &calc))).await;
    assert!(ends.iter().all(|end| *end == ends[0] && end["state"] == "ok"), "{ends:?}");
    assert_eq!(server.listed(&server.account).await, [ends[0]["dif"].clone()]);
    assert_eq!(converter.conversions(), 1);
    assert_eq!(server.app.db.open_assemblies().await.unwrap(), 0);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_file_on_its_way_is_never_said_to_be_missing() {
    let server = TestServer::start().await;
    let calc = Upload::fixture(CALC);
    server.send(&server.account, &calc).await;
    for number in 0..20 {
        let calc = calc.another(number);
        server.send(&server.account, &calc).await;
        assert_eq!(server.ask(&server.account, &calc).await, queued());
        let poller = || async {
            until("it is ok", || async {
                let entry = server.peek(&server.account, &calc).await;
                assert_ne!(entry["state"], "not_found");
                (entry["state"] == "ok").then_some(())
            })
            .await;
        };
        join_all((0..4).map(|_| poller())).await;
    }
}

#[tokio::test]
async fn files_that_arrive_together_are_worked_on_together() {
    let converter = WatchedConverter::holding();
    let program = converter.program();
    let change = |config: &mut symdepot::config::Config| {
        config.converter.program = program;
        config.converter.concurrency = 2;
        config.jobs.concurrency = 3;
    };
    let server = TestServer::builder().settings(change).start().await;
    let calc = Upload::fixture(CALC);
    let files: Vec<_> = (0..4).map(|number| calc.another(number)).collect();
    for file in &files {
        server.send(&server.account, file).await;
        assert_eq!(server.ask(&server.account, file).await, queued());
    }
    // Two are converted, one waits for the converter, and one has not been begun.
    converter.begun(2).await;
    until("three are worked on", || async {
        let mut states = Vec::new();
        for file in &files {
            states.push(server.ask(&server.account, file).await["state"].clone());
        }
        (states == ["assembling", "assembling", "assembling", "created"]).then_some(())
    })
    .await;
    assert_eq!(converter.conversions(), 2);
    converter.release();
    for file in &files {
        assert_eq!(server.poll(&server.account, file).await["state"], "ok");
    }
    let broken = server.upload(&garbage("not a debug file")).await;
    assert_eq!(broken["state"], "error", "the places are free again");
    assert_eq!(server.fsck().await, [""; 0]);
}
