//! [`Issuer`]: gives out credentials that run out, as the endpoint of a container, the metadata service of a machine and
//! the token service of an organization do. It keeps to their words and never gives the same twice.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::Response;
use chrono::{SecondsFormat, TimeDelta};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::keys::{Key, Keys};

/// What a process says in the container to be known.
pub const CONTAINER_TOKEN: &str = "geheim-container";
/// What a process shows the token service, from a file.
pub const WEB_IDENTITY: &str = "geheim-identity";
/// The role that it wants to have there.
pub const ROLE: &str = "arn:aws:iam::123456789012:role/depot";

/// What the metadata service gives who is on the machine.
const METADATA_TOKEN: &str = "geheim-metadata";
const PROFILES: &str = "/latest/meta-data/iam/security-credentials/";

/// An issuer that goes when this is dropped.
pub struct Issuer {
    /// Where it listens: `http://127.0.0.1:<port>`.
    pub url: String,
    /// All that it gave out.
    pub keys: Keys,
    office: Arc<Mutex<Office>>,
    task: JoinHandle<()>,
}

struct Office {
    lifetime: TimeDelta,
    open: bool,
    keys: Keys,
    asked: Vec<String>,
}

impl Issuer {
    /// Whose credentials are good for so long.
    pub async fn of(lifetime: TimeDelta) -> Self {
        let keys = Keys::default();
        let office = Office { lifetime, open: true, keys: keys.clone(), asked: Vec::new() };
        let office = Arc::new(Mutex::new(office));
        let desk = Arc::clone(&office);
        let app = axum::Router::new().fallback(move |request: Request| {
            let desk = Arc::clone(&desk);
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
                let body = String::from_utf8(body.to_vec()).unwrap();
                desk.lock().unwrap().answer(&parts.method, parts.uri.path(), &parts.headers, &body)
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, keys, office, task }
    }

    /// Has it answer everybody that it is in trouble.
    pub fn close(&self) {
        self.office.lock().unwrap().open = false;
    }

    /// Ends that.
    pub fn open_again(&self) {
        self.office.lock().unwrap().open = true;
    }

    /// What it was asked for until now, in this order.
    pub fn asked(&self) -> Vec<String> {
        self.office.lock().unwrap().asked.clone()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Office {
    fn answer(&mut self, method: &Method, path: &str, headers: &HeaderMap, body: &str) -> Response {
        self.asked.push(format!("{method} {path}"));
        if !self.open {
            return answer(500, "not now");
        }
        let has = |name: &str, value: &str| headers.get(name).is_some_and(|header| header == value);
        let on_the_machine = has("x-aws-ec2-metadata-token", METADATA_TOKEN);
        match (method.as_str(), path) {
            ("GET", "/container") if has("authorization", CONTAINER_TOKEN) => self.as_json(),
            ("PUT", "/latest/api/token") => {
                let mut answer = answer(200, METADATA_TOKEN);
                let lifetime = HeaderValue::from_static("21600");
                answer.headers_mut().insert("x-aws-ec2-metadata-token-ttl-seconds", lifetime);
                answer
            }
            ("GET", PROFILES) if on_the_machine => answer(200, "depot"),
            ("GET", path) if on_the_machine && path.strip_prefix(PROFILES) == Some("depot") => self.as_json(),
            ("POST", "/") if body.contains(WEB_IDENTITY) && body.contains("role%2Fdepot") => self.as_xml(),
            ("GET", path) if on_the_machine => answer(404, &format!("there is no {path}")),
            _ => answer(403, "who are you?"),
        }
    }

    fn as_json(&self) -> Response {
        let (Key { id, secret, session, .. }, expires) = self.issue();
        let credentials = json!({
            "Code": "Success",
            "Type": "AWS-HMAC",
            "LastUpdated": "2026-01-01T00:00:00Z",
            "AccessKeyId": id,
            "SecretAccessKey": secret,
            "Token": session,
            "Expiration": expires,
        });
        answer(200, &credentials.to_string())
    }

    fn as_xml(&self) -> Response {
        let (Key { id, secret, session, .. }, expires) = self.issue();
        let answer_text = format!(
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <AssumeRoleWithWebIdentityResult><AssumedRoleUser><AssumedRoleId>AROA:depot</AssumedRoleId>\
             <Arn>arn:aws:sts::123456789012:assumed-role/depot/depot</Arn></AssumedRoleUser><Credentials>\
             <AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
             <SessionToken>{session}</SessionToken><Expiration>{expires}</Expiration></Credentials>\
             </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        );
        answer(200, &answer_text)
    }

    fn issue(&self) -> (Key, String) {
        let key = self.keys.issue(self.lifetime);
        let expires = key.expires.to_rfc3339_opts(SecondsFormat::Secs, true);
        (key, expires)
    }
}

fn answer(status: u16, body: &str) -> Response {
    Response::builder().status(status).body(Body::from(body.to_owned())).unwrap()
}
