//! Whether the process lives and whether it can serve. Neither answer asks for a token or tells anything else.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::error::{ApiError, ApiResult};
use crate::app::App;
use crate::blobs::BlobKey;

/// 200 as long as the process answers at all.
pub async fn live() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// 200 when rows and bytes can be reached, 503 with the reason otherwise.
pub async fn ready(State(app): State<App>) -> ApiResult<Json<Value>> {
    let not_ready = |what: &str, error: &dyn std::fmt::Display| {
        tracing::warn!(%error, "not ready: {what}");
        ApiError::Busy(format!("{what} cannot be reached."))
    };
    app.db.ping().await.map_err(|error| not_ready("The database", &error))?;
    let nowhere = BlobKey::from_row("health/00/nothing");
    app.blobs.stored_size(&nowhere).await.map_err(|error| not_ready("The blob store", &error))?;
    Ok(Json(json!({ "status": "ok" })))
}
