//! Events that were sent are read back: in lists, one by one, by their issue; and only by those who may.

use reqwest::Method;
use serde_json::{Value, json};
use symdepot::types::Scope;

use super::{Sender, grouped_by, python_event};
use crate::support::until;

#[tokio::test]
async fn an_event_is_read_back_in_its_short_and_its_long_form() {
    let sender = Sender::start().await;
    let long = sender.digested(&python_event()).await;
    let list = sender.get(&sender.project("events/?cursor=")).await;
    let short = &list[0];
    for key in short.as_object().unwrap().keys() {
        assert_eq!(short[key], long[key], "{key}");
    }
    assert_eq!(short["id"], short["eventID"]);
    assert_eq!(short["projectID"], json!(sender.account().project.id.to_string()));
    assert!(short["groupID"].is_string() && short["dateCreated"].is_string() && short["dateReceived"].is_string());
    let shown = ["title", "culprit", "location", "platform", "level", "event.type", "message"].map(|key| &short[key]);
    assert_eq!(
        json!(shown),
        json!(["ValueError: bad value 42", "app.views in pay", "sdk.py", "python", "error", "error", ""])
    );
    assert_eq!(short["metadata"], json!({ "type": "ValueError", "value": "bad value 42" }));
    assert_eq!(short["user"], json!({ "id": "5", "username": "bob", "email": null, "ip_address": null }));
    let tags: Vec<_> = short["tags"].as_array().unwrap().iter().map(|tag| json!([tag["key"], tag["value"]])).collect();
    assert_eq!(
        json!(tags),
        json!([
            ["dist", "7"],
            ["environment", "production"],
            ["level", "error"],
            ["release", "shop@1.0"],
            ["server_name", "web-1"],
            ["user", "id:5"],
            ["zone", "eu"]
        ])
    );
    let more = ["release", "environment", "dist", "context", "packages", "occurrence", "userReport", "nextEventID"];
    assert_eq!(
        json!(more.map(|key| &long[key])),
        json!(["shop@1.0", "production", "7", { "cart": [1, 2] }, { "django": "5.0" }, null, null, null])
    );
    assert_eq!(long["contexts"]["runtime"]["name"], "CPython");
    assert_eq!(long["groupingConfig"], json!({ "id": "symdepot:1" }));
    assert_eq!(long["symbolication"], json!({ "state": "none", "missing": [] }));
    assert_eq!((&long["primaryHash"], &long["hierarchicalHashes"]), (&long["hashes"][0], &json!([])));
    assert_eq!(long["fingerprints"], long["hashes"]);
    let exception = long["entries"].as_array().unwrap().iter().find(|entry| entry["type"] == "exception").unwrap();
    assert_eq!(exception["data"]["values"][0]["value"], "bad value 42");
    let id = long["id"].as_str().unwrap();
    let stored = sender.get(&sender.project(&format!("events/{id}/json/"))).await;
    assert_eq!((&stored["event_id"], &stored["release"]), (&json!(id), &json!("shop@1.0")));
}

#[tokio::test]
async fn events_without_user_message_or_exception_have_every_field_all_the_same() {
    let sender = Sender::start().await;
    let long = sender.digested(&json!({})).await;
    assert_eq!(
        (&long["title"], &long["user"], &long["culprit"]),
        (&json!("<unlabeled event>"), &Value::Null, &json!(""))
    );
    assert_eq!((&long["event.type"], &long["dist"], &long["release"]), (&json!("default"), &Value::Null, &Value::Null));
    assert_eq!((&long["entries"], &long["context"], &long["errors"]), (&json!([]), &json!({}), &json!([])));
}

#[tokio::test]
async fn events_are_listed_newest_first_page_by_page() {
    let sender = Sender::start().await;
    let mut sent = Vec::new();
    for number in 0..3 {
        let event = sender.digested(&json!({ "message": format!("number {number}") })).await;
        sent.insert(0, event["id"].as_str().unwrap().to_owned());
    }
    let ids = |page: &Value| -> Vec<String> {
        page.as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&sender.get(&sender.project("events/?cursor=")).await), sent);
    for (cursor, expected, more) in [("", &sent[..2], "true"), ("2:1:0", &sent[2..], "false")] {
        let path = sender.project(&format!("events/?per_page=2&cursor={cursor}"));
        let response = sender.server.request_as(&sender.token, Method::GET, &path).send().await.unwrap();
        let link = response.headers()["link"].to_str().unwrap().to_owned();
        assert_eq!(ids(&response.json().await.unwrap()), expected);
        assert!(link.contains(&format!("rel=\"next\"; results=\"{more}\"; cursor=\"2:")), "{link}");
    }
    for bad in ["per_page=0", "per_page=101", "per_page=x", "cursor=x"] {
        let (status, body) = sender.ask(Method::GET, &sender.project(&format!("events/?{bad}")), None).await;
        assert_eq!(status, 400, "{bad}: {body}");
    }
}

