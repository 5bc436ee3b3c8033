//! One event: its long form, its JSON, how it is grouped; and deleting it.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use symdepot_events::envelope::EventId;
use symdepot_events::grouping::{group, grouping_info};

use super::access::IssueAccess;
use super::shapes::{entries, short, time};
use crate::accounts::{DeleteEvents, ReadEvents};
use crate::app::App;
use crate::db::StoredEvent;
use crate::events::decompressed;
use crate::http::auth::ProjectAccess;
use crate::http::error::{ApiError, ApiResult};

/// `GET projects/{org}/{project}/events/{id}/`.
pub async fn of_project(
    access: ProjectAccess<ReadEvents>,
    State(app): State<App>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> ApiResult<Json<Value>> {
    let event = found(&app, access.project.id, &id).await?;
    Ok(Json(long(&app, &event).await?))
}

/// `GET issues/{issue}/events/{id}/`, with `latest` and `oldest` for ids.
pub async fn of_issue(
    access: IssueAccess<ReadEvents>,
    State(app): State<App>,
    Path(params): Path<std::collections::HashMap<String, String>>,
) -> ApiResult<Json<Value>> {
    let id = params.get("event_id").map(String::as_str).unwrap_or_default();
    let event = match id {
        "latest" | "oldest" => {
            let one = app.db.events_of_issue(access.issue.id, 0, 1, id == "oldest").await?;
            one.into_iter().next().ok_or(ApiError::NotFound)?
        }
        id => {
            let id: EventId = id.parse().map_err(|_| ApiError::NotFound)?;
            let event = app.db.stored_event_of_issue(access.issue.id, &id.to_string()).await?;
            event.ok_or(ApiError::NotFound)?
        }
    };
    Ok(Json(long(&app, &event).await?))
}

/// `GET …/events/{id}/json/`.
pub async fn json(
    access: ProjectAccess<ReadEvents>,
    State(app): State<App>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> ApiResult<Response> {
    let event = found(&app, access.project.id, &id).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text(&app, &event).await?).into_response())
}

/// `GET …/events/{id}/grouping-info/`.
pub async fn grouping(
    access: ProjectAccess<ReadEvents>,
    State(app): State<App>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> ApiResult<Json<Value>> {
    let event = found(&app, access.project.id, &id).await?;
    let payload = payload(&app, &event).await?;
    let treatment = app.events.treatments.of(event.project_id).await?;
    let (event_id, project_id) = (event.event_id.clone(), event.project_id);
    let grouping = tokio::task::spawn_blocking(move || {
        let object = payload.as_object().cloned().unwrap_or_default();
        let stored = [event.hashes, event.deep_hashes].concat();
        grouping_info(&group(&object, &treatment.rules, treatment.mode), &stored)
    });
    let info = grouping.await.map_err(ApiError::internal)?;
    if info.as_object().is_some_and(|info| info.values().any(|variant| variant["hashMismatch"] == true)) {
        tracing::info!(project.id = project_id, event.id = event_id, "an event groups otherwise by the rules of today");
    }
    Ok(Json(info))
}

/// `DELETE …/events/{id}/`. Counts stay.
pub async fn delete(
    access: ProjectAccess<DeleteEvents>,
    State(app): State<App>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> ApiResult<StatusCode> {
    let event = found(&app, access.project.id, &id).await?;
    let (_, keys) = app.db.delete_events(&[event.id]).await?;
    app.events.delete_bytes(&keys).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The event of a project with this id.
pub async fn found(app: &App, project_id: i64, id: &str) -> ApiResult<StoredEvent> {
    let id: EventId = id.parse().map_err(|_| ApiError::NotFound)?;
    app.db.stored_event(&[project_id], &id.to_string()).await?.ok_or(ApiError::NotFound)
}

async fn text(app: &App, event: &StoredEvent) -> ApiResult<Vec<u8>> {
    let payload = app.db.payload_of_row(event.id).await?.ok_or(ApiError::NotFound)?;
    let decompressing = tokio::task::spawn_blocking(move || decompressed(&payload));
    decompressing.await.map_err(ApiError::internal)?.map_err(ApiError::internal)
}

async fn payload(app: &App, event: &StoredEvent) -> ApiResult<Value> {
    serde_json::from_slice(&text(app, event).await?).map_err(ApiError::internal)
}

/// An event in its long form.
pub async fn long(app: &App, event: &StoredEvent) -> ApiResult<Value> {
    let payload = payload(app, event).await?;
    let (previous, next) = app.db.event_neighbours(event).await?;
    let report = app.db.user_report(event.project_id, &event.event_id).await?;
    let report = report.map(|report| {
        json!({
            "name": report.name,
            "email": report.email,
            "comments": report.comments,
            "dateCreated": time(report.created_at),
            "eventID": event.event_id,
        })
    });
    let missing = app.db.missing_of_event(event.id).await?;
    let missing: Vec<Value> =
        missing.into_iter().map(|(debug_id, file)| json!({ "debugId": debug_id, "codeFile": file })).collect();
    let occurrence = app.db.occurrence_of_event(event.project_id, &event.event_id).await?;
    let occurrence = occurrence.and_then(|(payload, _)| serde_json::from_str::<Value>(&payload).ok());
    let fingerprints = [event.hashes.clone(), event.deep_hashes.clone()].concat();
    let mut shape = short(event);
    let or = |key: &str, empty: Value| match &payload[key] {
        Value::Null => empty,
        value => value.clone(),
    };
    for (key, value) in [
        ("entries", Value::Array(entries(&payload))),
        ("contexts", or("contexts", json!({}))),
        ("context", or("extra", json!({}))),
        ("packages", or("modules", json!({}))),
        ("sdk", or("sdk", Value::Null)),
        ("release", json!(event.release)),
        ("environment", json!(event.environment)),
        ("dist", or("dist", Value::Null)),
        ("fingerprints", json!(fingerprints)),
        ("errors", or("errors", json!([]))),
        ("groupingConfig", json!({ "id": event.config })),
        ("previousEventID", json!(previous)),
        ("nextEventID", json!(next)),
        ("userReport", json!(report)),
        ("occurrence", json!(occurrence)),
        ("hashes", json!(event.hashes)),
        ("hierarchicalHashes", json!(event.deep_hashes)),
        ("primaryHash", json!(event.own_hash)),
        ("symbolication", json!({ "state": event.symbolication, "missing": missing })),
    ] {
        shape.insert(key.to_owned(), value);
    }
    Ok(Value::Object(shape))
}
