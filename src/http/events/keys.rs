//! Client keys of a project.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::plain_number;
use super::shapes::time;
use crate::accounts::{ChangeSettings, ReadEvents, check_label, dsn, issue_project_key};
use crate::app::App;
use crate::http::auth::ProjectAccess;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::RawBody;
use crate::http::own_url::own_url;
use crate::types::ProjectKey;

/// `GET …/keys/`.
pub async fn list(
    access: ProjectAccess<ReadEvents>,
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
) -> ApiResult<Json<Value>> {
    let url = own_url(&app, &uri, &headers);
    let keys = app.db.project_keys(access.project.id).await?;
    Ok(Json(keys.iter().map(|key| shape(key, &url)).collect()))
}

/// What a new key is called.
#[derive(Debug, Deserialize)]
pub struct NewKey {
    #[serde(default)]
    name: Option<String>,
}

/// `POST …/keys/`.
pub async fn create(
    access: ProjectAccess<ChangeSettings>,
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let new: NewKey = match body.is_empty() {
        true => NewKey { name: None },
        false => serde_json::from_slice(&body).map_err(|error| {
            ApiError::BadRequest(format!("The body cannot be read as JSON of the right form: {error}"))
        })?,
    };
    let name = new.name.unwrap_or_default();
    check_label(&name).map_err(|error| ApiError::BadRequest(error.to_string()))?;
    let key = issue_project_key(&app.db, &app.clock, access.project.id, &name).await?;
    Ok((StatusCode::CREATED, Json(shape(&key, &own_url(&app, &uri, &headers)))))
}

/// `DELETE …/keys/{id}/`.
pub async fn revoke(
    access: ProjectAccess<ChangeSettings>,
    State(app): State<App>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> ApiResult<StatusCode> {
    let keys = app.db.project_keys(access.project.id).await?;
    let is_named = |key: &&ProjectKey| key.public_key == id || Some(key.id) == plain_number(&id);
    let key = keys.iter().find(is_named).ok_or(ApiError::NotFound)?;
    match app.db.revoke_project_key(&key.public_key, app.clock.now()).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::NotFound),
    }
}

fn shape(key: &ProjectKey, url: &str) -> Value {
    let public = dsn(url, &key.public_key, key.project_id);
    let base = format!("{url}/api/{}", key.project_id);
    let query = format!("?sentry_key={}", key.public_key);
    json!({
        "id": key.id.to_string(),
        "name": key.name,
        "label": key.name,
        "public": key.public_key,
        "projectId": key.project_id,
        "isActive": key.revoked_at.is_none(),
        "dateCreated": time(key.created_at),
        "rateLimit": if key.rate > 0 { json!({ "window": 60, "count": key.rate }) } else { Value::Null },
        "dsn": {
            "public": public,
            "envelope": format!("{base}/envelope/{query}"),
            "minidump": format!("{base}/minidump/{query}"),
            "unreal": format!("{base}/unreal/{}/", key.public_key),
            "security": format!("{base}/security/{query}"),
            "csp": format!("{base}/csp-report/{query}"),
        },
    })
}
