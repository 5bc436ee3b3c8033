//! The event of a crash upload, by its form parts and their `MessagePack`. It never needs a dump.

use serde_json::{Value, json};
use symdepot_events::Object;
use symdepot_events::crash::{Form, mark_crash, msgpack};

/// `MessagePack` of a JSON value, in the widest forms so that lengths are easy to forge.
fn pack(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0xc0),
        Value::Bool(value) => out.push(0xc2 + u8::from(*value)),
        Value::Number(number) => {
            out.push(0xcb);
            out.extend(number.as_f64().expect("a number").to_be_bytes());
        }
        Value::String(text) => {
            out.push(0xdb);
            out.extend((text.len() as u32).to_be_bytes());
            out.extend(text.as_bytes());
        }
        Value::Array(values) => {
            out.push(0xdd);
            out.extend((values.len() as u32).to_be_bytes());
            values.iter().for_each(|value| pack(value, out));
        }
        Value::Object(object) => {
            out.push(0xdf);
            out.extend((object.len() as u32).to_be_bytes());
            for (key, value) in object {
                pack(&key.as_str().into(), out);
                pack(value, out);
            }
        }
    }
}

fn packed(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    pack(value, &mut out);
    out
}

fn object(value: Value) -> Object {
    value.as_object().expect("an object").clone()
}

fn mechanism() -> Value {
    json!({ "type": "minidump", "handled": false, "synthetic": true })
}

#[test]
fn empty_form_is_a_fatal_native_crash() {
    let event = Form::default().event();
    assert_eq!(event["platform"], "native");
    assert_eq!(event["level"], "fatal");
    assert_eq!(event["exception"]["values"][0]["mechanism"], mechanism());
    assert!(!event.contains_key("errors"));
}

