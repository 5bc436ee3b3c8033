//! Reports of browsers, as the browsers send them. Grouping and titles have tests of their own.

use serde_json::{Value, json};
use symdepot_events::security::{MAX_REPORTS, reports};

fn events(body: &Value) -> (Vec<Value>, bool) {
    let (events, is_list) = reports(body.to_string().as_bytes(), &[]).expect("a report");
    (events.into_iter().map(Value::Object).collect(), is_list)
}

fn single(body: &Value) -> Value {
    let (mut events, is_list) = events(body);
    assert!(!is_list && events.len() == 1);
    events.remove(0)
}

#[test]
fn csp_report_becomes_an_event() {
    let event = single(&json!({ "csp-report": {
        "document-uri": "https://shop.example/pay", "referrer": "https://search.example/", "violated-directive": "script-src-elem",
        "effective-directive": "script-src-elem", "original-policy": "default-src 'self'", "disposition": "enforce",
        "blocked-uri": "https://evil.example/x.js", "line-number": 7, "column-number": 1, "status-code": 200, "script-sample": "",
        "source-file": "https://shop.example/a.js",
    }}));
    let expected = json!({
        "platform": "other", "logger": "csp", "type": "csp",
        "request": { "url": "https://shop.example/pay", "headers": { "Referer": "https://search.example/" } },
        "tags": { "effective-directive": "script-src-elem", "blocked-uri": "https://evil.example/x.js", "disposition": "enforce" },
        "csp": {
            "document_uri": "https://shop.example/pay", "referrer": "https://search.example/", "violated_directive": "script-src-elem",
            "effective_directive": "script-src-elem", "original_policy": "default-src 'self'", "disposition": "enforce",
            "blocked_uri": "https://evil.example/x.js", "line_number": 7, "column_number": 1, "status_code": 200,
            "script_sample": "", "source_file": "https://shop.example/a.js",
        },
    });
    assert_eq!(event, expected);
}

#[test]
fn list_of_the_reporting_api_becomes_events_with_the_same_names() {
    let (events, is_list) = events(&json!([
        { "type": "csp-violation", "age": 3, "url": "https://shop.example/", "user_agent": "Browser/1", "body": {
            "documentURL": "https://shop.example/pay", "blockedURL": "inline", "effectiveDirective": "script-src-elem",
            "originalPolicy": "p", "sourceFile": "s", "sample": "alert(1)", "lineNumber": 3, "columnNumber": 4, "statusCode": 200,
            "disposition": "report", "referrer": "",
        }},
        { "type": "deprecation", "body": {} },
        { "type": "csp-violation", "url": "https://shop.example/b", "body": { "blockedURL": "data:text/plain,abc" } },
        { "type": "csp-violation" },
    ]));
    assert!(is_list);
    assert_eq!(events.len(), 2);
    let expected = json!({
        "document_uri": "https://shop.example/pay", "blocked_uri": "inline", "effective_directive": "script-src-elem",
        "original_policy": "p", "source_file": "s", "script_sample": "alert(1)", "line_number": 3, "column_number": 4,
        "status_code": 200, "disposition": "report", "referrer": "",
    });
    assert_eq!(events[0]["csp"], expected);
    assert_eq!(
        events[0]["request"],
        json!({ "url": "https://shop.example/pay", "headers": { "User-Agent": "Browser/1" } })
    );
    assert_eq!(
        events[1]["csp"],
        json!({ "blocked_uri": "data:text/plain,abc", "document_uri": "https://shop.example/b" })
    );
    assert_eq!(events[1]["tags"], json!({ "blocked-uri": "data" }));
}

#[test]
fn list_without_a_violation_has_no_events() {
    assert_eq!(events(&json!([])), (vec![], true));
    assert_eq!(events(&json!([{ "type": "nel" }])), (vec![], true));
}

#[test]
fn reports_about_certificates_have_their_own_kind() {
    let body = json!({ "date-time": "2026-01-01T00:00:00Z", "hostname": "shop.example", "port": 443, "served-certificate-chain": ["a"] });
    for (key, kind) in [("expect-ct-report", "expectct"), ("expect-staple-report", "expectstaple")] {
        let event = single(&json!({ key: body }));
        assert_eq!(
            (&event["platform"], &event["logger"], &event["type"]),
            (&json!("other"), &json!(kind), &json!(kind))
        );
        let expected = json!({
            "date_time": "2026-01-01T00:00:00Z", "hostname": "shop.example", "port": 443, "served_certificate_chain": ["a"],
        });
        assert_eq!(event[kind], expected);
        assert_eq!(event["request"]["url"], "https://shop.example/");
        assert_eq!(event["tags"], json!({ "hostname": "shop.example" }));
    }
    let event = single(
        &json!({ "hostname": "shop.example", "port": 8443, "known-pins": ["pin-sha256=\"a\""], "noted-hostname": "b" }),
    );
    let expected = json!({
        "hostname": "shop.example", "port": 8443, "known_pins": ["pin-sha256=\"a\""], "noted_hostname": "b",
    });
    assert_eq!(event["hpkp"], expected);
    assert_eq!(event["logger"], "hpkp");
    assert_eq!(event["request"]["url"], "https://shop.example:8443/");
}

#[test]
fn directive_of_older_browsers_is_tagged_without_its_sources() {
    let event = single(&json!({ "csp-report": { "violated-directive": "img-src 'none'" } }));
    assert_eq!(event["tags"], json!({ "effective-directive": "img-src" }));
}

#[test]
fn environment_and_release_come_from_the_query() {
    let query =
        [("sentry_key", "k"), ("sentry_release", "shop@1"), ("sentry_environment", ""), ("sentry_environment", "prod")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let (events, _) = reports(br#"{"csp-report":{}}"#, &query).unwrap();
    assert_eq!((&events[0]["release"], &events[0]["environment"]), (&json!("shop@1"), &json!("prod")));
}

#[test]
fn everything_else_is_refused_with_a_sentence() {
    let deep = format!("{{\"csp-report\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let long = format!("[{}]", vec!["{}"; MAX_REPORTS + 1].join(","));
    let bodies = [
        "",
        "{",
        "{}",
        "7",
        "null",
        "\"text\"",
        r#"{"csp-report":7}"#,
        r#"{"other":{}}"#,
        "[7]",
        "[[]]",
        r#"{"csp-report":{}} x"#,
        r#"{"type":"csp-violation","body":{}}"#,
        &deep,
        &long,
    ];
    for body in bodies {
        let reason = reports(body.as_bytes(), &[]).unwrap_err();
        assert!(reason.ends_with('.') && reason.len() < 300, "{reason}");
    }
}

#[test]
fn text_that_was_cut_within_a_character_is_kept() {
    let body = b"{\"csp-report\":{\"script-sample\":\"a\\ud83d\",\"source-file\":\"b\\u0000c\\\\u0000\",\"referrer\":\"\xff\"}}";
    let (events, _) = reports(body, &[]).unwrap();
    let expected = json!({ "script_sample": "a\u{fffd}", "source_file": "b\u{fffd}c\\u0000", "referrer": "\u{fffd}" });
    assert_eq!(events[0]["csp"], expected);
}

#[test]
fn of_two_spellings_of_a_name_the_first_counts() {
    let event = single(
        &json!({ "csp-report": { "blockedURL": "a", "blocked-uri": "b", "blocked_uri": "c", "HTTPStatusCode": 1 } }),
    );
    assert_eq!(event["csp"], json!({ "blocked_uri": "a", "http_status_code": 1 }));
}
