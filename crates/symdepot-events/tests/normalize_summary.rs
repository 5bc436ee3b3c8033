//! Title, culprit, tags and user of an event, as the table of the wire has them.

use serde_json::{Value, json};
use symdepot_events::summary::{Summary, summary};

fn of(event: Value) -> Summary {
    summary(event.as_object().expect("an object"), None)
}

#[test]
fn a_title_comes_from_the_last_exception_the_message_or_the_report() {
    let exception =
        |exception: Value| json!({ "message": "m", "exception": { "values": [{ "type": "First" }, exception] } });
    for (event, title, kind) in [
        (
            exception(json!({ "type": "ValueError", "value": "bad value 42\nsecond" })),
            "ValueError: bad value 42",
            "error",
        ),
        (exception(json!({ "type": "ValueError" })), "ValueError", "error"),
        (exception(json!({ "value": "\n only \n" })), "only", "error"),
        (exception(json!({ "type": "", "value": null })), "m", "error"),
        (json!({ "message": "first\nsecond" }), "first", "default"),
        (json!({ "logentry": { "formatted": "f", "message": "m" }, "message": "x" }), "f", "default"),
        (json!({ "logentry": { "message": "user %s", "params": ["bob"] } }), "user bob", "default"),
        (json!({ "logentry": { "message": "{} of {n}", "params": { "n": 3 } } }), "{} of 3", "default"),
        (json!({ "message": "100%s" }), "100%s", "default"),
        (json!({}), "<unlabeled event>", "default"),
        (json!({ "message": " \n " }), "<unlabeled event>", "default"),
        (
            json!({ "csp": { "effective_directive": "script-src", "blocked_uri": "https://evil.example/x.js" } }),
            "Blocked 'script' from 'evil.example'",
            "csp",
        ),
        (
            json!({ "csp": { "violated_directive": "style-src-elem 'self'", "blocked_uri": "" } }),
            "Blocked 'style' from 'self'",
            "csp",
        ),
        (
            json!({ "csp": { "effective_directive": "img-src", "blocked_uri": "data:x" } }),
            "Blocked 'img' from 'data'",
            "csp",
        ),
        (json!({ "threads": { "values": [{ "id": 1 }] }, "message": "m" }), "m", "error"),
        (json!({ "csp": 5, "exception": [], "threads": 1 }), "<unlabeled event>", "default"),
    ] {
        let summary = of(event.clone());
        assert_eq!((summary.title.as_str(), summary.kind), (title, kind), "{event}");
    }
    let event = json!({ "message": "m" });
    assert_eq!(summary(event.as_object().unwrap(), Some(" rule\nx")).title, "rule");
    assert_eq!(summary(event.as_object().unwrap(), Some(" ")).title, "m");
    assert_eq!(of(json!({ "message": "ü".repeat(300) })).title, "ü".repeat(255));
}

#[test]
fn metadata_has_the_exception_or_the_title() {
    let exception = of(json!({ "exception": { "values": [{ "type": "A", "value": "b\nc" }] } }));
    assert_eq!(Value::Object(exception.metadata), json!({ "type": "A", "value": "b\nc" }));
    assert_eq!(Value::Object(of(json!({ "message": "m" })).metadata), json!({ "title": "m" }));
}

