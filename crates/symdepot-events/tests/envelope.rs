//! The grammar of envelopes, row by row as the wire has it.

use symdepot_events::envelope::{Envelope, Fault, parse};

const ID: &str = "9ec79c33ec9942ab8353589fcb2e04dc";

/// Type and payload of each item.
fn items<'a>(envelope: &'a Envelope, body: &'a [u8]) -> Vec<(&'a str, &'a [u8])> {
    envelope.items.iter().map(|item| (item.kind.as_str(), &body[item.payload.clone()])).collect()
}

/// Fails unless the body breaks the grammar.
#[track_caller]
fn refused(body: &[u8]) {
    let shown = String::from_utf8_lossy(&body[..body.len().min(200)]);
    match parse(body) {
        Err(Fault::Grammar(sentence)) => assert!(sentence.ends_with('.') && !sentence.contains('\n'), "{sentence}"),
        other => panic!("{shown}: {other:?}"),
    }
}

#[test]
fn an_envelope_of_the_page_is_read_in_place() {
    let body = format!(
        "{{\"event_id\":\"{ID}\",\"sent_at\":\"2026-11-30T22:42:30.026Z\",\"dsn\":\"http://k@h/7\",\"sdk\":{{}}}}\n\
         {{\"type\":\"event\",\"content_type\":\"application/json\",\"length\":19}}\n{{\"message\":\"hello\"}}\n\
         {{\"type\":\"attachment\",\"length\":3,\"filename\":\"a.txt\",\"content_type\":\"text/plain\",\
         \"attachment_type\":\"event.attachment\"}}\na\nt\n"
    );
    let envelope = parse(body.as_bytes()).unwrap();
    assert_eq!(envelope.header.event_id.unwrap().to_string(), ID);
    assert_eq!(envelope.header.sent_at.unwrap().to_rfc3339(), "2026-11-30T22:42:30.026+00:00");
    assert_eq!(envelope.header.dsn.as_deref(), Some("http://k@h/7"));
    let expected = [("event", &b"{\"message\":\"hello\"}"[..]), ("attachment", b"a\nt")];
    assert_eq!(items(&envelope, body.as_bytes()), expected);
    let file = &envelope.items[1];
    assert_eq!(file.filename.as_deref(), Some("a.txt"));
    assert_eq!(file.content_type.as_deref(), Some("text/plain"));
    assert_eq!(file.attachment_type.as_deref(), Some("event.attachment"));
}

#[test]
fn an_item_without_a_length_ends_at_the_line() {
    for (body, expected) in [
        (
            "{}\n{\"type\":\"event\"}\n{\"a\":1}\n{\"type\":\"session\"}\nx",
            vec![("event", "{\"a\":1}"), ("session", "x")],
        ),
        ("{}\n{\"type\":\"event\"}\n{}\r\n", vec![("event", "{}\r")]),
        ("{}\n{\"type\":\"event\"}\n\n{\"type\":\"b\"}\n", vec![("event", ""), ("b", "")]),
        ("{}\n{\"type\":\"event\"}", vec![("event", "")]),
        ("{}\n{\"type\":\"event\",\"length\":null}\nab\n", vec![("event", "ab")]),
    ] {
        let envelope = parse(body.as_bytes()).unwrap();
        let expected: Vec<_> = expected.into_iter().map(|(kind, payload)| (kind, payload.as_bytes())).collect();
        assert_eq!(items(&envelope, body.as_bytes()), expected, "{body:?}");
    }
}

#[test]
fn line_feeds_at_the_end_are_optional_and_blank_lines_may_follow() {
    for end in ["", "\n", "\n\n", "\n\r\n", "\n\n\n\n", "\n \n"] {
        for item in ["", "\n{\"type\":\"a\",\"length\":2}\nxy", "\n{\"type\":\"a\"}\nxy"] {
            let body = format!("{{}}{item}{end}");
            let envelope = parse(body.as_bytes()).unwrap_or_else(|fault| panic!("{body:?}: {fault}"));
            assert_eq!(envelope.items.len(), usize::from(!item.is_empty()), "{body:?}");
        }
    }
    let body = b"{}\n{\"type\":\"a\",\"length\":0}\n\n{\"type\":\"b\",\"length\":0}";
    assert_eq!(items(&parse(body).unwrap(), body), [("a", &b""[..]), ("b", b"")]);
}

