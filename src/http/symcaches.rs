//! Symcaches for symbolication workers: fetched by debug id, or asked about by the thousand. It never decides what
//! can have a symcache.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::auth::ProjectAccess;
use super::content::{Content, elsewhere};
use super::error::{ApiError, ApiResult};
use super::extract::{JsonBody, QueryPairs};
use super::upstream;
use crate::accounts::Symbols;
use crate::app::App;
use crate::blobs::BlobError;
use crate::debug_files::{Wanted, WantedId, What};
use crate::symcaches::{Lookup, LookupError, Ready};
use crate::types::child_protocol::Statistics;
use crate::types::{CodeId, DebugId, Features, RequestedKinds};
use crate::upstreams::Brought;

const SYMCACHE_VERSION: HeaderName = HeaderName::from_static("x-symcache-version");

/// Longest time that a request may wait for a build.
const LONGEST_WAIT: f64 = 300.0;

/// Most debug ids of one status request.
const MOST_IDS: usize = 1000;

/// `GET symcaches/{debug_id}?wait=SECONDS`. Whoever also says `code_id`, or a `debug_file` that is a PDB, has upstreams
/// asked for what the project does not have.
pub async fn fetch(
    access: ProjectAccess<Symbols>,
    State(app): State<App>,
    Path((_, _, debug_id)): Path<(String, String, String)>,
    query: QueryPairs,
    method: Method,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let id: DebugId = debug_id.parse().map_err(|error| ApiError::BadRequest(format!("`{debug_id}` is {error}.")))?;
    let wait = query.first("wait").map_or(Ok(Duration::ZERO), seconds)?;
    let lookup = match app.symcaches.lookup(access.project.id, &id, wait).await? {
        Lookup::Missing => from_upstream(&app, access.project.id, &id, &query, wait).await?,
        lookup => lookup,
    };
    match lookup {
        Lookup::Ready(ready) => bytes(&app, &ready, &method, &headers).await.map_err(lost_meanwhile),
        Lookup::Building => {
            let again = [(header::RETRY_AFTER, HeaderValue::from_static("1"))];
            Ok((StatusCode::ACCEPTED, again, Json(json!({ "state": "building" }))).into_response())
        }
        Lookup::Malformed(reason) | Lookup::Unsupported(reason) => Err(ApiError::Unprocessable(reason)),
        Lookup::Missing => {
            app.misses.note(
                access.project.id,
                &WantedId::Debug(id.clone()),
                RequestedKinds::SYMCACHE,
                None,
                "symcache",
            );
            Err(ApiError::NotFoundBecause(format!("The project has no debug file with the id {id}.")))
        }
    }
}

/// The symcache of a file that an upstream has just brought. A debug id alone is not what they know files by.
async fn from_upstream(
    app: &App,
    project_id: i64,
    id: &DebugId,
    query: &QueryPairs,
    wait: Duration,
) -> ApiResult<Lookup> {
    let pdb = query.first("debug_file").filter(|name| name.to_ascii_lowercase().ends_with(".pdb"));
    let wanted = match (pdb, query.first("code_id").map(CodeId::new)) {
        (Some(name), _) => Wanted { id: WantedId::Debug(id.clone()), what: What::Pdb, name: Some(name.to_owned()) },
        (None, Some(code_id)) => {
            Wanted { id: WantedId::Code(code_id.as_str().to_owned()), what: What::DebugInfo, name: None }
        }
        (None, None) => return Ok(Lookup::Missing),
    };
    match app.upstreams.bring(project_id, &wanted, wait).await? {
        Brought::Stored => Ok(app.symcaches.lookup(project_id, id, wait).await?),
        Brought::UnderWay => Ok(Lookup::Building),
        Brought::Nothing => Ok(Lookup::Missing),
        Brought::Unknown(reason) => Err(upstream::unknown(&reason)),
        Brought::NoRoom(reason) => {
            app.misses.note(project_id, &WantedId::Debug(id.clone()), RequestedKinds::SYMCACHE, None, "symcache");
            Err(upstream::no_room(&reason))
        }
    }
}

async fn bytes(app: &App, ready: &Ready, method: &Method, headers: &HeaderMap) -> ApiResult<Response> {
    let content = Content::asked(method, headers, ready.sha1, ready.blob.size);
    if content.may_be_elsewhere()
        && let Some(url) = app.symcaches.elsewhere(ready).await?
    {
        return elsewhere(&url);
    }
    let mut response = match content.needed() {
        Some(_) if app.symcaches.is_small(ready) => content.bytes(&app.symcaches.small_bytes(ready).await?),
        _ => content.stream(|range| app.symcaches.read(ready, range)).await?,
    };
    response.headers_mut().insert(SYMCACHE_VERSION, HeaderValue::from(ready.format_version));
    Ok(response)
}

