//! Attachments of an event: listed, fetched, deleted.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::access::plain_number;
use super::detail::found;
use super::shapes::time;
use crate::accounts::{DeleteEvents, ReadEvents};
use crate::app::App;
use crate::blobs::read_ahead;
use crate::db::StoredAttachment;
use crate::http::auth::ProjectAccess;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::QueryPairs;

/// `GET …/attachments/`.
pub async fn list(
    access: ProjectAccess<ReadEvents>,
    State(app): State<App>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> ApiResult<Json<Value>> {
    let event = found(&app, access.project.id, &id).await?;
    let attachments = app.db.attachments(access.project.id, &event.event_id).await?;
    Ok(Json(attachments.iter().map(shape).collect()))
}

/// `GET …/attachments/{aid}/`: one row, or its bytes with `?download`.
pub async fn one(
    access: ProjectAccess<ReadEvents>,
    State(app): State<App>,
    Path((_, _, id, aid)): Path<(String, String, String, String)>,
    query: QueryPairs,
) -> ApiResult<Response> {
    let attachment = named(&app, access.project.id, &id, &aid).await?;
    if query.first("download").is_none() {
        return Ok(Json(shape(&attachment)).into_response());
    }
    let size = attachment.blob.size;
    let body = Body::from_stream(read_ahead(Arc::clone(&app.blobs), vec![attachment.blob]));
    // What a client called its file is never opened as a page of ours.
    let name: String =
        attachment.name.chars().map(|c| if c.is_ascii_graphic() && !"\"\\/;".contains(c) { c } else { '_' }).collect();
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// `DELETE …/attachments/{aid}/`.
pub async fn delete(
    access: ProjectAccess<DeleteEvents>,
    State(app): State<App>,
    Path((_, _, id, aid)): Path<(String, String, String, String)>,
) -> ApiResult<StatusCode> {
    let attachment = named(&app, access.project.id, &id, &aid).await?;
    let key = app.db.delete_attachment(attachment.id).await?.ok_or(ApiError::NotFound)?;
    app.events.delete_bytes(&[key]).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn named(app: &App, project_id: i64, id: &str, aid: &str) -> ApiResult<StoredAttachment> {
    let event = found(app, project_id, id).await?;
    let aid = plain_number(aid).ok_or(ApiError::NotFound)?;
    let attachments = app.db.attachments(project_id, &event.event_id).await?;
    attachments.into_iter().find(|attachment| attachment.id == aid).ok_or(ApiError::NotFound)
}

fn shape(attachment: &StoredAttachment) -> Value {
    json!({
        "id": attachment.id.to_string(),
        "event_id": attachment.event_id,
        "type": attachment.kind,
        "name": attachment.name,
        "mimetype": attachment.content_type,
        "size": attachment.blob.size,
        "sha1": attachment.sha1,
        "dateCreated": time(attachment.created_at),
        "headers": { "Content-Type": attachment.content_type },
    })
}
