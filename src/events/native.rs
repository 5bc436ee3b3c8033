//! Names for the frames of native events, by the files of their project: a request to symbolication out of an event, and its
//! response back into the event.
//!
//! It looks nothing up itself and changes no address.

use serde_json::{Map, Value, json};
use symdepot_events::Object;

/// Platforms whose frames have addresses.
const NATIVE: &[&str] = &["native", "c", "cpp", "rust", "objc", "cocoa", "swift"];

/// Fields of a frame that symbolication decides.
const DECIDED: &[&str] = &[
    "function",
    "symbol",
    "sym_addr",
    "filename",
    "abs_path",
    "lineno",
    "pre_context",
    "context_line",
    "post_context",
    "lang",
];

/// The mark of a frame that stands for an inlined call.
const INLINED: &str = "inlined";

/// Whether frames of the event have addresses in modules, so that files of the project may give them names.
pub fn wants_names(event: &Object) -> bool {
    !images(event).is_empty() && stacks(event).iter().any(|stack| stack.iter().any(|frame| is_native(event, frame)))
}

/// The request for the names of all native frames.
pub fn request(event: &Object) -> Value {
    let stacktraces: Vec<Value> = stacks(event)
        .into_iter()
        .map(|stack| {
            let frames: Vec<Value> = native_frames(event, stack).map(|frame| Value::Object(frame.clone())).collect();
            json!({ "frames": frames })
        })
        .collect();
    json!({
        "stacktraces": stacktraces,
        "modules": images(event),
        "options": { "frame_order": "caller_first" },
    })
}

/// An event as it was before its frames had names: without the frames that stand for inlined calls.
pub fn without_inlines(event: &Object) -> Object {
    let mut event = event.clone();
    for stack in stacks_mut(&mut event) {
        stack.retain(|frame| frame[INLINED] != true);
    }
    event
}

