//! What is in an envelope: payloads of events, bodies of `/store/`, reports of users and clients.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use symdepot_events::envelope::{
    EventId, Fault, check_event, client_report, parse, read_event, store_body, user_report,
};

const ID: &str = "9ec79c33ec9942ab8353589fcb2e04dc";
const MAX: u64 = 1 << 20;

#[test]
fn an_event_id_has_32_hex_digits_with_or_without_hyphens() {
    for text in [ID, "9EC79C33EC9942AB8353589FCB2E04DC", "9ec79c33-ec99-42ab-8353-589fcb2e04dc"] {
        let id: EventId = text.parse().unwrap();
        assert_eq!(id.to_string(), ID);
        assert_eq!(id.hyphenated(), "9ec79c33-ec99-42ab-8353-589fcb2e04dc");
        assert_eq!(check_event(json!({ "event_id": text }).to_string().as_bytes(), MAX), Ok(Some(id)));
    }
    for text in [
        "",
        "9ec79c33ec9942ab8353589fcb2e04d",
        "9ec79c33ec9942ab8353589fcb2e04dg",
        "9ec79c33-ec99-42ab8353-589fcb2e04dc-",
        "9ec79c33ec99-42ab-8353-589f-cb2e04dc",
        "é99c33ec9942ab8353589fcb2e04dcab",
        "{9ec79c33ec9942ab8353589fcb2e04dc}",
    ] {
        assert!(text.parse::<EventId>().is_err(), "{text}");
        let event = json!({ "event_id": text }).to_string();
        assert!(matches!(check_event(event.as_bytes(), MAX), Err(Fault::Grammar(_))), "{text}");
        assert!(matches!(read_event(event.as_bytes(), MAX), Err(Fault::Grammar(_))), "{text}");
    }
}

