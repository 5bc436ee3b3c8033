//! Which file a module is, what its state says, and whose files are never looked at.

use serde_json::{Value, json};

use super::{BASE, CALC, CALC_CODE_ID, CALC_ID, PATH, at_offsets, completed, hex, names};
use crate::support::records::Record;
use crate::support::server::{Builder, TestServer};
use crate::support::uploads::Upload;

#[tokio::test]
async fn a_module_without_a_file_says_so_and_is_counted_as_missing() {
    let server = TestServer::start().await;
    let request = at_offsets(&[0x1158]);
    let response = completed(&server, &request).await;
    let module = &response["modules"][0];
    assert_eq!((&module["debug_status"], &module["arch"]), (&json!("missing"), &json!("unknown")));
    let detail = module["detail"].as_str().unwrap();
    assert!(detail.starts_with("The project has no debug file with the id 4ec932a9-"), "{detail}");
    assert_eq!(names(&response, 0), ["missing"]);
    let listed: Value =
        server.get("/api/v1/projects/default/default/missing").send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&listed["missing"][0]["debugId"], &listed["missing"][0]["asker"]),
        (&json!(CALC_ID), &json!("symbolicate"))
    );
    assert_eq!(listed["missing"][0]["name"], "calc");

    server.upload_ok(&Upload::fixture(CALC)).await;
    assert_eq!(names(&completed(&server, &request).await, 0)[0], "square 6");
}

#[tokio::test]
async fn modules_that_no_frame_is_in_are_not_looked_for() {
    let server = TestServer::start().await;
    let mut request = at_offsets(&[]);
    request["options"] = json!({ "dif_candidates": true });
    let response = completed(&server, &request).await;
    let module = &response["modules"][0];
    assert_eq!(
        (&module["debug_status"], &module["candidates"], &module["detail"]),
        (&json!("unused"), &Value::Null, &Value::Null)
    );
    let listed: Value =
        server.get("/api/v1/projects/default/default/missing").send().await.unwrap().json().await.unwrap();
    assert_eq!(listed, json!({ "missing": [] }));
}

#[tokio::test]
async fn a_file_is_found_by_every_spelling_of_its_id_and_by_its_code_id() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    for (debug_id, code_id) in [
        (json!("4EC932A9-E89A-F8CD-96B5-496A980E4EFE"), Value::Null),
        (json!("4EC932A9E89AF8CD96B5496A980E4EFE0"), Value::Null),
        (Value::Null, json!(CALC_CODE_ID)),
        (json!("nonsense"), json!(CALC_CODE_ID.to_uppercase())),
        (json!("00000000-0000-0000-0000-000000000001"), json!(CALC_CODE_ID)),
    ] {
        let mut request = at_offsets(&[0x1158]);
        request["modules"][0]["debug_id"] = debug_id.clone();
        request["modules"][0]["code_id"] = code_id.clone();
        let response = completed(&server, &request).await;
        assert_eq!(names(&response, 0)[0], "square 6", "{debug_id} {code_id}: {response}");
    }
}

#[tokio::test]
async fn candidates_are_the_files_of_the_id_newest_first() {
    let server = TestServer::start().await;
    let mut request = at_offsets(&[0x1158]);
    request["options"] = json!({ "dif_candidates": true });
    let none = completed(&server, &request).await;
    let notfound = json!([{ "source": "symdepot", "location": "No object files listed on this source", "download": { "status": "notfound" } }]);
    assert_eq!(none["modules"][0]["candidates"], notfound);

    let debug = server.upload_ok(&Upload::fixture(CALC)).await;
    let code = server.upload_ok(&Upload::fixture("elf-x86_64-gcc-dwarf4/calc")).await;
    let response = completed(&server, &request).await;
    let location = |dif: &Value| format!("symdepot://default/default/files/dsyms/{}", dif["id"].as_str().unwrap());
    let candidates = response["modules"][0]["candidates"].as_array().unwrap();
    let locations: Vec<_> = candidates.iter().map(|one| one["location"].as_str().unwrap().to_owned()).collect();
    assert_eq!(locations, [location(&code), location(&debug)]);
    assert_eq!((&candidates[0]["debug"], &candidates[1]["debug"]), (&Value::Null, &json!({ "status": "ok" })));
    let has = &candidates[1]["download"];
    assert_eq!((&has["status"], &has["features"]["has_debug_info"]), (&json!("ok"), &json!(true)));
}

