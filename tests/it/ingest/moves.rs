//! Issues are merged and taken apart, and no count is lost or made up.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Sdk, error, uuid};
use crate::support::server::TestServer;

#[tokio::test]
async fn merged_issues_lead_to_one_and_come_apart_with_exact_counts() {
    let server = TestServer::start().await;
    let sdk = Sdk::of(&server).await;
    let a = sdk.digested(error("A", "v")).await;
    let b = sdk.digested(error("B", "v")).await;
    sdk.digested(error("B", "v")).await;
    let (first, second) = (a["groupID"].as_str().unwrap(), b["groupID"].as_str().unwrap());
    let path = format!("{}/issues/?id={first}&id={second}", sdk.base());
    let merged = server.request_as(&sdk.token, Method::PUT, &path).json(&json!({ "merge": 1 })).send().await.unwrap();
    assert_eq!(merged.status(), 200);
    let issue = sdk.get(&format!("/api/0/issues/{second}/")).await;
    assert_eq!((&issue["id"], &issue["count"]), (&json!(first), &json!("3")));
    assert_eq!(sdk.get("/api/0/issues/default-2/").await["id"], first);
    let again = sdk.digested(error("B", "v")).await;
    assert_eq!(again["groupID"], first);

    let hash = b["primaryHash"].as_str().unwrap();
    let hashes = format!("/api/0/issues/{first}/hashes/");
    assert_eq!(sdk.get(&hashes).await.as_array().unwrap().len(), 2);
    let unmerge = async |query: &str| sdk.call(Method::DELETE, &format!("{hashes}?{query}")).await.0.as_u16();
    assert_eq!(unmerge("").await, 200);
    assert_eq!(unmerge("id=none").await, 409);
    assert_eq!(unmerge(&format!("id={hash}&id={}", a["primaryHash"].as_str().unwrap())).await, 400);
    assert_eq!(unmerge(&format!("id={hash}")).await, 202);
    let apart = sdk.event(again["id"].as_str().unwrap()).await;
    assert_ne!(apart["groupID"], first);
    assert_eq!((sdk.count_of(&apart).await, sdk.count_of(&a).await), ("3".to_owned(), "1".to_owned()));
    assert_eq!(sdk.issue_of(&apart).await["title"], "B: v");
    assert_eq!(sdk.digested(error("B", "v")).await["groupID"], apart["groupID"]);
    assert_eq!(server.app.db.miscounted_issues().await.unwrap(), []);
    assert_eq!(server.app.db.misplaced_events().await.unwrap(), [0; 0]);
}

#[tokio::test]
async fn an_occurrence_is_counted_once_and_read_in_the_order_asked() {
    let server = TestServer::start().await;
    let sdk = Sdk::of(&server).await;
    let path = "/api/v1/projects/default/default/occurrences";
    let id = uuid();
    let body = json!({ "id": id, "fingerprint": ["n-plus-one", "/pay"], "type": "slow", "issue_title": "N+1 query" });
    for status in [201, 200] {
        let response = server.request_as(&sdk.token, Method::POST, path).json(&body).send().await.unwrap();
        assert_eq!(response.status(), status);
        let put: Value = response.json().await.unwrap();
        let issue = sdk.get(&format!("/api/0/issues/{}/", put["issue"].as_str().unwrap())).await;
        assert_eq!((&issue["title"], &issue["count"]), (&json!("N+1 query"), &json!("1")));
    }
    let read = sdk.get(&format!("{path}?id={id}&id={}&id={id}", uuid())).await;
    assert_eq!((&read[0]["id"], &read[1], &read[2]["level"]), (&json!(id), &Value::Null, &json!("info")));
    let wrong = server.request_as(&sdk.token, Method::POST, path).json(&json!({})).send().await.unwrap();
    assert_eq!(wrong.status(), 400);
}

#[tokio::test]
async fn events_of_a_project_are_there_for_its_own_tokens_alone() {
    let server = TestServer::start().await;
    let sdk = Sdk::of(&server).await;
    let event = sdk.digested(error("A", "v")).await;
    let other = server.add_account("other", "app").await;
    let stranger = server
        .add_token(
            &other.organization,
            &[symdepot::types::Scope::EventAdmin, symdepot::types::Scope::ProjectAdmin],
            &[],
        )
        .await;
    let (issue, id) = (event["groupID"].as_str().unwrap(), event["id"].as_str().unwrap());
    for path in [
        format!("/api/0/issues/{issue}/"),
        format!("/api/0/issues/{issue}/hashes/"),
        format!("/api/0/issues/{issue}/events/latest/"),
        format!("/api/0/projects/default/default/events/{id}/"),
        format!("/api/0/projects/other/app/events/{id}/"),
        format!("/api/0/organizations/other/eventids/{id}/"),
        "/api/0/issues/DEFAULT-1/".to_owned(),
    ] {
        let response = server.request_as(&stranger, Method::GET, &path).send().await.unwrap();
        assert!(matches!(response.status().as_u16(), 403 | 404), "{path}: {}", response.status());
        // A token of a pipeline reads no events at all.
        assert_eq!(server.get(&path).send().await.unwrap().status(), 403, "{path}");
    }
}
