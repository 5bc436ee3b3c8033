//! Scrubbing and inbound filters.

use std::net::IpAddr;

use serde_json::{Value, json};
use symdepot_events::Object;
use symdepot_events::filter::Filters;
use symdepot_events::scrub::Scrubber;

fn object(event: Value) -> Object {
    match event {
        Value::Object(event) => event,
        other => panic!("{other} is not an object"),
    }
}

/// Scrubs, and checks that doing so again changes nothing.
fn scrubbed(setting: Value, event: Value) -> Value {
    let scrubber = Scrubber::parse(&setting).expect("a valid setting");
    let mut once = object(event);
    scrubber.scrub(&mut once);
    let mut again = once.clone();
    scrubber.scrub(&mut again);
    assert_eq!(Value::Object(again), Value::Object(once.clone()), "scrubbing again changes the event");
    Value::Object(once)
}

#[test]
fn values_of_secret_keys_are_replaced_where_clients_put_them() {
    let values = |secret: &Value| {
        json!({ "db_password": secret, "token": [secret, 1], "Auth": { "a": secret }, "name": "bob",
            "pin": 1234, "secret": true, "cookie": null, "list": [{ "api-key": secret }], "pairs": [["csrf", secret], ["a", "b"]] })
    };
    let event = |values: Value| {
        json!({
            "extra": values,
            "contexts": { "app": values },
            "request": { "data": values, "env": values, "headers": values },
            "breadcrumbs": { "values": [{ "data": values }] },
            "user": { "data": values },
            "exception": { "values": [{ "stacktrace": { "frames": [{ "vars": values }] }, "raw_stacktrace": { "frames": [{ "vars": values }] } }] },
            "threads": { "values": [{ "stacktrace": { "frames": [{ "vars": values }] } }] },
            "stacktrace": { "frames": [{ "vars": values }] },
        })
    };
    let filtered = json!({ "db_password": "[Filtered]", "token": "[Filtered]", "Auth": "[Filtered]", "name": "bob",
        "pin": 1234, "secret": true, "cookie": null, "list": [{ "api-key": "[Filtered]" }], "pairs": [["csrf", "[Filtered]"], ["a", "b"]] });
    assert_eq!(scrubbed(Value::Null, event(values(&json!("'hunter2'")))), event(filtered));
    let elsewhere =
        json!({ "modules": { "token": "1" }, "token": "x", "user": { "password": "x" }, "sdk": { "auth": "x" } });
    assert_eq!(scrubbed(Value::Null, elsewhere.clone()), elsewhere);
}

#[test]
fn lists_of_pairs_and_queries_count_as_objects() {
    let event = json!({
        "tags": [["access_token", "x"], ["a", "b"]],
        "request": {
            "url": "https://u:p@h/x?password=1&a=2#token=3",
            "query_string": "a=1&%50assword=x&b=%20",
            "headers": [["Cookie", "x"], ["Accept", "x"]],
            "cookies": { "a": "b" },
            "data": "pin=1234&x=y",
            "env": { "QUERY_STRING": "token=1", "HTTP_COOKIE": "x" },
        },
    });
    let expected = json!({
        "tags": [["access_token", "[Filtered]"], ["a", "b"]],
        "request": {
            "url": "https://[Filtered]@h/x?password=[Filtered]&a=2#token=3",
            "query_string": "a=1&%50assword=[Filtered]&b=%20",
            "headers": [["Cookie", "[Filtered]"], ["Accept", "x"]],
            "cookies": "[Filtered]",
            "data": "pin=[Filtered]&x=y",
            "env": { "QUERY_STRING": "token=[Filtered]", "HTTP_COOKIE": "[Filtered]" },
        },
    });
    assert_eq!(scrubbed(Value::Null, event), expected);
    let pairs = json!({ "request": { "query_string": [["token", "x"], ["a", "b"]] } });
    let expected = json!({ "request": { "query_string": [["token", "[Filtered]"], ["a", "b"]] } });
    assert_eq!(scrubbed(Value::Null, pairs), expected);
}

