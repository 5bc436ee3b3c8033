//! Issues, as far as events need them: one, the list of a project, and merging.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::{IssueAccess, plain_number};
use super::lists::PAGE;
use super::shapes;
use crate::accounts::{ActOnIssues, ReadEvents};
use crate::app::App;
use crate::http::auth::ProjectAccess;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{JsonBody, QueryPairs};
use crate::http::own_url::own_url;
use crate::http::paging::Page;

/// `GET issues/{issue}/`.
pub async fn one(access: IssueAccess<ReadEvents>, State(app): State<App>, uri: Uri, headers: HeaderMap) -> Json<Value> {
    let url = own_url(&app, &uri, &headers);
    Json(shapes::issue(&access.issue, &access.project, &access.organization, &url))
}

/// `GET projects/{org}/{project}/issues/`.
pub async fn list(
    access: ProjectAccess<ReadEvents>,
    State(app): State<App>,
    query: QueryPairs,
    uri: Uri,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let page = Page::asked_of(&query, PAGE)?;
    let mut issues = app.db.issues_of_project(access.project.id, page.offset(), page.size + 1).await?;
    let size = usize::try_from(page.size).unwrap_or(usize::MAX);
    let more = issues.len() > size;
    issues.truncate(size);
    let url = own_url(&app, &uri, &headers);
    let shape = |issue| shapes::issue(issue, &access.project, &access.organization.slug, &url);
    let body: Vec<Value> = issues.iter().map(shape).collect();
    Ok(([(header::LINK, page.link(&url, &uri, more))], Json(body)).into_response())
}

/// What is to become of a set of issues.
#[derive(Debug, Deserialize)]
pub struct Change {
    #[serde(default)]
    merge: Option<Value>,
}

/// `PUT projects/{org}/{project}/issues/?id=…`: merges issues into the one with the smallest id.
pub async fn change(
    access: ProjectAccess<ActOnIssues>,
    State(app): State<App>,
    query: QueryPairs,
    JsonBody(change): JsonBody<Change>,
) -> ApiResult<Json<Value>> {
    let is_merge =
        matches!(&change.merge, Some(Value::Bool(true))) || change.merge.as_ref().is_some_and(|one| *one == 1);
    if !is_merge {
        return Err(ApiError::BadRequest("Only `{\"merge\":1}` is supported for issues.".to_owned()));
    }
    let mut ids = Vec::new();
    for text in query.all("id") {
        let id = plain_number(text).ok_or(ApiError::NotFound)?;
        let issue = app.db.issue(id).await?.filter(|issue| issue.project_id == access.project.id);
        ids.push(issue.ok_or(ApiError::NotFound)?.id);
    }
    ids.sort_unstable();
    ids.dedup();
    let Some((target, rest)) = ids.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        return Err(ApiError::BadRequest("Name at least two issues to merge.".to_owned()));
    };
    app.events.merge(*target, rest).await?;
    let children: Vec<String> = rest.iter().map(ToString::to_string).collect();
    Ok(Json(json!({ "merge": { "parent": target.to_string(), "children": children } })))
}
