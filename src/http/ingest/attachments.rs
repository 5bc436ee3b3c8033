//! `POST /api/{id}/events/{event_id}/attachments/`: files for an event that came before or comes later.

use axum::Json;
use axum::body::Body;
use axum::response::IntoResponse as _;
use serde_json::json;
use symdepot_events::envelope::EventId;

use super::Call;
use super::answer::{Answer, Refusal};
use super::crash::parts;

/// Each file part becomes an attachment.
pub async fn attach(call: Call, body: Body) -> Answer {
    let sender = call.authenticated().await?;
    let id: EventId = call
        .event_id
        .as_deref()
        .unwrap_or_default()
        .parse()
        .map_err(|_| Refusal::bad("The event id in the path is not 32 hex digits."))?;
    let mut record = call.record(&sender);
    record.event_id = id.to_string();
    let parts = parts(&call, &sender, body, None).await?;
    record.attachments = parts.attachments;
    record.outcomes = parts.outcomes;
    if !record.attachments.is_empty() || !record.outcomes.is_empty() {
        call.app.events.accept(&record).await?;
    }
    Ok(Json(json!({})).into_response())
}
