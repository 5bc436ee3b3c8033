//! Crash reports of Apple's systems: both forms of one crash, and what is no report.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::names;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

const PATH: &str = "/api/v1/projects/default/default/applecrashreport";

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/crashes/apple").join(name)).unwrap()
}

async fn sent(server: &TestServer, report: Vec<u8>, options: Option<&str>) -> (u16, Value) {
    let form = Form::new().part("apple_crash_report", Part::bytes(report).file_name("report"));
    let form = options.into_iter().fold(form, |form, options| form.text("options", options.to_owned()));
    let form = form.text("sources", "[]").text("scraping", "{}");
    let response = server.post(PATH).multipart(form).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn both_forms_of_a_crash_have_the_same_facts_and_the_same_names() {
    let server = TestServer::start().await;
    let calc = server.upload(&Upload::fixture("macho-arm64-llvm19/calc.dSYM/Contents/Resources/DWARF/calc")).await;
    assert_eq!(calc["state"], "ok", "{calc}");
    let mut responses = Vec::new();
    for name in ["calc.crash", "calc.ips"] {
        let (status, response) = sent(&server, fixture(name), Some(r#"{"dif_candidates":true}"#)).await;
        assert_eq!((status, &response["status"]), (200, &json!("completed")), "{response}");
        let worker = names(&response, 1);
        assert_eq!(worker[..3], ["crash_here 15", "calc_run 22", "missing"], "{response}");
        let frames = response["stacktraces"][1]["frames"].as_array().unwrap();
        assert_eq!(
            (&frames[2]["function"], &frames[2]["package"]),
            (&json!("_pthread_start"), &json!("libsystem_pthread.dylib"))
        );
        assert_eq!(frames[0]["package"], "/Applications/calc.app/Contents/MacOS/calc");
        assert_eq!(
            (&response["crash_reason"], &response["crashed"]),
            (&json!("EXC_BAD_ACCESS (SIGSEGV)"), &json!(true))
        );
        assert_eq!(
            (&response["timestamp"], &response["crash_details"]),
            (&json!(1_685_615_445), &json!("calc went wrong\nin two lines"))
        );
        assert_eq!(
            (&response["stacktraces"][1]["is_requesting"], &response["stacktraces"][1]["thread_name"]),
            (&json!(true), &json!("Worker"))
        );
        assert_eq!(response["system_info"]["device_model"], "Mac14,7");
        let statuses: Vec<_> = response["modules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|module| module["debug_status"].as_str().unwrap())
            .collect();
        assert_eq!(statuses, ["found", "missing", "missing"]);
        assert_eq!(response["modules"][0]["candidates"][0]["debug"]["status"], "ok");
        responses.push(response);
    }
    for name in ["timestamp", "system_info", "crash_reason", "crash_details", "modules"] {
        assert_eq!(responses[0][name], responses[1][name], "{name}");
    }
}

#[tokio::test]
async fn a_report_may_be_packed() {
    let server = TestServer::start().await;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&fixture("calc.crash")).unwrap();
    for packed in [gzip.finish().unwrap(), zstd::encode_all(&fixture("calc.crash")[..], 1).unwrap()] {
        let (status, response) = sent(&server, packed, None).await;
        assert_eq!((status, &response["status"]), (200, &json!("completed")), "{response}");
    }
}

#[tokio::test]
async fn what_is_no_report_fails_with_a_sentence_and_what_is_too_large_is_refused() {
    let server = TestServer::builder().settings(|config| config.symbolication.max_dump_size = 1 << 20).start().await;
    for report in ["", "hello", "{}", "{\"bug_type\":\"309\"}\n{}", "\0\0\0"] {
        let (status, response) = sent(&server, report.as_bytes().to_vec(), None).await;
        assert_eq!((status, &response["status"]), (200, &json!("failed")), "{report:?}: {response}");
        assert!(response["message"].as_str().unwrap().ends_with('.'), "{response}");
    }
    assert_eq!(sent(&server, vec![b'a'; (1 << 20) + 1], None).await.0, 413);
    let bomb = zstd::encode_all(&vec![b' '; 64 << 20][..], 1).unwrap();
    assert_eq!(sent(&server, bomb, None).await.0, 413);
    assert_eq!(sent(&server, b"--boundary\r\n".to_vec(), None).await.0, 400);
    assert_eq!(sent(&server, fixture("calc.crash"), Some("nonsense")).await.0, 400);
    let missing = server.post(PATH).multipart(Form::new().text("options", "{}")).send().await.unwrap();
    assert_eq!(missing.status(), 400);
    assert_eq!(server.post(PATH).body("no multipart").send().await.unwrap().status(), 400);
}
