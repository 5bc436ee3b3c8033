//! Keys, settings, hashes, merging, occurrences and outcomes over HTTP.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Sender, grouped_by};
use crate::support::until;

#[tokio::test]
async fn a_key_is_made_shown_as_a_dsn_and_revoked() {
    let sender = Sender::start().await;
    let keys = sender.project("keys/");
    let (status, key) = sender.ask(Method::POST, &keys, Some(json!({ "name": "phones" }))).await;
    assert_eq!((status.as_u16(), &key["name"], &key["isActive"]), (201, &json!("phones"), &json!(true)));
    let public = key["public"].as_str().unwrap();
    assert!(public.len() == 32 && public.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{key}");
    let host = sender.server.url.trim_start_matches("http://");
    let project = sender.account().project.id;
    assert_eq!(key["dsn"]["public"], json!(format!("http://{public}@{host}/{project}")));
    let listed = sender.get(&keys).await;
    assert!(listed.as_array().unwrap().contains(&key), "{listed}");
    let one = format!("{keys}{}/", key["id"].as_str().unwrap());
    assert_eq!(sender.ask(Method::DELETE, &one, None).await.0, 204);
    let listed = sender.get(&keys).await;
    let state = listed.as_array().unwrap().iter().find(|one| one["id"] == key["id"]).map(|one| &one["isActive"]);
    assert_ne!(state, Some(&json!(true)));
    let store = format!("/api/{project}/store/?sentry_key={public}");
    until("the key is refused", || async {
        let sent = sender.server.request(Method::POST, &store).body("{}").send().await.unwrap();
        (sent.status() == 403).then_some(())
    })
    .await;
}

#[tokio::test]
async fn settings_have_defaults_and_are_changed_all_or_none() {
    let sender = Sender::start().await;
    let path = sender.project("");
    let before = sender.get(&path).await;
    assert_eq!((&before["slug"], &before["groupingMode"]), (&json!("default"), &json!("flat")));
    assert_eq!((&before["duplicates"], &before["eventSampling"]), (&json!("last"), &json!("off")));
    assert_eq!((&before["eventRetention"], &before["eventRate"]), (&json!(["keep"]), &json!(0)));
    assert_eq!(
        before["scrub"],
        json!({ "defaults": true, "ipAddresses": false, "sensitiveFields": [], "safeFields": [] })
    );
    for bad in [
        json!({ "eventRate": 5, "fingerprintingRules": "type:A -> b\nnonsense" }),
        json!({ "eventRate": 5, "groupingMode": "round" }),
        json!({ "eventRate": -1 }),
        json!({ "eventRate": 5, "eventRetention": ["9"] }),
        json!({ "eventRate": 5, "inboundFilters": [{ "kind": "x" }] }),
        json!({ "eventRate": 5, "scrub": { "defaults": 1 } }),
    ] {
        let (status, body) = sender.ask(Method::PUT, &path, Some(bad.clone())).await;
        assert_eq!(status, 400, "{bad}");
        if bad["fingerprintingRules"].is_string() {
            assert!(body["detail"].as_str().unwrap().starts_with("fingerprintingRules, line 2"), "{body}");
        }
    }
    assert_eq!(sender.get(&path).await, before);
    let change = json!({
        "eventRate": 600,
        "eventRetention": ["90d", "newest:1000", "issue:newest:5"],
        "scrub": { "ipAddresses": true },
        "platform": "python",
    });
    let (status, after) = sender.ask(Method::PUT, &path, Some(change)).await;
    assert_eq!((status.as_u16(), &after["eventRate"]), (200, &json!(600)));
    assert_eq!((&after["scrub"]["ipAddresses"], &after["scrub"]["defaults"]), (&json!(true), &json!(true)));
    assert_eq!(sender.get(&path).await, after);
}

/// Count of an issue, and of each of its hashes.
async fn counts(sender: &Sender, issue: &Value) -> (Value, Vec<String>) {
    let path = format!("/api/0/issues/{}/", issue.as_str().unwrap());
    let hashes = sender.get(&format!("{path}hashes/")).await;
    let each = hashes.as_array().unwrap().iter().map(|hash| hash["count"].as_str().unwrap().to_owned());
    let mut each: Vec<_> = each.collect();
    each.sort();
    (sender.get(&path).await["count"].clone(), each)
}

#[tokio::test]
async fn issues_are_merged_and_taken_apart_without_losing_a_count() {
    let sender = Sender::start().await;
    let first = sender.digested(&grouped_by("one")).await;
    sender.digested(&grouped_by("one")).await;
    let other = sender.digested(&grouped_by("two")).await;
    let (a, b) = (&first["groupID"], &other["groupID"]);
    let before = sender.get("/api/0/issues/default-2/").await;
    assert_eq!((&before["id"], &before["shortId"], &before["userCount"]), (b, &json!("DEFAULT-2"), &json!(1)));
    let merge = format!("issues/?id={}&id={}", b.as_str().unwrap(), a.as_str().unwrap());
    let (status, _) = sender.ask(Method::PUT, &sender.project(&merge), Some(json!({ "merge": 1 }))).await;
    assert_eq!(status, 200);
    assert_eq!(counts(&sender, a).await, (json!("3"), vec!["1".to_owned(), "2".to_owned()]));
    for old in [b.as_str().unwrap(), "DEFAULT-2", "default-2"] {
        let issue = sender.get(&format!("/api/0/issues/{old}/")).await;
        assert_eq!((&issue["id"], &issue["userCount"]), (a, &json!(2)), "{old}");
    }
    let list = sender.get(&sender.project("issues/?query=&cursor=")).await;
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");

    let hashes = format!("/api/0/issues/{}/hashes/", a.as_str().unwrap());
    let (one, two) = (first["primaryHash"].as_str().unwrap(), other["primaryHash"].as_str().unwrap());
    let nowhere = "0".repeat(32);
    for (query, expected) in
        [(String::new(), 200), (format!("?id={nowhere}"), 409), (format!("?id={one}&id={two}"), 400)]
    {
        let (status, body) = sender.ask(Method::DELETE, &format!("{hashes}{query}"), None).await;
        assert_eq!(status, expected, "{query}: {body}");
    }
    assert_eq!(counts(&sender, a).await.0, "3");
    let (status, body) = sender.ask(Method::PUT, &format!("{hashes}?id={two}&id={nowhere}"), None).await;
    assert_eq!((status.as_u16(), body), (202, json!({})));
    let id = other["id"].as_str().unwrap();
    let new = until("the hash is in an issue of its own", || async {
        let event = sender.get(&sender.project(&format!("events/{id}/"))).await;
        (event["groupID"] != *a).then_some(event["groupID"].clone())
    })
    .await;
    assert_eq!(counts(&sender, a).await, (json!("2"), vec!["2".to_owned()]));
    assert_eq!(counts(&sender, &new).await, (json!("1"), vec!["1".to_owned()]));
    let taken = sender.get(&format!("/api/0/issues/{}/", new.as_str().unwrap())).await;
    let shown = ["title", "firstSeen", "lastSeen", "userCount"];
    assert_eq!(shown.map(|key| &taken[key]), shown.map(|key| &before[key]));
    let latest = sender.get(&format!("/api/0/issues/{}/hashes/", new.as_str().unwrap())).await;
    assert_eq!(latest[0]["latestEvent"]["id"], other["id"]);
    let next = sender.digested(&grouped_by("two")).await;
    assert_eq!(next["groupID"], new);
    assert_eq!(counts(&sender, &new).await.0, "2");
}

#[tokio::test]
async fn the_latest_event_of_each_hash_comes_in_the_order_asked() {
    let sender = Sender::start().await;
    let event = sender.digested(&grouped_by("one")).await;
    let db = &sender.server.app.db;
    let issue = event["groupID"].as_str().unwrap().parse().unwrap();
    let hash = db.issue_hashes(issue, 0, 10).await.unwrap()[0].id;
    let id = event["id"].as_str().map(str::to_owned);
    let latest = db.latest_events(sender.account().project.id, &[hash, -1, hash, hash + 1000]).await.unwrap();
    assert_eq!(latest, [id.clone(), None, id, None]);
}

#[tokio::test]
async fn an_occurrence_opens_or_joins_an_issue_and_is_counted_once() {
    let sender = Sender::start().await;
    let path = "/api/v1/projects/default/default/occurrences";
    let with = |id: &str, title: &str| json!({ "id": id, "fingerprint": ["n+1", "/pay"], "type": "query", "issue_title": title });
    let (a, b) = ("a".repeat(32), "b".repeat(32));
    let (status, first) = sender.ask(Method::POST, path, Some(with(&a, "N+1 query"))).await;
    assert_eq!((status.as_u16(), &first["id"]), (201, &json!(a)));
    let (status, second) = sender.ask(Method::POST, path, Some(with(&b, "N+1 query"))).await;
    assert_eq!((status.as_u16(), &second["issue"]), (201, &first["issue"]));
    let (status, again) = sender.ask(Method::POST, path, Some(with(&a, "Another title"))).await;
    assert_eq!((status.as_u16(), &again), (200, &first));
    assert_eq!(counts(&sender, &first["issue"]).await, (json!("2"), vec!["2".to_owned()]));
    let unknown = "c".repeat(32);
    let listed = sender.get(&format!("{path}?id={b}&id={unknown}&id={a}&id={b}")).await;
    let titles: Vec<&Value> = listed.as_array().unwrap().iter().map(|one| &one["issue_title"]).collect();
    assert_eq!(json!(titles), json!(["N+1 query", null, "Another title", "N+1 query"]));
    assert_eq!((&listed[1], &listed[0]["level"], &listed[0]["event_id"]), (&Value::Null, &json!("info"), &Value::Null));
    for (key, value) in [("fingerprint", json!([])), ("issue_title", Value::Null), ("type", Value::Null)] {
        let mut bad = with(&a, "N+1 query");
        bad[key] = value;
        assert_eq!(sender.ask(Method::POST, path, Some(bad)).await.0, 400, "{key}");
    }
    for (key, value) in [
        ("subtitle", json!("x".repeat(9 << 10))),
        ("fingerprint", json!(["x".repeat(9 << 10)])),
        ("evidence_data", json!(vec!["x".repeat(1 << 10); 80])),
    ] {
        let mut large = with(&a, "N+1 query");
        large[key] = value;
        assert_eq!(sender.ask(Method::POST, path, Some(large)).await.0, 413, "{key}");
    }
    let mut odd = with(&"d".repeat(32), "Odd");
    odd["assignee"] = json!(["nobody"]);
    odd["level"] = json!("");
    odd["evidence_display"] = json!([{ "name": "x" }, { "name": "Query", "value": "select", "important": true }]);
    assert_eq!(sender.ask(Method::POST, path, Some(odd)).await.0, 201);
    let odd = sender.get(&format!("{path}?id={}", "d".repeat(32))).await;
    assert_eq!(odd[0]["evidence_display"].as_array().unwrap().len(), 1, "{odd}");
}

#[tokio::test]
async fn an_occurrence_that_changes_its_fingerprint_takes_its_count_along() {
    let sender = Sender::start().await;
    let path = "/api/v1/projects/default/default/occurrences";
    let with =
        |id: &str, print: &str| json!({ "id": id, "fingerprint": [print], "type": "query", "issue_title": "slow" });
    let (a, b) = ("a".repeat(32), "b".repeat(32));
    let (_, first) = sender.ask(Method::POST, path, Some(with(&a, "one"))).await;
    sender.ask(Method::POST, path, Some(with(&b, "one"))).await;
    let (status, moved) = sender.ask(Method::POST, path, Some(with(&a, "two"))).await;
    assert_eq!(status, 200);
    assert_ne!(moved["issue"], first["issue"]);
    assert_eq!(counts(&sender, &first["issue"]).await.0, "1");
    assert_eq!(counts(&sender, &moved["issue"]).await.0, "1");
}

#[tokio::test]
async fn each_accepted_event_ends_in_one_outcome() {
    let sender = Sender::start().await;
    let filters = json!({ "inboundFilters": [{ "kind": "error-message", "pattern": "ignore *" }] });
    assert_eq!(sender.ask(Method::PUT, &sender.project(""), Some(filters)).await.0, 200);
    let path = "/api/v1/projects/default/default/outcomes";
    until("the filter is in force", || async {
        sender.store(&json!({ "message": "ignore this" })).await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        (sender.get(path).await["filtered"] != 0).then_some(())
    })
    .await;
    let event = sender.digested(&grouped_by("one")).await;
    sender.store(&json!({ "event_id": event["id"], "message": "about one", "fingerprint": ["one"] })).await;
    let outcomes = until("the repeated event is counted", || async {
        let outcomes = sender.get(path).await;
        (outcomes["duplicate"] == 1).then_some(outcomes)
    })
    .await;
    let sum: i64 = ["stored", "duplicate", "sampled", "filtered", "invalid"]
        .iter()
        .map(|kind| outcomes[*kind].as_i64().unwrap())
        .sum();
    assert_eq!(outcomes["accepted"], sum);
    assert_eq!(outcomes["client"], json!([]));
    let later = sender.get(&format!("{path}?since=2999-01-01T00:00:00Z")).await;
    assert_eq!(later["accepted"], 0);
    assert_eq!(sender.ask(Method::GET, &format!("{path}?since=yesterday"), None).await.0, 400);
}