#[test]
fn secrets_in_texts_are_replaced() {
    let text = "card 4111-1111-1111-1111, db postgres://bob:hunter2@db/x";
    let clean = "card [Filtered], db postgres://[Filtered]@db/x";
    let event = |text: &str| {
        json!({
            "message": text,
            "logentry": { "message": text, "formatted": text, "params": [text] },
            "exception": { "values": [{ "type": "E", "value": text }] },
            "breadcrumbs": { "values": [{ "message": text, "data": { "a": text } }] },
            "extra": { "a": [text], "b": text },
            "tags": [["a", text]],
            "errors": [{ "name": "extra", "value": text }],
        })
    };
    assert_eq!(scrubbed(Value::Null, event(text)), event(clean));
    let unchanged = json!({ "release": text, "transaction": text, "exception": { "values": [{ "type": text }] } });
    assert_eq!(scrubbed(Value::Null, unchanged.clone()), unchanged);
}

#[test]
fn settings_of_a_project_add_and_exempt_names() {
    let event =
        json!({ "extra": { "Internal-Id": "x", "token": "x", "session_token": "4111111111111111", "password": "x" } });
    for (setting, expected) in [
        (
            json!({ "sensitiveFields": ["internal_id"] }),
            json!(["[Filtered]", "[Filtered]", "[Filtered]", "[Filtered]"]),
        ),
        (json!({ "safeFields": ["TOKEN", "Session-Token"] }), json!(["x", "x", "4111111111111111", "[Filtered]"])),
        (
            json!({ "defaults": false, "sensitiveFields": ["token"] }),
            json!(["x", "[Filtered]", "4111111111111111", "x"]),
        ),
        (
            json!({ "sensitiveFields": ["token"], "safeFields": ["token"] }),
            json!(["x", "x", "[Filtered]", "[Filtered]"]),
        ),
        (
            json!({ "defaults": null, "ipAddresses": null, "other": 1 }),
            json!(["x", "[Filtered]", "[Filtered]", "[Filtered]"]),
        ),
    ] {
        let extra = scrubbed(setting.clone(), event.clone())["extra"].clone();
        let values: Vec<&Value> = extra.as_object().unwrap().values().collect();
        assert_eq!(json!(values), expected, "{setting}");
    }
    for wrong in [
        json!(1),
        json!([]),
        json!({ "defaults": 1 }),
        json!({ "ipAddresses": "no" }),
        json!({ "safeFields": "x" }),
        json!({ "sensitiveFields": [1] }),
        json!({ "safeFields": vec!["x"; 1_001] }),
    ] {
        let error = Scrubber::parse(&wrong).unwrap_err();
        assert!(error.starts_with("scrub"), "{error}");
    }
}

#[test]
fn addresses_of_users_are_removed_on_request() {
    let event = json!({
        "user": { "id": "1", "ip_address": "1.2.3.4" },
        "request": {
            "env": { "REMOTE_ADDR": "1.2.3.4", "HTTP_X_FORWARDED_FOR": "1.2.3.4", "SERVER_NAME": "x" },
            "headers": [["X-Forwarded-For", "1.2.3.4"], ["x-real-ip", "1.2.3.4"], ["Forwarded", "for=1.2.3.4"], ["Host", "x"]],
        },
    });
    let expected =
        json!({ "user": { "id": "1" }, "request": { "env": { "SERVER_NAME": "x" }, "headers": [["Host", "x"]] } });
    assert_eq!(scrubbed(json!({ "ipAddresses": true }), event.clone()), expected);
    assert_eq!(scrubbed(Value::Null, event.clone()), event);
}

#[test]
fn random_texts_are_scrubbed_once() {
    let pieces = [
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "PRIVATE KEY-----",
        "4111111111111111",
        "5",
        " ",
        "-",
        "@",
        "://",
        "http",
        ":",
        "a",
        "[Filtered]",
        "/",
        "=",
        "&",
        "token",
        "é",
        "\n",
        "0000000000000",
    ];
    let mut state = 7_u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pieces[usize::try_from(state >> 33).unwrap() % pieces.len()]);
        }
        scrubbed(
            Value::Null,
            json!({ "message": text, "request": { "query_string": text, "url": text, "data": text } }),
        );
    }
}