#[test]
fn what_breaks_the_grammar_is_refused() {
    for body in [
        "",
        "\n",
        "x",
        "[]",
        "{",
        "{}{}",
        "\n{}",
        "{\n}",
        "{}\n\n{\"type\":\"a\"}\n",
        "{}\n{}\n",
        "{}\nx\n",
        "{}\n[]\n",
        "{}\n{\"type\":1}\n",
        "{}\n{\"type\":null}\n",
        "{}\n{\"type\":\"a\",\"length\":2}\na",
        "{}\n{\"type\":\"a\",\"length\":3}\na\n",
        "{}\n{\"type\":\"a\",\"length\":2}\nabc",
        "{}\n{\"type\":\"a\",\"length\":2}\nab\r\n",
        "{}\n{\"type\":\"a\",\"length\":2}",
        "{}\n{\"type\":\"a\",\"length\":-1}\nab",
        "{}\n{\"type\":\"a\",\"length\":-0}\n\n",
        "{}\n{\"type\":\"a\",\"length\":1.5}\nab",
        "{}\n{\"type\":\"a\",\"length\":2.0}\nab",
        "{}\n{\"type\":\"a\",\"length\":1e3}\nab",
        "{}\n{\"type\":\"a\",\"length\":1e999}\nab",
        "{}\n{\"type\":\"a\",\"length\":\"2\"}\nab",
        "{}\n{\"type\":\"a\",\"length\":[2]}\nab",
        "{}\n{\"type\":\"a\",\"length\":true}\nab",
        "{}\n{\"type\":\"a\",\"length\":18446744073709551615}\nab",
        "{}\n{\"type\":\"a\",\"length\":18446744073709551616}\nab",
        "{}\n{\"type\":\"event\"}\n{}\n{\"type\":\"event\"}\n{}\n",
        "{\"event_id\":\"\"}",
        "{\"event_id\":\"x\"}",
        "{\"event_id\":5}",
        "{\"event_id\":{}}",
        "{\"event_id\":\"9ec79c33-ec99-42ab-8353-589fcb2e04dc0\"}",
    ] {
        refused(body.as_bytes());
    }
    refused(b"{\"a\":\xff}\n");
}

#[test]
fn an_envelope_has_at_most_a_thousand_items_and_headers_of_64_kib() {
    let many = |count: usize| format!("{{}}\n{}", "{\"type\":\"a\"}\n\n".repeat(count)).into_bytes();
    assert_eq!(parse(&many(1_000)).unwrap().items.len(), 1_000);
    refused(&many(1_001));
    for before in ["", "{}\n"] {
        let header = |size: usize| {
            let start = format!("{before}{{\"type\":\"a\",\"x\":\"");
            let fill = size - (start.len() - before.len()) - 2;
            format!("{start}{}\"}}\npayload", "x".repeat(fill))
        };
        let longest = if before.is_empty() { header(64 << 10).replace("payload", "") } else { header(64 << 10) };
        assert!(parse(longest.as_bytes()).is_ok(), "{before:?}");
        refused(header((64 << 10) + 1).as_bytes());
    }
    refused(&vec![b'x'; 10_000_000]);
}

#[test]
fn other_fields_of_headers_are_harmless() {
    let body = b"{\"dsn\":5,\"sent_at\":{},\"event_id\":null,\"x\":[1e999,\"\\ud800\",\"\xff\"]}\n\
        {\"type\":\"x\",\"type\":\"attachment\",\"filename\":\"\\ud800\\u0000\xff.txt\",\"content_type\":1}\nab";
    let envelope = parse(body).unwrap();
    assert_eq!(envelope.header, Default::default());
    assert_eq!(envelope.items[0].kind, "attachment");
    assert_eq!(envelope.items[0].filename.as_deref(), Some("\u{fffd}\u{fffd}\u{fffd}.txt"));
    assert_eq!(envelope.items[0].content_type, None);
}
