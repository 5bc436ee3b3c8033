//! What clients looked for in vain, for people and pipelines. It never tells what another project missed.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::auth::ProjectAccess;
use super::error::ApiResult;
use crate::accounts::Symbols;
use crate::app::App;
use crate::types::{Miss, MissedId};

/// Most misses in an answer.
const MOST: i64 = 1000;

/// `GET missing`: the newest misses of a project.
pub async fn list(access: ProjectAccess<Symbols>, State(app): State<App>) -> ApiResult<Json<Value>> {
    let misses = app.misses.list(access.project.id, MOST).await?;
    Ok(Json(json!({ "missing": misses.iter().map(entry).collect::<Vec<_>>() })))
}

fn entry(miss: &Miss) -> Value {
    let (debug_id, code_id) = match &miss.id {
        MissedId::Debug(id) => (Some(id), None),
        MissedId::Code(id) => (None, Some(id)),
    };
    json!({
        "debugId": debug_id,
        "codeId": code_id,
        "name": miss.name,
        "kinds": miss.kinds.words(),
        "asker": miss.asker,
        "times": miss.times,
        "firstAt": time(miss.first_at),
        "lastAt": time(miss.last_at),
        "foundAt": miss.found_at.map(time),
    })
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
