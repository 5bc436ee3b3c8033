//! What became of the events of a project.

use axum::Json;
use axum::extract::State;
use chrono::DateTime;
use serde_json::{Map, Value, json};

use crate::accounts::ReadEvents;
use crate::app::App;
use crate::http::auth::ProjectAccess;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::QueryPairs;

/// Kinds that are summed up, in the order in which they are shown.
const KINDS: &[&str] =
    &["stored", "duplicate", "sampled", "filtered", "rate_limited", "too_large", "invalid", "not_supported"];
/// Those of which an accepted event has exactly one.
const ACCEPTED: &[&str] = &["stored", "duplicate", "sampled", "filtered", "invalid"];

/// `GET outcomes?since=`.
pub async fn sum(
    access: ProjectAccess<ReadEvents>,
    State(app): State<App>,
    query: QueryPairs,
) -> ApiResult<Json<Value>> {
    let since = match query.first("since").filter(|text| !text.is_empty()) {
        None => 0,
        Some(text) => DateTime::parse_from_rfc3339(text)
            .map_err(|_| ApiError::BadRequest("`since` is no time of RFC 3339.".to_owned()))?
            .timestamp()
            .div_euclid(3600),
    };
    let rows = app.db.outcomes(access.project.id, since).await?;
    let total = |kind: &str| rows.iter().filter(|row| row.0 == kind).map(|row| row.3).sum::<i64>();
    let mut shape = Map::new();
    shape.insert("accepted".to_owned(), ACCEPTED.iter().map(|kind| total(kind)).sum::<i64>().into());
    for kind in KINDS {
        shape.insert((*kind).to_owned(), total(kind).into());
    }
    let client: Vec<Value> = rows
        .iter()
        .filter(|row| row.0 == "client")
        .map(|(_, reason, category, quantity)| json!({ "reason": reason, "category": category, "quantity": quantity }))
        .collect();
    shape.insert("client".to_owned(), client.into());
    Ok(Json(Value::Object(shape)))
}
