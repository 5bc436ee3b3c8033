//! Events of clients through the front door: accepted, digested, read back.

mod accept;
mod keeping;
mod kills;
mod moves;
mod native;
mod races;
mod sdks;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use symdepot::types::{Project, Scope};

use crate::support::server::TestServer;
use crate::support::until;

/// A client of a project: its key, and a token that may read and change everything of events.
struct Sdk<'a> {
    server: &'a TestServer,
    project: Project,
    key: String,
    token: String,
}

impl<'a> Sdk<'a> {
    async fn of(server: &'a TestServer) -> Self {
        Self::of_project(server, server.account.project.clone()).await
    }

    async fn of_project(server: &'a TestServer, project: Project) -> Self {
        let id = uuid();
        server.app.db.insert_project_key(project.id, &id, "test", server.app.clock.now()).await.unwrap();
        let organization = &server.account.organization;
        let token = server.add_token(organization, &[Scope::EventAdmin, Scope::ProjectAdmin], &[]).await;
        Self { server, project, key: id, token }
    }

    /// Sends a body to one of the ingest paths.
    async fn send(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        let url = format!("{}/api/{}/{path}/?sentry_key={}", self.server.url, self.project.id, self.key);
        crate::support::client::http().post(url).body(body).send().await.unwrap()
    }

    /// Sends an event and returns its id.
    async fn store(&self, event: Value) -> String {
        let response = self.send("store", event.to_string()).await;
        let status = response.status();
        let answer: Value = response.json().await.unwrap();
        assert_eq!(status, 200, "{answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Sends an event and waits until it is digested.
    async fn digested(&self, event: Value) -> Value {
        let id = self.store(event).await;
        self.event(&id).await
    }

    async fn call(&self, method: Method, path: &str) -> (StatusCode, Value) {
        let response = self.server.request_as(&self.token, method, path).send().await.unwrap();
        (response.status(), response.json().await.unwrap_or_default())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    fn base(&self) -> String {
        format!("/api/0/projects/default/{}", self.project.slug)
    }

    /// An event once it can be read.
    async fn event(&self, id: &str) -> Value {
        let path = format!("{}/events/{id}/", self.base());
        until("the event is digested", || async {
            let (status, body) = self.call(Method::GET, &path).await;
            (status == 200).then_some(body)
        })
        .await
    }

    async fn issue_of(&self, event: &Value) -> Value {
        self.get(&format!("/api/0/issues/{}/", event["groupID"].as_str().unwrap())).await
    }

    async fn count_of(&self, event: &Value) -> String {
        self.issue_of(event).await["count"].as_str().unwrap().to_owned()
    }

    async fn outcomes(&self) -> Value {
        self.get(&format!("/api/v1/projects/default/{}/outcomes", self.project.slug)).await
    }

    /// Outcomes once so many events have one.
    async fn settled(&self, accepted: u64) -> Value {
        until("all events have an outcome", || async {
            let outcomes = self.outcomes().await;
            (outcomes["accepted"] == accepted).then_some(outcomes)
        })
        .await
    }

    async fn set(&self, settings: Value) {
        let path = format!("{}/", self.base());
        let response = self.server.request_as(&self.token, Method::PUT, &path).json(&settings).send().await.unwrap();
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
        // Settings are believed for a second.
        let sdk = self.server.app.events.treatments.clone();
        let wanted = self.server.app.db.event_settings(self.project.id).await.unwrap();
        until("the settings are in force", || async {
            (sdk.of(self.project.id).await.unwrap().settings == wanted).then_some(())
        })
        .await;
    }
}

/// 32 hex digits that nobody else has.
fn uuid() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn error(kind: &str, value: &str) -> Value {
    json!({ "platform": "python", "exception": { "values": [{ "type": kind, "value": value }] } })
}
