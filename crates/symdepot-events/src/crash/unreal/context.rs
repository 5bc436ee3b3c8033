//! The context of an Unreal crash, `CrashContext.runtime-xml`, and what an event takes from it.
//!
//! It never replaces what the event has.

use serde_json::{Value, json};

use super::super::merge::{merge_missing, object_at, quote, record_invalid};
use super::xml;
use crate::Object;
use crate::security::json::parse;

/// Key of `GameData` by which games send fields of the event, as JSON.
const EVENT_KEY: &str = "__sentry";

/// Reads `CrashContext.runtime-xml` into the object for `contexts.unreal`. `None` if it cannot be read.
///
/// It has what is inside of the root element, by the names of the engine: `RuntimeProperties`, `PlatformProperties` …
pub fn context(xml: &[u8]) -> Option<Object> {
    xml::read(xml).filter(|context| !context.is_empty())
}

/// Adds to the event what the context has and the event lacks.
///
/// That is `contexts.unreal`, message, release, environment, user, names of hardware, and what the game put into `GameData`:
/// `__sentry` is JSON of the event (its id is ignored), other values become `extra`.
pub fn event_fields(context: &Object, event: &mut Object) {
    add_game_data(context, event);
    let property = |name: &str| property(context, name);
    let mut added = Object::new();
    let fields = [
        ("message", property("ErrorMessage")),
        // The build of the engine itself says nothing about the game.
        ("release", property("BuildVersion").filter(|version| !is_stock_engine(version))),
        ("environment", property("BuildConfiguration")),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            added.insert(name.to_owned(), value.into());
        }
    }
    let user = object([
        ("id", property("LoginId").or_else(|| property("EpicAccountId")).map(Value::from)),
        ("username", property("UserName").map(Value::from)),
    ]);
    if let Some(user) = user {
        // Only together: the parts of two sources may be of two users.
        if event.get("user").is_none_or(Value::is_null) {
            added.insert("user".to_owned(), user);
        }
    }
    if has_message(event) {
        added.remove("message");
    }
    let contexts = object([
        ("gpu", object([("name", property("Misc.PrimaryGPUBrand").map(Value::from))])),
        (
            "device",
            object([
                (
                    "memory_size",
                    property("MemoryStats.TotalPhysical").and_then(|size| size.parse::<u64>().ok()).map(Value::from),
                ),
                ("cpu_description", property("Misc.CPUBrand").map(Value::from)),
            ]),
        ),
        ("unreal", Some(Value::Object(without_event(context)))),
    ]);
    if let Some(contexts) = contexts {
        added.insert("contexts".to_owned(), contexts);
    }
    merge_missing(event, added);
}

fn add_game_data(context: &Object, event: &mut Object) {
    let Some(data) = section(context, "GameData") else { return };
    if let Some(text) = data.get(EVENT_KEY).and_then(Value::as_str) {
        match parse(text) {
            Ok(Value::Object(mut fields)) => {
                fields.remove("event_id");
                merge_missing(event, fields);
            }
            _ => record_invalid(event, EVENT_KEY, quote(text).into()),
        }
    }
    let others = data.iter().filter(|(key, _)| *key != EVENT_KEY);
    let Some(extra) = object_at(event, "extra") else { return };
    for (key, value) in others {
        extra.entry(key.as_str()).or_insert_with(|| value.clone());
    }
    if extra.is_empty() {
        event.remove("extra");
    }
}

/// A part of the context; the engine puts `GameData` beside `RuntimeProperties`, older versions into it.
fn section<'a>(context: &'a Object, name: &str) -> Option<&'a Object> {
    context
        .get(name)
        .or_else(|| context.get("RuntimeProperties").and_then(|properties| properties.get(name)))
        .and_then(Value::as_object)
}

/// A text of `RuntimeProperties` that is not empty.
fn property<'a>(context: &'a Object, name: &str) -> Option<&'a str> {
    context.get("RuntimeProperties")?.get(name)?.as_str().filter(|text| !text.is_empty())
}

fn is_stock_engine(version: &str) -> bool {
    version.starts_with("++UE4+Release-") || version.starts_with("++UE5+Release-")
}

fn has_message(event: &Object) -> bool {
    ["message", "logentry"].iter().any(|key| event.get(*key).is_some_and(|value| !value.is_null()))
}

/// The context without the JSON of the event, which would be there twice.
fn without_event(context: &Object) -> Object {
    let mut context = context.clone();
    for key in ["GameData", "RuntimeProperties"] {
        let Some(mut part) = context.get_mut(key).and_then(Value::as_object_mut) else { continue };
        if key == "RuntimeProperties" {
            match part.get_mut("GameData").and_then(Value::as_object_mut) {
                Some(inner) => part = inner,
                None => continue,
            }
        }
        part.shift_remove(EVENT_KEY);
    }
    context
}

/// An object of the values that are present; `None` if none is.
fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Option<Value> {
    let fields: Object = fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
    (!fields.is_empty()).then(|| json!(fields))
}
