//! Events over HTTP: sent as an SDK sends them, read and managed as people do.

mod managing;
mod reading;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use symdepot::accounts::issue_project_key;
use symdepot::types::Scope;

use crate::support::server::{Account, TestServer};
use crate::support::until;

/// A server, a client key of its default project, and a token that may do everything there.
struct Sender {
    server: TestServer,
    key: String,
    token: String,
}

impl Sender {
    async fn start() -> Self {
        let server = TestServer::start().await;
        let app = &server.app;
        let project_id = server.account.project.id;
        let key = issue_project_key(&app.db, &app.clock, project_id, "a test's").await.unwrap().public_key;
        let token = server.add_token(&server.account.organization, &[Scope::ProjectAdmin], &[]).await;
        Self { server, key, token }
    }

    fn account(&self) -> &Account {
        &self.server.account
    }

    /// Sends an event; its id.
    async fn store(&self, event: &Value) -> String {
        let path = format!("/api/{}/store/?sentry_version=7&sentry_key={}", self.account().project.id, self.key);
        let response = self.server.request(Method::POST, &path).body(event.to_string()).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// Sends an event and waits until it can be read; its long form.
    async fn digested(&self, event: &Value) -> Value {
        let id = self.store(event).await;
        let path = self.project(&format!("events/{id}/"));
        until("the event is digested", || async {
            let (status, event) = self.ask(Method::GET, &path, None).await;
            (status == 200).then_some(event)
        })
        .await
    }

    /// A path of the project.
    fn project(&self, end: &str) -> String {
        format!("{}{end}", self.account().project_path())
    }

    /// Asks with the token that may do everything. A body that is not JSON is null.
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        self.ask_as(&self.token, method, path, body).await
    }

    async fn ask_as(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = self.server.request_as(token, method, path);
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
    }

    /// What is there under a path.
    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }
}

/// An event with an exception and its stack.
fn python_event() -> Value {
    let frame = |function: &str, in_app: bool| json!({ "filename": "sdk.py", "module": "app.views", "function": function, "in_app": in_app, "lineno": 3 });
    json!({
        "platform": "python",
        "level": "error",
        "release": "shop@1.0",
        "environment": "production",
        "dist": "7",
        "server_name": "web-1",
        "exception": { "values": [{
            "type": "ValueError",
            "value": "bad value 42",
            "stacktrace": { "frames": [frame("main", false), frame("pay", true)] },
        }] },
        "user": { "id": 5, "username": "bob" },
        "tags": { "zone": "eu", "level": "mine" },
        "extra": { "cart": [1, 2] },
        "modules": { "django": "5.0" },
        "contexts": { "runtime": { "name": "CPython" } },
        "sdk": { "name": "sentry.python", "version": "2.75.0" },
    })
}

/// An event that is grouped by a word alone.
fn grouped_by(word: &str) -> Value {
    json!({ "message": format!("about {word}"), "level": "warning", "fingerprint": [word], "user": { "email": word } })
}
