//! Events of SDKs and crash uploaders. A handler finds out who sends, reads what was sent, makes it durable and answers; what an
//! event means is decided later.

mod answer;
mod attachments;
mod body;
mod crash;
mod envelope;
mod files;
mod security;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Request};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use symdepot_events::credentials::{Presented, key_of};
use symdepot_events::envelope::EventId;

use crate::app::App;
use crate::events::{Record, Treatment};
use crate::http::hang_up::PeerAddress;
use crate::types::ProjectKey;
use answer::{Answer, Refusal, preflight, with_cors, wrong_method};

/// Every path, with and without its last slash.
pub fn routes() -> Router<App> {
    let mut router = Router::new();
    for end in ["", "/"] {
        router = router
            .route(&format!("/api/{{id}}/envelope{end}"), any(|sent: Sent| sent.answered(envelope::envelope)))
            .route(&format!("/api/{{id}}/store{end}"), any(|sent: Sent| sent.answered(envelope::store)))
            .route(&format!("/api/{{id}}/minidump{end}"), any(|sent: Sent| sent.answered(crash::minidump)))
            .route(&format!("/api/{{id}}/security{end}"), any(|sent: Sent| sent.answered(security::report)))
            .route(&format!("/api/{{id}}/csp-report{end}"), any(|sent: Sent| sent.answered(security::report)))
            .route(&format!("/api/{{id}}/unreal/{{key}}{end}"), any(|sent: Sent| sent.answered(crash::unreal)))
            .route(
                &format!("/api/{{id}}/events/{{event_id}}/attachments{end}"),
                any(|sent: Sent| sent.answered(attachments::attach)),
            );
    }
    // Each handler has limits of its own, which are settings.
    router.layer(DefaultBodyLimit::disable())
}

/// A request to one of these paths.
pub struct Call {
    app: App,
    method: Method,
    headers: HeaderMap,
    query: String,
    /// The project, as it stands in the path.
    project: String,
    /// The key in the path.
    path_key: Option<String>,
    /// The event in the path.
    event_id: Option<String>,
    /// The address of the connection.
    peer: Option<IpAddr>,
}

/// The same with its body.
pub struct Sent(Call, Body);

/// Who sends, once that is known.
pub struct Sender {
    /// The key.
    pub key: Arc<ProjectKey>,
    /// How events of its project are treated.
    pub treatment: Arc<Treatment>,
}

impl axum::extract::FromRequest<App> for Sent {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let path = <Path<std::collections::HashMap<String, String>> as axum::extract::FromRequestParts<App>>::from_request_parts(&mut parts, app).await;
        let Path(mut path) = path.map_err(|_| with_cors(Refusal::bad("The path cannot be read.").into_response()))?;
        let call = Call {
            app: app.clone(),
            method: parts.method,
            headers: parts.headers,
            query: parts.uri.query().unwrap_or_default().to_owned(),
            project: path.remove("id").unwrap_or_default(),
            path_key: path.remove("key"),
            event_id: path.remove("event_id"),
            peer: parts.extensions.get::<PeerAddress>().and_then(|peer| peer.0),
        };
        Ok(Self(call, body))
    }
}

impl Sent {
    async fn answered<F: Future<Output = Answer>>(self, handler: fn(Call, Body) -> F) -> Response {
        let Self(call, body) = self;
        let response = match call.method {
            Method::POST => handler(call, body).await.unwrap_or_else(|refusal| refusal.into_response()),
            Method::OPTIONS => preflight(),
            ref method => wrong_method(method),
        };
        with_cors(response)
    }
}

impl Call {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The key that was presented, if one was.
    fn presented(&self) -> Result<Option<String>, Refusal> {
        let presented = Presented {
            sentry_auth: self.header("x-sentry-auth"),
            authorization: self.header(header::AUTHORIZATION.as_str()),
            query: Some(&self.query),
            path_key: self.path_key.as_deref(),
        };
        Ok(key_of(&presented)?)
    }

    /// Who has this key, if it is a live one of the project in the path.
    async fn sender(&self, key: &str) -> Result<Sender, Refusal> {
        let found = self.app.events.sender(&self.project, key).await?;
        let (key, treatment) = found.ok_or_else(Refusal::unknown_key)?;
        Ok(Sender { key, treatment })
    }

    /// Who sends, where the key has to be outside of the body.
    async fn authenticated(&self) -> Result<Sender, Refusal> {
        let key = self.presented()?.ok_or_else(no_key)?;
        self.sender(&key).await
    }

    /// The address from which it was sent: as a proxy reports it, else that of the connection.
    fn client_ip(&self) -> Option<IpAddr> {
        let forwarded = self.header("x-forwarded-for").and_then(|list| list.split(',').next());
        let reported = forwarded.or_else(|| self.header("x-real-ip")).and_then(|text| text.trim().parse().ok());
        reported.or(self.peer)
    }

    /// A record of this request without anything in it.
    fn record(&self, sender: &Sender) -> Record {
        Record {
            organization_id: sender.key.organization_id,
            project_id: sender.key.project_id,
            event_id: String::new(),
            received_at: self.app.events.now(),
            sent_at: None,
            client_ip: self.client_ip(),
            is_event: false,
            crash: None,
            attachments: Vec::new(),
            user_report: None,
            outcomes: Vec::new(),
            payload: bytes::Bytes::new(),
        }
    }
}

/// The refusal of a request without a key.
fn no_key() -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "The request names no key. Use the DSN of a project.")
}

/// A fresh id.
fn fresh_event_id(app: &App) -> EventId {
    // Random but for the time at its beginning, which says nothing that the event does not.
    EventId(*app.events.fresh_id().as_bytes())
}
