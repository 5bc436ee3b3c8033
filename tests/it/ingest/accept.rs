//! What is accepted and what is refused, and what clients read of it.

use std::io::Write as _;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Sdk, error, uuid};
use crate::support::server::TestServer;
use crate::support::until;

#[tokio::test]
async fn an_event_is_read_back_in_short_and_long_form_with_its_issue() {
    let server = TestServer::start().await;
    let sdk = Sdk::of(&server).await;
    let mut sent = error("ValueError", "bad value 42");
    sent["release"] = json!("shop@1.0");
    sent["user"] = json!({ "id": 5, "username": "bob" });
    sent["tags"] = json!({ "shop": "de" });
    sent["extra"] = json!({ "password": "hunter2", "answer": 42 });
    let event = sdk.digested(sent).await;
    assert_eq!(event["title"], "ValueError: bad value 42");
    assert_eq!(event["user"], json!({ "id": "5", "username": "bob", "email": null, "ip_address": null }));
    let tags: Vec<_> = event["tags"].as_array().unwrap().iter().map(|tag| (&tag["key"], &tag["value"])).collect();
    let expected = [("level", "error"), ("release", "shop@1.0"), ("shop", "de"), ("user", "id:5")];
    assert_eq!(
        tags,
        expected.map(|(key, value)| (json!(key), json!(value))).iter().map(|(k, v)| (k, v)).collect::<Vec<_>>()
    );
    assert_eq!(event["context"], json!({ "password": "[Filtered]", "answer": 42 }));
    assert_eq!((&event["previousEventID"], &event["nextEventID"]), (&Value::Null, &Value::Null));
    let list = sdk.get(&format!("{}/events/?cursor=", sdk.base())).await;
    assert_eq!((list.as_array().unwrap().len(), &list[0]["eventID"]), (1, &event["eventID"]));
    let issue = sdk.issue_of(&event).await;
    assert_eq!(
        (&issue["count"], &issue["shortId"], &issue["userCount"]),
        (&json!("1"), &json!("DEFAULT-1"), &json!(1))
    );
    let hashes = sdk.get(&format!("/api/0/issues/{}/hashes/", issue["id"].as_str().unwrap())).await;
    assert_eq!(hashes[0]["id"], event["primaryHash"]);
    assert_eq!((&hashes[0]["latestEvent"]["eventID"], &hashes[0]["count"]), (&event["eventID"], &json!("1")));
    let info = sdk.get(&format!("{}/events/{}/grouping-info/", sdk.base(), event["id"].as_str().unwrap())).await;
    assert_eq!((&info["system"]["hash"], &info["system"]["hashMismatch"]), (&event["primaryHash"], &json!(false)));
    let found = sdk.get(&format!("/api/0/organizations/default/eventids/{}/", event["id"].as_str().unwrap())).await;
    assert_eq!((&found["groupId"], &found["projectSlug"]), (&event["groupID"], &json!("default")));
}

#[tokio::test]
async fn an_envelope_is_taken_whole_or_not_at_all() {
    let server = TestServer::start().await;
    let sdk = Sdk::of(&server).await;
    let id = uuid();
    let envelope = format!(
        "{{\"event_id\":\"{id}\"}}\n{{\"type\":\"attachment\",\"length\":3,\"filename\":\"a.txt\"}}\natt\n\
         {{\"type\":\"session\"}}\n{{}}\n{{\"type\":\"event\"}}\n{{\"message\":\"hello\"}}\n\
         {{\"type\":\"client_report\"}}\n{{\"discarded_events\":[{{\"reason\":\"r\",\"category\":\"error\",\"quantity\":3}}]}}"
    );
    let response = sdk.send("envelope", envelope).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert!(response.headers()["x-sentry-rate-limits"].to_str().unwrap().starts_with("86400:transaction;"));
    assert_eq!(response.json::<Value>().await.unwrap(), json!({ "id": id }));
    let event = sdk.event(&id).await;
    assert_eq!(event["message"], "hello");
    let path = format!("{}/events/{id}/attachments/", sdk.base());
    let attachments = sdk.get(&path).await;
    assert_eq!((&attachments[0]["name"], &attachments[0]["size"]), (&json!("a.txt"), &json!(3)));
    let download = format!("{path}{}/?download", attachments[0]["id"].as_str().unwrap());
    let content = server.request_as(&sdk.token, Method::GET, &download).send().await.unwrap();
    assert_eq!(content.text().await.unwrap(), "att");
    let outcomes = sdk.settled(1).await;
    assert_eq!(outcomes["not_supported"], 1);
    assert_eq!(outcomes["client"], json!([{ "reason": "r", "category": "error", "quantity": 3 }]));
    for broken in
        ["", "x", "[]\n", "{}\n{}\n", "{}\n{\"type\":\"event\",\"length\":99}\n{}", "{}\n{\"type\":\"event\"}\n{\"a\":"]
    {
        let response = sdk.send("envelope", broken.to_owned()).await;
        assert_eq!(response.status(), 400, "{broken:?}");
        assert!(response.headers().contains_key("x-sentry-error"));
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
    }
    assert_eq!(sdk.send("envelope", "{}").await.json::<Value>().await.unwrap(), json!({}));
}