/// Bytes that went while they were asked for, or were lost: their row is gone by now too, and whoever asks again hears
/// what stands.
fn lost_meanwhile(error: ApiError) -> ApiError {
    match error {
        ApiError::Internal(error) if error.downcast_ref::<BlobError>().is_some_and(|error| error.key().is_some()) => {
            ApiError::Busy("The symcache was replaced or lost just now. Ask again.".to_owned())
        }
        other => other,
    }
}

/// What a worker asks about many symcaches.
#[derive(Debug, Deserialize)]
pub struct StatusQuestion {
    debug_ids: Vec<String>,
}

/// `POST symcaches/status`: where each stands, under the spelling that was asked. What is absent is queued.
pub async fn status(
    access: ProjectAccess<Symbols>,
    State(app): State<App>,
    JsonBody(question): JsonBody<StatusQuestion>,
) -> ApiResult<Json<Value>> {
    if question.debug_ids.len() > MOST_IDS {
        let sentence = format!("Too many debug ids: ask for at most {MOST_IDS} in one request.");
        return Err(ApiError::BadRequest(sentence));
    }
    let mut ids: Vec<DebugId> = question.debug_ids.iter().filter_map(|text| text.parse().ok()).collect();
    ids.sort();
    ids.dedup();
    let states = app.symcaches.status(access.project.id, &ids).await?;
    let entry = |text: &String| match text.parse::<DebugId>() {
        Ok(id) => state(states.get(&id).unwrap_or(&Lookup::Missing)),
        Err(error) => unavailable("missing", Some(&format!("`{text}` is {error}."))),
    };
    let entries: Map<_, _> = question.debug_ids.iter().map(|text| (text.clone(), entry(text))).collect();
    Ok(Json(Value::Object(entries)))
}

/// Where a symcache stands.
pub fn state(lookup: &Lookup) -> Value {
    match lookup {
        Lookup::Ready(ready) => json!({
            "state": "ready",
            "sha1": ready.sha1,
            "size": ready.blob.size,
            "version": ready.format_version,
            "detail": ready.statistics.as_ref().and_then(Statistics::left_out_sentence),
            "features": features(ready.features),
            "statistics": ready.statistics.as_ref().map(statistics),
        }),
        Lookup::Building => unavailable("building", None),
        Lookup::Malformed(reason) => unavailable("malformed", Some(reason)),
        Lookup::Unsupported(reason) => unavailable("unsupported", Some(reason)),
        Lookup::Missing => unavailable("missing", None),
    }
}

/// What a symcache is made of, in the words of debug files.
fn features(of_file: Features) -> Vec<&'static str> {
    let made_of = Features::DEBUG.union(Features::SYMTAB);
    of_file.words().into_iter().filter(|word| made_of.words().contains(word)).collect()
}

fn statistics(statistics: &Statistics) -> Value {
    let left_out = statistics.left_out.iter().map(|part| json!({ "what": part.what, "count": part.count }));
    json!({
        "functions": statistics.functions,
        "withLines": statistics.with_lines,
        "inlined": statistics.inlined,
        "leftOut": left_out.collect::<Vec<_>>(),
    })
}

fn unavailable(state: &str, detail: Option<&str>) -> Value {
    json!({ "state": state, "sha1": null, "size": null, "version": null, "detail": detail })
}

fn seconds(text: &str) -> ApiResult<Duration> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    let refuse = || ApiError::BadRequest("`wait` is a number of seconds, such as 30.".to_owned());
    Ok(Duration::from_secs_f64(seconds.ok_or_else(refuse)?.min(LONGEST_WAIT)))
}

impl From<LookupError> for ApiError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Db(error) => error.into(),
            LookupError::Blob(error) => error.into(),
            // Logged by the worker; the next who asks has it queued again.
            LookupError::Build(_) => Self::Busy("The symcache could not be built just now. Ask again.".to_owned()),
            LookupError::Make(_) => Self::Busy("This file could not be made just now. Ask again.".to_owned()),
            LookupError::NotYet => Self::Busy("This file is being made. Ask again.".to_owned()),
            LookupError::QueueFull => Self::Busy(
                "The organization has as many jobs in the queue as it may have. Ask again when some are done."
                    .to_owned(),
            ),
        }
    }
}
