//! Many events at once, with hashes in common, through one server or several.

use serde_json::json;

use super::{Sdk, error};
use crate::support::server::TestServer;

#[tokio::test]
async fn parallel_events_of_one_new_hash_open_one_issue() {
    let server = TestServer::start().await;
    let beside = server.beside().start().await;
    let sdk = Sdk::of(&server).await;
    let servers = [&server.url, &beside.url];
    let sent = (0..64).map(|number| {
        let url = format!("{}/api/{}/store/?sentry_key={}", servers[number % 2], sdk.project.id, sdk.key);
        async move {
            let response = crate::support::client::http().post(url).body(error("Race", "v").to_string()).send().await;
            assert_eq!(response.unwrap().status(), 200);
        }
    });
    futures_util::future::join_all(sent).await;
    assert_eq!(sdk.settled(64).await["stored"], 64);
    let issues = sdk.get(&format!("{}/issues/", sdk.base())).await;
    assert_eq!((issues.as_array().unwrap().len(), &issues[0]["count"]), (1, &json!("64")));
    assert_eq!(server.app.db.miscounted_issues().await.unwrap(), []);
}

#[tokio::test]
async fn hashes_that_overlap_in_a_circle_come_to_an_end() {
    let server = TestServer::start().await;
    let beside = server.beside().start().await;
    let sdk = Sdk::of(&server).await;
    let frame = |name: &str, in_app: bool| json!({ "module": name, "function": "f", "in_app": in_app });
    let event = |app: &str, lib: &str| {
        json!({ "platform": "java", "exception": { "values": [{ "type": "E", "value": "v",
            "stacktrace": { "frames": [frame(lib, false), frame(app, true)] } }] } })
    };
    let servers = [&server.url, &beside.url];
    let sent = (0..48).map(|number| {
        let url = format!("{}/api/{}/store/?sentry_key={}", servers[number % 2], sdk.project.id, sdk.key);
        let (app, lib) = [("a", "b"), ("b", "c"), ("c", "a")][number % 3];
        let body = event(app, lib).to_string();
        async move { crate::support::client::http().post(url).body(body).send().await.unwrap().status() }
    });
    let answers = futures_util::future::join_all(sent).await;
    assert!(answers.iter().all(|status| *status == 200));
    assert_eq!(sdk.settled(48).await["stored"], 48);
    assert_eq!(server.app.db.miscounted_issues().await.unwrap(), []);
    assert_eq!(server.app.db.misplaced_events().await.unwrap(), [0; 0]);
}