#[test]
fn message_pack_counts_before_json_before_pieces_before_nested_fields() {
    let mut form = Form::default();
    form.field("sentry[release]", "nested");
    form.field("sentry[dist]", "nested");
    form.field("sentry[tags][a]", "nested");
    form.field("sentry[tags][d]", "nested");
    form.field("sentry__2", r#"","environment":"pieces","tags":{"c":"pieces","a":"pieces"}}"#);
    form.field("sentry__1", r#"{"release":"pieces"#);
    form.field("sentry", r#"{"release":"json","event_id":"b","tags":{"b":"json","a":"json"}}"#);
    form.msgpack_event(&packed(&json!({ "event_id": "a", "tags": { "a": "msgpack" } })));
    let event = form.event();
    assert_eq!(event["event_id"], "a");
    assert_eq!(event["release"], "json");
    assert_eq!(event["environment"], "pieces");
    assert_eq!(event["dist"], "nested");
    assert_eq!(event["tags"], json!({ "a": "msgpack", "b": "json", "c": "pieces", "d": "nested" }));
}

#[test]
fn pieces_are_joined_by_their_numbers_and_not_as_texts() {
    let mut form = Form::default();
    let text = r#"{"message":"0123456789abcdef"}"#;
    let mut pieces: Vec<(usize, &str)> =
        (1..).zip(text.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap())).collect();
    assert!(pieces.len() > 10);
    pieces.reverse();
    for (number, piece) in pieces {
        form.field(&format!("sentry__{number}"), piece);
    }
    assert_eq!(form.event()["message"], "0123456789abcdef");
}

#[test]
fn first_value_of_a_nested_field_wins() {
    let mut form = Form::default();
    form.field("sentry[tags][a]", "first");
    form.field("sentry[tags][a]", "second");
    form.field("sentry[tags]", "text");
    form.field("sentry[user]", "text");
    form.field("sentry[user][id]", "7");
    let event = form.event();
    assert_eq!(event["tags"], json!({ "a": "first" }));
    assert_eq!(event["user"], "text");
}

#[test]
fn names_nested_deeper_than_fifteen_are_dropped_and_recorded() {
    let mut form = Form::default();
    form.field(&format!("sentry{}", "[a]".repeat(15)), "deep");
    form.field(&format!("sentry{}", "[b]".repeat(16)), "too deep");
    form.field(&format!("sentry{}", "[c]".repeat(100_000)), "far too deep");
    let event = form.event();
    let mut value = &event["a"];
    for _ in 1..15 {
        value = &value["a"];
    }
    assert_eq!(value, "deep");
    assert!(!event.contains_key("b") && !event.contains_key("c"));
    assert_eq!(event["errors"].as_array().unwrap().len(), 2);
    assert_eq!(event["errors"][0]["type"], "invalid_data");
}

#[test]
fn other_fields_become_extra_which_never_replaces_what_the_event_has() {
    let mut form = Form::default();
    form.field("prod", "Electron");
    form.field("guid", "form");
    form.field("sentry[", "not nested");
    form.field("sentry[a]b", "not nested");
    form.field("sentry[]", "not nested");
    form.field("sentry__x", "no piece");
    form.field("sentry", r#"{"extra":{"guid":"json"}}"#);
    let expected = json!({
        "guid": "json", "prod": "Electron", "sentry[": "not nested", "sentry[a]b": "not nested",
        "sentry[]": "not nested", "sentry__x": "no piece",
    });
    assert_eq!(form.event()["extra"], expected);
}

#[test]
fn broken_parts_are_dropped_and_recorded_while_the_others_stay() {
    let mut form = Form::default();
    form.field("sentry", "{\"release\":");
    form.field("sentry__1", "[]");
    form.msgpack_event(b"\xdf\xff\xff\xff\xff");
    form.breadcrumbs(b"\xc1");
    form.field("sentry[release]", "game@1.0");
    let event = form.event();
    assert_eq!(event["release"], "game@1.0");
    let names: Vec<&str> = event["errors"].as_array().unwrap().iter().map(|e| e["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["sentry", "__sentry-event", "__sentry-breadcrumb", "sentry__"]);
    assert_eq!(event["errors"][0]["value"], "{\"release\":");
}

#[test]
fn json_with_half_a_character_or_zero_is_read() {
    let mut form = Form::default();
    form.field("sentry", r#"{"message":"a\ud83d b\u0000 \ud83d\ude00 \\ud83d","release":"1"}"#);
    form.field("zero", "a\0b");
    let event = form.event();
    assert_eq!(event["message"], "a\u{fffd} b\u{fffd} \u{1f600} \\ud83d");
    assert_eq!(event["release"], "1");
    assert_eq!(event["extra"]["zero"], "a\u{fffd}b");
}

#[test]
fn breadcrumbs_of_both_files_are_joined_by_time() {
    let crumb = |time: &str, message: &str| json!({ "timestamp": time, "message": message });
    let mut form = Form::default();
    form.breadcrumbs(&packed(&json!([
        crumb("2026-11-30T10:00:03Z", "d"),
        { "message": "e, without time" },
        crumb("2026-11-30T12:00:09+02:00", "f"),
    ])));
    // As the native SDK appends them: one after the other, the last cut off.
    let mut second = packed(&json!({ "timestamp": 1_796_032_800.5, "message": "a" }));
    second.extend(packed(&crumb("2026-11-30T10:00:01", "b")));
    second.extend(packed(&crumb("2026-11-30T10:00:02.5Z", "c")));
    second.extend(b"\xdb\0\0");
    form.breadcrumbs(&second);
    let event = form.event();
    let messages: Vec<&Value> =
        event["breadcrumbs"]["values"].as_array().unwrap().iter().map(|c| &c["message"]).collect();
    assert_eq!(messages, ["a", "b", "c", "d", "e, without time", "f"]);
    assert_eq!(event["errors"][0]["name"], "__sentry-breadcrumb");
}

#[test]
fn client_cannot_make_a_crash_anything_else() {
    let mut form = Form::default();
    form.field("sentry", r#"{"platform":"python","level":"info","exception":{"values":[{"type":"A"},null,{"type":"B","value":"v","mechanism":{"type":"x"}}]}}"#);
    let event = form.event();
    assert_eq!((&event["platform"], &event["level"]), (&json!("native"), &json!("fatal")));
    let expected = json!([{ "type": "A" }, { "type": "B", "value": "v", "mechanism": mechanism() }]);
    assert_eq!(event["exception"]["values"], expected);
}

#[test]
fn marking_accepts_each_form_of_an_exception() {
    for exception in [json!({ "type": "A" }), json!([{ "type": "A" }]), json!({ "values": [{ "type": "A" }] })] {
        let mut event = object(json!({ "exception": exception }));
        mark_crash(&mut event, "unreal");
        mark_crash(&mut event, "unreal");
        let expected = json!({ "type": "A", "mechanism": { "type": "unreal", "handled": false, "synthetic": true } });
        assert_eq!(event["exception"], json!({ "values": [expected] }));
    }
    for exception in [json!(null), json!("text"), json!([]), json!([1, {}]), json!({ "values": 7 })] {
        let mut event = object(json!({ "exception": exception }));
        mark_crash(&mut event, "applecrashreport");
        assert_eq!(event["exception"]["values"].as_array().unwrap().len(), 1);
        assert_eq!(event["exception"]["values"][0]["mechanism"]["type"], "applecrashreport");
    }
}

#[test]
fn message_pack_is_read_in_all_its_forms() {
    let bytes = b"\xdc\x00\x13\x05\xff\xcc\xc8\xcd\x01\x00\xce\xff\xff\xff\xff\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xd0\x80\xd1\xff\x00\xd2\x80\x00\x00\x00\xd3\x80\x00\x00\x00\x00\x00\x00\x00\xca\x3f\xc0\x00\x00\xca\x7f\xc0\x00\x00\xa2hi\xd9\x02hi\xc4\x03a\xff\x00\xd6\xff\x00\x00\x00\x00\xc7\x01\x05x\xc0\x81\x07\xc3";
    let expected = json!([
        5, -1, 200, 256, u32::MAX, u64::MAX, -128, -256, i32::MIN, i64::MIN, 1.5, null, "hi", "hi", "a\u{fffd}\u{fffd}", null, null,
        null, { "7": true },
    ]);
    assert_eq!(msgpack::read(bytes), Some(expected));
}

#[test]
fn message_pack_that_is_cut_off_anywhere_is_refused() {
    let bytes = packed(&json!({ "a": [1, "text", { "b": null }], "c": true }));
    assert!(msgpack::read(&bytes).is_some());
    for length in 0..bytes.len() {
        assert_eq!(msgpack::read(&bytes[..length]), None, "{length}");
    }
}

#[test]
fn message_pack_ends_at_a_depth_of_128() {
    let nested = |depth: usize| [vec![0x91; depth], vec![0xc0]].concat();
    assert!(msgpack::read(&nested(128)).is_some());
    assert!(msgpack::read(&nested(129)).is_none());
    assert!(msgpack::read(&nested(1_000_000)).is_none());
}

#[test]
fn claimed_lengths_of_message_pack_cost_nothing() {
    for marker in [0xc6, 0xc9, 0xdb, 0xdd, 0xdf] {
        for length in [0x7fff_ffff_u32, u32::MAX] {
            let mut bytes = vec![marker];
            bytes.extend(length.to_be_bytes());
            bytes.extend([0xc0; 100]);
            assert_eq!(msgpack::read(&bytes), None);
        }
    }
    // Each level claims as many entries as there are bytes.
    let bytes = [0xdd, 0, 0, 0x80, 0].repeat(10_000);
    assert_eq!(msgpack::read(&bytes), None);
    assert_eq!(msgpack::read(&vec![0xc0; msgpack::MAX_INPUT + 1]), None);
    assert_eq!(msgpack::read_all(&vec![0xc0; 1000]).len(), 1000);
}

#[test]
fn a_million_fields_are_bounded() {
    let mut form = Form::default();
    for number in 0..1_000_000 {
        form.field(&format!("field{number}"), "x");
    }
    let event = form.event();
    assert_eq!(event["extra"].as_object().unwrap().len(), 10_000);
    assert_eq!(event["errors"].as_array().unwrap().len(), 1);
}
