//! The debug files of a project on Sentry's wire: list, download, delete, and what older clients ask. It never reads
//! what is in a file.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::dif::dif;
use crate::accounts::{Delete, Read, Upload};
use crate::app::App;
use crate::debug_files::{self, Losses, Search, Wanted, WantedId, What};
use crate::http::as_stored;
use crate::http::auth::ProjectAccess;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::QueryPairs;
use crate::http::own_url::own_url;
use crate::http::paging::Page;
use crate::http::upstream;
use crate::types::{CodeId, RequestedKinds, Sha1};

/// `GET files/dsyms/`: the list, or with `id` the bytes of one file.
pub async fn list_or_download(
    access: ProjectAccess<Read>,
    State(app): State<App>,
    query: QueryPairs,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> ApiResult<Response> {
    match query.first("id") {
        Some(id) => download(&app, access.project.id, id, &method, &headers).await,
        None => list(&app, access.project.id, &query, &uri, &headers).await,
    }
}

/// Files on a page of those with one id. Symbolicator never turns pages, and complains of 20 files.
const OF_ONE_ID: i64 = 19;

async fn list(app: &App, project_id: i64, query: &QueryPairs, uri: &Uri, headers: &HeaderMap) -> ApiResult<Response> {
    let text = |name| query.first(name).map(str::to_owned);
    let page = match (query.first("debug_id"), query.first("code_id")) {
        (None, None) => Page::asked(query)?,
        _ => Page::asked_of(query, OF_ONE_ID)?,
    };
    let search = Search {
        query: text("query"),
        debug_id: text("debug_id"),
        code_id: text("code_id"),
        formats: query.all("file_formats").map(str::to_owned).collect(),
    };
    let find = || debug_files::list(&app.db, project_id, &search, page.offset(), page.size);
    let (mut files, mut more) = find().await?;
    if files.is_empty() && page.offset() == 0 && brought(app, project_id, query.first("code_id")).await? {
        (files, more) = find().await?;
    }
    if files.is_empty()
        && page.offset() == 0
        && let Some(id) = search.wanted_id()
    {
        app.misses.note(project_id, &id, RequestedKinds::ANY, None, "symbolicator");
    }
    let body: Vec<_> = files.iter().map(dif).collect();
    Ok(([(header::LINK, page.link(&own_url(app, uri, headers), uri, more))], Json(body)).into_response())
}

/// How long a list waits for upstreams. Symbolicator waits thirty seconds for it.
const LIST_WAITS: Duration = Duration::from_secs(25);

/// Whether upstreams have just brought files of a code id. Symbolicator needs the debug information and, to unwind, the
/// executable. It remembers an empty list for an hour, and asks again soon if it is sent away.
async fn brought(app: &App, project_id: i64, code_id: Option<&str>) -> ApiResult<bool> {
    let Some(code_id) = code_id.map(CodeId::new).filter(|id| !id.as_str().is_empty()) else { return Ok(false) };
    let wanted = |what| Wanted { id: WantedId::Code(code_id.as_str().to_owned()), what, name: None };
    let (debug_info, executable) = (wanted(What::DebugInfo), wanted(What::Executable));
    let both = tokio::join!(
        upstream::brought(app, project_id, &debug_info, LIST_WAITS),
        upstream::brought(app, project_id, &executable, LIST_WAITS)
    );
    // What has no room is not there.
    let or_no_room = |brought| if let Err(ApiError::NotFoundBecause(_)) = brought { Ok(false) } else { brought };
    match (or_no_room(both.0), or_no_room(both.1)) {
        (Ok(false), executable) => executable,
        (debug_info, Ok(false)) => debug_info,
        (Ok(true), _) | (_, Ok(true)) => Ok(true),
        (error, Err(_)) => error,
    }
}

async fn download(app: &App, project_id: i64, id: &str, method: &Method, headers: &HeaderMap) -> ApiResult<Response> {
    let id = file_id(Some(id))?;
    let found = debug_files::open(&app.db, &app.blobs, project_id, id).await?.ok_or(ApiError::NotFound)?;
    app.uses.note([id]);
    let losses = Losses { db: app.db.clone(), clock: app.clock.clone(), tasks: app.tasks.clone() };
    let found = found.reporting(losses);
    let disposition = format!("attachment; filename=\"{}\"", found.download_name());
    let mut response = as_stored::answer(found, method, headers).await?;
    if let Ok(disposition) = HeaderValue::try_from(disposition) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

/// `DELETE files/dsyms/?id=`.
pub async fn delete(access: ProjectAccess<Delete>, State(app): State<App>, query: QueryPairs) -> ApiResult<StatusCode> {
    let id = file_id(query.first("id"))?;
    let deleted = debug_files::delete(&app.db, app.blobs.as_ref(), &app.status, access.project.id, id).await?;
    let file = deleted.ok_or(ApiError::NotFound)?;
    app.symcaches.forget(&file).await;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET files/dsyms/unknown/?checksums=…`: which of these contents the project does not have.
pub async fn unknown(access: ProjectAccess<Read>, State(app): State<App>, query: QueryPairs) -> ApiResult<Json<Value>> {
    let asked: std::collections::BTreeSet<_> = query.all("checksums").map(str::to_lowercase).collect();
    let checksums: Vec<Sha1> = asked.iter().filter_map(|text| text.parse().ok()).collect();
    let version = &app.symcaches.converter_version;
    let unknown = debug_files::unknown(&app.db, access.project.id, &checksums, version, app.clock.now()).await?;
    // What is no checksum is of no file.
    let missing = asked.iter().filter(|text| text.parse().map_or(true, |sha1: Sha1| unknown.contains(&sha1)));
    Ok(Json(json!({ "missing": missing.collect::<Vec<_>>() })))
}

/// `POST files/dsyms/associate/`: files are not tied to versions here, as at Sentry today.
pub async fn associate(_access: ProjectAccess<Upload>) -> Json<Value> {
    Json(json!({ "associatedDsymFiles": [] }))
}

/// `POST reprocessing/`: nothing waits for debug files here, as at Sentry today.
pub async fn reprocess(_access: ProjectAccess<Upload>) -> StatusCode {
    StatusCode::OK
}

/// The id of a file as clients write it: a string of digits.
fn file_id(text: Option<&str>) -> ApiResult<i64> {
    text.and_then(|text| text.parse().ok()).ok_or(ApiError::NotFound)
}
