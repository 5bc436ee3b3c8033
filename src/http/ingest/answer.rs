//! What SDKs receive: an id, or a refusal with a sentence, and on every answer the headers that browsers and rate limits need.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use symdepot_events::envelope::Fault;

use crate::blobs::BlobError;
use crate::db::DbError;
use crate::events::SpoolError;
use crate::http::error::ApiError;

/// What is not supported, for a day: SDKs send none of it then.
const NOT_SUPPORTED: &str = "86400:transaction;span;session;profile;profile_chunk;replay;monitor;log_item;log_byte;\
    metric_bucket;trace_metric;feedback:organization:not_supported";
const RATE_LIMITS: HeaderName = HeaderName::from_static("x-sentry-rate-limits");
const SENTRY_ERROR: HeaderName = HeaderName::from_static("x-sentry-error");
/// Seconds after which a client may try again when nothing can be stored.
const OVERLOAD: u64 = 60;

/// Why nothing was accepted.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    sentence: String,
    retry_after: Option<u64>,
    limits: Option<String>,
    /// Whether the rest of the body is not awaited.
    closes: bool,
}

/// What every handler here returns.
pub type Answer = Result<Response, Refusal>;

impl Refusal {
    /// A refusal with a sentence.
    pub fn new(status: StatusCode, sentence: impl Into<String>) -> Self {
        Self { status, sentence: sentence.into(), retry_after: None, limits: None, closes: false }
    }

    /// 400.
    pub fn bad(sentence: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, sentence)
    }

    /// 413.
    pub fn too_large(sentence: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, sentence)
    }

    /// 403, the same whatever is wrong with a key.
    pub fn unknown_key() -> Self {
        Self::new(StatusCode::FORBIDDEN, "The project or the key is unknown, or the key is revoked.")
    }

    /// 429: the next event may come after so many seconds.
    pub fn rated(seconds: u64) -> Self {
        let limits = format!("{seconds}:error;default;security;attachment:project:rate,{NOT_SUPPORTED}");
        let sentence = format!("The project sends more events than its rate allows. Try again in {seconds} s.");
        let mut refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, sentence);
        (refusal.retry_after, refusal.limits) = (Some(seconds), Some(limits));
        refusal
    }

    /// 503: too many large requests arrive at once.
    pub fn busy() -> Self {
        Self::overload("The server receives as many large requests as it can. Try again later.")
    }

    /// 503: nothing can be made durable.
    fn overload(sentence: &str) -> Self {
        let mut refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, sentence);
        refusal.retry_after = Some(OVERLOAD);
        refusal.limits = Some(format!("{OVERLOAD}::organization:overload"));
        refusal
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Grammar(sentence) => Self::bad(sentence),
            Fault::TooLarge(sentence) => Self::too_large(sentence),
            Fault::Unauthorized(sentence) => Self::new(StatusCode::UNAUTHORIZED, sentence),
        }
    }
}

impl From<SpoolError> for Refusal {
    fn from(error: SpoolError) -> Self {
        match error {
            SpoolError::TooLarge => Self::too_large("The event is too large."),
            error => {
                tracing::error!(%error, "an event could not be accepted");
                Self::overload("The server cannot store events now. Try again later.")
            }
        }
    }
}

impl From<BlobError> for Refusal {
    fn from(error: BlobError) -> Self {
        tracing::error!(%error, "a file of an event could not be stored");
        Self::overload("The server cannot store files now. Try again later.")
    }
}

impl From<DbError> for Refusal {
    fn from(error: DbError) -> Self {
        tracing::error!(%error, "a key could not be looked up");
        Self::overload("The server cannot look up keys now. Try again later.")
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        let closes = matches!(error, ApiError::TooSlow(_));
        match error {
            ApiError::Full(_) => Self::overload("The disk of the server is full. Try again later."),
            error => Self { closes, ..Self::new(error.status(), error.sentence()) },
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "detail": self.sentence, "causes": [] });
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        let plain: String =
            self.sentence.chars().map(|c| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' }).collect();
        headers.extend(HeaderValue::try_from(plain).ok().map(|value| (SENTRY_ERROR, value)));
        headers.extend(self.retry_after.map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds))));
        headers.extend(
            self.limits.and_then(|limits| HeaderValue::try_from(limits).ok()).map(|value| (RATE_LIMITS, value)),
        );
        if self.closes {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// What was accepted of an envelope: its event, or something without one.
pub fn accepted(event_id: Option<&str>) -> Response {
    let body = event_id.map_or_else(|| json!({}), |id| json!({ "id": id }));
    with_limits(Json::<Value>(body).into_response())
}

/// The id of an accepted crash, as crash uploaders read it.
pub fn crash_accepted(hyphenated: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain")], hyphenated).into_response()
}

fn with_limits(mut response: Response) -> Response {
    response.headers_mut().insert(RATE_LIMITS, HeaderValue::from_static(NOT_SUPPORTED));
    response
}

/// Adds what browsers need to any answer.
pub fn with_cors(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let exposed = HeaderValue::from_static("X-Sentry-Error, X-Sentry-Rate-Limits, Retry-After");
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    response
}

/// The answer to a browser that asks whether it may send.
pub fn preflight() -> Response {
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST, OPTIONS"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "x-sentry-auth, content-type, content-encoding, authorization, sentry-trace, baggage, x-requested-with, origin, accept",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "3600"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The answer to another method.
pub fn wrong_method(method: &axum::http::Method) -> Response {
    let mut response =
        Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("Method \"{method}\" not allowed.")).into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"));
    response
}
