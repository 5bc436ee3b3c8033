//! The forms in which a client presents a key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use symdepot_events::credentials::{Presented, key_of, parse_dsn};
use symdepot_events::envelope::Fault;

const KEY: &str = "344548b459da9b7ec6b3c908af83e492";

#[test]
fn every_form_of_a_key_is_read() {
    let basic = format!("Basic {}", STANDARD.encode(format!("{KEY}:")));
    let sentry = format!("Sentry sentry_key={KEY}, sentry_version=7, sentry_client=x/1, sentry_secret=s, other");
    let loose = format!("sentry  Sentry_Key = {} ,sentry_version = 6,x=y", KEY.to_uppercase());
    let query = format!("a=b&sentry_version=7&sentry_key={KEY}&sentry_client=sentry.javascript.node%2F11.12.0");
    let encoded = format!("?SENTRY%5FKEY=%33{}", &KEY[1..]);
    let none = Presented::default();
    for presented in [
        Presented { sentry_auth: Some(&sentry), ..none },
        Presented { sentry_auth: Some(&loose), ..none },
        Presented { authorization: Some(&sentry), ..none },
        Presented { authorization: Some(&basic), ..none },
        Presented { query: Some(&query), ..none },
        Presented { query: Some(&encoded), ..none },
        Presented { path_key: Some(KEY), ..none },
        Presented { sentry_auth: Some(&loose), authorization: Some(&basic), query: Some(&query), path_key: Some(KEY) },
    ] {
        assert_eq!(key_of(&presented), Ok(Some(KEY.to_owned())), "{presented:?}");
    }
    for presented in [
        none,
        Presented { query: Some(""), ..none },
        Presented { query: Some("sentry_version=9"), ..none },
        Presented { authorization: Some("Bearer abc"), ..none },
        Presented { sentry_auth: Some("Sentry sentry_version=7"), ..none },
        Presented { sentry_auth: Some("Sentry"), ..none },
    ] {
        assert_eq!(key_of(&presented), Ok(None), "{presented:?}");
    }
}

#[test]
fn different_keys_and_versions_are_refused() {
    let query = format!("sentry_key={KEY}");
    let twice = format!("sentry_key={KEY}&sentry_key=x");
    let none = Presented::default();
    for presented in [
        Presented { query: Some(&query), path_key: Some("other"), ..none },
        Presented { query: Some(&twice), ..none },
        Presented { query: Some(&query), authorization: Some("Basic Og=="), ..none },
    ] {
        assert!(matches!(key_of(&presented), Err(Fault::Unauthorized(_))), "{presented:?}");
    }
    for (version, is_supported) in [
        ("7", true),
        ("2.0", true),
        ("6", true),
        ("", false),
        ("8", false),
        ("7.1", false),
        ("x", false),
        ("NaN", false),
        ("inf", false),
        ("-inf", false),
        ("1e9", false),
    ] {
        let query = format!("sentry_key={KEY}&sentry_version={version}");
        let key = key_of(&Presented { query: Some(&query), ..none });
        assert_eq!(key.is_ok(), is_supported, "{version}");
        assert!(is_supported || matches!(key, Err(Fault::Grammar(_))), "{version}");
    }
}

#[test]
fn malformed_keys_are_returned_as_sent() {
    let none = Presented::default();
    for (presented, expected) in [
        (Presented { path_key: Some("ABC"), ..none }, "ABC"),
        (Presented { query: Some("sentry_key="), ..none }, ""),
        (Presented { query: Some("sentry_key=%zz%f%ff+"), ..none }, "%zz%f\u{fffd} "),
        (Presented { authorization: Some("Basic ???"), ..none }, "???"),
        (Presented { authorization: Some("Basic YTpi"), ..none }, "a"),
        (Presented { authorization: Some("Basic YQ"), ..none }, "a"),
    ] {
        assert_eq!(key_of(&presented), Ok(Some(expected.to_owned())), "{presented:?}");
    }
}

#[test]
fn a_dsn_has_a_key_and_a_project() {
    for (text, key, project) in [
        (format!("https://{KEY}@host/7"), KEY, "7"),
        (format!("http://{}:secret@host:8000/prefix/42/", KEY.to_uppercase()), KEY, "42"),
        ("http://ABC@[::1]:8000/7?x=/9".to_owned(), "ABC", "7"),
    ] {
        let dsn = parse_dsn(&text).unwrap();
        assert_eq!((dsn.key.as_str(), dsn.project.as_str()), (key, project), "{text}");
    }
    for text in
        ["", "http://host/7", "http://key@host", "http://key@host/", "http://@host/7", "http://key@/7", "key@host/7"]
    {
        assert_eq!(parse_dsn(text), None, "{text}");
    }
}