#[tokio::test]
async fn an_event_is_found_by_its_id_in_its_organization_and_in_its_issue() {
    let sender = Sender::start().await;
    let first = sender.digested(&grouped_by("one")).await;
    let last = sender.digested(&grouped_by("one")).await;
    let other = sender.digested(&grouped_by("two")).await;
    let (issue, id) = (first["groupID"].as_str().unwrap(), first["id"].as_str().unwrap());
    let hyphens = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-").to_uppercase();
    assert_eq!(sender.get(&sender.project(&format!("events/{hyphens}/"))).await["id"], first["id"]);
    let found = sender.get(&format!("{}eventids/{hyphens}/", sender.account().organization_path())).await;
    assert_eq!(
        json!([
            found["organizationSlug"],
            found["projectSlug"],
            found["groupId"],
            found["eventId"],
            found["event"]["id"]
        ]),
        json!(["default", "default", issue, id, id])
    );
    for base in ["/api/0/", "/api/0/organizations/default/"] {
        let events = format!("{base}issues/{issue}/events/");
        assert_eq!(sender.get(&events).await.as_array().unwrap().len(), 2);
        for (name, event) in [("latest", &last), ("oldest", &first), (&hyphens, &first)] {
            assert_eq!(sender.get(&format!("{events}{name}/")).await["id"], event["id"], "{name}");
        }
        let foreign = format!("{events}{}/", other["id"].as_str().unwrap());
        assert_eq!(sender.ask(Method::GET, &foreign, None).await.0, 404);
    }
    let oldest = sender.get(&format!("/api/0/issues/{issue}/events/oldest/")).await;
    assert_eq!((&oldest["previousEventID"], &oldest["nextEventID"]), (&Value::Null, &last["id"]));
    assert_eq!(last["previousEventID"], first["id"]);
    for unknown in ["0".repeat(32).as_str(), "latest", "x"] {
        let path = sender.project(&format!("events/{unknown}/"));
        assert_eq!(sender.ask(Method::GET, &path, None).await.0, 404, "{unknown}");
    }
}

#[tokio::test]
async fn a_deleted_event_is_gone_and_stays_counted() {
    let sender = Sender::start().await;
    let event = sender.digested(&grouped_by("one")).await;
    let path = sender.project(&format!("events/{}/", event["id"].as_str().unwrap()));
    assert_eq!(sender.ask(Method::DELETE, &path, None).await.0, 204);
    for gone in [&path, &format!("{path}json/"), &format!("{path}attachments/")] {
        assert_eq!(sender.ask(Method::GET, gone, None).await.0, 404, "{gone}");
    }
    let issue = format!("/api/0/issues/{}/", event["groupID"].as_str().unwrap());
    assert_eq!(sender.get(&issue).await["count"], "1");
    let hashes = sender.get(&format!("{issue}hashes/")).await;
    assert_eq!((&hashes[0]["latestEvent"], &hashes[0]["count"]), (&Value::Null, &json!("1")));
    assert_eq!(sender.ask(Method::GET, &format!("{issue}events/latest/"), None).await.0, 404);
}

#[tokio::test]
async fn grouping_is_explained_with_the_rules_of_today() {
    let sender = Sender::start().await;
    let event = sender.digested(&python_event()).await;
    let path = sender.project(&format!("events/{}/grouping-info/", event["id"].as_str().unwrap()));
    let info = sender.get(&path).await;
    let app = &info["app"];
    assert_eq!((&app["contributes"], &app["hashMismatch"], &app["hint"]), (&json!(true), &json!(false), &Value::Null));
    assert!(event["hashes"].as_array().unwrap().contains(&app["hash"]), "{info}");
    assert!(app["text"].as_str().unwrap().starts_with("ValueError\u{1c}app.views\u{1f}pay"), "{info}");
    let rules = json!({ "fingerprintingRules": "error.type:ValueError -> payment-{{ error.type }}" });
    assert_eq!(sender.ask(Method::PUT, &sender.project(""), Some(rules)).await.0, 200);
    let info = until("the rules are in force", || async {
        let info = sender.get(&path).await;
        info["custom-fingerprint"].is_object().then_some(info)
    })
    .await;
    let fingerprint = &info["custom-fingerprint"];
    assert_eq!((&fingerprint["hashMismatch"], &fingerprint["contributes"]), (&json!(true), &json!(true)));
    assert_eq!(info["app"]["contributes"], false);
    assert!(info["app"]["hint"].is_string() && info["app"]["hash"].is_null(), "{info}");
}

