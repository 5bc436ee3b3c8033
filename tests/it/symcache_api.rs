//! Symcaches as symbolication workers fetch them and ask about them.

use insta::assert_json_snapshot;
use serde_json::{Value, json};
use symdepot::types::{DebugFile, Features, Format, Kind, Sha1};

use crate::support::answer::whole;
use crate::support::fixtures;
use crate::support::records::Record;
use crate::support::server::TestServer;
use crate::support::until;
use crate::support::uploads::Upload;

const ID: &str = "3249d99d-0c40-4931-8610-f4e4fb0b6936";
const BAD_ID: &str = "9c2a902b-6fde-5d4c-8dd5-86a36a894bc8-1";
const MAP_ID: &str = "747e1d76-509b-4225-8a5b-db7b7d4067d4";
const WASM: &str = "wasm-llvm19-dwarf5/calc.wasm";
const NO_ID: &str = "00000000-0000-0000-0000-00000000000a";

/// A server with a file that has a symcache, one that cannot have it and one that never does.
async fn with_symcaches(bytes: &[u8]) -> (TestServer, DebugFile) {
    let server = TestServer::start().await;
    let good = server.put_file(&server.account, Record::new("good", ID)).await;
    server.put_symcache(&good, Ok(bytes)).await;
    let bad = server.put_file(&server.account, Record::new("bad", BAD_ID)).await;
    server.put_symcache(&bad, Err("The file ends in the middle of its line table.")).await;
    let map = Record {
        format: Format::Proguard,
        kind: Kind::None,
        features: Features::MAPPING,
        ..Record::new("proguard-mapping", MAP_ID)
    };
    server.put_file(&server.account, map).await;
    (server, good)
}

fn path(id: &str) -> String {
    format!("/api/v1/projects/default/default/symcaches/{id}")
}

#[tokio::test]
async fn a_symcache_is_fetched_by_every_spelling_of_its_debug_id() {
    let (server, _) = with_symcaches(b"symcache bytes").await;
    let canonical = whole(server.get(&path(ID)).send().await.unwrap()).await;
    assert_json_snapshot!(canonical);
    for spelling in ["3249D99D-0C40-4931-8610-F4E4FB0B6936", "3249d99d0c4049318610f4e4fb0b69360"] {
        assert_eq!(whole(server.get(&path(spelling)).send().await.unwrap()).await, canonical, "{spelling}");
    }
}

#[tokio::test]
async fn what_there_is_no_symcache_of_is_said_with_its_reason() {
    let (server, _) = with_symcaches(b"symcache bytes").await;
    let mut answers = Vec::new();
    for id in [BAD_ID, MAP_ID, NO_ID, "nonsense", &format!("{ID}?wait=soon")] {
        answers.push(whole(server.get(&path(id)).send().await.unwrap()).await);
    }
    assert_json_snapshot!(answers);
}

#[tokio::test]
async fn a_symcache_has_validators_and_ranges() {
    let (server, _) = with_symcaches(b"symcache bytes").await;
    let first = server.get(&path(ID)).send().await.unwrap();
    let etag = first.headers()["etag"].to_str().unwrap().to_owned();
    let requests = [
        server.head(&path(ID)),
        server.get(&path(ID)).header("if-none-match", &etag),
        server.get(&path(ID)).header("range", "bytes=9-"),
        server.get(&path(ID)).header("range", "bytes=-5").header("if-range", &etag),
        server.get(&path(ID)).header("range", "bytes=14-"),
    ];
    let mut answers = Vec::new();
    for request in requests {
        answers.push(whole(request.send().await.unwrap()).await);
    }
    assert_json_snapshot!(answers);
}

#[tokio::test]
async fn a_large_symcache_is_streamed_and_has_ranges_too() {
    let bytes: Vec<u8> = (0..3_000_001_u32).map(|number| (number % 251) as u8).collect();
    let (server, _) = with_symcaches(&bytes).await;
    let answer = server.get(&path(ID)).send().await.unwrap();
    assert_eq!(answer.content_length(), Some(bytes.len() as u64));
    assert!(answer.bytes().await.unwrap() == bytes);
    let part = server.get(&path(ID)).header("range", "bytes=1000000-2000000").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert!(part.bytes().await.unwrap() == bytes[1_000_000..=2_000_000]);
}

#[tokio::test]
async fn many_symcaches_are_asked_about_at_once() {
    let (server, _) = with_symcaches(b"symcache bytes").await;
    let upper = ID.to_uppercase();
    let question = json!({ "debug_ids": [ID, upper, BAD_ID, MAP_ID, NO_ID, "nonsense"] });
    let answer = server.post(&path("status")).json(&question).send().await.unwrap();
    assert_json_snapshot!(whole(answer).await);
}

