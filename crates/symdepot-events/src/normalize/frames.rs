//! The frames of a stack: at most so many, names of files, addresses in one spelling.

use serde_json::{Value, json};

use super::limits::within;

/// Frames of a stack; the first and the last half stay.
const MOST_FRAMES: usize = 250;
/// Fields that are addresses.
const ADDRESSES: &[&str] = &["instruction_addr", "symbol_addr", "sym_addr", "image_addr"];

/// Normalizes a stack.
pub fn normalize(stack: &mut Value) {
    let Some(stack) = stack.as_object_mut() else { return };
    let Some(frames) = stack.get_mut("frames") else { return };
    let Value::Array(mut list) = frames.take() else {
        stack.shift_remove("frames");
        return;
    };
    list.retain(Value::is_object);
    let omitted = list.len().saturating_sub(MOST_FRAMES);
    if omitted > 0 {
        list.drain(MOST_FRAMES / 2..MOST_FRAMES / 2 + omitted);
        stack.insert("frames_omitted".to_owned(), json!([MOST_FRAMES / 2, MOST_FRAMES / 2 + omitted]));
    }
    list.iter_mut().for_each(frame);
    stack.insert("frames".to_owned(), Value::Array(list));
}

fn frame(frame: &mut Value) {
    let Some(frame) = frame.as_object_mut() else { return };
    frame.retain(|_, value| !value.is_null());
    if !frame.contains_key("filename")
        && let Some(path) = frame.get("abs_path").and_then(Value::as_str)
    {
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path).to_owned();
        frame.insert("filename".to_owned(), name.into());
    }
    for key in ADDRESSES {
        let address = match frame.get(*key) {
            None => continue,
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => address(text),
            Some(_) => None,
        };
        match address {
            Some(address) => _ = frame.insert((*key).to_owned(), format!("{address:#x}").into()),
            None => _ = frame.shift_remove(*key),
        }
    }
    if frame.get("in_app").is_some_and(|value| !value.is_boolean()) {
        frame.shift_remove("in_app");
    }
    frame.get_mut("vars").into_iter().for_each(within);
}

fn address(text: &str) -> Option<u64> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