/// Writes the names of a response into the event whose request it answers. Returns the modules that were missing.
pub fn apply(event: &mut Object, response: &Value) -> Vec<(String, Option<String>)> {
    let platform = event.get("platform").and_then(Value::as_str).unwrap_or_default().to_owned();
    let named = response["stacktraces"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (stack, named) in stacks_mut(event).into_iter().zip(named) {
        let Some(frames) = named["frames"].as_array() else { continue };
        let mut by_index: std::collections::HashMap<u64, Vec<&Value>> = std::collections::HashMap::new();
        for frame in frames {
            by_index.entry(frame["original_index"].as_u64().unwrap_or_default()).or_default().push(frame);
        }
        // Counted from the innermost frame, in both orders.
        let mut left = stack.iter().filter(|frame| is_native_of(&platform, frame)).count() as u64;
        let mut written = Vec::with_capacity(stack.len());
        for frame in std::mem::take(stack) {
            let Some(original) = frame.as_object().filter(|_| is_native_of(&platform, &frame)) else {
                written.push(frame);
                continue;
            };
            left -= 1;
            match by_index.get(&left) {
                Some(named) => {
                    // Oldest call first: what follows the first one is inlined into it.
                    let frames = named.iter().map(|named| merged(original, named)).enumerate();
                    written.extend(frames.map(|(number, mut frame)| {
                        if number > 0 {
                            frame[INLINED] = Value::Bool(true);
                        }
                        frame
                    }));
                }
                None => written.push(frame),
            }
        }
        *stack = written;
    }
    missing(response)
}

/// What a dump says, as an event.
pub fn apply_dump(event: &mut Object, response: &Value) -> Vec<(String, Option<String>)> {
    let stacks = response["stacktraces"].as_array().cloned().unwrap_or_default();
    let requesting = stacks.iter().position(|stack| stack["is_requesting"] == true);
    let mut threads = Vec::with_capacity(stacks.len());
    for (number, stack) in stacks.iter().enumerate() {
        let is_requesting = requesting == Some(number);
        let mut thread = Map::new();
        thread.insert("id".to_owned(), stack["thread_id"].clone());
        if let Some(name) = stack["thread_name"].as_str() {
            thread.insert("name".to_owned(), name.into());
        }
        thread.insert("crashed".to_owned(), is_requesting.into());
        thread.insert("current".to_owned(), is_requesting.into());
        if !is_requesting {
            thread.insert("stacktrace".to_owned(), stack_of(stack));
        }
        threads.push(Value::Object(thread));
    }
    let reason = response["crash_reason"].as_str().unwrap_or("Crash");
    let value = match response["assertion"].as_str().filter(|text| !text.is_empty()) {
        Some(assertion) => assertion.to_owned(),
        None => format!("Fatal Error: {reason}"),
    };
    let mut exception = json!({
        "type": reason,
        "value": value,
        "mechanism": { "type": "minidump", "handled": false, "synthetic": true },
    });
    if let Some(stack) = requesting.map(|number| &stacks[number]) {
        exception["thread_id"] = stack["thread_id"].clone();
        exception["stacktrace"] = stack_of(stack);
    }
    event.insert("exception".to_owned(), json!({ "values": [exception] }));
    event.insert("threads".to_owned(), json!({ "values": threads }));
    let images: Vec<Value> = response["modules"].as_array().into_iter().flatten().map(image).collect();
    event.insert("debug_meta".to_owned(), json!({ "images": images }));
    system(event, &response["system_info"]);
    missing(response)
}

fn system(event: &mut Object, system: &Value) {
    let text = |key: &str| system[key].as_str().filter(|text| !text.is_empty()).map(Value::from);
    let contexts = event.entry("contexts").or_insert_with(|| json!({}));
    let Some(contexts) = contexts.as_object_mut() else { return };
    for (context, fields) in [
        ("os", [("name", "os_name"), ("version", "os_version"), ("build", "os_build")]),
        ("device", [("arch", "cpu_arch"), ("model", "device_model"), ("family", "device_family")]),
    ] {
        let Some(object) = contexts.entry(context).or_insert_with(|| json!({})).as_object_mut() else { continue };
        for (name, from) in fields {
            if let Some(value) = text(from) {
                object.entry(name).or_insert(value);
            }
        }
    }
}

fn stack_of(stack: &Value) -> Value {
    let (mut frames, mut before) = (Vec::new(), None);
    // A walked stack begins with the innermost frame.
    for frame in stack["frames"].as_array().into_iter().flatten().rev() {
        let mut frame = frame.clone();
        let index = frame["original_index"].as_u64();
        if index.is_some() && std::mem::replace(&mut before, index) == index {
            frame[INLINED] = Value::Bool(true);
        }
        if let Some(frame) = frame.as_object_mut() {
            frame.remove("original_index");
            frame.remove("status");
        }
        frames.push(frame);
    }
    let mut stack_trace = json!({ "frames": frames });
    if stack["registers"].is_object() {
        stack_trace["registers"] = stack["registers"].clone();
    }
    stack_trace
}

/// A module as an image of an event.
fn image(module: &Value) -> Value {
    let mut image = Map::new();
    for key in ["type", "code_id", "code_file", "debug_id", "debug_file", "image_addr", "image_size", "arch"] {
        if !module[key].is_null() {
            image.insert(key.to_owned(), module[key].clone());
        }
    }
    Value::Object(image)
}

/// The modules that have frames and no file.
fn missing(response: &Value) -> Vec<(String, Option<String>)> {
    let modules = response["modules"].as_array().map(Vec::as_slice).unwrap_or_default();
    let lacks = |module: &&Value| {
        module["debug_status"] == "missing" || matches!(module["unwind_status"].as_str(), Some("missing"))
    };
    modules
        .iter()
        .filter(lacks)
        .filter_map(|module| {
            let debug_id = module["debug_id"].as_str()?.to_owned();
            Some((debug_id, module["code_file"].as_str().map(str::to_owned)))
        })
        .collect()
}

/// A frame as it was sent with what was found of it.
fn merged(original: &Object, named: &Value) -> Value {
    let mut frame = original.clone();
    if named["status"] != "symbolicated" {
        return Value::Object(frame);
    }
    for key in DECIDED {
        match &named[*key] {
            Value::Null => _ = frame.remove(*key),
            value => _ = frame.insert((*key).to_owned(), value.clone()),
        }
    }
    for key in ["package", "instruction_addr"] {
        if !frame.contains_key(key) && !named[key].is_null() {
            frame.insert(key.to_owned(), named[key].clone());
        }
    }
    Value::Object(frame)
}

fn images(event: &Object) -> &[Value] {
    let images = event.get("debug_meta").and_then(|meta| meta["images"].as_array());
    images.map(Vec::as_slice).unwrap_or_default()
}

fn is_native(event: &Object, frame: &Value) -> bool {
    is_native_of(event.get("platform").and_then(Value::as_str).unwrap_or_default(), frame)
}

fn is_native_of(platform: &str, frame: &Value) -> bool {
    let platform = frame["platform"].as_str().unwrap_or(platform);
    NATIVE.contains(&platform) && !frame["instruction_addr"].is_null()
}

fn native_frames<'a>(event: &'a Object, stack: &'a [Value]) -> impl Iterator<Item = &'a Object> {
    stack.iter().filter(|frame| is_native(event, frame)).filter_map(Value::as_object)
}

/// The frames of every stack: of exceptions, threads, and the event itself.
fn stacks(event: &Object) -> Vec<&[Value]> {
    let mut stacks = Vec::new();
    for part in ["exception", "threads"] {
        let values = event.get(part).and_then(|part| part["values"].as_array());
        stacks.extend(
            values
                .into_iter()
                .flatten()
                .filter_map(|holder| holder["stacktrace"]["frames"].as_array().map(Vec::as_slice)),
        );
    }
    stacks.extend(event.get("stacktrace").and_then(|stack| stack["frames"].as_array()).map(Vec::as_slice));
    stacks
}

/// The same, to be changed.
fn stacks_mut(event: &mut Object) -> Vec<&mut Vec<Value>> {
    let mut stacks = Vec::new();
    for (key, part) in event.iter_mut() {
        match key.as_str() {
            "exception" | "threads" => {
                let values = part.get_mut("values").and_then(Value::as_array_mut);
                for holder in values.into_iter().flatten() {
                    let frames = holder.get_mut("stacktrace").and_then(|stack| stack.get_mut("frames"));
                    stacks.extend(frames.and_then(Value::as_array_mut).map(|frames| (key.as_str(), frames)));
                }
            }
            "stacktrace" => {
                let frames = part.get_mut("frames").and_then(Value::as_array_mut);
                stacks.extend(frames.map(|frames| ("zzz", frames)));
            }
            _ => {}
        }
    }
    // In the order of `stacks`, whatever the order of the keys is.
    stacks.sort_by_key(|(part, _)| *part);
    stacks.into_iter().map(|(_, frames)| frames).collect()
}