#[tokio::test]
async fn a_key_opens_its_own_project_and_nothing_says_why_another_one_does_not() {
    let server = TestServer::start().await;
    let sdk = Sdk::of(&server).await;
    let other = server.add_project("other").await;
    let client = crate::support::client::http();
    let (own, foreign) = (sdk.project.id, other.project.id);
    let mut bodies = std::collections::BTreeSet::new();
    for (project, key) in [
        (own.to_string(), uuid()),
        (foreign.to_string(), sdk.key.clone()),
        ("999".to_owned(), sdk.key.clone()),
        (own.to_string(), "x".to_owned()),
    ] {
        let url = format!("{}/api/{project}/store/?sentry_key={key}", server.url);
        let response = client.post(url).body("{}").send().await.unwrap();
        assert_eq!(response.status(), 403, "{project} {key}");
        bodies.insert(response.text().await.unwrap());
    }
    assert_eq!(bodies.len(), 1);
    let url = format!("{}/api/{own}/store/", server.url);
    assert_eq!(client.post(&url).body("{}").send().await.unwrap().status(), 401);
    let options = client.request(Method::OPTIONS, &url).send().await.unwrap();
    assert_eq!(
        (options.status().as_u16(), &options.headers()["access-control-max-age"]),
        (200, &"3600".parse().unwrap())
    );
    assert_eq!(client.get(&url).send().await.unwrap().status(), 405);
    let header = format!("Sentry sentry_key={}, sentry_version=7", sdk.key);
    let sent = client.post(&url).header("x-sentry-auth", header).body("{\"message\":\"x\"}").send().await.unwrap();
    assert_eq!(sent.status(), 200);
}

#[tokio::test]
async fn bodies_are_decoded_from_every_coding_and_bombs_are_refused() {
    let server = TestServer::builder().settings(|config| config.events.max_envelope = 4 << 20).start().await;
    let sdk = Sdk::of(&server).await;
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let zlib = |bytes: &[u8]| {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    let sent = async |coding: &str, body: Vec<u8>| {
        let url = format!("{}/api/{}/envelope/?sentry_key={}", server.url, sdk.project.id, sdk.key);
        let request = crate::support::client::http().post(url).header("content-encoding", coding).body(body);
        request.send().await.unwrap().status().as_u16()
    };
    let envelope = b"{}\n{\"type\":\"event\"}\n{\"message\":\"hello\"}";
    let bomb = vec![b' '; 8 << 20];
    for (coding, good, bad) in [
        ("gzip", gzip(envelope), gzip(&bomb)),
        ("deflate", zlib(envelope), zlib(&bomb)),
        ("zstd", zstd(envelope), zstd(&bomb)),
        ("gzip, zstd", zstd(&gzip(envelope)), zstd(&gzip(&bomb))),
        ("identity", envelope.to_vec(), bomb.clone()),
    ] {
        assert_eq!(sent(coding, good.clone()).await, 200, "{coding}");
        assert_eq!(sent(coding, bad).await, 413, "{coding}");
        if coding != "identity" {
            assert_eq!(sent(coding, good[..good.len() - 3].to_vec()).await, 400, "{coding}");
            assert_eq!(sent(coding, [good, b"more".to_vec()].concat()).await, 400, "{coding}");
        }
    }
    let two_members = [gzip(&envelope[..5]), gzip(&envelope[5..])].concat();
    assert_eq!(sent("gzip", two_members).await, 200);
    assert_eq!(sent("lzma", envelope.to_vec()).await, 415);
}

#[tokio::test]
async fn above_its_rate_a_project_hears_when_the_next_event_may_come() {
    let server = TestServer::start().await;
    let sdk = Sdk::of(&server).await;
    sdk.set(json!({ "eventRate": 2 })).await;
    for number in 0..2 {
        sdk.store(error("E", &number.to_string())).await;
    }
    let response = sdk.send("store", error("E", "3").to_string()).await;
    assert_eq!(response.status(), 429);
    let seconds: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=30).contains(&seconds), "{seconds}");
    let limits = response.headers()["x-sentry-rate-limits"].to_str().unwrap().to_owned();
    assert!(limits.starts_with(&format!("{seconds}:error;default;security;attachment:project:rate,")), "{limits}");
    sdk.settled(2).await;
    until("the refusal is counted", || async { (sdk.outcomes().await["rate_limited"] == 1).then_some(()) }).await;
}

