//! Frames of a stack: their number, file names, addresses in one spelling, and the size of their variables.
//!
//! It never decides whether a frame is in-app; grouping does.

use serde_json::{Number, Value, json};

use super::limits::bound;
use crate::Object;

/// Most frames of a stack; of a longer one the first and the last half stay.
const MAX_FRAMES: usize = 250;
/// Fields that are addresses.
const ADDRESSES: &[&str] = &["instruction_addr", "symbol_addr", "sym_addr", "image_addr"];

/// Normalizes a stack. The position of omitted frames is recorded as in `frames_omitted`: the first, and the one after the last.
pub fn normalize(stack: &mut Object) {
    let list = match stack.get_mut("frames") {
        None | Some(Value::Null) => return,
        Some(Value::Array(list)) => list,
        Some(_) => {
            stack.shift_remove("frames");
            return;
        }
    };
    list.retain(Value::is_object);
    let omitted = list.len().saturating_sub(MAX_FRAMES);
    if omitted > 0 {
        list.drain(MAX_FRAMES / 2..MAX_FRAMES / 2 + omitted);
    }
    list.iter_mut().filter_map(Value::as_object_mut).for_each(frame);
    if omitted > 0 {
        stack.insert("frames_omitted".to_owned(), json!([MAX_FRAMES / 2, MAX_FRAMES / 2 + omitted]));
    }
}

fn frame(frame: &mut Object) {
    if frame.get("filename").is_none_or(Value::is_null)
        && let Some(name) = frame.get("abs_path").and_then(Value::as_str).and_then(last_part)
    {
        let name = name.to_owned();
        frame.insert("filename".to_owned(), name.into());
    }
    for key in ADDRESSES {
        let address = match frame.get(*key) {
            None | Some(Value::Null) => continue,
            Some(Value::Number(number)) => address_of(number),
            Some(Value::String(text)) => parse_address(text),
            Some(_) => None,
        };
        match address {
            Some(address) => _ = frame.insert((*key).to_owned(), format!("{address:#x}").into()),
            None => _ = frame.shift_remove(*key),
        }
    }
    if frame.get("in_app").is_some_and(|in_app| !in_app.is_boolean()) {
        frame.shift_remove("in_app");
    }
    frame.get_mut("vars").into_iter().for_each(bound);
}

/// The last part of a path of any system.
fn last_part(path: &str) -> Option<&str> {
    path.rsplit(['/', '\\']).next().filter(|name| !name.is_empty())
}

/// An address that was sent as a number; clients in JavaScript send floats.
fn address_of(number: &Number) -> Option<u64> {
    let whole = number.as_f64().filter(|float| (0.0..9_007_199_254_740_992.0).contains(float) && float.fract() == 0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
    number.as_u64().or_else(|| whole.map(|float| float as u64))
}

fn parse_address(text: &str) -> Option<u64> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None => text.parse().ok(),
    }
}
