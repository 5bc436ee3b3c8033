//! Exceptions, threads, and the stacks of both.
//!
//! It never changes the order of exceptions or frames.

use serde_json::{Value, json};

use super::message::as_text;
use super::{frames, values};
use crate::Object;

/// Most exceptions of a chain; of a longer one the first and the last half stay.
const MAX_EXCEPTIONS: usize = 50;
/// The stacks that an exception or a thread may have.
const STACKS: &[&str] = &["stacktrace", "raw_stacktrace"];

/// Normalizes `exception`, `threads` and the top-level `stacktrace`.
pub fn normalize(event: &mut Object) {
    for key in ["exception", "threads"] {
        values::normalize(event, key);
    }
    move_stack(event);
    omit_exceptions(event);
    for exception in values::of(event, "exception").into_iter().flatten().filter_map(Value::as_object_mut) {
        for key in ["type", "value", "module"] {
            exception.get_mut(key).into_iter().for_each(as_text);
        }
        if exception.get("mechanism").is_some_and(|mechanism| !mechanism.is_object()) {
            exception.shift_remove("mechanism");
        }
        stacks(exception);
    }
    for thread in values::of(event, "threads").into_iter().flatten().filter_map(Value::as_object_mut) {
        stacks(thread);
    }
    event.get_mut("stacktrace").and_then(Value::as_object_mut).into_iter().for_each(frames::normalize);
}

/// Moves a top-level stack into the only exception if that has none.
fn move_stack(event: &mut Object) {
    let Some([Value::Object(only)]) = values::of(event, "exception").map(|list| list.as_slice()) else { return };
    let has_frames =
        |stack: &Value| stack.get("frames").and_then(Value::as_array).is_some_and(|frames| !frames.is_empty());
    if only.get("stacktrace").is_some_and(has_frames) {
        return;
    }
    let Some(stack) = event.shift_remove("stacktrace") else { return };
    if let Some([Value::Object(only)]) = values::of(event, "exception").map(|list| list.as_mut_slice()) {
        only.insert("stacktrace".to_owned(), stack);
    }
}

/// Shortens a long chain and records which exceptions are omitted: the first, and the one after the last.
fn omit_exceptions(event: &mut Object) {
    let Some(list) = values::of(event, "exception") else { return };
    let omitted = list.len().saturating_sub(MAX_EXCEPTIONS);
    if omitted == 0 {
        return;
    }
    let half = MAX_EXCEPTIONS / 2;
    list.drain(half..half + omitted);
    if let Some(Value::Object(field)) = event.get_mut("exception") {
        field.insert("exceptions_omitted".to_owned(), json!([half, half + omitted]));
    }
}

fn stacks(holder: &mut Object) {
    for key in STACKS {
        match holder.get_mut(*key) {
            None | Some(Value::Null) => {}
            Some(Value::Object(stack)) => frames::normalize(stack),
            Some(_) => _ = holder.shift_remove(*key),
        }
    }
}