#[tokio::test]
async fn a_repeated_id_is_counted_once_and_the_last_payload_stays() {
    let server = TestServer::start().await;
    let sdk = Sdk::of(&server).await;
    let (id, other) = (uuid(), uuid());
    let with_id = |id: &str, kind: &str| {
        let mut event = error(kind, "v");
        event["event_id"] = json!(id);
        event
    };
    sdk.digested(with_id(&other, "A")).await;
    let first = sdk.digested(with_id(&id, "A")).await;
    assert_eq!(sdk.count_of(&first).await, "2");
    sdk.store(with_id(&id, "A")).await;
    assert_eq!(sdk.settled(3).await["duplicate"], 1);
    assert_eq!(sdk.count_of(&first).await, "2");
    // The payload that came last groups elsewhere: the event moves with its count.
    sdk.store(with_id(&id, "B")).await;
    sdk.settled(4).await;
    let moved = sdk.event(&id).await;
    assert_ne!(moved["groupID"], first["groupID"]);
    assert_eq!((sdk.count_of(&moved).await, sdk.count_of(&first).await), ("1".to_owned(), "1".to_owned()));
    // An issue without any counted event goes, and its id leads where its last event went.
    sdk.store(with_id(&other, "B")).await;
    sdk.settled(5).await;
    assert_eq!(sdk.issue_of(&first).await["id"], moved["groupID"]);
    assert_eq!(sdk.count_of(&moved).await, "2");
    sdk.set(json!({ "duplicates": "first" })).await;
    sdk.store(with_id(&id, "C")).await;
    sdk.settled(6).await;
    assert_eq!(sdk.event(&id).await["title"], "B: v");
    assert_eq!(server.app.db.miscounted_issues().await.unwrap(), []);
}

#[tokio::test]
async fn settings_that_cannot_be_read_are_refused_and_change_nothing() {
    let server = TestServer::start().await;
    let sdk = Sdk::of(&server).await;
    let path = format!("{}/", sdk.base());
    let before = sdk.get(&path).await;
    for (settings, name) in [
        (json!({ "fingerprintingRules": "type:A -> a\nnonsense" }), "fingerprintingRules, line 2"),
        (json!({ "groupingEnhancements": "x" }), "groupingEnhancements, line 1"),
        (json!({ "duplicates": "never" }), "duplicates"),
        (json!({ "eventRate": -1 }), "eventRate"),
        (json!({ "eventRetention": ["9"] }), "eventRetention"),
        (json!({ "inboundFilters": [{ "kind": "x" }] }), "inboundFilters"),
        (json!({ "scrub": { "defaults": 1 } }), "scrub"),
    ] {
        let response = server.request_as(&sdk.token, Method::PUT, &path).json(&settings).send().await.unwrap();
        assert_eq!(response.status(), 400, "{settings}");
        let detail = response.json::<Value>().await.unwrap()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(name), "{detail}");
    }
    assert_eq!(sdk.get(&path).await, before);
    sdk.set(json!({ "inboundFilters": [{ "kind": "error-message", "pattern": "Noise*" }], "unknown": 1 })).await;
    sdk.store(error("Noise", "x")).await;
    assert_eq!(sdk.settled(1).await["filtered"], 1);
}