#[test]
fn a_culprit_is_the_transaction_or_the_innermost_frame_of_the_application() {
    let frames = |frames: Value| json!({ "stacktrace": { "frames": frames } });
    let exceptions = |list: Value| json!({ "exception": { "values": list } });
    let app = json!({ "module": "app", "filename": "app.py", "function": "inner", "in_app": true });
    let lib = json!({ "filename": "lib.py", "function": "f", "in_app": false });
    for (event, culprit, location) in [
        (exceptions(json!([frames(json!([app, lib]))])), "app in inner", Some("app.py")),
        (exceptions(json!([frames(json!([lib]))])), "lib.py in f", Some("lib.py")),
        (
            exceptions(json!([frames(json!([app])), frames(json!([lib])), { "type": "A" }])),
            "lib.py in f",
            Some("lib.py"),
        ),
        (frames(json!([{ "function": "f" }])), "f", None),
        (frames(json!([{ "filename": "x.c" }])), "x.c", Some("x.c")),
        (frames(json!([{}])), "", None),
        (
            json!({ "threads": { "values": [frames(json!([lib])), { "crashed": true, "stacktrace": { "frames": [app] } }] } }),
            "app in inner",
            Some("app.py"),
        ),
        (json!({}), "", None),
        (exceptions(json!(5)), "", None),
    ] {
        let summary = of(event.clone());
        assert_eq!((summary.culprit.as_str(), summary.location.as_deref()), (culprit, location), "{event}");
    }
    let event = json!({ "transaction": "/pay", "stacktrace": { "frames": [app] } });
    assert_eq!((of(event.clone()).culprit, of(event).location), ("/pay".to_owned(), Some("app.py".to_owned())));
}

#[test]
fn derived_tags_are_not_replaced_and_always_present() {
    let sent = |count: usize| (0..count).map(|n| json!([format!("t{n:03}"), "x"]));
    let event = json!({
        "level": "error", "environment": "prod", "release": "r".repeat(250), "dist": "d", "transaction": "a\nb",
        "server_name": "s", "logger": "l", "user": { "email": "b@x", "ip_address": "::1" },
        "tags": sent(100).chain([json!(["level", "mine"]), json!(["user", "mine"])]).collect::<Vec<_>>(),
    });
    let tags = of(event).tags;
    let get = |key: &str| tags.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    assert_eq!(tags.len(), 100);
    assert!(tags.is_sorted());
    for (key, expected) in [
        ("level", "error"),
        ("environment", "prod"),
        ("dist", "d"),
        ("transaction", "a b"),
        ("server_name", "s"),
        ("logger", "l"),
        ("user", "email:b@x"),
        ("t091", "x"),
    ] {
        assert_eq!(get(key), Some(expected), "{key}");
    }
    assert_eq!((get("release"), get("t092")), (Some("r".repeat(200).as_str()), None));
    let sent_only = of(json!({ "tags": sent(150).chain([json!(["release", "mine"])]).collect::<Vec<_>>() })).tags;
    assert!(sent_only.len() == 100 && sent_only.contains(&("release".to_owned(), "mine".to_owned())));
}

#[test]
fn a_user_is_four_texts_or_nulls() {
    for (user, expected, key) in [
        (
            json!({ "id": "5", "username": "bob", "x": 1 }),
            json!({ "id": "5", "username": "bob", "email": null, "ip_address": null }),
            "id:5",
        ),
        (
            json!({ "username": "bob" }),
            json!({ "id": null, "username": "bob", "email": null, "ip_address": null }),
            "username:bob",
        ),
        (
            json!({ "ip_address": "::1", "id": "" }),
            json!({ "id": null, "username": null, "email": null, "ip_address": "::1" }),
            "ip:::1",
        ),
    ] {
        let summary = of(json!({ "user": user }));
        assert_eq!(summary.user.map(Value::Object), Some(expected), "{user}");
        assert_eq!(summary.user_key.as_deref(), Some(key));
        assert!(summary.tags.contains(&("user".to_owned(), key.to_owned())));
    }
    for user in [json!({}), json!({ "name": "x" }), json!(5), json!(null)] {
        let summary = of(json!({ "user": user }));
        assert_eq!((summary.user, summary.user_key), (None, None), "{user}");
    }
}

#[test]
fn other_fields_are_texts_or_absent() {
    let summary = of(
        json!({ "release": "r", "environment": "", "dist": 5, "logger": "l", "platform": "python", "level": "info" }),
    );
    assert_eq!((summary.release.as_deref(), summary.environment, summary.dist), (Some("r"), None, None));
    assert_eq!(
        (summary.logger.as_deref(), summary.platform.as_str(), summary.level.as_str()),
        (Some("l"), "python", "info")
    );
    let summary = of(json!({}));
    assert_eq!((summary.platform.as_str(), summary.level.as_str(), summary.message.as_str()), ("other", "error", ""));
}
