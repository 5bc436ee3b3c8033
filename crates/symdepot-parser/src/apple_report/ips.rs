//! The JSON form: a line with a JSON head, then a JSON body, or the text form behind a head of type 109. What is absent or of
//! another type is passed over.

use serde_json::{Map, Value, json};

use super::{Frame, Image, Report, Thread, text, timestamp};

/// Reads a report.
pub(super) fn read(report: &str) -> Result<Report, String> {
    let cannot = |error: serde_json::Error| format!("its JSON cannot be read: {error}");
    let (head, body) = report.split_once('\n').unwrap_or((report, ""));
    let parsed: Result<Value, _> = serde_json::from_str(head);
    let body = body.trim_start();
    match parsed {
        Ok(head) if head["bug_type"] == "109" && !body.starts_with('{') => text::read(body),
        Ok(_) if body.starts_with('{') => Ok(of_body(&serde_json::from_str(body).map_err(cannot)?)),
        // The head was cut off.
        _ => Ok(of_body(&serde_json::from_str(report).map_err(cannot)?)),
    }
}

fn of_body(body: &Value) -> Report {
    let images: Vec<_> = list(&body["usedImages"]).iter().map(image).collect();
    let threads = list(&body["threads"]).iter().enumerate();
    let exception = &body["exception"];
    let mut reason = word(&exception["type"]);
    if let Some(signal) = exception["signal"].as_str() {
        reason = format!("{reason} ({signal})").trim_start().to_owned();
    }
    Report {
        timestamp: body["captureTime"].as_str().and_then(timestamp),
        os: word(&body["osVersion"]["train"]),
        os_build: Some(word(&body["osVersion"]["build"])),
        cpu: word(&body["cpuType"]),
        device: word(&body["modelCode"]),
        reason,
        details: details(body),
        threads: threads.map(|(at, thread)| of_thread(at, thread, &images)).collect(),
        images: images.into_iter().filter(|image| !image.uuid.is_empty()).collect(),
    }
}

/// What the application said, else what the exception says.
fn details(body: &Value) -> String {
    let said = body["asi"].as_object().into_iter().flat_map(Map::values).flat_map(|lines| list(lines).iter());
    let said: Vec<_> = said.filter_map(Value::as_str).collect();
    if !said.is_empty() {
        return said.join("\n");
    }
    let exception = &body["exception"];
    exception["subtype"].as_str().or(exception["codes"].as_str()).unwrap_or_default().to_owned()
}

fn of_thread(at: usize, thread: &Value, images: &[Image]) -> Thread {
    let name = thread["name"].as_str().or(thread["queue"].as_str()).filter(|name| !name.is_empty());
    Thread {
        id: at as u64,
        name: name.map(str::to_owned),
        crashed: thread["triggered"] == true,
        registers: registers(&thread["threadState"]),
        frames: list(&thread["frames"]).iter().map(|frame| of_frame(frame, images)).collect(),
    }
}

fn of_frame(frame: &Value, images: &[Image]) -> Frame {
    let image = frame["imageIndex"].as_u64().and_then(|at| images.get(usize::try_from(at).ok()?));
    let base = image.map_or(0, |image| image.address);
    let name = image.map_or("???", |image| image.path.rsplit('/').next().unwrap_or_default());
    Frame {
        address: base.wrapping_add(frame["imageOffset"].as_u64().unwrap_or_default()),
        package: name.to_owned(),
        symbol: frame["symbol"].as_str().filter(|symbol| !symbol.is_empty()).map(str::to_owned),
    }
}

fn image(image: &Value) -> Image {
    let name = || image["name"].as_str().unwrap_or_default();
    Image {
        address: image["base"].as_u64().unwrap_or_default(),
        size: image["size"].as_u64().unwrap_or_default(),
        uuid: word(&image["uuid"]).to_lowercase(),
        path: image["path"].as_str().unwrap_or_else(name).to_owned(),
    }
}

/// Registers by name; those in the list `x` are `x0`, `x1` and so on.
fn registers(state: &Value) -> Map<String, Value> {
    let mut registers = Map::new();
    for (name, register) in state.as_object().into_iter().flatten() {
        match register {
            Value::Array(list) => {
                let values = list.iter().enumerate().filter_map(|(at, one)| Some((at, one["value"].as_u64()?)));
                registers.extend(values.map(|(at, value)| (format!("{name}{at}"), json!(value))));
            }
            one => registers.extend(one["value"].as_u64().map(|value| (name.clone(), json!(value)))),
        }
    }
    registers
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
