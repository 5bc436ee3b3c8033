//! [`Client`]: asks a server over HTTP, whether it runs in this process or in one of its own.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use symdepot::types::{Organization, Project};

/// Asks one server.
#[derive(Clone, Debug)]
pub struct Client {
    /// Where the server listens, without a slash at the end.
    pub url: String,
    /// The organization `default` with its project `default` and a token of scope `org:ci`.
    pub account: Account,
    /// Keeps its connections.
    pub http: reqwest::Client,
}

/// An organization, a project of it and a token.
#[derive(Clone, Debug)]
pub struct Account {
    /// The organization.
    pub organization: Organization,
    /// Its project.
    pub project: Project,
    /// Text of a token.
    pub token: String,
}

/// Says which TLS the HTTP clients of this process use: without it none starts.
pub fn decide_on_tls() {
    // The first of a process decides; the others are told that it is decided.
    let _decided = rustls::crypto::ring::default_provider().install_default();
}

/// Asks any server, and is followed nowhere else.
pub fn http() -> reqwest::Client {
    decide_on_tls();
    // A server that is busy reads a large body late; the client's own limit of half a minute would end it.
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    client.tcp_user_timeout(Duration::from_secs(600)).build().unwrap()
}

impl Client {
    /// Asks the server at `url`, which is followed nowhere else.
    pub fn of(url: &str, account: Account) -> Self {
        let http = http();
        Self { url: url.to_owned(), account, http }
    }

    /// A request with a token of one's choice. `path` begins with a slash.
    pub fn request_as(&self, token: &str, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(token)
    }

    /// A request without a token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// `GET` with the default token.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request_as(&self.account.token, Method::GET, path)
    }

    /// `HEAD` with the default token.
    pub fn head(&self, path: &str) -> RequestBuilder {
        self.request_as(&self.account.token, Method::HEAD, path)
    }

    /// `POST` with the default token.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.request_as(&self.account.token, Method::POST, path)
    }

    /// `DELETE` with the default token.
    pub fn delete(&self, path: &str) -> RequestBuilder {
        self.request_as(&self.account.token, Method::DELETE, path)
    }
}

impl Account {
    /// Path of the project under `/api/0/`, with a slash at the end.
    pub fn project_path(&self) -> String {
        format!("/api/0/projects/{}/{}/", self.organization.slug, self.project.slug)
    }

    /// Path of the organization under `/api/0/`, with a slash at the end.
    pub fn organization_path(&self) -> String {
        format!("/api/0/organizations/{}/", self.organization.slug)
    }

    /// Path of the project's symcaches.
    pub fn symcaches_path(&self) -> String {
        format!("/api/v1/projects/{}/{}/symcaches/", self.organization.slug, self.project.slug)
    }
}
