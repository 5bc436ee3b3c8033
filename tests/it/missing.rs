//! What clients looked for in vain: counted per project and id, and marked when an upload brings it.

use reqwest::Method;
use serde_json::{Value, json};
use symdepot::types::Scope;

use crate::support::process::TestProcess;
use crate::support::server::{Account, TestServer};
use crate::support::uploads::Upload;

const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.debug";
const CALC_ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";
const BUILD_ID: &str = "a932c94e9ae8cdf896b5496a980e4efe";

async fn missing(server: &TestServer, account: &Account) -> Vec<Value> {
    let path = format!("/api/v1/projects/{}/{}/missing", account.organization.slug, account.project.slug);
    let response = server.request_as(&account.token, Method::GET, &path).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.json::<Value>().await.unwrap()["missing"].as_array().unwrap().clone()
}

async fn look(server: &TestServer, path: &str) {
    server.get(path).send().await.unwrap();
}

#[tokio::test]
async fn every_kind_of_client_is_counted_with_what_it_missed() {
    let server = TestServer::start().await;
    for _twice in 0..2 {
        look(&server, &format!("/api/v1/projects/default/default/symcaches/{CALC_ID}")).await;
    }
    look(&server, &format!("/symbols/default/default/buildid/{BUILD_ID}/debuginfo")).await;
    look(&server, "/symbols/default/default/app.pdb/3249D99D0C4049318610F4E4FB0B69361/app.sym").await;
    look(&server, "/symbols/default/default/crash.pdb/4249D99D0C4049318610F4E4FB0B69361/crash.pdb").await;
    look(&server, "/api/0/projects/default/default/files/dsyms/?debug_id=5249d99d-0c40-4931-8610-f4e4fb0b6936").await;
    let told = missing(&server, &server.account).await;
    let of = |id: &str| {
        let one = told.iter().find(|one| one["debugId"] == id || one["codeId"] == id);
        let one = one.unwrap_or_else(|| panic!("{id} in {told:?}"));
        json!([one["asker"], one["name"], one["times"], one["foundAt"]])
    };
    assert_eq!(told.len(), 5, "{told:?}");
    assert_eq!(of(CALC_ID), json!(["symcache", null, 2, null]));
    assert_eq!(of(BUILD_ID), json!(["debuginfod", null, 1, null]));
    assert_eq!(of("3249d99d-0c40-4931-8610-f4e4fb0b6936-1")[0], "breakpad");
    assert_eq!(of("4249d99d-0c40-4931-8610-f4e4fb0b6936-1"), json!(["symbol server", "crash.pdb", 1, null]));
    assert_eq!(of("5249d99d-0c40-4931-8610-f4e4fb0b6936")[0], "symbolicator");
    let rival = server.add_account("rival", "app").await;
    assert!(missing(&server, &rival).await.is_empty(), "what others miss is not told");
}

#[tokio::test]
async fn an_upload_that_brings_what_was_missed_is_shown_until_it_is_missed_again() {
    let server = TestServer::start().await;
    let symcache = format!("/api/v1/projects/default/default/symcaches/{CALC_ID}");
    look(&server, &symcache).await;
    let dif = {
        assert_eq!(missing(&server, &server.account).await[0]["foundAt"], Value::Null);
        server.upload_ok(&Upload::fixture(CALC)).await
    };
    let told = missing(&server, &server.account).await;
    assert_eq!((told.len(), told[0]["foundAt"].is_string()), (1, true), "{told:?}");
    server.delete_file(dif["id"].as_str().unwrap()).await;
    look(&server, &symcache).await;
    let told = missing(&server, &server.account).await;
    assert_eq!((&told[0]["times"], &told[0]["foundAt"]), (&json!(2), &Value::Null));
}

#[tokio::test]
async fn a_code_id_is_found_by_its_file_too() {
    let server = TestServer::start().await;
    let code_id = server.upload_ok(&Upload::fixture(CALC)).await["codeId"].as_str().unwrap().to_owned();
    let second = server.add_project("second").await;
    let path = format!("/symbols/default/second/buildid/{code_id}/debuginfo");
    server.request_as(&second.token, Method::GET, &path).send().await.unwrap();
    assert_eq!(missing(&server, &second).await[0]["codeId"], json!(code_id));
    let ok = server.upload_to(&second, &Upload::fixture(CALC)).await;
    assert_eq!(ok["state"], "ok");
    assert!(missing(&server, &second).await[0]["foundAt"].is_string());
}

#[tokio::test]
async fn what_was_counted_is_written_when_the_server_ends() {
    let mut process = TestProcess::start().await;
    let client = process.client();
    client.get(&format!("/api/v1/projects/default/default/symcaches/{CALC_ID}")).send().await.unwrap();
    process.terminate().await;
    let misses = process.behind().await.db.misses(1, 10).await.unwrap();
    assert_eq!((misses.len(), misses[0].times), (1, 1));
}

#[tokio::test]
async fn only_who_may_read_symbols_is_told() {
    let server = TestServer::start().await;
    let path = "/api/v1/projects/default/default/missing";
    let reader = server.add_token(&server.account.organization, &[Scope::SymbolsRead], &[]).await;
    let rival = server.add_account("rival", "app").await;
    for (token, status) in [(reader.as_str(), 200), ("sntrys_unknown", 401), (rival.token.as_str(), 404)] {
        assert_eq!(server.request_as(token, Method::GET, path).send().await.unwrap().status(), status);
    }
}
