//! Which address of a frame is looked up: the table of the wire, row by row.

use serde_json::{Value, json};

use super::{BASE, CALC, calc, completed, hex};
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

/// How far the last frame of a stack was moved back.
async fn moved(server: &TestServer, request: &Value, frame: usize) -> i64 {
    let response = completed(server, request).await;
    let frames = response["stacktraces"][0]["frames"].as_array().unwrap();
    let found = frames.iter().find(|answered| answered["original_index"] == frame).unwrap();
    assert_eq!(found["status"], "symbolicated", "{response}");
    let number = |text: &Value| i64::from_str_radix(&text.as_str().unwrap()[2..], 16).unwrap();
    number(&request["stacktraces"][0]["frames"][frame]["instruction_addr"]) - number(&found["instruction_addr"])
}

fn frame(offset: u64) -> Value {
    json!({ "instruction_addr": hex(BASE + offset) })
}

fn saying(offset: u64, adjust: bool) -> Value {
    json!({ "instruction_addr": hex(BASE + offset), "adjust_instruction_addr": adjust })
}

#[tokio::test]
async fn return_addresses_are_moved_back_and_the_place_of_a_crash_is_not() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    let with = |frames: Value, signal: Value, registers: Value| json!({ "signal": signal, "stacktraces": [{ "registers": registers, "frames": frames }], "modules": [calc()] });
    let (here, there) = (json!({ "rip": hex(BASE + 0x1158) }), json!({ "rip": hex(BASE + 0x1150) }));
    let one = || json!([frame(0x1158)]);
    for (request, index, expected) in [
        (with(one(), Value::Null, Value::Null), 0, 0),
        (with(json!([frame(0x1158), frame(0x112a)]), Value::Null, Value::Null), 1, 1),
        (with(one(), json!(11), here.clone()), 0, 0),
        (with(one(), json!(11), there.clone()), 0, 1),
        (with(one(), json!(4), there.clone()), 0, 1),
        (with(one(), json!(7), json!({ "eip": "0x1" })), 0, 1),
        (with(one(), json!(10), json!({ "pc": "0x1" })), 0, 1),
        (with(one(), json!(6), there.clone()), 0, 0),
        (with(one(), Value::Null, there.clone()), 0, 0),
        (with(one(), json!(11), json!({ "rsp": "0x1" })), 0, 0),
        (with(json!([saying(0x1158, true)]), Value::Null, Value::Null), 0, 1),
        (with(json!([frame(0x1158), saying(0x112a, false)]), Value::Null, Value::Null), 1, 0),
        (with(json!([frame(0x1158), saying(0x112a, false)]), Value::Null, Value::Null), 0, 1),
    ] {
        assert_eq!(moved(&server, &request, index).await, expected, "{request}");
    }
}

#[tokio::test]
async fn addresses_in_a_module_at_0_are_never_moved() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    let mut module = calc();
    module["image_addr"] = json!("0x0");
    let relative =
        |offset: &str| json!({ "instruction_addr": offset, "addr_mode": "rel:0", "adjust_instruction_addr": true });
    let request = json!({
        "stacktraces": [{ "frames": [relative("0x1158"), relative("0x1129"), { "instruction_addr": "0x1129" }] }], "modules": [module],
    });
    assert_eq!(moved(&server, &request, 1).await, 0);
    let response = completed(&server, &request).await;
    let frames = &response["stacktraces"][0]["frames"];
    assert_eq!((&frames[3]["addr_mode"], &frames[3]["function"]), (&json!("rel:0"), &json!("main")));
    assert_eq!(frames[4]["status"], "unknown_image", "no absolute address is in it");
}

#[tokio::test]
async fn arm64_addresses_are_moved_by_a_whole_instruction() {
    let server = TestServer::start().await;
    let dif = server.upload_ok(&Upload::fixture("elf-aarch64-clang-dwarf5/calc.debug")).await;
    let symcache = server.symcache_bytes(&server.account, dif["debugId"].as_str().unwrap()).await;
    let table = symbolic::symcache::SymCache::parse(&symcache).unwrap();
    let entry = u64::from(table.functions().find(|function| function.name() == "calc_run").unwrap().entry_pc());
    let module = json!({ "debug_id": dif["debugId"], "image_addr": hex(BASE) });
    let frames = json!([{ "instruction_addr": hex(BASE + entry) }, { "instruction_addr": hex(BASE + entry + 7) }, { "instruction_addr": hex(BASE + entry + 6), "adjust_instruction_addr": false }]);
    let mut request = json!({ "stacktraces": [{ "frames": frames }], "modules": [module] });
    assert_eq!(moved(&server, &request, 2).await, 2, "rounded down, not moved");
    assert_eq!(moved(&server, &request, 1).await, 7, "rounded down and moved by four");
    request["stacktraces"][0]["frames"].as_array_mut().unwrap().pop();
    assert_eq!(moved(&server, &request, 0).await, 0);
}
