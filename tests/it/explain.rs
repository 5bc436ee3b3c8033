//! Why an id is served or is not, as people and pipelines ask it.

use serde_json::{Value, json};
use symdepot::blobs::BlobKey;
use symdepot::types::{Features, Scope};
use symdepot::upkeep::{Depth, Repair};

use crate::support::records::Record;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.debug";
const CALC_ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";
const OTHER_ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4eff";

async fn explain(server: &TestServer, question: &str) -> Value {
    let path = format!("/api/v1/projects/default/default/explain?{question}");
    let response = server.get(&path).send().await.unwrap();
    assert_eq!(response.status(), 200, "{question}");
    response.json().await.unwrap()
}

#[tokio::test]
async fn a_file_that_is_served_is_told_with_what_it_lacks() {
    let server = TestServer::start().await;
    let dif = server.upload_ok(&Upload::fixture(CALC)).await;
    let code_id = dif["codeId"].as_str().unwrap();
    for question in [format!("debug_id={CALC_ID}"), format!("code_id={}", code_id.to_uppercase())] {
        let told = explain(&server, &question).await;
        assert_eq!((&told["served"], &told["reason"]), (&json!(true), &json!("Its symcache is ready.")));
        let [file] = &told["files"].as_array().unwrap()[..] else { panic!("{told}") };
        assert_eq!((&file["id"], &file["damaged"]), (&dif["id"], &json!(false)));
        assert_eq!(file["symcache"]["state"], "ready");
        let features = dif["data"]["features"].as_array().unwrap();
        let lacks = file["lacks"].as_array().unwrap();
        assert_eq!(features.len() + lacks.len(), 4, "{features:?} {lacks:?}");
        assert_eq!(told["sameName"], json!([]));
    }
}

#[tokio::test]
async fn an_id_without_a_file_is_told_with_the_ids_of_files_of_the_same_name() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    let told = explain(&server, &format!("debug_id={OTHER_ID}&name=calc.debug")).await;
    let sentence = "The project has no debug file with the debug id 4ec932a9-e89a-f8cd-96b5-496a980e4eff. Files of this \
                    name were uploaded with other ids: the one that ran is of another build.";
    assert_eq!((&told["served"], &told["reason"]), (&json!(false), &json!(sentence)));
    assert_eq!(told["sameName"][0]["debugId"], CALC_ID);
    let told = explain(&server, &format!("debug_id={OTHER_ID}")).await;
    let sentence = "The project has no debug file with the debug id 4ec932a9-e89a-f8cd-96b5-496a980e4eff. Upload the debug \
                    file of this build.";
    assert_eq!((&told["reason"], &told["sameName"]), (&json!(sentence), &json!([])));
    assert_eq!((&told["debugId"], &told["codeId"]), (&json!(OTHER_ID), &Value::Null));
    let told = explain(&server, "code_id=C0DE").await;
    assert!(told["reason"].as_str().unwrap().contains("the code id c0de"), "{told}");
    assert_eq!(told["codeId"], "c0de");
}

#[tokio::test]
async fn an_id_that_clients_missed_is_told_with_files_of_the_names_they_knew_it_by() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    let digits = OTHER_ID.replace('-', "").to_uppercase();
    let path = format!("/symbols/default/default/calc.debug/{digits}0/calc.debug.sym");
    assert_eq!(server.get(&path).send().await.unwrap().status(), 404);
    let told = explain(&server, &format!("debug_id={OTHER_ID}")).await;
    assert_eq!(told["sameName"][0]["debugId"], CALC_ID, "{told}");
    assert!(told["reason"].as_str().unwrap().contains("other ids"), "{told}");
    let build_id = "dfb85de42daffd09640c8fe377d572de3e168920";
    let path = format!("/symbols/default/default/calc.debug/elf-buildid-{build_id}/calc.debug");
    assert_eq!(server.get(&path).send().await.unwrap().status(), 404);
    let told = explain(&server, &format!("code_id={build_id}")).await;
    assert_eq!(told["sameName"][0]["debugId"], CALC_ID, "{told}");
}

#[tokio::test]
async fn every_other_reason_is_a_sentence() {
    let server = TestServer::start().await;
    let stripped = Record { features: Features::UNWIND, ..Record::new("stripped", OTHER_ID) };
    server.put_file(&server.account, stripped).await;
    let told = explain(&server, &format!("debug_id={OTHER_ID}")).await;
    let sentence = "None of the files of this id has debug information. Upload the one that has it.";
    assert_eq!((&told["served"], &told["reason"]), (&json!(false), &json!(sentence)));
    assert_eq!(told["files"][0]["symcache"], Value::Null);

    let bad = server.put_file(&server.account, Record::new("bad", CALC_ID)).await;
    let told = explain(&server, &format!("debug_id={CALC_ID}")).await;
    let sentence = "Its symcache is not made yet; the first ask for it has it made.";
    assert_eq!((&told["served"], &told["reason"]), (&json!(true), &json!(sentence)));
    server.put_symcache(&bad, Err("It ends too early.")).await;
    let told = explain(&server, &format!("debug_id={CALC_ID}")).await;
    let sentence = "The newest file with debug information: It ends too early.";
    assert_eq!((&told["served"], &told["reason"]), (&json!(false), &json!(sentence)));
}

#[tokio::test]
async fn a_file_whose_bytes_were_lost_is_said_to_be_damaged() {
    let server = TestServer::start().await;
    let calc = Upload::fixture(CALC);
    server.upload_ok(&calc).await;
    let owned = server.app.db.owned_chunks(server.account.organization.id, &[calc.sha1()]).await.unwrap();
    let key = BlobKey::from_row(&owned[&calc.sha1()].chunk.blob.key);
    server.app.blobs.delete(&[key]).await.unwrap();
    server.app.upkeep().fsck(Depth::Sizes, Repair::Yes, |_| {}).await.unwrap();
    let told = explain(&server, &format!("debug_id={CALC_ID}")).await;
    let sentence = "Bytes of the newest file with debug information were lost. Upload it again.";
    assert_eq!((&told["reason"], &told["files"][0]["damaged"]), (&json!(sentence), &json!(true)));
}

#[tokio::test]
async fn a_question_without_an_id_or_a_right_is_refused() {
    let server = TestServer::start().await;
    let base = "/api/v1/projects/default/default/explain";
    for (question, sentence) in [
        ("", "Ask with either `debug_id` or `code_id`."),
        ("?debug_id=no", "`no` is "),
        (&format!("?debug_id={CALC_ID}&code_id=ab"), "Ask with either `debug_id` or `code_id`."),
    ] {
        let response = server.get(&format!("{base}{question}")).send().await.unwrap();
        assert_eq!(response.status(), 400);
        assert!(response.text().await.unwrap().contains(sentence), "{question}");
    }
    let symbols = server.add_token(&server.account.organization, &[Scope::SymbolsRead], &[]).await;
    let path = format!("{base}?debug_id={CALC_ID}");
    let status = async |token: &str| {
        server.request_as(token, reqwest::Method::GET, &path).send().await.unwrap().status().as_u16()
    };
    assert_eq!(status(&symbols).await, 200);
    assert_eq!(status("sntrys_unknown").await, 401);
    let rival = server.add_account("rival", "app").await;
    assert_eq!(status(&rival.token).await, 404, "what is of others is not there");
}
