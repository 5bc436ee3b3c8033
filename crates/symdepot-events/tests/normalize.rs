//! Normalizing, part by part as the wire and the design have it.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use symdepot_events::Object;
use symdepot_events::envelope::EventId;
use symdepot_events::normalize::{self, Receipt, happened_at};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a valid time")
}

fn receipt() -> Receipt {
    Receipt {
        event_id: EventId([0xab; 16]),
        received_at: at("2026-12-01T12:00:00.123456789Z"),
        sent_at: None,
        client_ip: Some(IpAddr::from([203, 0, 113, 7])),
    }
}

fn normalized_at(event: Value, receipt: &Receipt) -> Value {
    let Value::Object(event) = event else { panic!("an event is an object") };
    let once = normalize::event(event, receipt);
    let again = normalize::event(once.clone(), receipt);
    assert_eq!(Value::Object(again), Value::Object(once.clone()), "normalizing again changes the event");
    Value::Object(once)
}

/// Normalizes, and checks that doing so again changes nothing.
fn normalized(event: Value) -> Value {
    normalized_at(event, &receipt())
}

#[test]
fn id_times_level_and_platform_are_always_present() {
    let expected = json!({
        "event_id": "abababababababababababababababab",
        "timestamp": "2026-12-01T12:00:00.123456Z",
        "received": "2026-12-01T12:00:00.123456Z",
        "level": "error",
        "platform": "other",
    });
    assert_eq!(normalized(json!({})), expected);
    assert_eq!(normalized(json!({ "event_id": "x", "received": 5, "timestamp": [], "level": null })), expected);
    let event = normalized(json!({ "unknown": { "a": [null, 1] }, "type": "x" }));
    assert_eq!((&event["unknown"], &event["type"]), (&json!({ "a": [null, 1] }), &json!("x")));
}

#[test]
fn a_time_is_read_in_every_form() {
    for (sent, expected) in [
        (json!("2026-11-30T22:42:30.026266Z"), "2026-11-30T22:42:30.026266Z"),
        (json!("2026-11-30T23:42:30+01:00"), "2026-11-30T22:42:30.000000Z"),
        (json!("2026-11-30T22:42:30.0262661"), "2026-11-30T22:42:30.026266Z"),
        (json!(" 2026-11-30 22:42:30 "), "2026-11-30T22:42:30.000000Z"),
        (json!("2026-11-30T22:59:60Z"), "2026-11-30T23:00:00.000000Z"),
        (json!(1_796_078_551.993), "2026-11-30T22:42:31.993000Z"),
        (json!(1_796_078_551), "2026-11-30T22:42:31.000000Z"),
        (json!("1796078551.5"), "2026-11-30T22:42:31.500000Z"),
        (json!("yesterday"), "2026-12-01T12:00:00.123456Z"),
        (json!(""), "2026-12-01T12:00:00.123456Z"),
        (json!("NaN"), "2026-12-01T12:00:00.123456Z"),
        (json!("inf"), "2026-12-01T12:00:00.123456Z"),
        (json!(1e300), "2026-12-01T12:00:00.123456Z"),
        (json!(-1e300), "2026-12-01T12:00:00.123456Z"),
        (json!(u64::MAX), "2026-12-01T12:00:00.123456Z"),
        (json!("+262142-12-31T23:59:59Z"), "2026-12-01T12:00:00.123456Z"),
        (json!(true), "2026-12-01T12:00:00.123456Z"),
    ] {
        let event = normalized(json!({ "timestamp": sent }));
        assert_eq!(event["timestamp"], expected, "{sent}");
        assert_eq!(happened_at(event.as_object().unwrap()), at(expected), "{sent}");
    }
}

#[test]
fn a_time_far_from_the_receipt_becomes_the_receipt() {
    let received = at("2026-12-01T12:00:00.123456Z");
    for (offset, stays) in [
        (TimeDelta::seconds(60), true),
        (TimeDelta::microseconds(60_000_001), false),
        (-TimeDelta::days(30), true),
        (-TimeDelta::days(30) - TimeDelta::microseconds(1), false),
    ] {
        let sent = received + offset;
        let event = normalized(json!({ "timestamp": sent.to_rfc3339() }));
        let expected = if stays { sent } else { received };
        assert_eq!(happened_at(event.as_object().unwrap()), expected, "{offset}");
    }
}