#[test]
fn the_id_of_an_event_is_found_at_its_top_level_only() {
    let id: EventId = ID.parse().unwrap();
    for (event, expected) in [
        ("{}".to_owned(), None),
        (r#"{"event_id":null}"#.to_owned(), None),
        (format!(r#"{{"a":{{"event_id":"x"}},"b":[{{"event_id":1}}],"event_id" : "{ID}","c":1}}"#), Some(id)),
        (format!(r#"{{"event_id":"x","event_id":"{ID}"}}"#), Some(id)),
        (format!(r#"{{"event\u005fid":"\u0039{}"}}"#, &ID[1..]), Some(id)),
        (r#"{"event_id ":"x","event_i":"x","\u0000event_id":"x"}"#.to_owned(), None),
    ] {
        assert_eq!(check_event(event.as_bytes(), MAX), Ok(expected), "{event}");
        assert!(read_event(event.as_bytes(), MAX).is_ok(), "{event}");
    }
    for event in [r#"{"event_id":5}"#, r#"{"event_id":[]}"#, r#"{"event_id":true}"#, r#"{"event_id":"\ud800"}"#] {
        assert!(check_event(event.as_bytes(), MAX).is_err(), "{event}");
        assert!(read_event(event.as_bytes(), MAX).is_err(), "{event}");
    }
}

#[test]
fn texts_that_cannot_be_stored_are_replaced() {
    for (sent, expected) in [
        (&br#"{"a":"\u0000"}"#[..], "\u{fffd}"),
        (br#"{"a":"\ud83d\ude00"}"#, "\u{1f600}"),
        (br#"{"a":"\ud83d"}"#, "\u{fffd}"),
        (br#"{"a":"\ude00x"}"#, "\u{fffd}x"),
        (br#"{"a":"\ud83d\ud83d\ude00"}"#, "\u{fffd}\u{1f600}"),
        (br#"{"a":"\ud83d\u0000\uDBFF"}"#, "\u{fffd}\u{fffd}\u{fffd}"),
        (br#"{"a":"\\u0000"}"#, "\\u0000"),
        (br#"{"a":"\\\u0000"}"#, "\\\u{fffd}"),
        (b"{\"a\":\"x\xff\xe2\x82\"}", "x\u{fffd}\u{fffd}"),
        (b"{\"a\":\"\0\"}", "\u{fffd}"),
    ] {
        assert_eq!(read_event(sent, MAX).unwrap()["a"], expected, "{}", String::from_utf8_lossy(sent));
        assert_eq!(check_event(sent, MAX), Ok(None));
    }
    let keys = read_event(b"{\"\\ud800\":1,\"\xff\":2,\"\\u0000b\":3}", MAX).unwrap();
    assert_eq!(Value::Object(keys), json!({ "\u{fffd}": 2, "\u{fffd}b": 3 }));
}

#[test]
fn numbers_that_do_not_fit_are_kept() {
    let long = "1".repeat(400);
    let event = format!(
        "{{\"a\":1e400,\"b\":-1e999999999999,\"c\":{long},\"d\":18446744073709551616,\"e\":-0,\"f\":[1e-999]}}"
    );
    let read = Value::Object(read_event(event.as_bytes(), MAX).unwrap());
    let expected =
        json!({ "a": "1e400", "b": "-1e999999999999", "c": long, "d": 1.8446744073709552e19, "e": -0.0, "f": [0.0] });
    assert_eq!(read, expected);
    assert_eq!(check_event(event.as_bytes(), MAX), Ok(None));
}

#[test]
fn what_is_no_event_is_refused() {
    let deep = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    let lists = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    for (event, is_valid) in [
        (deep(128), true),
        (deep(129), false),
        (lists(128), true),
        (lists(129), false),
        ("[".repeat(1_000_000), false),
        (format!("{{\"a\":{}", "[".repeat(500_000)), false),
        (format!("{{\"a\":\"{}\"}}", "[{".repeat(10_000)), true),
    ] {
        let start = &event[..event.len().min(20)];
        assert_eq!(check_event(event.as_bytes(), MAX).is_ok(), is_valid, "{start}");
        assert_eq!(read_event(event.as_bytes(), MAX).is_ok(), is_valid, "{start}");
    }
    for event in [
        "",
        " ",
        "[]",
        "1",
        "null",
        "\"a\"",
        "{",
        "}",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":[1,]}",
        "{\"a\":[1 2]}",
        "{\"a\":[}",
        "{\"a\":[1}",
        "{\"a\":{]}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":-Infinity}",
        "{} {}",
        "{}x",
        "{}\0",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":1e}",
        "{\"a\":-}",
        "{\"a\":tru}",
        "{\"a\":truee}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u00g0\"}",
        "{\"a\":\"\\u00\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\u{1f}\"}",
        "{\"a\":\"",
        "{\"a\":\"\\",
        "\u{feff}{}",
        "{}\u{a0}",
    ] {
        assert!(matches!(check_event(event.as_bytes(), MAX), Err(Fault::Grammar(_))), "{event}");
        assert!(matches!(read_event(event.as_bytes(), MAX), Err(Fault::Grammar(_))), "{event}");
    }
    for payload in [&b"{\xff}"[..], b"\xff{}", b"{\"a\":\0}", b"{}\xff"] {
        assert!(check_event(payload, MAX).is_err() && read_event(payload, MAX).is_err(), "{payload:?}");
    }
    assert!(matches!(check_event(b"{\"a\":1}", 6), Err(Fault::TooLarge(_))));
    assert!(matches!(read_event(b"{\"a\":1}", 6), Err(Fault::TooLarge(_))));
    assert!(check_event(b"{\"a\":1}", 7).is_ok());
}

/// A generator of numbers that is the same in every run.
fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).expect("a number of 31 bits fits")
}

#[test]
fn check_and_read_accept_the_same_payloads() {
    let seed =
        br#"{"a":[1,-2.5e+3,true,null,"x\"\\\u00e9\ud83d\ude00"],"event_id":null,"b":{"c":{}, "d":[ ]},"e":1e999}"#;
    let pieces = b"{}[]\",:\\u0dD8e+-.1 \n\0\xff\xc3tnf";
    let (mut state, mut accepted) = (42, 0);
    for _ in 0..60_000 {
        let mut payload = seed.to_vec();
        for _ in 0..=random(&mut state) % 3 {
            let at = random(&mut state) % payload.len();
            let piece = pieces[random(&mut state) % pieces.len()];
            match random(&mut state) % 3 {
                0 => payload[at] = piece,
                1 => payload.insert(at, piece),
                _ => _ = payload.remove(at),
            }
        }
        let (checked, read) = (check_event(&payload, MAX), read_event(&payload, MAX));
        assert_eq!(checked.is_ok(), read.is_ok(), "{}\n{checked:?}", String::from_utf8_lossy(&payload));
        accepted += usize::from(checked.is_ok());
        // Apart from what is replaced, both agree with the reader of JSON.
        if serde_json::from_slice::<Value>(&payload).is_ok_and(|value| value.get("event_id").is_none_or(Value::is_null))
        {
            assert!(checked.is_ok(), "{}", String::from_utf8_lossy(&payload));
        }
        let _ = parse(&payload);
    }
    assert!(accepted > 1_000, "{accepted}");
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data).expect("writing to memory succeeds");
    encoder.finish().expect("writing to memory succeeds")
}

#[test]
fn a_body_of_store_is_an_event_or_base64_of_zlib_of_one() {
    let event = br#"{"message":"hello"}"#;
    let packed = zlib(event);
    let text = STANDARD.encode(&packed);
    let broken = text.chars().collect::<Vec<_>>().chunks(20).map(String::from_iter).collect::<Vec<_>>().join("\r\n");
    for body in [&event[..], text.as_bytes(), text.trim_end_matches('=').as_bytes(), broken.as_bytes()] {
        assert_eq!(&*store_body(body, MAX).unwrap(), event);
    }
    let cut = STANDARD.encode(&packed[..packed.len() - 3]);
    let longer = STANDARD.encode([&packed[..], b"x"].concat());
    let mut flipped = packed.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let flipped = STANDARD.encode(flipped);
    for body in ["", "x", "hello world", "AAAA", "[1]", cut.as_str(), &longer, &flipped] {
        assert!(matches!(store_body(body.as_bytes(), MAX), Err(Fault::Grammar(_))), "{body}");
    }
}

#[test]
fn a_compressed_event_is_inflated_up_to_the_limit() {
    for (size, max, fits) in
        [(1_000, 1_000, true), (1_001, 1_000, false), (300_000, 300_000, true), (50_000_000, MAX, false)]
    {
        let body = STANDARD.encode(zlib(&vec![b' '; size]));
        match store_body(body.as_bytes(), max) {
            Ok(event) => assert!(fits && event.len() == size, "{size}"),
            Err(fault) => assert!(!fits && matches!(fault, Fault::TooLarge(_)), "{size} {fault}"),
        }
    }
    assert!(matches!(store_body(b"{\"a\":1}", 6), Err(Fault::TooLarge(_))));
}

#[test]
fn a_user_report_needs_an_event_id() {
    let report = json!({ "event_id": ID, "name": "bob\0", "email": 5, "comments": "broken" });
    let read = user_report(report.to_string().as_bytes()).unwrap();
    assert_eq!(read.event_id.to_string(), ID);
    assert_eq!((read.name.as_str(), read.email.as_str(), read.comments.as_str()), ("bob\u{fffd}", "", "broken"));
    for report in ["", "{}", "[]", "{\"event_id\":\"x\"}", "{\"event_id\":5}"] {
        assert_eq!(user_report(report.as_bytes()), None, "{report}");
    }
    let of_size = |size: usize| {
        let empty = json!({ "event_id": ID, "comments": "" }).to_string();
        user_report(empty.replace("\"\"", &format!("\"{}\"", "x".repeat(size - empty.len()))).as_bytes())
    };
    assert!(of_size(64 << 10).is_some() && of_size((64 << 10) + 1).is_none());
}

#[test]
fn a_client_report_counts_its_three_lists() {
    let report = json!({
        "timestamp": 1,
        "discarded_events": [
            { "reason": "ratelimit_backoff", "category": "span", "quantity": 3 },
            { "reason": "x", "category": "error", "quantity": 0 },
            { "reason": "x", "category": "error", "quantity": -1 },
            { "reason": "x", "category": "error", "quantity": 1.5 },
            { "reason": "x", "category": "error", "quantity": 9_223_372_036_854_775_807_i64 },
            { "reason": 1, "category": "error", "quantity": 1 },
            { "category": "error", "quantity": 1 },
            null,
        ],
        "rate_limited_events": [{ "reason": "quota", "category": "error", "quantity": 1 }],
        "filtered_events": [{ "reason": "crawler", "category": "error", "quantity": 2 }],
    });
    let read = client_report(report.to_string().as_bytes());
    let read: Vec<_> = read.iter().map(|d| (d.kind, d.reason.as_str(), d.category.as_str(), d.quantity)).collect();
    let expected = [
        ("discarded", "ratelimit_backoff", "span", 3),
        ("rate_limited", "quota", "error", 1),
        ("filtered", "crawler", "error", 2),
    ];
    assert_eq!(read, expected);
    for broken in ["", "[]", "{", "{}", "{\"discarded_events\":{}}", "{\"discarded_events\":[[]]}"] {
        assert_eq!(client_report(broken.as_bytes()), [], "{broken}");
    }
    let long = format!(
        "{{\"discarded_events\":[{{\"reason\":\"a\",\"category\":\"b\",\"quantity\":1}}]{}}}",
        " ".repeat(4_096)
    );
    assert_eq!(client_report(long.as_bytes()), []);
}
