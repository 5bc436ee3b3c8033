//! One file: from queued to `ok`, what is said of requests of another form, and names of every sort.

use insta::assert_json_snapshot;
use serde_json::{Value, json};
use symdepot::types::Sha1;

use super::{CALC, error, not_found, queued};
use crate::support::answer::whole;
use crate::support::converter::WatchedConverter;
use crate::support::server::TestServer;
use crate::support::until;
use crate::support::uploads::Upload;

#[tokio::test]
async fn a_file_is_queued_then_assembling_then_ok_with_its_dif() {
    let converter = WatchedConverter::holding();
    let program = converter.program();
    let server = TestServer::builder().settings(|config| config.converter.program = program).start().await;
    let calc = Upload::fixture(CALC).chunk_size(1024);
    server.send(&server.account, &calc).await;

    let first = server.ask_assemble(&server.account, &json!({ calc.sha1().to_string(): calc.entry() })).await;
    assert_json_snapshot!("the first answer", whole(first).await);
    converter.begun(1).await;
    let assembling = json!({ "state": "assembling", "detail": null, "missingChunks": [] });
    let entry = until("it is assembling", || async {
        let entry = server.ask(&server.account, &calc).await;
        (entry["state"] != "created").then_some(entry)
    });
    assert_eq!(entry.await, assembling);
    assert_eq!(server.peek(&server.account, &calc).await, assembling);
    converter.release();
    server.poll(&server.account, &calc).await;
    let last = server.ask_assemble(&server.account, &json!({ calc.sha1().to_string(): calc.entry() })).await;
    assert_json_snapshot!("the last answer", whole(last).await, {
        ".headers[\"content-length\"]" => "[length]",
        ".body.*.dif.dateCreated" => "[time]",
    });
    assert_eq!(server.ask(&server.account, &calc).await, server.peek(&server.account, &calc).await);
    assert_eq!((converter.detections(), converter.conversions()), (1, 1));
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_request_without_files_is_answered_without_files() {
    let server = TestServer::builder().without_workers().start().await;
    assert_json_snapshot!(whole(server.ask_assemble(&server.account, &json!({})).await).await);
}

#[tokio::test]
async fn a_request_of_another_form_is_told_what_is_wrong_with_it() {
    let server = TestServer::builder().without_workers().start().await;
    let path = format!("{}files/difs/assemble/", server.account.project_path());
    let key = Sha1::of(b"x").to_string();
    let of = |entry: &str| format!("{{\"{key}\": {entry}}}");
    let told = [
        ("", "Invalid json body"),
        ("{\"a\": ", "Invalid json body"),
        ("\u{feff}{}", "Invalid json body"),
        ("[]", "[] is not of type 'object'"),
        ("null", "None is not of type 'object'"),
        ("{\"lol\": {}}", "'lol' does not match any of the regexes: '^[0-9a-f]{40}$'"),
        (
            &of("{}").to_uppercase(),
            &format!("'{}' does not match any of the regexes: '^[0-9a-f]{{40}}$'", key.to_uppercase()),
        ),
        (&of("\"test\""), "'test' is not of type 'object'"),
        (&of("{\"chunks\": []}"), "'name' is a required property"),
        (&of("{\"name\": \"x\"}"), "'chunks' is a required property"),
        (&of("{\"name\": 1, \"chunks\": []}"), "1 is not of type 'string'"),
        (&of("{\"name\": \"x\", \"chunks\": \"y\"}"), "'y' is not of type 'array'"),
        (&of("{\"name\": \"x\", \"chunks\": [\"zz\"]}"), "'zz' does not match '^[0-9a-f]{40}$'"),
        (&of("{\"name\": \"x\", \"chunks\": [], \"debug_id\": null}"), "None is not of type 'string'"),
        (
            &of("{\"name\": \"x\", \"chunks\": [], \"debug_id\": \"invalid-debug-id\"}"),
            "'invalid-debug-id' does not match '^[A-Fa-f0-9-]+$'",
        ),
    ];
    for (body, sentence) in told {
        let request = server.post(&path).header("content-type", "application/json").body((*body).to_owned());
        let answer = whole(request.send().await.unwrap()).await;
        assert_eq!((&answer["status"], &answer["body"]), (&json!(400), &json!({ "error": sentence })), "{body}");
        assert_eq!(answer["headers"]["content-type"], "application/json", "{body}");
    }
    let more = of("{\"name\": \"x\", \"chunks\": [], \"more\": {\"is\": \"accepted\"}}");
    let answer = server.post(&path).body(more).send().await.unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({ key: not_found(&[]) }), "whatever its content type");
}

