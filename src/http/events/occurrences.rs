//! Problems that other programs found become issues, and are read back.

use axum::Json;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::StatusCode;
use chrono::DateTime;
use serde_json::{Map, Value, json};
use symdepot_events::envelope::EventId;

use crate::accounts::{ActOnIssues, ReadEvents};
use crate::app::App;
use crate::events::NewOccurrence;
use crate::http::auth::ProjectAccess;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{QueryPairs, RawBody};

/// Longest text, in bytes.
const LONGEST_TEXT: usize = 8 << 10;
/// Longest body, in bytes.
const LONGEST: usize = 64 << 10;
/// Levels of an issue.
const LEVELS: &[&str] = &["debug", "info", "warning", "error", "fatal"];
/// Values of a fingerprint, and ids of one question.
const MOST_VALUES: usize = 20;
const MOST_IDS: usize = 100;

/// `POST occurrences`.
pub async fn put(
    access: ProjectAccess<ActOnIssues>,
    State(app): State<App>,
    request: Request,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let RawBody(body) = RawBody::from_request(request, &app).await?;
    if body.len() > LONGEST {
        return Err(ApiError::TooLarge("The occurrence is larger than 64 KiB.".to_owned()));
    }
    let sent: Map<String, Value> = serde_json::from_slice(&body)
        .map_err(|error| ApiError::BadRequest(format!("The body cannot be read as a JSON object: {error}")))?;
    let new = occurrence(&app, &access, &sent)?;
    let put = app.events.put_occurrence(&new).await?;
    let status = if put.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(json!({ "id": new.id, "issue": put.issue_id.to_string() }))))
}

fn occurrence(app: &App, access: &ProjectAccess<ActOnIssues>, sent: &Map<String, Value>) -> ApiResult<NewOccurrence> {
    let bad = |sentence: &str| ApiError::BadRequest(sentence.to_owned());
    if sent.values().any(has_long_text) {
        return Err(ApiError::TooLarge("A text of the occurrence is longer than 8 KiB.".to_owned()));
    }
    let text = |key: &str| sent.get(key).and_then(Value::as_str).unwrap_or_default().replace('\0', "\u{fffd}");
    let fingerprint: Option<Vec<String>> = sent
        .get("fingerprint")
        .and_then(Value::as_array)
        .map(|values| values.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    let fingerprint = fingerprint
        .filter(|values| (1..=MOST_VALUES).contains(&values.len()))
        .filter(|values| sent["fingerprint"].as_array().is_some_and(|sent| sent.len() == values.len()))
        .ok_or_else(|| bad("`fingerprint` is a list of 1 to 20 texts."))?;
    let title = text("issue_title");
    if title.trim().is_empty() {
        return Err(bad("`issue_title` is missing."));
    }
    let kind = match sent.get("type") {
        Some(Value::String(text)) if !text.is_empty() => text.replace('\0', "\u{fffd}"),
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err(bad("`type` is missing: a text or a number.")),
    };
    let id = sent.get("id").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let id: EventId = id.unwrap_or_else(|| EventId(*app.events.fresh_id().as_bytes()));
    let event_id = match sent.get("event_id").and_then(Value::as_str) {
        Some(text) => text.parse::<EventId>().ok().map(|id| id.to_string()),
        None => None,
    };
    let display: Vec<Value> = sent
        .get("evidence_display")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|entry| entry["name"].is_string() && entry["value"].is_string())
        .cloned()
        .collect();
    let now = app.events.now();
    let detected_at = match sent.get("detection_time") {
        Some(Value::Number(number)) => number.as_f64().filter(|at| at.abs() < 1e11).and_then(|at| {
            #[expect(clippy::cast_possible_truncation, reason = "it was compared with a limit")]
            DateTime::from_timestamp_micros((at * 1e6).round() as i64)
        }),
        Some(Value::String(text)) => DateTime::parse_from_rfc3339(text).ok().map(Into::into),
        _ => None,
    };
    let detected_at = detected_at.unwrap_or(now);
    let level = sent.get("level").and_then(Value::as_str);
    let level = level.filter(|level| LEVELS.contains(level)).unwrap_or("info");
    let payload = json!({
        "id": id.to_string(),
        "event_id": event_id,
        "fingerprint": fingerprint,
        "type": kind,
        "issue_title": title,
        "subtitle": text("subtitle"),
        "resource_id": sent.get("resource_id").filter(|value| value.is_string()),
        "evidence_data": sent.get("evidence_data").filter(|value| value.is_object()).cloned().unwrap_or_else(|| json!({})),
        "evidence_display": display,
        "detection_time": super::shapes::time(detected_at),
        "level": level,
        "culprit": text("culprit"),
    });
    Ok(NewOccurrence {
        project_id: access.project.id,
        id: id.to_string(),
        event_id,
        fingerprint,
        kind,
        title,
        subtitle: text("subtitle"),
        culprit: text("culprit"),
        level: level.to_owned(),
        payload: clean(payload).to_string(),
        detected_at,
    })
}

/// Whether the value is or holds a text over the limit. The parser bounds how deep it is.
fn has_long_text(value: &Value) -> bool {
    match value {
        Value::String(text) => text.len() > LONGEST_TEXT,
        Value::Array(list) => list.iter().any(has_long_text),
        Value::Object(object) => object.values().any(has_long_text),
        _ => false,
    }
}

/// The value without characters for zero, which no database keeps.
fn clean(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('\0', "\u{fffd}")),
        Value::Array(list) => Value::Array(list.into_iter().map(clean).collect()),
        Value::Object(object) => Value::Object(object.into_iter().map(|(key, value)| (key, clean(value))).collect()),
        other => other,
    }
}

/// `GET occurrences?id=…`: in the order asked, null for each that is not there.
pub async fn list(
    access: ProjectAccess<ReadEvents>,
    State(app): State<App>,
    query: QueryPairs,
) -> ApiResult<Json<Value>> {
    let asked: Vec<Option<String>> =
        query.all("id").map(|id| id.parse::<EventId>().ok().map(|id| id.to_string())).collect();
    if asked.len() > MOST_IDS {
        return Err(ApiError::BadRequest(format!("Ask for at most {MOST_IDS} occurrences at a time.")));
    }
    let ids: Vec<String> = asked.iter().flatten().cloned().collect();
    let found = app.db.occurrences(access.project.id, &ids).await?;
    let shape = |id: &Option<String>| {
        let row = found.iter().find(|row| Some(&row.id) == id.as_ref());
        row.and_then(|row| {
            let mut shape: Value = serde_json::from_str(&row.payload).ok()?;
            shape["issue"] = json!(row.issue_id.to_string());
            shape["event_id"] = json!(row.event_id);
            Some(shape)
        })
    };
    Ok(Json(asked.iter().map(shape).collect()))
}
