//! Reading and managing events, issues and client keys: Sentry's `/api/0/` as far as its clients use it, and our own calls.

mod access;
mod attachments;
mod detail;
mod hashes;
mod issues;
mod keys;
mod lists;
mod occurrences;
mod outcomes;
mod settings;
mod shapes;

use axum::Json;
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use serde_json::json;

use crate::accounts::ReadEvents;
use crate::app::App;
use crate::http::auth::OrganizationAccess;

/// Every path.
pub fn routes() -> Router<App> {
    Router::new().merge(of_projects()).merge(of_issues("/api/0/issues/{issue}")).merge(of_organizations()).merge(own())
}

fn of_projects() -> Router<App> {
    let base = "/api/0/projects/{org}/{project}";
    let path = |end: &str| format!("{base}{end}");
    Router::new()
        .route(&path("/"), get(settings::get).put(settings::put))
        .route(&path("/keys/"), get(keys::list).post(keys::create))
        .route(&path("/keys/{id}/"), delete(keys::revoke))
        .route(&path("/events/"), get(lists::of_project))
        .route(&path("/events/{event_id}/"), get(detail::of_project).delete(detail::delete))
        .route(&path("/events/{event_id}/json/"), get(detail::json))
        .route(&path("/events/{event_id}/grouping-info/"), get(detail::grouping))
        .route(&path("/events/{event_id}/attachments/"), get(attachments::list))
        .route(&path("/events/{event_id}/attachments/{aid}/"), get(attachments::one).delete(attachments::delete))
        .route(&path("/issues/"), get(issues::list).put(issues::change))
}

fn of_issues(base: &str) -> Router<App> {
    let path = |end: &str| format!("{base}{end}");
    Router::new()
        .route(&path("/"), get(issues::one))
        .route(&path("/events/"), get(lists::of_issue))
        .route(&path("/events/{event_id}/"), get(detail::of_issue))
        .route(&path("/hashes/"), get(hashes::list).delete(hashes::unmerge).put(hashes::unmerge))
        .route(&path("/hashes/split/"), post(hashes::split))
}

fn of_organizations() -> Router<App> {
    Router::new()
        .merge(of_issues("/api/0/organizations/{org}/issues/{issue}"))
        .route("/api/0/organizations/{org}/eventids/{event_id}/", get(lists::by_id))
        .route("/api/0/organizations/{org}/monitors/", get(monitors))
        .route("/api/0/organizations/{org}/events/", get(datasets))
}

fn own() -> Router<App> {
    Router::new()
        .route("/api/v1/projects/{org}/{project}/outcomes", get(outcomes::sum))
        .route("/api/v1/projects/{org}/{project}/occurrences", get(occurrences::list).post(occurrences::put))
}

async fn monitors(_access: OrganizationAccess<ReadEvents>) -> Response {
    not_supported("Monitors are not supported by symdepot.")
}

async fn datasets(_access: OrganizationAccess<ReadEvents>) -> Response {
    not_supported("Queries over logs, spans and other datasets are not supported by symdepot.")
}

/// What clients print instead of complaining about a wrong organization.
fn not_supported(sentence: &str) -> Response {
    (StatusCode::NOT_IMPLEMENTED, Json(json!({ "detail": sentence }))).into_response()
}
