//! Stacks whose frames get names, on Symbolicator's wire: whole responses for files with known answers.

mod adjusting;
mod apple;
mod dumps;
mod frames;
mod jvm;
mod limits;
mod modules;
mod polling;
mod sources;
mod stackwalk;

use serde_json::{Value, json};

use crate::support::client::Client;

/// A file of which every address is known, loaded at [`BASE`] where tests do not say another place.
const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.debug";
const CALC_ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";
const CALC_CODE_ID: &str = "a932c94e9ae8cdf896b5496a980e4efee5dad2fc";
const BASE: u64 = 0x55d0_aa00_0000;

/// The path of a request of the default project.
const PATH: &str = "/api/v1/projects/default/default/symbolicate";

/// The module of [`CALC`].
fn calc() -> Value {
    json!({ "type": "elf", "code_id": CALC_CODE_ID, "code_file": "/opt/calc", "debug_id": CALC_ID, "image_addr": hex(BASE), "image_size": 0x4000 })
}

fn hex(address: u64) -> String {
    format!("{address:#x}")
}

/// A request with one stack of frames at these offsets of [`CALC`].
fn at_offsets(offsets: &[u64]) -> Value {
    let frames: Vec<_> = offsets.iter().map(|offset| json!({ "instruction_addr": hex(BASE + offset) })).collect();
    json!({ "stacktraces": [{ "frames": frames }], "modules": [calc()] })
}

/// The status and the body of the response to a request.
async fn asked(client: &Client, body: &Value) -> (u16, Value) {
    let response = client.post(PATH).json(body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// The response to a request that must be completed.
async fn completed(client: &Client, body: &Value) -> Value {
    let (status, response) = asked(client, body).await;
    assert_eq!((status, &response["status"]), (200, &json!("completed")), "{response}");
    response
}

/// The frames of a stack as `function line`, or the status of a frame without a name.
fn names(response: &Value, stack: usize) -> Vec<String> {
    let frames = response["stacktraces"][stack]["frames"].as_array().unwrap();
    let name = |frame: &Value| match (frame["status"].as_str(), frame["function"].as_str()) {
        (Some("symbolicated"), Some(function)) => match &frame["lineno"] {
            Value::Null => function.to_owned(),
            line => format!("{function} {line}"),
        },
        (status, _) => status.unwrap().to_owned(),
    };
    frames.iter().map(name).collect()
}
