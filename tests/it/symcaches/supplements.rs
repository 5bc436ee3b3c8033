//! Files of which `dwz` moved a part of the debug information to another file: whichever of the two comes first.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::server::{Account, TestServer};
use crate::support::until;
use crate::support::uploads::Upload;

const LIBRARY: &str = "field-reports/dwz/lib.so";
const COMMON: &str = "field-reports/dwz/common.dwz";
/// Build id of the common file.
const COMMON_ID: &str = "e3ac9aeac0596e669ace30bf16dfa5c3d0e2c412";
/// An address in a function whose name is in the common file.
const ADDRESS: u64 = 0x10e8;

/// The functions at an address of the library, innermost first.
async fn functions(client: &Client, debug_id: &str) -> Vec<String> {
    let id = debug_id.replace('-', "").to_uppercase() + "0";
    let body = json!({ "jobs": [{ "memoryMap": [["lib.so", id]], "stacks": [[[0, ADDRESS]]] }] });
    let response = client.post("/symbols/default/default/symbolicate/v5").json(&body).send().await.unwrap();
    let answer: Value = response.json().await.unwrap();
    let frame = &answer["results"][0]["stacks"][0][0];
    let inlines = frame["inlines"].as_array().cloned().unwrap_or_default();
    inlines.iter().chain([frame]).map(|part| part["function"].as_str().unwrap_or_default().to_owned()).collect()
}

/// The answer to an upload that must end well.
async fn uploaded(server: &TestServer, fixture: &str) -> Value {
    let entry = server.upload(&Upload::fixture(fixture)).await;
    assert_eq!(entry["state"], "ok", "{fixture}: {entry}");
    entry
}

async fn state(server: &TestServer, account: &Account, debug_id: &str) -> Value {
    server.symcache(account, debug_id, 60).await;
    server.symcache_status(account, debug_id).await
}

#[tokio::test]
async fn a_library_has_its_names_when_the_common_file_came_first_and_says_nothing() {
    let server = TestServer::start().await;
    let common = uploaded(&server, COMMON).await;
    assert_eq!(common["detail"], Value::Null, "{common}");
    let library = uploaded(&server, LIBRARY).await;
    assert_eq!(library["detail"], Value::Null, "{library}");
    let debug_id = library["dif"]["debugId"].as_str().unwrap();
    let names = functions(&server, debug_id).await;
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(names[..2], ["leaf", "mid"]);

    let state = state(&server, &server.account, debug_id).await;
    assert_eq!((&state["state"], &state["features"]), (&json!("ready"), &json!(["symtab", "debug"])));
    let statistics = &state["statistics"];
    assert!(statistics["functions"].as_u64().unwrap() > 5, "{state}");
    assert!(statistics["withLines"].as_u64().unwrap() > 5 && statistics["inlined"].as_u64().unwrap() > 5, "{state}");
    assert_eq!(statistics["leftOut"], json!([]));
}

