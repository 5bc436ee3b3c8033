//! Limits of what one entry may say: a fault of it is its own, and the others of the request go on.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use symdepot::types::{Policy, Quota, Sha1};

use super::{CALC, error, not_found, queued};
use crate::support::queries::Queries;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

#[tokio::test]
async fn an_entry_beyond_a_limit_hears_its_error_while_the_others_go_on() {
    let server = TestServer::builder().settings(|config| config.uploads.max_file_size = 10_000).start().await;
    let account = server.account.clone();
    let (a, b, gone) = (vec![b'a'; 5_000], vec![b'b'; 5_001], Sha1::of(b"gone"));
    assert_eq!(server.send_chunks(&account, &[&a, &b]).await.status(), 200);
    let (a, b) = (Sha1::of(&a), Sha1::of(&b));
    let cases = [
        (
            json!({ "name": "x".repeat(1025), "chunks": [a] }),
            error("The name of this file has 1025 bytes, and may have 1024. Upload it under a shorter name."),
        ),
        (
            json!({ "name": "n", "debug_id": "0".repeat(65), "chunks": [a] }),
            error("The debug id of this file has 65 characters, and may have 64."),
        ),
        (
            json!({ "name": "n", "chunks": vec![gone; 65_537] }),
            error("File n exceeds the maximum number of chunks (65537 > 65536)"),
        ),
        (json!({ "name": "n", "chunks": [a, b] }), error("File n exceeds maximum size (10001 > 10000)")),
        (json!({ "name": "n", "chunks": [a, a, gone] }), error("File n exceeds maximum size (10001 > 10000)")),
        (json!({ "name": "n", "chunks": [a, gone] }), not_found(&[gone])),
        (json!({ "name": "x".repeat(1024), "chunks": [a] }), queued()),
    ];
    let key = |number: usize| Sha1::of(&[u8::try_from(number).unwrap()]).to_string();
    let body: Map<_, _> = cases.iter().enumerate().map(|(at, (entry, _))| (key(at), entry.clone())).collect();
    let answer = server.ask_assemble(&account, &Value::Object(body)).await;
    assert_eq!(answer.status(), 200);
    let answer: BTreeMap<String, Value> = answer.json().await.unwrap();
    for (number, (_, expected)) in cases.iter().enumerate() {
        assert_eq!(answer[&key(number)], *expected, "entry {number}");
    }
}

#[tokio::test]
async fn control_characters_and_names_at_the_limit_do_not_cost_the_upload() {
    let server = TestServer::start().await;
    let odd = Upload::fixture(CALC).name("folder/\u{1b}[31mcalc\u{7}\0.debug");
    assert_eq!(server.upload_ok(&odd).await["objectName"], "\u{fffd}[31mcalc\u{fffd}\u{fffd}.debug");
    let long = odd.another(1).name(&"n".repeat(1024));
    assert_eq!(server.upload_ok(&long).await["objectName"], "n".repeat(1024));
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_request_beyond_a_limit_is_refused_whole() {
    let server = TestServer::start().await;
    let entry = |number: usize| (Sha1::of(&number.to_le_bytes()).to_string(), json!({ "name": "", "chunks": [] }));
    let body: Map<_, _> = (0..10_001).map(entry).collect();
    let answer = server.ask_assemble(&server.account, &Value::Object(body)).await;
    assert_eq!(answer.status(), 400);
    let message = "A request may ask for 10000 files and no more. Ask for the others in further requests.";
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({ "error": message }));

    let path = format!("{}files/difs/assemble/", server.account.project_path());
    let large = server.post(&path).body(vec![b' '; (64 << 20) + 1]).send().await.unwrap();
    assert_eq!(large.status(), 413);
    let message = "The body of the request is too large. Ask for fewer files at once.";
    assert_eq!(large.json::<Value>().await.unwrap(), json!({ "detail": message }));
}

#[tokio::test]
async fn a_question_and_an_answer_of_megabytes_are_those_of_small_ones() {
    let server = TestServer::start().await;
    let account = server.account.clone();
    assert_eq!(server.send_chunks(&account, &[b"here"]).await.status(), 200);
    let mut body = Map::new();
    let mut expected = BTreeMap::new();
    for file in 0..20u32 {
        let key = Sha1::of(&file.to_le_bytes()).to_string();
        let missing: Vec<_> = (0..5_000u32).map(|chunk| Sha1::of(format!("{file} {chunk}").as_bytes())).collect();
        let chunks: Vec<_> = [Sha1::of(b"here")].iter().chain(&missing).copied().collect();
        body.insert(key.clone(), json!({ "name": "large", "chunks": chunks }));
        expected.insert(key, not_found(&missing));
    }
    let answer = server.ask_assemble(&account, &Value::Object(body)).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.json::<BTreeMap<String, Value>>().await.unwrap(), expected);
}

#[tokio::test]
async fn a_batch_near_a_quota_asks_for_its_sums_as_often_as_one_file_does() {
    let server = TestServer::builder().without_workers().start().await;
    let account = server.account.clone();
    let quota = Quota { bytes: Some(1 << 20), files: Some(10_000) };
    server.app.db.set_organization_quota(account.organization.id, quota).await.unwrap();
    server.app.db.set_policy(account.project.id, &Policy { quota, ..Policy::default() }).await.unwrap();
    assert_eq!(server.send_chunks(&account, &[b"here"]).await.status(), 200);
    let queries = Queries::listen();
    let mut asked = Vec::new();
    for count in [1, 2000] {
        let chunks = |number| if number % 2 == 0 { [Sha1::of(b"here")] } else { [Sha1::of(b"gone")] };
        let entry = |number: usize| {
            let sha1 = Sha1::of(format!("{number} of {count}").as_bytes()).to_string();
            (sha1, json!({ "name": "n", "chunks": chunks(number) }))
        };
        let body: Map<_, _> = (0..count).map(entry).collect();
        queries.take();
        assert_eq!(server.ask_assemble(&account, &Value::Object(body)).await.status(), 200);
        let mut of_quotas = queries.take();
        of_quotas.retain(|name| name.starts_with("db.quotas."));
        asked.push(of_quotas);
    }
    assert!(!asked[0].is_empty(), "it is near");
    assert_eq!(asked[0], asked[1]);
}