#[test]
fn a_clock_that_is_wrong_is_corrected_once() {
    let received = at("2026-12-01T12:00:00.123456Z");
    for (minutes, is_corrected) in [(-56, true), (-54, false), (54, false), (56, true), (100_000_000, true)] {
        let sent_at = received + TimeDelta::minutes(minutes);
        let receipt = Receipt { sent_at: Some(sent_at), ..receipt() };
        let happened = sent_at - TimeDelta::seconds(5);
        let event = normalized_at(json!({ "timestamp": happened.to_rfc3339() }), &receipt);
        let expected = match (is_corrected, minutes > 0) {
            (true, _) => received - TimeDelta::seconds(5),
            (false, true) => received,
            (false, false) => happened,
        };
        assert_eq!(happened_at(event.as_object().unwrap()), expected, "{minutes}");
        let without = normalized_at(json!({}), &receipt);
        assert_eq!(happened_at(without.as_object().unwrap()), received, "{minutes}");
    }
    for extreme in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
        let receipt = Receipt { sent_at: Some(extreme), ..receipt() };
        normalized_at(json!({ "timestamp": 5 }), &receipt);
    }
}

#[test]
fn a_field_of_a_wrong_type_is_dropped_and_recorded() {
    let objects = ["extra", "contexts", "user", "request", "modules", "sdk", "debug_meta", "logentry", "stacktrace"];
    let lists = ["exception", "threads", "breadcrumbs", "tags"];
    let texts =
        ["platform", "level", "logger", "transaction", "release", "environment", "dist", "server_name", "checksum"];
    let cases = [
        (&objects[..], vec![json!("x"), json!(5), json!(true), json!([1])]),
        (&lists, vec![json!("x"), json!(5), json!(true)]),
        (&texts, vec![json!({ "a": 1 }), json!(5), json!(true), json!([1])]),
    ];
    for (keys, values) in cases {
        for (key, value) in keys.iter().flat_map(|key| values.iter().map(move |value| (key, value))) {
            let event = normalized(json!({ *key: value }));
            let expected = json!([{ "type": "invalid_data", "name": key, "value": value }]);
            assert_eq!(event["errors"], expected, "{key} {value}");
            let is_default = matches!(*key, "level" | "platform");
            assert_eq!(event.get(*key).is_some(), is_default, "{key} {value}");
        }
        for key in keys {
            let event = normalized(json!({ *key: null }));
            assert_eq!(event.get("errors"), None, "{key}");
        }
    }
    let event = normalized(json!({ "exception": { "values": 5 }, "release": "x".repeat(5), "tags": "é".repeat(300) }));
    assert_eq!(event["release"], "xxxxx");
    let value = event["errors"][0]["value"].as_str().unwrap();
    assert!(value.ends_with("é…") && value.chars().count() == 256, "{value}");
    assert_eq!(event["errors"][1], json!({ "type": "invalid_data", "name": "exception", "value": 5 }));
    let own = json!([{ "type": "clock_drift" }]);
    assert_eq!(normalized(json!({ "errors": own }))["errors"], own);
    assert_eq!(normalized(json!({ "errors": [1, null] })).get("errors"), None);
}

#[test]
fn an_unknown_level_or_platform_is_the_default() {
    for (sent, expected) in [
        ("debug", "debug"),
        ("info", "info"),
        ("warning", "warning"),
        ("error", "error"),
        ("fatal", "fatal"),
        ("warn", "warning"),
        ("log", "info"),
        ("critical", "fatal"),
        ("WARNING", "warning"),
        ("loud", "error"),
        ("", "error"),
    ] {
        let event = normalized(json!({ "level": sent }));
        assert_eq!((&event["level"], event.get("errors")), (&json!(expected), None), "{sent}");
    }
    let (longest, longer) = ("ä".repeat(64), "ä".repeat(65));
    for (sent, expected) in
        [("python", "python"), ("", "other"), (" \n", "other"), (&longest, &longest), (&longer, "other")]
    {
        assert_eq!(normalized(json!({ "platform": sent }))["platform"], expected, "{sent}");
    }
}

