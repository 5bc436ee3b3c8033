//! Why an id is served or is not, for people and pipelines. It gives reasons and no bytes.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::auth::ProjectAccess;
use super::error::{ApiError, ApiResult};
use super::extract::QueryPairs;
use super::sentry::dif;
use super::symcaches::state;
use super::upstream;
use crate::accounts::Symbols;
use crate::app::App;
use crate::debug_files::WantedId;
use crate::symcaches::Explained;
use crate::types::{CodeId, DebugFile, ExpiredFile};

/// `GET explain?debug_id=…` or `?code_id=…`, with the file's `name` if the caller knows it.
pub async fn explain(
    access: ProjectAccess<Symbols>,
    State(app): State<App>,
    query: QueryPairs,
) -> ApiResult<Json<Value>> {
    let id = match (query.first("debug_id"), query.first("code_id")) {
        (Some(text), None) => {
            let wrong = |error| ApiError::BadRequest(format!("`{text}` is {error}."));
            WantedId::Debug(text.parse().map_err(wrong)?)
        }
        (None, Some(text)) => WantedId::Code(CodeId::new(text).as_str().to_owned()),
        _ => return Err(ApiError::BadRequest("Ask with either `debug_id` or `code_id`.".to_owned())),
    };
    // Without a name in the query, the names under which clients missed the id lead to files of other builds.
    let names = match query.first("name") {
        Some(name) => vec![name.to_owned()],
        None => app.misses.names(access.project.id, &id).await?,
    };
    let mut explanation = app.symcaches.explain(access.project.id, &id, &names).await?;
    if explanation.files.is_empty()
        && let Some(reason) = app.upstreams.no_room(&access.project).await?
    {
        explanation.reason.push_str(&format!(" Upstreams are not asked for it. {reason}"));
    }
    let others = explanation.same_name.iter().map(other);
    let said = app.upstreams.said(access.project.id, &id).await?;
    Ok(Json(json!({
        "debugId": if let WantedId::Debug(id) = &id { json!(id) } else { Value::Null },
        "codeId": if let WantedId::Code(id) = &id { json!(id) } else { Value::Null },
        "served": explanation.served,
        "reason": explanation.reason,
        "files": explanation.files.iter().map(file).collect::<Vec<_>>(),
        "sameName": others.collect::<Vec<_>>(),
        "upstreams": said.iter().map(upstream::said).collect::<Vec<_>>(),
        "expired": explanation.expired.iter().map(departed).collect::<Vec<_>>(),
    })))
}

fn file(explained: &Explained) -> Value {
    let mut file = dif(&explained.file);
    file["lacks"] = json!(explained.lacks);
    file["damaged"] = json!(explained.damaged);
    file["note"] = json!(explained.note);
    file["symcache"] = explained.symcache.as_ref().map_or(Value::Null, state);
    file
}

/// As much of a file as tells it from the wanted one.
fn other(file: &DebugFile) -> Value {
    let mut whole = dif(file);
    let part = ["id", "objectName", "debugId", "codeId", "symbolType", "cpuName", "dateCreated"];
    part.map(|key| (key.to_owned(), whole[key].take())).into_iter().collect()
}

fn departed(file: &ExpiredFile) -> Value {
    json!({
        "debugId": file.debug_id,
        "codeId": file.code_id,
        "objectName": file.object_name,
        "rule": file.rule,
        "expiredAt": file.expired_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
    })
}