#[tokio::test]
async fn a_thousand_ids_each_hear_of_their_own_files() {
    let server = TestServer::start().await;
    let id = |number: u32| format!("{number:08x}-0000-0000-0000-000000000000");
    for number in 1..=40 {
        // Of every id there is a newer file that cannot have a symcache.
        let file = server.put_file(&server.account, Record::new(&format!("file {number}"), &id(number))).await;
        match number % 2 {
            0 => server.put_symcache(&file, Ok(format!("symcache {number}").as_bytes())).await,
            _ => server.put_symcache(&file, Err(&format!("reason {number}"))).await,
        };
        let stripped = Record { features: Features::UNWIND, ..Record::new(&format!("stripped {number}"), &id(number)) };
        server.put_file(&server.account, stripped).await;
    }
    let wasm = server.upload_ok(&Upload::fixture(WASM)).await;
    let known = fixtures::known().remove(WASM).unwrap().objects.remove(0);
    let spellings = [known.debug_id.to_string(), known.debug_id_alias.unwrap().to_string()];
    assert!(spellings.contains(&wasm["debugId"].as_str().unwrap().to_owned()));
    let ids: Vec<_> = (1..=998).map(id).chain(spellings.clone()).collect();
    let answer = server.post(&path("status")).json(&json!({ "debug_ids": ids })).send().await.unwrap();
    let answer = answer.json::<Value>().await.unwrap();
    for number in 1..=998 {
        let told = &answer[id(number)];
        let expected = match number {
            1..=40 if number % 2 == 0 => json!(["ready", Sha1::of(format!("symcache {number}").as_bytes()), null]),
            1..=40 => json!(["malformed", null, format!("reason {number}")]),
            _ => json!(["missing", null, null]),
        };
        assert_eq!(json!([told["state"], told["sha1"], told["detail"]]), expected, "{number}");
    }
    assert_eq!(answer[&spellings[0]]["state"], "ready");
    assert_eq!(answer[&spellings[0]], answer[&spellings[1]], "one file under two spellings");
}

#[tokio::test]
async fn a_question_of_the_wrong_form_is_refused_with_a_sentence() {
    let server = TestServer::start().await;
    let ids: Vec<_> = (0..1001).map(|number| format!("{number:032x}")).collect();
    let mut answers = Vec::new();
    for body in [json!({ "debug_ids": ids }).to_string(), "{}".to_owned(), "no json".to_owned()] {
        answers.push(whole(server.post(&path("status")).body(body).send().await.unwrap()).await);
    }
    assert_json_snapshot!(answers);
    let most = server.post(&path("status")).json(&json!({ "debug_ids": ids[..1000] })).send().await.unwrap();
    assert_eq!(most.json::<Value>().await.unwrap().as_object().unwrap().len(), 1000);
}

#[tokio::test]
async fn a_symcache_of_another_project_is_not_served() {
    let (server, _) = with_symcaches(b"symcache bytes").await;
    let other = server.add_project("other").await;
    let answer = server.get(&format!("{}{ID}", other.symcaches_path())).send().await.unwrap();
    assert_eq!(answer.status(), 404);
}

const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.debug";
const CALC_ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";

/// A server with a real debug file of which no symcache was made yet.
async fn with_unconverted() -> TestServer {
    let server = TestServer::start().await;
    let content = fixtures::read(CALC);
    server.put_file(&server.account, Record { content, ..Record::new("calc.debug", CALC_ID) }).await;
    server
}

#[tokio::test]
async fn an_absent_symcache_is_built_while_the_asker_waits() {
    let server = with_unconverted().await;
    let answer = server.get(&path(&format!("{CALC_ID}?wait=60"))).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let etag = answer.headers()["etag"].to_str().unwrap().trim_matches('"').to_owned();
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(Sha1::of(&bytes).to_string(), etag);
    assert_eq!(server.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_absent_symcache_is_begun_for_who_does_not_wait() {
    let server = with_unconverted().await;
    let first = server.get(&path(CALC_ID)).send().await.unwrap();
    assert_json_snapshot!(whole(first).await);
    let states = || async {
        let question = json!({ "debug_ids": [CALC_ID] });
        let answer = server.post(&path("status")).json(&question).send().await.unwrap().json::<Value>().await.unwrap();
        answer[CALC_ID]["state"].as_str().unwrap().to_owned()
    };
    until("the symcache is ready", || async { (states().await == "ready").then_some(()) }).await;
    assert_eq!(server.get(&path(CALC_ID)).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn sixty_four_askers_at_once_get_one_symcache() {
    let server = with_unconverted().await;
    let address = path(&format!("{CALC_ID}?wait=60"));
    let asks = (0..64).map(|_| async { server.get(&address).send().await.unwrap().bytes().await.unwrap() });
    let answers = futures_util::future::join_all(asks).await;
    assert!(answers.iter().all(|answer| *answer == answers[0] && answer.starts_with(b"SYMC")));
    let symcaches = server.app.blobs.list(None, 100).await.unwrap();
    let symcaches = symcaches.iter().filter(|blob| blob.key.as_str().starts_with("symcaches/"));
    assert_eq!(symcaches.count(), 1);
    assert_eq!(server.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_symcache_of_an_older_converter_is_made_anew() {
    let content = fixtures::read(CALC);
    let older = TestServer::builder().tweak(|app| "older".clone_into(&mut app.symcaches.converter_version));
    let older = older.start().await;
    let file = older.put_file(&older.account, Record { content, ..Record::new("calc.debug", CALC_ID) }).await;
    older.put_symcache(&file, Err("The older converter cannot read this.")).await;
    assert_eq!(older.get(&path(CALC_ID)).send().await.unwrap().status(), 422);

    let newer = TestServer::builder().home(older.stop().await).start().await;
    let answer = newer.get(&path(&format!("{CALC_ID}?wait=60"))).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(newer.fsck().await, Vec::<String>::new());
}
