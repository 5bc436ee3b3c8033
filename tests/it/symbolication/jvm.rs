//! Stack traces whose names ProGuard or R8 shortened.

use std::io::{Cursor, Write as _};

use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::support::server::TestServer;
use crate::support::uploads::Upload;

const PATH: &str = "/api/v1/projects/default/default/symbolicate-jvm";
const UUID: &str = "9d089309-27e9-5967-969a-c02c8ea5d81f";

async fn asked(server: &TestServer, body: &Value) -> (u16, Value) {
    let response = server.post(PATH).json(body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn with_mapping() -> TestServer {
    let server = TestServer::start().await;
    let name = format!("/proguard/{UUID}.txt");
    let entry = server.upload(&Upload::fixture("proguard/mapping.txt").name(&name)).await;
    assert_eq!(entry["state"], "ok", "{entry}");
    server
}

fn frame(module: &str, function: &str, line: Value) -> Value {
    json!({ "function": function, "module": module, "lineno": line, "index": 0, "filename": "SourceFile", "abs_path": "SourceFile" })
}

fn request(frames: &[Value]) -> Value {
    json!({
        "platform": "java", "exceptions": [{ "type": "c", "module": "a" }, { "type": "IOException", "module": "java.io" }],
        "stacktraces": [{ "exception": { "type": "c", "module": "a" }, "frames": frames }],
        "modules": [{ "uuid": UUID, "type": "proguard" }], "classes": ["a.b", "x.y"],
        "release_package": "com.example", "options": { "apply_source_context": true, "frame_order": "callee_first" },
    })
}

fn shown(response: &Value) -> Vec<String> {
    let frames = response["stacktraces"][0]["frames"].as_array().unwrap();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    frames
        .iter()
        .map(|frame| format!("{}.{} {}", text(&frame["module"]), text(&frame["function"]), frame["lineno"]))
        .collect()
}

#[tokio::test]
async fn one_frame_becomes_the_calls_that_were_inlined_into_it() {
    let server = with_mapping().await;
    let (status, response) = asked(&server, &request(&[frame("a.b", "a", json!(2))])).await;
    assert_eq!(
        (status, &response["status"], &response["errors"]),
        (200, &json!("completed"), &json!([])),
        "{response}"
    );
    let class = "com.example.fixture.Calc";
    assert_eq!(
        shown(&response),
        [format!("{class}.square 9"), format!("{class}.sumOfSquares 13"), format!("{class}.run 18")]
    );
    let first = &response["stacktraces"][0]["frames"][0];
    let expected = json!({
        "function": "square", "module": class, "filename": "Calc.java", "abs_path": "Calc.java", "lineno": 9, "index": 0, "in_app": true,
    });
    assert_eq!(first, &expected);
    let main = json!({ "type": "MainActivity", "module": "com.example.fixture" });
    assert_eq!(response["exceptions"], json!([main, { "type": "IOException", "module": "java.io" }]));
    assert_eq!(response["stacktraces"][0]["exception"], main);
    assert_eq!(response["classes"], json!({ "a.b": class }), "a class of no mapping is left out");
}

#[tokio::test]
async fn frames_come_innermost_last_unless_asked_otherwise() {
    let server = with_mapping().await;
    let mut body = request(&[frame("a.c", "onCreate", json!(1)), frame("a.b", "a", json!(6))]);
    body["options"] = Value::Null;
    let response = asked(&server, &body).await.1;
    let names: Vec<_> = shown(&response).iter().map(|name| name.rsplit('.').next().unwrap().to_owned()).collect();
    assert_eq!(names, ["onCreate 11", "run 18", "sumOfSquares 14", "square 9"]);
}

#[tokio::test]
async fn what_cannot_be_mapped_whole_is_mapped_as_far_as_it_can() {
    let server = with_mapping().await;
    let frames = [
        frame("a.b", "a", json!(0)),
        frame("a.b", "a", Value::Null),
        frame("a.b", "zz", json!(7)),
        frame("java.lang.Thread", "run", json!(42)),
    ];
    let response = asked(&server, &request(&frames)).await.1;
    let class = "com.example.fixture.Calc";
    let names = shown(&response);
    assert_eq!(names.len(), 4, "{response}");
    for name in &names[..2] {
        assert!(name.starts_with(class), "{names:?}");
    }
    assert_eq!(names[2], format!("{class}.zz 7"));
    assert_eq!(names[3], "java.lang.Thread.run 42");
    let last = &response["stacktraces"][0]["frames"][3];
    assert_eq!((&last["in_app"], &last["filename"]), (&Value::Null, &json!("SourceFile")));
}

#[tokio::test]
async fn mappings_that_are_missing_or_no_mappings_are_told() {
    let server = with_mapping().await;
    let other = "00000000-0000-0000-0000-000000000001";
    let mut body = request(&[frame("a.b", "a", json!(2))]);
    body["modules"] = json!([{ "uuid": other, "type": "proguard" }, { "uuid": UUID, "type": "proguard" }]);
    let response = asked(&server, &body).await.1;
    assert_eq!(response["errors"], json!([{ "uuid": other, "type": "missing" }]));
    assert_eq!(shown(&response).len(), 3, "the one that is there serves");
    let listed: Value =
        server.get("/api/v1/projects/default/default/missing").send().await.unwrap().json().await.unwrap();
    assert_eq!(listed["missing"][0]["debugId"], other, "{listed}");

    let stranger = server.add_account("other", "app").await;
    let path = "/api/v1/projects/other/app/symbolicate-jvm";
    let theirs =
        server.request_as(&stranger.token, reqwest::Method::POST, path).json(&request(&[])).send().await.unwrap();
    let theirs: Value = theirs.json().await.unwrap();
    assert_eq!(theirs["errors"], json!([{ "uuid": UUID, "type": "missing" }]), "the mapping of another project");
}

#[tokio::test]
async fn frames_get_lines_of_a_bundle_by_their_package() {
    let server = with_mapping().await;
    let bundle = "00000000-0000-0000-0000-0000000000aa";
    let content = bundle_of(bundle);
    let entry = server.upload(&Upload::new("bundle.zip", content).debug_id(bundle)).await;
    assert_eq!(entry["state"], "ok", "{entry}");
    let mut body = request(&[frame("a.b", "a", json!(2))]);
    body["modules"].as_array_mut().unwrap().push(json!({ "uuid": bundle, "type": "source" }));
    let response = asked(&server, &body).await.1;
    let first = &response["stacktraces"][0]["frames"][0];
    assert_eq!((&first["context_line"], &first["pre_context"][4]), (&json!("line 9"), &json!("line 8")), "{response}");
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let server = TestServer::start().await;
    for body in [
        json!([]),
        json!({ "stacktraces": [{}] }),
        json!({ "stacktraces": [{ "frames": [{ "function": "a", "module": "b" }] }] }),
        json!({ "exceptions": [{ "type": "a" }] }),
        json!({ "modules": [{ "uuid": 7, "type": "proguard" }] }),
    ] {
        assert_eq!(asked(&server, &body).await.0, 400, "{body}");
    }
    let (status, response) = asked(&server, &json!({})).await;
    let empty = json!({ "status": "completed", "exceptions": [], "stacktraces": [], "classes": {}, "errors": [] });
    assert_eq!((status, response), (200, empty));
}

/// A source bundle with twenty lines of `Calc`.
fn bundle_of(debug_id: &str) -> Vec<u8> {
    let path = "files/_/_/com/example/fixture/Calc.jvm";
    let manifest = json!({
        "debug_id": debug_id,
        "files": { (path): { "type": "source", "url": "~/com/example/fixture/Calc.jvm" } },
    });
    let source: String = (1..=20).map(|line| format!("line {line}\n")).collect();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in [("manifest.json", manifest.to_string()), (path, source)] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    [&b"SYSB\x02\0\0\0"[..], &zip.finish().unwrap().into_inner()].concat()
}