#[tokio::test]
async fn a_file_that_cannot_be_converted_is_malformed_with_its_reason() {
    let server = TestServer::start().await;
    let file = server.put_file(&server.account, Record::new("calc.debug", CALC_ID)).await;
    server.put_symcache(&file, Err("The file cannot be converted: it is broken.")).await;
    let response = completed(&server, &at_offsets(&[0x1158])).await;
    let module = &response["modules"][0];
    assert_eq!((&module["debug_status"], names(&response, 0)), (&json!("malformed"), vec!["malformed".to_owned()]));
    assert_eq!(module["detail"], "The file cannot be converted: it is broken.");
}

#[tokio::test]
async fn what_is_not_built_in_time_is_a_timeout_of_the_module() {
    let server = TestServer::start().await;
    let dif = server.upload_ok(&Upload::fixture(CALC)).await;
    let server = server
        .restart(|builder: Builder| {
            builder
                .without_workers()
                .settings(|config| config.symbolication.timeout = std::time::Duration::from_secs(1))
        })
        .await;
    crate::symcaches::forget_symcaches(&server, &dif).await;
    let (status, response) = super::asked(&server, &at_offsets(&[0x1158])).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&response["status"], &response["modules"][0]["debug_status"]),
        (&json!("completed"), &json!("timeout"))
    );
}

#[tokio::test]
async fn files_of_another_project_are_never_looked_at() {
    let server = TestServer::start().await;
    let other = server.add_account("other", "app").await;
    let sibling = server.add_project("sibling").await;
    for account in [&other, &sibling] {
        assert_eq!(server.upload_to(account, &Upload::fixture(CALC)).await["state"], "ok");
        let path = format!("/api/v1/projects/{}/{}/symbolicate", account.organization.slug, account.project.slug);
        let request = server.request_as(&account.token, reqwest::Method::POST, &path).json(&at_offsets(&[0x1158]));
        let theirs: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(names(&theirs, 0)[0], "square 6");
    }
    assert_eq!(names(&completed(&server, &at_offsets(&[0x1158])).await, 0), ["missing"]);
    let foreign =
        server.request_as(&other.token, reqwest::Method::POST, PATH).json(&at_offsets(&[0x1158])).send().await.unwrap();
    assert_eq!(foreign.status(), 404);
    let unknown = server.post("/api/v1/projects/default/nope/symbolicate").json(&at_offsets(&[])).send().await.unwrap();
    assert_eq!(unknown.status(), 404);
    let anonymous =
        reqwest::Client::new().post(format!("{}{PATH}", server.url)).json(&at_offsets(&[])).send().await.unwrap();
    assert_eq!(anonymous.status(), 401);
}

#[tokio::test]
async fn an_address_is_in_the_module_that_the_wire_says() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    // A module behind ours takes its addresses, one that ended does not, and ours has no end by itself.
    let mut request = at_offsets(&[0x1158, 0x1129, 0x9000]);
    request["modules"][0]["image_size"] = Value::Null;
    request["modules"].as_array_mut().unwrap().insert(
        0,
        json!({ "type": "elf", "image_addr": hex(BASE + 0x2000), "image_size": "0x1000", "code_file": "b" }),
    );
    let response = completed(&server, &request).await;
    let packages: Vec<_> =
        response["stacktraces"][0]["frames"].as_array().unwrap().iter().map(|frame| &frame["package"]).collect();
    assert_eq!(packages[..4], ["/opt/calc"; 4]);
    assert_eq!(response["modules"][0]["debug_status"], "unused");
    assert_eq!(response["modules"][1]["code_id"], CALC_CODE_ID, "modules come back in the order of the request");
}