#[test]
fn each_kind_of_filter_matches_its_events() {
    let frame =
        |path: &str| json!({ "exception": { "values": [{ "stacktrace": { "frames": [{ "abs_path": path }] } }] } });
    let agent = |agent: &str| json!({ "request": { "headers": [["user-agent", agent]] } });
    let error = json!({ "exception": { "values": [{ "type": "A", "value": "x" }, { "type": "TypeError", "value": "bad 5" }] } });
    for (kind, pattern, event, is_filtered) in [
        ("error-message", "TypeError: bad *", error.clone(), true),
        ("error-message", "TypeError", error.clone(), false),
        ("error-message", "bad *", error.clone(), false),
        ("error-message", "A: x", error.clone(), true),
        ("error-message", "hello *", json!({ "message": "hello bob" }), true),
        ("error-message", "hello bob", json!({ "logentry": { "message": "hello %s", "params": ["bob"] } }), true),
        ("error-message", "*", json!({}), false),
        ("error-message", "only", json!({ "exception": { "values": [{ "type": "only" }] } }), true),
        ("release", "app@1.*", json!({ "release": "app@1.2" }), true),
        ("release", "app@1", json!({ "release": "app@1.2" }), false),
        ("release", "*", json!({}), false),
        ("ip", "203.0.113.0/24", json!({}), true),
        ("ip", "203.0.113.7", json!({}), true),
        ("ip", "203.0.113.8", json!({}), false),
        ("ip", "10.0.0.0/8", json!({ "user": { "ip_address": "10.1.2.3" } }), true),
        ("ip", "10.0.0.0/8", json!({ "user": { "ip_address": "::ffff:10.1.2.3" } }), true),
        ("ip", "2001:db8::/32", json!({ "user": { "ip_address": "2001:db8::1" } }), true),
        ("localhost", "", json!({ "request": { "url": "http://localhost:3000/x" } }), true),
        ("localhost", "", json!({ "request": { "url": "http://127.0.0.2/x" } }), true),
        ("localhost", "", json!({ "request": { "url": "http://[::1]:80/x" } }), true),
        ("localhost", "", json!({ "user": { "ip_address": "127.0.0.1" } }), true),
        ("localhost", "", json!({ "request": { "url": "http://localhost.example/x" } }), false),
        ("crawler", "", agent("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"), true),
        ("crawler", "", agent("Mozilla/5.0 (compatible; bingbot/2.0)"), true),
        ("crawler", "", agent("Mozilla/5.0 (X11; Linux x86_64) Chrome/130.0 Safari/537.36"), false),
        ("legacy-browser", "", agent("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)"), true),
        ("legacy-browser", "", agent("Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko"), true),
        ("legacy-browser", "", agent("Mozilla/5.0 (Macintosh) AppleWebKit/533 Version/5.1.7 Safari/533"), true),
        ("legacy-browser", "", agent("Mozilla/5.0 (Macintosh) AppleWebKit/605 Version/17.1 Safari/605"), false),
        ("extension", "", frame("chrome-extension://abc/content.js"), true),
        ("extension", "", frame("https://example.com/app.js"), false),
        ("extension", "", json!({ "csp": { "blocked_uri": "moz-extension" } }), true),
    ] {
        let filters = Filters::parse(&json!([{ "kind": kind, "pattern": pattern }])).unwrap();
        let event = object(event);
        let reason = filters.reason(&event, Some(IpAddr::from([203, 0, 113, 7])));
        assert_eq!(reason, is_filtered.then_some(kind), "{kind} {pattern} {event:?}");
        assert_eq!(Filters::default().reason(&event, None), None);
    }
}

#[test]
fn a_filter_that_cannot_be_read_is_named() {
    for wrong in [
        json!({}),
        json!([5]),
        json!([{ "pattern": "x" }]),
        json!([{ "kind": "other", "pattern": "x" }]),
        json!([{ "kind": "error-message" }]),
        json!([{ "kind": "release", "pattern": "" }]),
        json!([{ "kind": "release", "pattern": "a\0" }]),
        json!([{ "kind": "release", "pattern": "x".repeat(1_001) }]),
        json!([{ "kind": "crawler" }, { "kind": "ip", "pattern": "1.2.3" }]),
        json!(vec![json!({ "kind": "crawler" }); 1_001]),
    ] {
        let error = Filters::parse(&wrong).unwrap_err();
        assert!(error.starts_with("inboundFilters"), "{error}");
    }
    assert!(Filters::parse(&Value::Null).is_ok());
}
