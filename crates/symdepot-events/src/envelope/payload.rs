//! The JSON of an event: checked without building it, or read into an object. Bytes that are no UTF-8, characters for zero and
//! halves of surrogate pairs become U+FFFD and never cost the event.

use std::borrow::Cow;
use std::fmt;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::{EventId, Fault, bad_id, grammar};
use crate::Object;

/// Levels of lists and objects in an event.
const DEEPEST: usize = 128;

/// Checks an event and returns the id in it. Builds nothing else of it.
pub fn check_event(payload: &[u8], max: u64) -> Result<Option<EventId>, Fault> {
    let text = checked(payload, max)?;
    let Head { event_id } = serde_json::from_str(&text).map_err(|error| match error.is_data() {
        true => not_an_object(),
        false => unreadable(&error),
    })?;
    id_of(event_id.as_ref())
}

/// The one field of an event that has to be known when it is accepted. Where a field is repeated the last counts.
struct Head {
    event_id: Option<Value>,
}

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Head;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head, A::Error> {
                let mut event_id = None;
                while let Some(key) = map.next_key::<Cow<'_, str>>()? {
                    match &*key {
                        "event_id" => event_id = Some(map.next_value()?),
                        _ => _ = map.next_value::<IgnoredAny>()?,
                    }
                }
                Ok(Head { event_id })
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// Reads an event.
pub fn read_event(payload: &[u8], max: u64) -> Result<Object, Fault> {
    let text = checked(payload, max)?;
    let mut reader = serde_json::Deserializer::from_str(&text);
    // The depth was counted.
    reader.disable_recursion_limit();
    match Value::deserialize(&mut reader).and_then(|value| reader.end().map(|()| value)) {
        Ok(Value::Object(object)) => {
            id_of(object.get("event_id"))?;
            Ok(object)
        }
        Ok(_) => Err(not_an_object()),
        Err(error) => Err(unreadable(&error)),
    }
}

/// The event in the body of `/store/`: as it is, or zlib in base64.
pub fn store_body(body: &[u8], max: u64) -> Result<Cow<'_, [u8]>, Fault> {
    if body.first() == Some(&b'{') {
        return Ok(Cow::Borrowed(body));
    }
    let text: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let packed = STANDARD.decode(text).map_err(|_| not_an_object())?;
    let mut event = Vec::new();
    let read = flate2::read::ZlibDecoder::new(&*packed).take(max.saturating_add(1)).read_to_end(&mut event);
    read.map_err(|_| grammar("The event is neither JSON nor zlib in base64."))?;
    too_large(event.len(), max)?;
    Ok(Cow::Owned(event))
}

fn id_of(id: Option<&Value>) -> Result<Option<EventId>, Fault> {
    match id {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some).map_err(|_| bad_id()),
        Some(_) => Err(bad_id()),
    }
}

fn not_an_object() -> Fault {
    grammar("The event is not a JSON object.")
}

fn unreadable(error: &serde_json::Error) -> Fault {
    Fault::Grammar(format!("The event cannot be read as JSON: {error}."))
}

fn too_large(length: usize, max: u64) -> Result<(), Fault> {
    match length as u64 > max {
        true => Err(Fault::TooLarge(format!("The event is larger than {max} bytes."))),
        false => Ok(()),
    }
}

/// The text of an event without what no database keeps.
fn checked(payload: &[u8], max: u64) -> Result<Cow<'_, str>, Fault> {
    too_large(payload.len(), max)?;
    if depth(payload) > DEEPEST {
        return Err(Fault::Grammar(format!("The event is nested deeper than {DEEPEST} levels.")));
    }
    let text = String::from_utf8_lossy(payload);
    let text = match text.contains('\0') {
        true => Cow::Owned(text.replace('\0', "\u{fffd}")),
        false => text,
    };
    Ok(match escapes(&text) {
        Some(replaced) => Cow::Owned(replaced),
        None => text,
    })
}

/// How deep lists and objects are nested.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The text with `\u0000` and lone surrogates replaced, if there are any.
fn escapes(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let (mut out, mut copied, mut at) = (None::<String>, 0, 0);
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == b'\\') {
        let escape = at + found;
        if bytes.get(escape + 1) != Some(&b'u') {
            at = (escape + 2).min(bytes.len());
            continue;
        }
        let unit = unit(bytes, escape);
        let is_pair = |high: u32| {
            (0xd800..0xdc00).contains(&high)
                && self::unit(bytes, escape + 6).is_some_and(|low| (0xdc00..0xe000).contains(&low))
        };
        at = match unit {
            Some(0 | 0xd800..=0xdfff) if !unit.is_some_and(is_pair) => {
                let out = out.get_or_insert_with(|| String::with_capacity(text.len()));
                out.push_str(&text[copied..escape]);
                out.push_str("\\ufffd");
                copied = escape + 6;
                copied
            }
            Some(0xd800..=0xdbff) => escape + 12,
            Some(_) => escape + 6,
            None => (escape + 2).min(bytes.len()),
        };
    }
    out.map(|mut out| {
        out.push_str(&text[copied..]);
        out
    })
}

/// The number of the escape `\uXXXX` at `at`.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let escape = bytes.get(at..at + 6).filter(|escape| escape.starts_with(b"\\u"))?;
    let digits = std::str::from_utf8(&escape[2..]).ok()?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_and_lone_surrogates_are_replaced_and_pairs_stay() {
        for (sent, read) in [
            (r#"{"a":"\u0000"}"#, "\u{fffd}"),
            (r#"{"a":"\ud83d\ude00"}"#, "\u{1f600}"),
            (r#"{"a":"\ud83d"}"#, "\u{fffd}"),
            (r#"{"a":"\ude00x"}"#, "\u{fffd}x"),
            (r#"{"a":"\ud83d\ud83d\ude00"}"#, "\u{fffd}\u{1f600}"),
            (r#"{"a":"\\u0000"}"#, "\\u0000"),
            (r#"{"a":"\\\u0000"}"#, "\\\u{fffd}"),
        ] {
            assert_eq!(read_event(sent.as_bytes(), 1000).unwrap()["a"], read, "{sent}");
            assert_eq!(check_event(sent.as_bytes(), 1000), Ok(None), "{sent}");
        }
        assert_eq!(read_event(b"{\"a\":\"\xff\"}", 1000).unwrap()["a"], "\u{fffd}");
        assert_eq!(read_event(b"{\"a\":\"\0\"}", 1000).unwrap()["a"], "\u{fffd}");
    }

    #[test]
    fn what_is_no_object_is_refused_by_both_readers() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(128), "]".repeat(128));
        for wrong in
            ["", "[]", "1", "{", "{\"a\":NaN}", "{\"a\":Infinity}", "{} {}", "{}x", &deep, "{\"event_id\":\"x\"}"]
        {
            assert!(read_event(wrong.as_bytes(), 10_000).is_err(), "{wrong}");
            assert!(check_event(wrong.as_bytes(), 10_000).is_err(), "{wrong}");
        }
        assert!(matches!(check_event(b"{\"a\":1}", 6), Err(Fault::TooLarge(_))));
        let repeated = br#"{"event_id":"x","event_id":"9ec79c33ec9942ab8353589fcb2e04dc"}"#;
        assert!(check_event(repeated, 1000).unwrap().is_some());
    }
}
