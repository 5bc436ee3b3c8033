//! What a request may hold, and the sentences for one that holds more or makes no sense.

use serde_json::{Value, json};

use super::{BASE, CALC, PATH, asked, at_offsets, calc, completed, hex};
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

async fn refused(server: &TestServer, body: impl Into<reqwest::Body>) -> (u16, String) {
    let response = server.post(PATH).body(body).send().await.unwrap();
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    (status, body["detail"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn counts_and_sizes_above_the_limits_are_refused() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    let frame = "{\"instruction_addr\":1}";
    let frames = |count: usize| format!("{{\"stacktraces\":[{{\"frames\":[{}]}}]}}", vec![frame; count].join(","));
    let (status, detail) = refused(&server, frames(100_001)).await;
    assert_eq!(status, 400);
    assert!(detail.contains("too many frames"), "{detail}");
    let modules = |count: usize| format!("{{\"modules\":[{}]}}", vec!["{}"; count].join(","));
    let (status, detail) = refused(&server, modules(20_001)).await;
    assert_eq!((status, detail.contains("too many modules")), (400, true), "{detail}");
    assert_eq!(server.post(PATH).body(modules(20_000)).send().await.unwrap().status(), 200);

    let many: Vec<_> = (1..=1_001).map(|n: u64| json!({ "image_addr": n * 0x1000, "image_size": 0x1000 })).collect();
    let frames: Vec<_> = (1..=1_001).map(|n: u64| json!({ "instruction_addr": n * 0x1000 })).collect();
    let (status, response) = asked(&server, &json!({ "stacktraces": [{ "frames": frames }], "modules": many })).await;
    assert_eq!(status, 400, "{response}");
    assert_eq!(
        asked(&server, &json!({ "stacktraces": [{ "frames": frames[..1_000] }], "modules": many })).await.0,
        200
    );

    let (status, _) = refused(&server, vec![b' '; (16 << 20) + 1]).await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn a_hundred_thousand_frames_are_answered() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    let offsets: Vec<_> = (0..100_000).map(|n| 0x1100 + n % 0x100).collect();
    let response = completed(&server, &at_offsets(&offsets)).await;
    let frames = response["stacktraces"][0]["frames"].as_array().unwrap();
    assert_eq!(frames.last().unwrap()["original_index"], 99_999);
}

#[tokio::test]
async fn what_is_no_request_is_refused_with_a_sentence() {
    let server = TestServer::start().await;
    for body in [
        "",
        "nonsense",
        "[]",
        "7",
        "null",
        "{\"stacktraces\":{}}",
        "{\"stacktraces\":[{}]}",
        "{\"stacktraces\":[{\"frames\":null}]}",
        "{\"stacktraces\":[{\"frames\":[{}]}]}",
        "{\"modules\":[[1,2]]}",
        "{\"signal\":\"SEGV\"}",
        "{\"options\":7}",
        "{\"options\":{\"frame_order\":\"up\"}}",
        "{\"stacktraces\":[{\"frames\":[{\"instruction_addr\":1,\"trust\":\"guess\"}]}]}",
        &"[".repeat(100_000),
    ] {
        let (status, detail) = refused(&server, body.to_owned()).await;
        assert_eq!(status, 400, "{body:.60}");
        assert!(detail.starts_with("The body cannot be read as JSON"), "{detail}");
    }
    for timeout in ["-1", "x", "1.5", "", "+1"] {
        let response = server.post(&format!("{PATH}?timeout={timeout}")).body("{}").send().await.unwrap();
        assert_eq!(response.status(), 400, "{timeout}");
    }
    let nulls = json!({ "signal": null, "stacktraces": null, "modules": null, "options": null, "platform": null });
    assert_eq!(completed(&server, &nulls).await, json!({ "status": "completed", "stacktraces": [], "modules": [] }));
    let nulls = json!({
        "stacktraces": [{ "frames": [{ "instruction_addr": hex(BASE), "addr_mode": null, "trust": null, "function_id": null, "pre_context": null, "in_app": null }], "registers": null, "thread_id": null }],
        "modules": [{ "type": null, "debug_id": null, "code_id": null, "image_addr": null, "image_size": null }],
        "options": { "dif_candidates": null, "apply_source_context": null, "frame_order": null },
    });
    let response = completed(&server, &nulls).await;
    assert_eq!(
        response["stacktraces"][0]["frames"],
        json!([{ "status": "unknown_image", "original_index": 0, "instruction_addr": hex(BASE) }])
    );
}

#[tokio::test]
async fn addresses_beyond_the_format_and_strange_modules_are_answered() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    let mut module = calc();
    module["image_size"] = json!("0xffffffffffffffff");
    module["code_file"] = json!("../../etc/\u{202e}passwd\u{0}\r\n");
    let same: Vec<_> = std::iter::repeat_n(module, 1_000).collect();
    let frames: Vec<_> = [0x1158_u64, 0x1_0000_1158, u64::MAX - BASE]
        .iter()
        .map(|offset| json!({ "instruction_addr": hex(BASE.wrapping_add(*offset)) }))
        .collect();
    let response = completed(&server, &json!({ "stacktraces": [{ "frames": frames }], "modules": same })).await;
    let statuses: Vec<_> = response["stacktraces"][0]["frames"]
        .as_array()
        .unwrap()
        .iter()
        .map(|frame| frame["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["symbolicated", "symbolicated", "symbolicated", "missing_symbol", "missing_symbol"]);
    assert_eq!(response["modules"].as_array().unwrap().len(), 1_000);
    assert_eq!(response["modules"][1]["debug_status"], "unused", "of two at one address the first counts");
}
