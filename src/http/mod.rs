//! Front door 1: the web. The only room that knows axum, next to `server`.
//!
//! [`routes`] lists every path, grouped by who calls it. A handler checks with extractors, asks one domain function
//! and turns its answer into a response; it never decides anything about files.

mod as_stored;
mod auth;
mod content;
mod error;
mod events;
mod explain;
mod extract;
mod fallback;
mod hang_up;
mod health;
mod ingest;
pub mod json_lexer;
mod missing;
pub mod multipart;
mod own_url;
mod paging;
mod rated_body;
mod sentry;
mod symbol_server;
mod symbolicate;
mod symbolication;
mod symcaches;
mod upstream;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post};

use crate::app::App;

pub use auth::{OrganizationAccess, ProjectAccess};
pub use error::{ApiError, ApiResult};
pub use extract::{JsonBody, QueryPairs, RawBody};
pub(crate) use fallback::{no_connection_left, panic_response};
pub(crate) use hang_up::{Door, Doors, HangUp, PeerAddress};
pub use rated_body::{BodyTooSlow, RatedBody, unreadable_body};
pub use sentry::assemble_schema::{Asked, MOST_FILES, SchemaError, WantedFiles};
pub(crate) use symbol_server::logged_path;

/// Every path of the server. The body of each request is rated ([`RatedBody`]), whichever handler reads it.
pub fn routes(app: App) -> Router {
    Router::new()
        .merge(pipelines())
        .merge(debug_files())
        .merge(workers())
        .merge(symbolication_clients())
        .merge(ingest::routes())
        .merge(events::routes())
        .merge(debuggers())
        .merge(clients())
        .merge(operators())
        .fallback(fallback::not_routed)
        .method_not_allowed_fallback(fallback::wrong_method)
        .layer(axum::middleware::map_request_with_state(app.clone(), rated_body::rate_body))
        .with_state(app)
}

/// What build pipelines send, and what pollers ask.
fn pipelines() -> Router<App> {
    let chunks = get(sentry::chunk_upload::options).post(sentry::chunk_upload::upload);
    Router::new()
        .route("/api/0/organizations/{org}/chunk-upload/", chunks)
        .route("/api/0/projects/{org}/{project}/files/difs/assemble/", post(sentry::assemble::assemble))
}

/// What older clients, people and symbolication workers ask about debug files.
fn debug_files() -> Router<App> {
    let files = get(sentry::debug_files::list_or_download)
        .post(sentry::zip_upload::upload_zip)
        .delete(sentry::debug_files::delete);
    Router::new()
        .route("/api/0/projects/{org}/{project}/files/dsyms/", files)
        .route("/api/0/projects/{org}/{project}/files/dsyms/unknown/", get(sentry::debug_files::unknown))
        .route("/api/0/projects/{org}/{project}/files/dsyms/associate/", post(sentry::debug_files::associate))
        .route("/api/0/projects/{org}/{project}/reprocessing/", post(sentry::debug_files::reprocess))
}

/// What symbolication workers fetch.
fn workers() -> Router<App> {
    Router::new()
        .route("/api/v1/projects/{org}/{project}/symcaches/{debug_id}", get(symcaches::fetch))
        .route("/api/v1/projects/{org}/{project}/symcaches/status", post(symcaches::status))
        .route("/api/v1/projects/{org}/{project}/explain", get(explain::explain))
        .route("/api/v1/projects/{org}/{project}/missing", get(missing::list))
}

/// Whose stacks are to be named.
fn symbolication_clients() -> Router<App> {
    Router::new()
        .route("/api/v1/projects/{org}/{project}/symbolicate", post(symbolication::symbolicate))
        .route("/api/v1/projects/{org}/{project}/symbolicate-jvm", post(symbolication::jvm))
        .layer(DefaultBodyLimit::max(symbolication::MAX_BODY))
        .route("/api/v1/projects/{org}/{project}/minidump", post(symbolication::minidump))
        .route("/api/v1/projects/{org}/{project}/applecrashreport", post(symbolication::apple_report))
        .route("/api/v1/projects/{org}/{project}/requests/{id}", get(symbolication::request))
}

/// What debuggers and symbolication services look for, each in the layout of its own protocol.
fn debuggers() -> Router<App> {
    let look_ups =
        post(symbolicate::look_up).options(symbolicate::preflight).layer(DefaultBodyLimit::max(symbolicate::MAX_BODY));
    Router::new().route("/symbols/{*path}", get(symbol_server::look_up).merge(look_ups))
}

/// What clients ask about themselves: `sentry-cli info`, `organizations list`, `projects list`.
fn clients() -> Router<App> {
    Router::new()
        .route("/api/0/", get(sentry::organizations::who_am_i))
        .route("/api/0/organizations/", get(sentry::organizations::list))
        .route("/api/0/organizations/{org}/projects/", get(sentry::projects::list))
        .route("/api/0/users/me/regions/", get(sentry::organizations::regions))
}

/// What operators and their tools ask.
fn operators() -> Router<App> {
    let readiness = health::Readiness::default();
    let ready = get(move |app: State<App>| readiness.clone().ready(app));
    Router::new().route("/health/live", get(health::live)).route("/health/ready", ready)
}