#[tokio::test]
async fn a_file_that_nobody_speaks_of_is_not_found() {
    let server = TestServer::builder().without_workers().start().await;
    let calc = Upload::fixture(CALC);
    assert_eq!(server.peek(&server.account, &calc).await, not_found(&[]));
    server.send(&server.account, &calc).await;
    assert_eq!(server.peek(&server.account, &calc).await, not_found(&[]), "having its chunks is not wanting it");
}

#[tokio::test]
async fn an_empty_file_is_an_error_with_or_without_its_chunk() {
    let server = TestServer::start().await;
    let nothing = error("The file is empty: there is nothing to assemble.");
    assert_eq!(server.ask(&server.account, &Upload::new("empty", "")).await, nothing);

    let chunk = Sha1::of(b"");
    let one_chunk = json!({ "name": "empty", "chunks": [chunk] });
    assert_eq!(server.ask_with(&server.account, chunk, one_chunk.clone()).await, not_found(&[chunk]));
    assert_eq!(server.send_chunks(&server.account, &[b""]).await.status(), 200);
    assert_eq!(server.ask_with(&server.account, chunk, one_chunk.clone()).await, queued());
    let end = until("the empty file ends", || async {
        let entry = server.ask_with(&server.account, chunk, one_chunk.clone()).await;
        (entry["state"] == "error").then_some(entry)
    });
    assert_eq!(end.await, nothing);
}

#[tokio::test]
async fn names_with_quotes_slashes_and_other_scripts_come_back_as_they_were() {
    let server = TestServer::start().await;
    let names = [
        ("it's \"quoted\"; drop table debug_files; --", "it's \"quoted\"; drop table debug_files; --"),
        ("/opt/build/löve/calc.debug", "calc.debug"),
        ("Отладка/ファイル 🦀.debug", "ファイル 🦀.debug"),
        ("C:\\build\\calc.debug", "C:\\build\\calc.debug"),
        ("a\u{0}b\nc", "a\u{fffd}b\u{fffd}c"),
        ("", ""),
        ("folder/", ""),
    ];
    let calc = Upload::fixture(CALC);
    for (number, (name, object_name)) in (0..).zip(names) {
        let calc = calc.another(number);
        let dif = server.upload_ok(&calc.clone().name(name)).await;
        assert_eq!(dif["objectName"], object_name, "{name:?}");
        let again = server.ask(&server.account, &calc.name(&"n".repeat(300))).await;
        assert_eq!(again["dif"], dif, "the name is the first one's");
    }
    assert_eq!(server.listed(&server.account).await.len(), names.len());
}

#[tokio::test]
async fn a_file_of_one_project_is_assembled_for_another_without_an_upload() {
    let server = TestServer::start().await;
    let other = server.add_project("other").await;
    let calc = Upload::fixture(CALC).chunk_size(1024);
    let dif = server.upload_ok(&calc).await;
    assert_eq!(server.peek(&other, &calc).await, not_found(&[]));
    assert_eq!(server.ask(&other, &calc).await, queued());
    let theirs = server.poll(&other, &calc).await;
    assert_eq!((&theirs["state"], &theirs["dif"]["sha1"]), (&json!("ok"), &dif["sha1"]));
    assert_ne!(theirs["dif"]["id"], dif["id"]);
    assert_eq!(server.listed(&server.account).await, [dif]);
    assert_eq!(server.fsck().await, [""; 0]);
}