#[test]
fn texts_of_one_line_are_truncated_to_characters() {
    for (key, max) in [
        ("release", 250),
        ("environment", 64),
        ("dist", 64),
        ("transaction", 200),
        ("logger", 64),
        ("server_name", 200),
    ] {
        let event = normalized(json!({ key: "ü\n".repeat(max) }));
        assert_eq!(event[key], "ü ".repeat(max)[..max / 2 * 3].trim_end(), "{key}");
        assert_eq!(normalized(json!({ key: "" })).get(key), None, "{key}");
        assert_eq!(normalized(json!({ key: "a\r\nb\n" }))[key], "a  b", "{key}");
    }
}

#[test]
fn messages_are_truncated_with_an_ellipsis() {
    let (longest, longer) = ("ü".repeat(8_192), "ü".repeat(8_193));
    let cut = format!("{}…", "ü".repeat(8_191));
    let of = |text: &str| {
        normalized(json!({
            "message": text,
            "logentry": { "message": text, "formatted": text, "params": [text] },
            "exception": [{ "value": text }],
            "breadcrumbs": [{ "message": text }],
        }))
    };
    for (event, expected) in [(of(&longest), &longest), (of(&longer), &cut)] {
        assert_eq!(event["message"], **expected);
        assert_eq!(event["logentry"]["message"], **expected);
        assert_eq!(event["logentry"]["formatted"], **expected);
        assert_eq!(event["exception"]["values"][0]["value"], **expected);
        assert_eq!(event["breadcrumbs"]["values"][0]["message"], **expected);
    }
    assert_eq!(normalized(json!({ "message": { "message": "a" } }))["logentry"]["message"], "a");
    assert_eq!(normalized(json!({ "message": 42 }))["message"], "42");
    assert_eq!(normalized(json!({ "logentry": { "message": 42 } }))["logentry"]["message"], "42");
}

#[test]
fn lists_have_one_form() {
    for key in ["exception", "threads", "breadcrumbs"] {
        let one = json!({ "type": "a" });
        for sent in [
            json!([one]),
            json!({ "values": [one] }),
            one.clone(),
            json!([null, one, null, 5, "x", []]),
            json!({ "values": [null, one] }),
            json!({ "values": one }),
        ] {
            assert_eq!(normalized(json!({ key: sent }))[key], json!({ "values": [one] }), "{key} {sent}");
        }
        for sent in [json!([]), json!({}), json!({ "values": [] }), json!({ "values": null }), json!([null])] {
            let event = normalized(json!({ key: sent }));
            assert_eq!((event.get(key), event.get("errors")), (None, None), "{key} {sent}");
        }
        let event = normalized(json!({ key: { "values": [one], "x": 1 } }));
        assert_eq!(event[key], json!({ "values": [one], "x": 1 }), "{key}");
    }
}

