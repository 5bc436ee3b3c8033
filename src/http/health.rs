//! Whether the process lives and whether it can serve, part by part. Neither answer asks for a token, and what a machine
//! said inside goes to the log and not into the answer.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::app::App;
use crate::blobs::BlobKey;

/// How long a part may take to give a sign of life.
const PATIENCE: Duration = Duration::from_secs(3);

/// 200 as long as the process answers at all.
pub async fn live() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// 200 when rows and bytes can be reached, 503 otherwise, and which part is down. Without its status cache the server is
/// slower and still does all it has to.
pub async fn ready(State(app): State<App>) -> Response {
    let nowhere = BlobKey::from_row("health/00/nothing");
    let (database, blobs, status) = tokio::join!(
        sign_of_life("database", app.db.ping()),
        sign_of_life("blobs", app.blobs.stored_size(&nowhere)),
        sign_of_life("status", app.status.ping()),
    );
    let word = match (database && blobs, status) {
        (false, _) => "down",
        (true, false) => "degraded",
        (true, true) => "ok",
    };
    let part = |lives| if lives { "ok" } else { "down" };
    let parts = json!({ "database": part(database), "blobs": part(blobs), "status": part(status) });
    let code = if word == "down" { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (code, Json(json!({ "status": word, "parts": parts }))).into_response()
}

/// Whether a part answers well and in time.
async fn sign_of_life<T, E: std::fmt::Display>(part: &str, question: impl Future<Output = Result<T, E>>) -> bool {
    let reason = match tokio::time::timeout(PATIENCE, question).await {
        Ok(Ok(_)) => return true,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {PATIENCE:?}"),
    };
    tracing::warn!(part, reason, "not ready: a part cannot be reached");
    false
}
