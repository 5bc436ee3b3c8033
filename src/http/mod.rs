//! Front door 1: the web. The only room that knows axum, next to `server`.
//!
//! [`routes`] lists every path, grouped by who calls it. A handler checks with extractors, asks one domain function
//! and turns its answer into a response; it never decides anything about files.

mod auth;
mod error;
mod extract;
mod fallback;
mod health;
mod sentry;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use crate::app::App;

pub use auth::{OrganizationAccess, ProjectAccess};
pub use error::{ApiError, ApiResult};
pub use extract::{JsonBody, QueryPairs, RawBody};
pub(crate) use fallback::panic_response;

/// Every path of the house.
pub fn routes(app: App) -> Router {
    Router::new()
        .merge(pipelines())
        .merge(clients())
        .merge(operators())
        .fallback(fallback::not_routed)
        .method_not_allowed_fallback(fallback::wrong_method)
        .with_state(app)
}

/// What build pipelines send, and what pollers ask.
fn pipelines() -> Router<App> {
    let large_json = DefaultBodyLimit::max(sentry::assemble::MAX_BODY);
    Router::new().route(
        "/api/0/projects/{org}/{project}/files/difs/assemble/",
        post(sentry::assemble::assemble).layer(large_json),
    )
}

/// What clients ask about themselves: `sentry-cli info`, `organizations list`, `projects list`.
fn clients() -> Router<App> {
    Router::new()
        .route("/api/0/", get(sentry::organizations::who_am_i))
        .route("/api/0/organizations/", get(sentry::organizations::list))
        .route("/api/0/organizations/{org}/projects/", get(sentry::projects::list))
}

/// What operators and their tools ask.
fn operators() -> Router<App> {
    Router::new().route("/health/live", get(health::live)).route("/health/ready", get(health::ready))
}
