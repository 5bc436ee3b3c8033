//! Minidumps of which every frame is known: through signal handlers, past null calls, down to `_start` and no further.

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::names;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

const PATH: &str = "/api/v1/projects/default/default/minidump";

pub(super) fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(super) fn path(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/crashes").join(name)
}

pub(super) fn file(name: &str) -> Upload {
    Upload::new(name.rsplit('/').next().unwrap(), fixture(name))
}

async fn upload(server: &TestServer, files: &[&str]) {
    for name in files {
        let entry = server.upload(&file(name)).await;
        assert_eq!(entry["state"], "ok", "{name}: {entry}");
    }
}

async fn sent(server: &TestServer, dump: Vec<u8>) -> (u16, Value) {
    let form = Form::new().part("upload_file_minidump", Part::bytes(dump).file_name("crash.dmp"));
    let form = form.text("options", r#"{"dif_candidates":true}"#).text("sources", "[]").text("platform", "native");
    let response = server.post(PATH).multipart(form).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn walked(server: &TestServer, dump: &str) -> Value {
    let (status, response) = sent(server, fixture(dump)).await;
    assert_eq!((status, &response["status"]), (200, &json!("completed")), "{dump}: {response}");
    response
}

const BELOW_RUN: [&str; 2] = ["start_c 187", "_start 10"];

#[tokio::test]
async fn every_frame_of_a_dump_has_its_name_and_line_from_two_files_together() {
    let server = TestServer::start().await;
    upload(&server, &["nolibc/crash-cfi", "nolibc/crash-cfi.debug"]).await;
    let stack = |own: &[&'static str]| [own, &BELOW_RUN].concat();
    for (dump, expected) in [
        (
            "null",
            stack(&[
                "geo::Shape<long>::area(long) const 35",
                "geo::Shape<long>::measure(long) const 45",
                "step_three 59",
                "step_two 67",
                "step_one 79",
                "run 173",
            ]),
        ),
        ("divide", stack(&["divide 95", "run 174"])),
        ("illegal", stack(&["illegal 103", "run 175"])),
        ("call", stack(&["unknown_image", "call_nothing 109", "run 176"])),
        ("abort", stack(&["sys3 33", "give_up 118", "run 177"])),
        (
            "signal",
            stack(&[
                "in_handler 135",
                "on_signal 142",
                "__restore_rt 77",
                "interrupted 19",
                "with_handler 154",
                "run 179",
            ]),
        ),
    ] {
        let response = walked(&server, &format!("nolibc/cfi-{dump}.dmp")).await;
        assert_eq!(names(&response, 0), expected, "{dump}");
    }
    let deep = names(&walked(&server, "nolibc/cfi-deep.dmp").await, 0);
    assert_eq!((deep.len(), deep[0].as_str(), deep[300].as_str()), (304, "dive 127", "dive 127"));
}

#[tokio::test]
async fn a_dump_says_what_crashed_where_and_with_which_files() {
    let server = TestServer::start().await;
    upload(&server, &["nolibc/crash-cfi", "nolibc/crash-cfi.debug"]).await;
    let response = walked(&server, "nolibc/cfi-null.dmp").await;
    assert_eq!(
        (&response["crashed"], &response["crash_reason"]),
        (&json!(true), &json!("SIGSEGV / SEGV_MAPERR / 0x0"))
    );
    assert_eq!((&response["assertion"], response["timestamp"].is_u64()), (&json!(""), true));
    let system = &response["system_info"];
    assert_eq!(
        (&system["os_name"], &system["cpu_arch"], &system["device_model"]),
        (&json!("Linux"), &json!("x86_64"), &json!(""))
    );
    let stack = &response["stacktraces"][0];
    assert_eq!(stack["is_requesting"], true);
    assert!(stack["registers"]["rip"].as_str().unwrap().starts_with("0x"), "{stack}");
    let trusts: Vec<_> =
        stack["frames"].as_array().unwrap().iter().map(|frame| frame["trust"].as_str().unwrap()).collect();
    assert_eq!(trusts, ["context", "context", "cfi", "cfi", "cfi", "cfi", "cfi", "cfi"]);
    let module =
        response["modules"].as_array().unwrap().iter().find(|module| module["debug_status"] == "found").unwrap();
    assert_eq!((&module["unwind_status"], &module["type"]), (&json!("found"), &json!("elf")));
    assert_eq!(
        (&module["features"]["has_unwind_info"], &module["features"]["has_debug_info"]),
        (&json!(true), &json!(true))
    );
    let candidates = module["candidates"].as_array().unwrap();
    assert_eq!(candidates.iter().filter(|one| one["debug"]["status"] == "ok").count(), 1, "{module}");
    assert_eq!(candidates.iter().filter(|one| one["unwind"]["status"] == "ok").count(), 1, "{module}");
}

#[tokio::test]
async fn frames_are_found_by_frame_pointers_and_companions_where_code_has_no_call_frame_information() {
    let server = TestServer::start().await;
    upload(&server, &["nolibc/crash-fp", "nolibc/crash-fp.debug", "nolibc/crash-none", "nolibc/crash-none.debug"])
        .await;
    let fp = names(&walked(&server, "nolibc/fp-null.dmp").await, 0);
    let area = ["geo::Shape<long>::area(long) const 35", "geo::Shape<long>::measure(long) const 45"];
    assert_eq!(fp[..5], [area[0], area[1], "step_two 67", "step_one 79", "run 173"]);
    let call = names(&walked(&server, "nolibc/fp-call.dmp").await, 0);
    assert_eq!(call[..4], ["unknown_image", "call_nothing 109", "run 176", "start_c 187"]);
    let none = names(&walked(&server, "nolibc/none-divide.dmp").await, 0);
    assert_eq!(none[..3], ["divide 95", "run 174", "start_c 187"]);
}

#[tokio::test]
async fn threads_and_modules_that_are_missing_are_told() {
    let server = TestServer::start().await;
    upload(&server, &["threads/threads.debug", "threads/libwork.debug", "threads/libwork.so"]).await;
    let entry = server.upload(&file("threads/libwork.so")).await;
    assert_eq!(entry["state"], "ok");
    let response = walked(&server, "threads/threads.dmp").await;
    let threads = response["stacktraces"].as_array().unwrap();
    let named: Vec<_> = threads
        .iter()
        .map(|thread| (thread["thread_name"].as_str().unwrap(), thread["is_requesting"] == true))
        .collect();
    assert_eq!(named, [("threads", true), ("worker-a", false), ("worker-b", false)]);
    let crashed = names(&response, 0);
    assert_eq!(crashed[..4], ["work_crash 6", "work_start 12", "main_work 8", "main 16"], "{crashed:?}");
    let libc = response["modules"]
        .as_array()
        .unwrap()
        .iter()
        .find(|module| module["code_file"].as_str().unwrap().ends_with("libc.so.6"))
        .unwrap();
    assert_eq!(libc["debug_status"], "missing", "{libc}");
    assert!(libc["detail"].as_str().unwrap().contains("no debug file"), "{libc}");
    let listed: Value =
        server.get("/api/v1/projects/default/default/missing").send().await.unwrap().json().await.unwrap();
    let asked =
        |miss: &Value| miss["asker"] == "minidump" && miss["name"].as_str().is_some_and(|name| name.contains("libc"));
    assert!(listed["missing"].as_array().unwrap().iter().any(asked), "{listed}");
}

#[tokio::test]
async fn a_dump_of_windows_is_walked_with_the_records_of_a_breakpad_file() {
    let server = TestServer::start().await;
    upload(&server, &["breakpad-windows/crash.sym"]).await;
    let response = walked(&server, "breakpad-windows/windows.dmp").await;
    assert_eq!(response["crash_reason"], "EXCEPTION_ACCESS_VIOLATION_WRITE / 0x45");
    assert_eq!(
        (&response["system_info"]["os_name"], &response["system_info"]["cpu_arch"]),
        (&json!("Windows"), &json!("x86"))
    );
    let frames = response["stacktraces"][0]["frames"].as_array().unwrap();
    let named: Vec<_> = names(&response, 0);
    assert_eq!(named[..3], ["main 35", "__scrt_common_main_seh 283", "missing"], "{response}");
    assert_eq!((&frames[0]["instruction_addr"], &frames[1]["trust"]), (&json!("0x2a2a3d"), &json!("cfi")));
    let ids: Vec<_> = response["stacktraces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|thread| thread["thread_id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, [1636, 3580, 2600, 2920]);
}

#[tokio::test]
async fn a_dump_without_any_file_is_walked_and_one_of_another_project_is_not_used() {
    let server = TestServer::start().await;
    let other = server.add_account("other", "app").await;
    for name in ["nolibc/crash-cfi", "nolibc/crash-cfi.debug"] {
        assert_eq!(server.upload_to(&other, &file(name)).await["state"], "ok");
    }
    let response = walked(&server, "nolibc/cfi-null.dmp").await;
    let found = names(&response, 0);
    assert!(found.iter().all(|name| matches!(name.as_str(), "missing" | "unknown_image")), "{found:?}");
    let modules = response["modules"].as_array().unwrap();
    let statuses: Vec<_> = modules.iter().map(|module| module["debug_status"].as_str().unwrap()).collect();
    assert!(statuses.contains(&"missing"), "{statuses:?}");
}

#[tokio::test]
async fn what_is_no_dump_fails_with_a_sentence_and_damaged_ones_are_walked_as_far_as_they_go() {
    let server = TestServer::start().await;
    upload(&server, &["nolibc/crash-cfi", "nolibc/crash-cfi.debug"]).await;
    for dump in [Vec::new(), b"hello".to_vec(), b"MDMP".to_vec(), fixture("nolibc/cfi-null.dmp")[..200].to_vec()] {
        let (status, response) = sent(&server, dump).await;
        assert_eq!((status, &response["status"]), (200, &json!("failed")), "{response}");
        assert!(
            response["message"].as_str().unwrap().starts_with("The file cannot be read as a minidump: "),
            "{response}"
        );
    }
    let whole = fixture("nolibc/cfi-null.dmp");
    for end in [whole.len() / 2, whole.len() - 100] {
        assert_eq!(sent(&server, whole[..end].to_vec()).await.0, 200, "cut at {end}");
    }
    let missing = server.post(PATH).multipart(Form::new().text("options", "{}")).send().await.unwrap();
    assert_eq!(missing.status(), 400);
    let nested = Form::new().part("upload_file_minidump", Part::bytes(b"--x\r\n".to_vec()));
    assert_eq!(server.post(PATH).multipart(nested).send().await.unwrap().status(), 400);
}
