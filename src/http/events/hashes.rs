//! Hashes of an issue: listed, taken out of it, split.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::access::IssueAccess;
use super::lists::PAGE;
use super::shapes::short;
use crate::accounts::{ActOnIssues, ReadEvents};
use crate::app::App;
use crate::events::Unmerge;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::QueryPairs;
use crate::http::own_url::own_url;
use crate::http::paging::Page;

/// `GET issues/{issue}/hashes/`.
pub async fn list(
    access: IssueAccess<ReadEvents>,
    State(app): State<App>,
    query: QueryPairs,
    uri: Uri,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let page = Page::asked_of(&query, PAGE)?;
    let (issue, project_id) = (access.issue.id, access.project.id);
    let mut hashes = app.db.issue_hashes(issue, page.offset(), page.size + 1).await?;
    let size = usize::try_from(page.size).unwrap_or(usize::MAX);
    let more = hashes.len() > size;
    hashes.truncate(size);
    let ids: Vec<i64> = hashes.iter().map(|hash| hash.id).collect();
    let latest = app.db.latest_events(project_id, &ids).await?;
    let wanted: Vec<String> = latest.iter().flatten().cloned().collect();
    let events = app.db.stored_events_by_id(project_id, &wanted).await?;
    let body: Vec<Value> = hashes
        .iter()
        .zip(&latest)
        .map(|(hash, latest)| {
            // One that was deleted, or is in another issue by now, is not the latest of this one.
            let event =
                events.iter().rev().find(|event| Some(&event.event_id) == latest.as_ref() && event.issue_id == issue);
            json!({
                "id": hash.hash,
                "latestEvent": event.map(short),
                "state": hash.state,
                "count": hash.events.to_string(),
                "mergedBySeer": false,
            })
        })
        .collect();
    Ok(([(header::LINK, page.link(&own_url(&app, &uri, &headers), &uri, more))], Json(body)).into_response())
}

/// `DELETE issues/{issue}/hashes/?id=…`, also as `PUT`: these hashes and their events become an issue of their own.
pub async fn unmerge(
    access: IssueAccess<ActOnIssues>,
    State(app): State<App>,
    query: QueryPairs,
) -> ApiResult<Response> {
    let named: BTreeSet<String> = query.all("id").map(str::to_owned).collect();
    if named.is_empty() {
        return Ok(Json(json!({})).into_response());
    }
    match app.events.unmerge(access.issue.project_id, access.issue.id, &named).await? {
        Unmerge::Done(_) => Ok((StatusCode::ACCEPTED, Json(json!({}))).into_response()),
        Unmerge::NoneOfIssue => {
            let body = json!({ "detail": "None of these hashes belongs to this issue." });
            Ok((StatusCode::CONFLICT, Json(body)).into_response())
        }
        Unmerge::AllOfIssue => {
            Err(ApiError::BadRequest("These are all hashes of the issue: nothing would stay.".to_owned()))
        }
        Unmerge::NoEvents => Err(ApiError::BadRequest("No event is counted under these hashes.".to_owned())),
    }
}

/// `POST issues/{issue}/hashes/split/?id=…`: events of the hash go one level deeper from now on.
pub async fn split(
    access: IssueAccess<ActOnIssues>,
    State(app): State<App>,
    query: QueryPairs,
) -> ApiResult<Json<Value>> {
    let hash = query.first("id").ok_or_else(|| ApiError::BadRequest("The parameter `id` is missing.".to_owned()))?;
    match app.events.split(access.issue.project_id, access.issue.id, hash).await? {
        true => Ok(Json(json!({}))),
        false => Err(ApiError::BadRequest("The hash is not hierarchical, or it is the deepest one.".to_owned())),
    }
}
