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
async fn only_a_file_that_has_what_was_requested_ends_a_miss() {
    let server = TestServer::start().await;
    let build_id = "a932c94e9ae8cdf896b5496a980e4efee5dad2fc";
    let path = format!("/symbols/default/default/buildid/{build_id}");
    look(&server, &format!("{path}/debuginfo")).await;
    let state = async || {
        let told = missing(&server, &server.account).await;
        (told[0]["kinds"].clone(), told[0]["foundAt"].is_string())
    };
    assert_eq!(state().await, (json!(["debuginfo"]), false));
    server.upload_ok(&Upload::fixture("elf-x86_64-gcc-dwarf4/calc")).await;
    assert_eq!(state().await, (json!(["debuginfo"]), false), "a stripped executable has no debug information");
    server.upload_ok(&Upload::fixture(CALC)).await;
    assert_eq!(state().await, (json!([]), true));
}

#[tokio::test]
async fn a_miss_of_several_kinds_ends_when_all_of_them_are_there() {
    let server = TestServer::start().await;
    let build_id = "a932c94e9ae8cdf896b5496a980e4efee5dad2fc";
    for kind in ["debuginfo", "executable"] {
        look(&server, &format!("/symbols/default/default/buildid/{build_id}/{kind}")).await;
    }
    assert_eq!(missing(&server, &server.account).await[0]["kinds"], json!(["executable", "debuginfo"]));
    server.upload_ok(&Upload::fixture(CALC)).await;
    let told = missing(&server, &server.account).await;
    assert_eq!((&told[0]["kinds"], &told[0]["foundAt"]), (&json!(["executable"]), &Value::Null));
    server.upload_ok(&Upload::fixture("elf-x86_64-gcc-dwarf4/calc")).await;
    assert!(missing(&server, &server.account).await[0]["foundAt"].is_string());
}

#[tokio::test]
async fn an_id_of_forty_digits_in_the_unified_layout_is_listed_as_a_build_id() {
    let server = TestServer::start().await;
    let build_id = "a932c94e9ae8cdf896b5496a980e4efee5dad2fc";
    look(&server, &format!("/symbols/default/default/{}/{}/debuginfo", &build_id[..2], &build_id[2..])).await;
    let uuid = "4c4c442c55553144a176e1e20aa6f22d";
    look(&server, &format!("/symbols/default/default/{}/{}/executable", &uuid[..2], &uuid[2..])).await;
    look(&server, "/symbols/default/default/54/33b924e30a5f8d4c4c44205044422e1/debuginfo").await;
    let told = missing(&server, &server.account).await;
    let ids = |key: &str| {
        let mut ids: Vec<_> = told.iter().filter_map(|one| one[key].as_str()).collect();
        ids.sort_unstable();
        ids.join(" ")
    };
    assert_eq!(ids("codeId"), build_id);
    assert_eq!(ids("debugId"), "4c4c442c-5555-3144-a176-e1e20aa6f22d 5433b924-e30a-5f8d-4c4c-44205044422e-1");
    server.upload_ok(&Upload::fixture(CALC)).await;
    let told = missing(&server, &server.account).await;
    let found: Vec<_> = told.iter().filter(|one| one["foundAt"].is_string()).map(|one| &one["codeId"]).collect();
    assert_eq!(found, [&json!(build_id)]);
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