#[tokio::test]
async fn attachments_of_an_event_are_listed_fetched_and_deleted() {
    let sender = Sender::start().await;
    let event = sender.digested(&grouped_by("one")).await;
    let id = event["id"].as_str().unwrap();
    let form = reqwest::multipart::Form::new()
        .part("log", reqwest::multipart::Part::bytes(b"what happened".to_vec()).file_name("a \"log\".txt"));
    let path = format!("/api/{}/events/{id}/attachments/?sentry_key={}", sender.account().project.id, sender.key);
    let sent = sender.server.request(Method::POST, &path).multipart(form).send().await.unwrap();
    assert_eq!((sent.status().as_u16(), sent.json::<Value>().await.unwrap()), (200, json!({})));
    let list = sender.project(&format!("events/{id}/attachments/"));
    let rows = until("the attachment is there", || async {
        let rows = sender.get(&list).await;
        (!rows.as_array().unwrap().is_empty()).then_some(rows)
    })
    .await;
    let one = format!("{list}{}/", rows[0]["id"].as_str().unwrap());
    assert_eq!(sender.get(&one).await, rows[0]);
    assert_eq!(rows[0]["size"], 13);
    let path = format!("{one}?download");
    let bytes = sender.server.request_as(&sender.token, Method::GET, &path).send().await.unwrap();
    assert!(bytes.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
    assert_eq!(bytes.bytes().await.unwrap(), "what happened");
    assert_eq!(sender.ask(Method::DELETE, &one, None).await.0, 204);
    assert_eq!(sender.ask(Method::GET, &one, None).await.0, 404);
    assert_eq!(sender.get(&list).await, json!([]));
}

#[tokio::test]
async fn who_may_not_read_events_is_told_of_none() {
    let sender = Sender::start().await;
    let event = sender.digested(&grouped_by("one")).await;
    let (server, account) = (&sender.server, sender.account());
    let second = server.add_project("second").await;
    let rival = server.add_account("rival", "app").await;
    let elsewhere = server.add_token(&account.organization, &[Scope::ProjectAdmin], &[&second.project]).await;
    let foreign = server.add_token(&rival.organization, &[Scope::ProjectAdmin], &[]).await;
    let reader = server.add_token(&account.organization, &[Scope::EventRead], &[]).await;
    let issue = format!("/api/0/issues/{}/", event["groupID"].as_str().unwrap());
    let one = sender.project(&format!("events/{}/", event["id"].as_str().unwrap()));
    for path in [&issue, "/api/0/issues/DEFAULT-1/", "/api/0/organizations/default/issues/default-1/", &one] {
        assert_eq!(server.request(Method::GET, path).send().await.unwrap().status(), 401, "{path}");
        assert_eq!(sender.ask_as(&account.token, Method::GET, path, None).await.0, 403, "{path} with org:ci");
        assert_eq!(sender.ask_as(&reader, Method::GET, path, None).await.0, 200, "{path}");
        assert_eq!(sender.ask_as(&elsewhere, Method::GET, path, None).await.0, 404, "{path} from another project");
        let status = sender.ask_as(&foreign, Method::GET, path, None).await.0;
        assert!([403, 404].contains(&status.as_u16()), "{path} from another organization: {status}");
    }
    for (method, path) in [(Method::DELETE, one), (Method::DELETE, format!("{issue}hashes/?id=x"))] {
        assert_eq!(sender.ask_as(&reader, method, &path, None).await.0, 403, "{path}");
    }
    let unknown = ["/api/0/issues/99/", "/api/0/issues/default-99/", "/api/0/issues/x/", "/api/0/issues/-1/"];
    for path in unknown {
        assert_eq!(sender.ask(Method::GET, path, None).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn what_is_not_supported_says_so() {
    let sender = Sender::start().await;
    for path in ["monitors/", "events/?dataset=logs"] {
        let path = format!("{}{path}", sender.account().organization_path());
        let (status, body) = sender.ask(Method::GET, &path, None).await;
        assert_eq!(status, 501);
        assert!(body["detail"].as_str().unwrap().contains(" are not supported "), "{body}");
        assert_eq!(sender.server.request(Method::GET, &path).send().await.unwrap().status(), 401, "{path}");
    }
}
