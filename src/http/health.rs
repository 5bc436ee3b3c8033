//! Whether the process lives and whether it can serve, part by part. Neither answer asks for a token, and what a machine
//! said inside goes to the log and not into the answer. However many ask, it never looks at its parts more than once a
//! second.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::app::App;
use crate::blobs::BlobKey;

/// How long a part may take to give a sign of life.
const TIMEOUT: Duration = Duration::from_secs(3);

/// How long a result is the response of further requests.
const REMEMBERED: Duration = Duration::from_secs(1);

/// The last look at all parts. A clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Option<(Instant, Parts)>>>);

/// Which parts gave a sign of life.
#[derive(Clone, Copy, Debug)]
struct Parts {
    database: bool,
    blobs: bool,
    status: bool,
    /// Events are digested soon after they were accepted.
    events: bool,
}

/// 200 as long as the process answers at all.
pub async fn live() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

impl Readiness {
    /// 200 when rows and bytes can be reached, 503 otherwise, and which part is down. Without its status cache the server
    /// is slower and still does all it has to.
    pub async fn ready(self, State(app): State<App>) -> Response {
        let parts = self.parts(&app).await;
        let word = match (parts.database && parts.blobs, parts.status && parts.events) {
            (false, _) => "down",
            (true, false) => "degraded",
            (true, true) => "ok",
        };
        let part = |lives| if lives { "ok" } else { "down" };
        let body = json!({
            "database": part(parts.database),
            "blobs": part(parts.blobs),
            "status": part(parts.status),
            "events": if parts.events { "ok" } else { "degraded" },
        });
        let code = if word == "down" { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        (code, Json(json!({ "status": word, "parts": body }))).into_response()
    }

    /// What was found within the last second. One request looks, the others wait for its result.
    async fn parts(&self, app: &App) -> Parts {
        let mut last = self.0.lock().await;
        if let Some((at, parts)) = *last
            && at.elapsed() < REMEMBERED
        {
            return parts;
        }
        let parts = Parts::of(app).await;
        *last = Some((Instant::now(), parts));
        parts
    }
}

impl Parts {
    async fn of(app: &App) -> Self {
        let nowhere = BlobKey::from_row("health/00/nothing");
        let (database, blobs, status) = tokio::join!(
            sign_of_life("database", app.db.ping()),
            sign_of_life("blobs", app.blobs.stored_size(&nowhere)),
            sign_of_life("status", app.status.ping()),
        );
        Self { database, blobs, status, events: !app.events.lags() }
    }
}

/// Whether a part answers well and in time.
async fn sign_of_life<T, E: std::fmt::Display>(part: &str, question: impl Future<Output = Result<T, E>>) -> bool {
    let reason = match tokio::time::timeout(TIMEOUT, question).await {
        Ok(Ok(_)) => return true,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {TIMEOUT:?}"),
    };
    tracing::warn!(part, reason, "not ready: a part cannot be reached");
    false
}