#[test]
fn of_a_long_chain_the_middle_is_omitted() {
    let chain: Vec<Value> = (0..60).map(|n| json!({ "type": n.to_string() })).collect();
    let event = normalized(json!({ "exception": chain }));
    let kept: Vec<&str> =
        event["exception"]["values"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!((kept.len(), kept[24], kept[25]), (50, "24", "35"));
    assert_eq!(event["exception"]["exceptions_omitted"], json!([25, 35]));
    let frames: Vec<Value> = (0..300).map(|n| json!({ "lineno": n })).collect();
    for event in [
        normalized(json!({ "stacktrace": { "frames": frames } })),
        normalized(json!({ "exception": [{ "stacktrace": { "frames": frames } }] }))["exception"]["values"][0].take(),
        normalized(json!({ "threads": [{ "stacktrace": { "frames": frames } }] }))["threads"]["values"][0].take(),
    ] {
        let stack = &event["stacktrace"];
        assert_eq!(stack["frames"].as_array().unwrap().len(), 250);
        assert_eq!((&stack["frames"][124]["lineno"], &stack["frames"][125]["lineno"]), (&json!(124), &json!(175)));
        assert_eq!(stack["frames_omitted"], json!([125, 175]));
    }
    let crumbs: Vec<Value> = (0..150).map(|n| json!({ "timestamp": n })).collect();
    let event = normalized(json!({ "breadcrumbs": crumbs }));
    let kept = event["breadcrumbs"]["values"].as_array().unwrap();
    assert_eq!((kept.len(), &kept[0]["timestamp"]), (100, &json!(50)));
}

#[test]
fn a_top_level_stack_moves_into_the_only_exception() {
    let stack = json!({ "frames": [{ "function": "f" }] });
    for exception in [json!({ "type": "A" }), json!({ "stacktrace": null }), json!({ "stacktrace": { "frames": [] } })]
    {
        let event = normalized(json!({ "exception": [exception], "stacktrace": stack }));
        assert_eq!(event["exception"]["values"][0]["stacktrace"], stack);
        assert_eq!(event.get("stacktrace"), None);
    }
    let own = json!({ "frames": [{ "function": "own" }] });
    for exceptions in [json!([{ "stacktrace": own }]), json!([{ "type": "A" }, { "type": "B" }]), json!([])] {
        assert_eq!(normalized(json!({ "exception": exceptions, "stacktrace": stack }))["stacktrace"], stack);
    }
}

#[test]
fn frames_have_a_file_and_addresses_in_hex() {
    for (sent, expected) in [
        (json!({ "abs_path": "/a/b.py" }), json!({ "abs_path": "/a/b.py", "filename": "b.py" })),
        (
            json!({ "abs_path": "C:\\a\\b.cs", "filename": null }),
            json!({ "abs_path": "C:\\a\\b.cs", "filename": "b.cs" }),
        ),
        (json!({ "abs_path": "/a/", "module": null }), json!({ "abs_path": "/a/", "module": null })),
        (json!({ "abs_path": 5, "filename": "x" }), json!({ "abs_path": 5, "filename": "x" })),
        (json!({ "in_app": true }), json!({ "in_app": true })),
        (json!({ "in_app": "true" }), json!({})),
        (json!({ "in_app": null }), json!({})),
        (json!({ "instruction_addr": 4096 }), json!({ "instruction_addr": "0x1000" })),
        (json!({ "instruction_addr": 4096.0 }), json!({ "instruction_addr": "0x1000" })),
        (json!({ "instruction_addr": "0X0A" }), json!({ "instruction_addr": "0xa" })),
        (json!({ "instruction_addr": "4096" }), json!({ "instruction_addr": "0x1000" })),
        (json!({ "instruction_addr": "0xffffffffffffffff" }), json!({ "instruction_addr": "0xffffffffffffffff" })),
        (json!({ "symbol_addr": "0x10000000000000000" }), json!({})),
        (json!({ "symbol_addr": -1, "image_addr": 1.5, "x": [] }), json!({ "x": [] })),
        (json!({ "image_addr": "0x", "sym_addr": "0x+1" }), json!({})),
    ] {
        let event = normalized(json!({ "stacktrace": { "frames": [null, sent, "x"] } }));
        assert_eq!(event["stacktrace"]["frames"], json!([expected]), "{sent}");
    }
    let event = normalized(json!({ "stacktrace": { "frames": 5, "registers": {} } }));
    assert_eq!(event["stacktrace"], json!({ "registers": {} }));
    let event =
        normalized(json!({ "exception": [{ "stacktrace": 5, "mechanism": "x", "value": { "a": 1 }, "type": 7 }] }));
    assert_eq!(event["exception"]["values"][0], json!({ "value": "{\"a\":1}", "type": "7" }));
}

#[test]
fn tags_are_sorted_pairs_of_texts() {
    let expected = json!([["a", "1"], ["b", "true"], ["c", "x y"], ["d", "1.5"]]);
    for sent in [
        json!({ "d": 1.5, "c": "x\ny", "b": true, "a": 1 }),
        json!([["d", 1.5], ["c", "x\ny", 5], ["b", true], ["a", 1], ["a", 2]]),
        json!([{ "key": "d", "value": 1.5 }, { "key": "c", "value": "x\ny" }, ["b", true], { "key": "a", "value": "1" }]),
        json!([null, 5, "x", [], ["x"], [null, 1], ["x", null], ["x", []], ["x", {}], ["x", ""], ["", "x"], [[], "x"],
            { "key": "x" }, { "value": "x" }, ["a", 1], ["b", true], ["c", "x\ny"], ["d", 1.5]]),
    ] {
        assert_eq!(normalized(json!({ "tags": sent }))["tags"], expected, "{sent}");
    }
    assert_eq!(normalized(json!({ "tags": { "a": null } })).get("tags"), None);
    let event = normalized(json!({ "tags": { "k".repeat(201): "ü".repeat(201) } }));
    assert_eq!(event["tags"], json!([["k".repeat(200), "ü".repeat(200)]]));
    let many: Object =
        (0..150).map(|n| (format!("t{n:03}"), json!(n))).chain([("user".to_owned(), json!("x"))]).collect();
    let event = normalized(json!({ "tags": many }));
    let tags = event["tags"].as_array().unwrap();
    assert_eq!((tags.len(), &tags[98], &tags[99]), (100, &json!(["t098", "98"]), &json!(["user", "x"])));
}

#[test]
fn a_user_has_short_texts_and_the_address_of_the_client() {
    for (sent, expected) in [
        (json!({ "id": 5, "username": "bob\n", "email": null }), json!({ "id": "5", "username": "bob" })),
        (json!({ "id": [1], "name": {}, "data": { "a": 1 }, "n": 5 }), json!({ "data": { "a": 1 }, "n": 5 })),
        (json!({ "ip_address": "{{auto}}" }), json!({ "ip_address": "203.0.113.7" })),
        (json!({ "ip_address": "::1" }), json!({ "ip_address": "::1" })),
        (
            json!({ "segment": "x".repeat(200), "email": "ü".repeat(200) }),
            json!({ "segment": "x".repeat(128), "email": "ü".repeat(128) }),
        ),
    ] {
        assert_eq!(normalized(json!({ "user": sent }))["user"], expected, "{sent}");
    }
    for empty in [json!({}), json!({ "id": "" }), json!({ "id": null, "ip_address": [] })] {
        assert_eq!(normalized(json!({ "user": empty })).get("user"), None);
    }
    let unknown = Receipt { client_ip: None, ..receipt() };
    assert_eq!(normalized_at(json!({ "user": { "ip_address": "{{auto}}" } }), &unknown).get("user"), None);
}

#[test]
fn free_values_are_bounded_in_size_and_depth() {
    let mut deep = json!({ "x": 1 });
    for _ in 0..10 {
        deep = json!({ "a": deep });
    }
    let big = json!({ "a": "x".repeat(300 << 10), "b": 1, "c": deep });
    let event = normalized(json!({
        "extra": { "deep": deep, "big": big },
        "contexts": { "big": big },
        "request": { "data": big, "url": "u" },
        "stacktrace": { "frames": [{ "vars": big }] },
        "user": { "data": big },
        "breadcrumbs": [{ "data": big }],
    }));
    for value in [
        &event["extra"],
        &event["contexts"],
        &event["request"]["data"],
        &event["stacktrace"]["frames"][0]["vars"],
        &event["user"]["data"],
        &event["breadcrumbs"]["values"][0]["data"],
    ] {
        let size = value.to_string().len();
        assert!((255 << 10..=(256 << 10) + 8).contains(&size), "{size}");
    }
    let innermost = (0..8).fold(&event["extra"]["deep"], |value, _| &value["a"]);
    assert_eq!(innermost, &json!({ "a": "{\"a\":{\"x\":1}}" }));
}
