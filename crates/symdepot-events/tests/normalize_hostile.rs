//! Hostile events: no part panics, each takes time in proportion to the event, and repeating a step changes nothing.

use std::time::Instant;

use serde_json::{Value, json};
use symdepot_events::Object;
use symdepot_events::envelope::{EventId, read_event};
use symdepot_events::filter::Filters;
use symdepot_events::normalize::{self, Receipt};
use symdepot_events::scrub::Scrubber;
use symdepot_events::summary::summary;

/// Far above what any of these events takes, and far below what quadratic time would.
const MAX_SECONDS: u64 = 60;

fn receipt() -> Receipt {
    let received_at = "2026-12-01T12:00:00Z".parse().expect("a valid time");
    Receipt { event_id: EventId([1; 16]), received_at, sent_at: Some(received_at), client_ip: None }
}

/// Normalizes, filters, scrubs and summarizes, and repeats what must not change anything.
fn processed(event: Object) -> Object {
    let started = Instant::now();
    let scrubber = Scrubber::parse(&json!({ "ipAddresses": true, "sensitiveFields": ["x"], "safeFields": ["y"] }))
        .expect("a valid setting");
    let kinds = ["error-message", "release", "localhost", "crawler", "legacy-browser", "extension"];
    let filters: Vec<Value> = kinds.iter().map(|kind| json!({ "kind": kind, "pattern": "*a*b*" })).collect();
    let filters = Filters::parse(&json!(filters)).expect("a valid setting");
    let mut once = normalize::event(event, &receipt());
    assert!(once == normalize::event(once.clone(), &receipt()), "normalizing again changes the event");
    let _ = filters.reason(&once, None);
    scrubber.scrub(&mut once);
    let mut again = once.clone();
    scrubber.scrub(&mut again);
    assert!(again == once, "scrubbing again changes the event");
    let summary = summary(&once, None);
    assert!(summary.tags.len() <= 100 && summary.title.chars().count() <= 255 && !summary.title.is_empty());
    assert!(started.elapsed().as_secs() < MAX_SECONDS, "{:?}", started.elapsed());
    once
}

fn object(event: Value) -> Object {
    event.as_object().cloned().expect("an object")
}

const FIELDS: &[&str] = &[
    "event_id",
    "timestamp",
    "received",
    "extra",
    "contexts",
    "user",
    "request",
    "modules",
    "sdk",
    "debug_meta",
    "logentry",
    "stacktrace",
    "exception",
    "threads",
    "breadcrumbs",
    "tags",
    "platform",
    "level",
    "logger",
    "transaction",
    "release",
    "environment",
    "dist",
    "server_name",
    "checksum",
    "message",
    "fingerprint",
    "errors",
    "csp",
    "type",
];
const INNER: &[&str] = &[
    "values",
    "frames",
    "stacktrace",
    "vars",
    "data",
    "headers",
    "env",
    "query_string",
    "url",
    "cookies",
    "id",
    "ip_address",
    "email",
    "message",
    "formatted",
    "params",
    "type",
    "value",
    "mechanism",
    "filename",
    "abs_path",
    "in_app",
    "instruction_addr",
    "password",
    "key",
    "token",
];

/// A value of any type, from a generator that is the same in every run.
fn any_value(state: &mut u64, depth: usize) -> Value {
    let mut next = |max: usize| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(*state >> 33).expect("a number of 31 bits fits") % max
    };
    let kind = next(if depth == 0 { 7 } else { 10 });
    let (count, number) = (next(4), next(1_000_000));
    let texts = [
        "",
        "a",
        "\n",
        "{{auto}}",
        "http://u:p@localhost/",
        "4111111111111111",
        "%s {} %(a)s",
        "é\u{fffd}",
        "0x1f",
        "token=x",
    ];
    match kind {
        0 => Value::Null,
        1 => json!(number % 2 == 0),
        2 => json!(number),
        3 => json!(-1.5e300),
        4..=6 => json!(texts[next(texts.len())]),
        7 => (0..count).map(|_| any_value(state, depth - 1)).collect(),
        _ => {
            let keys: Vec<&str> = (0..=count).map(|_| INNER[next(INNER.len())]).collect();
            keys.into_iter().map(|key| (key.to_owned(), any_value(state, depth - 1))).collect()
        }
    }
}

#[test]
fn fields_of_all_types_are_processed() {
    let mut state = 99;
    for _ in 0..2_000 {
        let event = FIELDS.iter().map(|key| ((*key).to_owned(), any_value(&mut state, 5)));
        let event: Object = event.filter(|(_, value)| !value.is_boolean()).collect();
        processed(event);
    }
}

#[test]
fn many_tags_frames_and_entries_take_linear_time() {
    const MANY: usize = 100_000;
    let pairs: Vec<Value> = (0..MANY).map(|n| json!([format!("k{n}"), n])).collect();
    let map: Object = (0..MANY).map(|n| (format!("k{n}"), json!("4"))).collect();
    let frames = vec![json!({ "abs_path": "/a/b", "instruction_addr": 5, "in_app": null, "vars": { "a": 1 } }); MANY];
    let exceptions = vec![json!({ "type": "A", "stacktrace": { "frames": [{}] } }); MANY];
    for event in [
        json!({ "tags": pairs }),
        json!({ "tags": map }),
        json!({ "stacktrace": { "frames": frames }, "exception": [{}] }),
        json!({ "threads": [{ "stacktrace": { "frames": frames } }] }),
        json!({ "exception": exceptions, "threads": exceptions, "breadcrumbs": exceptions }),
        json!({ "extra": map, "contexts": pairs, "user": map, "request": { "headers": map, "env": pairs } }),
        Value::Object(map.clone()),
        json!({ "stacktrace": { "frames": [map] }, "exception": [map], "logentry": map, "errors": vec![map.clone(); 2] }),
    ] {
        processed(object(event));
    }
}

#[test]
fn long_texts_take_linear_time() {
    for piece in [
        "x",
        "é",
        "4",
        "4 ",
        "4111111111111111 ",
        "4111111111111111a",
        "a://",
        "a://b:",
        "@",
        "://@",
        "-----BEGIN PRIVATE KEY-----",
        "PRIVATE KEY-----",
        "%s",
        "{",
        "{}",
        "%(",
        "\n",
        "\"",
        "a=b&",
        "=",
        "&token=",
        "?",
    ] {
        let size = if piece == "x" { 10_000_000 } else { 300_000 };
        let text = piece.repeat(size / piece.len());
        processed(object(
            json!({ "message": text, "request": { "url": text, "query_string": text }, "extra": { "a": text } }),
        ));
    }
}

#[test]
fn large_texts_in_every_field_take_linear_time() {
    let text = "0x1 @/\\\n".repeat(5_000);
    let event: Object = FIELDS.iter().map(|key| ((*key).to_owned(), json!(text.repeat(10)))).collect();
    processed(event);
    let inner: Object = INNER.iter().map(|key| ((*key).to_owned(), json!(text))).collect();
    let event: Object =
        FIELDS.iter().map(|key| ((*key).to_owned(), json!({ "values": [inner], "frames": [inner] }))).collect();
    processed(event);
}

#[test]
fn nesting_as_deep_as_an_event_may_have_is_processed() {
    for key in ["extra", "contexts", "request", "user", "exception", "logentry", "tags", "x"] {
        let event = format!("{{\"{key}\":{}{}}}", "{\"data\":[".repeat(63), "]}".repeat(63));
        processed(read_event(event.as_bytes(), 1 << 20).unwrap());
    }
}