#[tokio::test]
async fn a_library_without_the_common_file_says_which_one_is_missing_and_gets_its_names_when_it_comes() {
    let server = TestServer::start().await;
    let library = uploaded(&server, LIBRARY).await;
    let detail = library["detail"].as_str().unwrap_or_else(|| panic!("{library}"));
    assert!(detail.contains("dwz") && detail.contains(COMMON_ID), "{detail}");
    let debug_id = library["dif"]["debugId"].as_str().unwrap();
    let before = functions(&server, debug_id).await;
    assert!(before.iter().all(|name| !name.is_empty() && name != "leaf"), "{before:?}");

    let missing = async || -> Value {
        let path = "/api/v1/projects/default/default/missing";
        server.get(path).send().await.unwrap().json().await.unwrap()
    };
    let listed = missing().await;
    assert_eq!((&listed["missing"][0]["codeId"], &listed["missing"][0]["foundAt"]), (&json!(COMMON_ID), &Value::Null));
    let explain = format!("/api/v1/projects/default/default/explain?debug_id={debug_id}");
    let explained: Value = server.get(&explain).send().await.unwrap().json().await.unwrap();
    assert!(explained["files"][0]["note"].as_str().unwrap().contains(COMMON_ID), "{explained}");

    uploaded(&server, COMMON).await;
    until("the symcache is made again", || async {
        (functions(&server, debug_id).await.first().map(String::as_str) == Some("leaf")).then_some(())
    })
    .await;
    let again = server.ask(&server.account, &Upload::fixture(LIBRARY)).await;
    assert_eq!((&again["state"], &again["detail"]), (&json!("ok"), &Value::Null));
    let listed = missing().await;
    let open = |miss: &Value| miss["codeId"] == COMMON_ID && miss["foundAt"].is_null();
    assert!(!listed["missing"].as_array().unwrap().iter().any(open), "{listed}");
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_common_file_is_ok_however_often_its_symcache_is_asked_for() {
    let server = TestServer::start().await;
    let common = uploaded(&server, COMMON).await;
    let debug_id = common["dif"]["debugId"].as_str().unwrap();
    let asked = server.symcache_status(&server.account, debug_id).await;
    assert_eq!(asked["state"], "unsupported", "{asked}");
    assert!(asked["detail"].as_str().unwrap().contains("dwz"), "{asked}");
    assert_eq!(server.symcache(&server.account, debug_id, 5).await.status(), 422);
    assert_eq!(server.app.symcaches.queue_rebuild(None, 0).await.unwrap().queued(), 0);
    let again = server.ask(&server.account, &Upload::fixture(COMMON)).await;
    assert_eq!((&again["state"], &again["detail"]), (&json!("ok"), &Value::Null), "{again}");
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn the_common_file_of_another_project_is_not_used() {
    let server = TestServer::start().await;
    let other = server.add_account("other", "app").await;
    assert_eq!(server.upload_to(&other, &Upload::fixture(COMMON)).await["state"], "ok");
    let library = uploaded(&server, LIBRARY).await;
    assert!(library["detail"].as_str().is_some_and(|detail| detail.contains(COMMON_ID)), "{library}");
    assert_ne!(functions(&server, library["dif"]["debugId"].as_str().unwrap()).await[0], "leaf");
}

#[tokio::test]
async fn breakpad_text_has_the_names_of_the_common_file() {
    let server = TestServer::start().await;
    uploaded(&server, COMMON).await;
    let library = uploaded(&server, LIBRARY).await;
    let id = library["dif"]["debugId"].as_str().unwrap().replace('-', "").to_uppercase();
    let text = until("the text is made", || async {
        let path = format!("/symbols/default/default/lib.so/{id}0/lib.so.sym");
        let response = server.get(&path).send().await.unwrap();
        (response.status() == 200).then_some(response)
    })
    .await
    .text()
    .await
    .unwrap();
    assert!(text.lines().any(|line| line.starts_with("INLINE_ORIGIN ") && line.ends_with(" leaf")), "{text}");
}

#[tokio::test]
async fn a_file_with_a_symbol_table_alone_says_so_in_its_status() {
    let server = TestServer::start().await;
    let library = uploaded(&server, "field-reports/symbols-only/symtab.so").await;
    let debug_id = library["dif"]["debugId"].as_str().unwrap();
    let state = state(&server, &server.account, debug_id).await;
    assert_eq!((&state["state"], &state["features"]), (&json!("ready"), &json!(["symtab"])));
}

#[tokio::test]
async fn what_was_left_out_of_a_symcache_is_told_with_the_upload_and_in_the_status() {
    let server = TestServer::start().await;
    let file = uploaded(&server, "field-reports/far-code/exe").await;
    let detail = file["detail"].as_str().unwrap_or_else(|| panic!("{file}"));
    assert!(detail.contains("4 GiB"), "{detail}");
    let state = state(&server, &server.account, file["dif"]["debugId"].as_str().unwrap()).await;
    assert_eq!((&state["detail"], &state["statistics"]["leftOut"][0]["count"]), (&json!(detail), &json!(1)));
}
