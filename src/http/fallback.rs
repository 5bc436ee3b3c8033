//! Answers to requests that no handler saw: unrouted paths, wrong methods, and handlers that panicked. They never
//! redirect: clients do not follow.

use std::any::Any;

use axum::Json;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::error::ApiError;
use super::hang_up::HangUp;
use super::symbol_server::is_debuginfod;

/// No route. A path of Sentry's wire without its last slash gets a hint, as Sentry gives it; every other path under
/// `/api/` gets the JSON body that clients show.
pub async fn not_routed(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    if !path.starts_with("/api/0/") {
        return ApiError::NotFoundBecause("There is nothing at this path.".to_owned()).into_response();
    }
    if path.ends_with('/') || !is_plain(path) {
        return ApiError::NotFound.into_response();
    }
    let help = "Route not found, did you forget a trailing slash?";
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if content_type.starts_with("application/json") {
        return (StatusCode::NOT_FOUND, Json(json!({ "info": format!("{help} try: {path}/") }))).into_response();
    }
    let plain = [(header::CONTENT_TYPE, "text/plain")];
    (StatusCode::NOT_FOUND, plain, format!("{help}\n\ntry: {path}/\n")).into_response()
}

/// Whether a slash at its end could make this a path: no part of it is empty, leads nowhere or has an escape.
fn is_plain(path: &str) -> bool {
    let parts = path.split('/').skip(1);
    parts.into_iter().all(|part| !matches!(part, "" | "." | "..") && !part.contains('%'))
}

/// A route, but not with this method.
pub async fn wrong_method(method: Method) -> Response {
    let sentence = format!("Method \"{method}\" not allowed.");
    (StatusCode::METHOD_NOT_ALLOWED, Json(json!({ "detail": sentence }))).into_response()
}

/// The answer on a connection above the maximum. Clients of debuginfod would remember an answer, so they get none.
pub(crate) fn no_connection_left(path: &str, hang_up: &HangUp) -> Response {
    if is_debuginfod(path) {
        return hang_up.now();
    }
    let sentence = "The server has as many connections as it may have. Try again in some seconds.";
    ApiError::Busy(sentence.to_owned()).into_response()
}

/// A handler panicked: the client hears of it in its own language, the server goes on.
pub(crate) fn panic_response(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    ApiError::internal(format!("panic: {}", text.as_deref().unwrap_or("no message"))).into_response()
}
