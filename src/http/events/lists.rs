//! Lists of events: of a project, of an issue, and the one with an id in an organization.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use symdepot_events::envelope::EventId;

use super::access::IssueAccess;
use super::detail::long;
use super::shapes::short;
use crate::accounts::{ReadEvents, all_projects};
use crate::app::App;
use crate::db::StoredEvent;
use crate::http::auth::{OrganizationAccess, ProjectAccess};
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::QueryPairs;
use crate::http::own_url::own_url;
use crate::http::paging::Page;

/// Entries on a page without `per_page`.
pub const PAGE: i64 = 100;

/// `GET projects/{org}/{project}/events/`.
pub async fn of_project(
    access: ProjectAccess<ReadEvents>,
    State(app): State<App>,
    query: QueryPairs,
    uri: Uri,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let page = Page::asked_of(&query, PAGE)?;
    let events = app.db.events_of_project(access.project.id, page.offset(), page.size + 1).await?;
    Ok(paged(&app, page, events, &uri, &headers))
}

/// `GET issues/{issue}/events/`.
pub async fn of_issue(
    access: IssueAccess<ReadEvents>,
    State(app): State<App>,
    query: QueryPairs,
    uri: Uri,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let page = Page::asked_of(&query, PAGE)?;
    let events = app.db.events_of_issue(access.issue.id, page.offset(), page.size + 1, false).await?;
    Ok(paged(&app, page, events, &uri, &headers))
}

fn paged(app: &App, page: Page, mut events: Vec<StoredEvent>, uri: &Uri, headers: &HeaderMap) -> Response {
    let size = usize::try_from(page.size).unwrap_or(usize::MAX);
    let more = events.len() > size;
    events.truncate(size);
    let body: Vec<Value> = events.iter().map(|event| Value::Object(short(event))).collect();
    ([(header::LINK, page.link(&own_url(app, uri, headers), uri, more))], Json(body)).into_response()
}

/// `GET organizations/{org}/eventids/{id}/`: where the event with this id is.
pub async fn by_id(
    access: OrganizationAccess<ReadEvents>,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
) -> ApiResult<Json<Value>> {
    let id: EventId = id.parse().map_err(|_| ApiError::NotFound)?;
    let projects = all_projects(&app.db, access.organization.id).await?;
    let visible: Vec<_> = projects.into_iter().filter(|project| access.caller.may_see_project(project.id)).collect();
    let ids: Vec<i64> = visible.iter().map(|project| project.id).collect();
    let event = app.db.stored_event(&ids, &id.to_string()).await?.ok_or(ApiError::NotFound)?;
    let project = visible.iter().find(|project| project.id == event.project_id).ok_or(ApiError::NotFound)?;
    Ok(Json(json!({
        "organizationSlug": access.organization.slug,
        "projectSlug": project.slug,
        "groupId": event.issue_id.to_string(),
        "eventId": event.event_id,
        "event": long(&app, &event).await?,
    })))
}
