//! Look-ups of whole stacks, as Mozilla's Eliot and samply answer them: `POST …/symbolicate/v5` below a base of the symbol
//! server, with every credential that opens it. It never tells pages of other sites more than who sends the credential may
//! know anyway, so all of them may ask.

mod answer;
mod question;

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error::{ApiError, ApiResult};
use super::extract::RawBody;
use super::fallback::wrong_method;
use super::symbol_server::Access;
use crate::admission::Overloaded;
use crate::app::App;
use crate::debug_files::WantedId;
use crate::symcaches::{Absence, Tables};
use crate::types::RequestedKinds;
use answer::TooLong;
use question::Question;

/// Most bytes of a question.
pub const MAX_BODY: usize = 8 << 20;

/// The path behind the base.
pub const PATH: &str = "symbolicate/v5";

/// How long a question waits for symcaches that have to be built.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Longest time for one question, its body included.
const LONGEST_ANSWER: Duration = Duration::from_secs(120);

/// What browsers are told of who may ask, and how.
const FOR_ALL: [(HeaderName, &str); 1] = [(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
const PREFLIGHT: [(HeaderName, &str); 3] = [
    (header::ACCESS_CONTROL_ALLOW_METHODS, "POST, OPTIONS"),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type"),
    (header::ACCESS_CONTROL_MAX_AGE, "86400"),
];

/// `POST /symbols/…/symbolicate/v5`.
pub async fn look_up(State(app): State<App>, request: Request) -> Response {
    match is_meant(request.uri().path()) {
        true => for_all(answer(app, request).await.into_response()),
        false => wrong_method(Method::POST).await,
    }
}

/// `OPTIONS /symbols/…/symbolicate/v5`: what a browser asks before the page of another site may ask. It has no credential.
pub async fn preflight(request: Request) -> Response {
    if !is_meant(request.uri().path()) {
        return wrong_method(Method::OPTIONS).await;
    }
    let mut response = for_all(StatusCode::NO_CONTENT.into_response());
    let headers = PREFLIGHT.map(|(name, value)| (name, HeaderValue::from_static(value)));
    response.headers_mut().extend(headers);
    response
}

async fn answer(app: App, request: Request) -> ApiResult<Response> {
    let access = Access::of(&app, request.uri().path(), request.headers()).await?;
    if access.rest != PATH {
        return Err(ApiError::NotFound);
    }
    if !access.authenticated {
        app.callers.turn_of_anonymous(access.organization_id).await;
    }
    // Held from the first byte of the body: what is limited is memory, which a question has from then on.
    let permit = app.symbolicate_limit.acquire(access.fairness_key()).await.map_err(too_busy)?;
    let answered = tokio::time::timeout(LONGEST_ANSWER, look_up_all(&app, &access, request)).await;
    drop(permit);
    answered.unwrap_or_else(|_| {
        Err(ApiError::Busy("The look-up took too long. Ask for fewer frames at a time.".to_owned()))
    })
}

fn too_busy(_: Overloaded) -> ApiError {
    ApiError::Busy("The server is busy with other look-ups. Try again in some seconds.".to_owned())
}

async fn look_up_all(app: &App, access: &Access, request: Request) -> ApiResult<Response> {
    let RawBody(body) = RawBody::from_request(request, app).await?;
    let question = read(body).await?.map_err(ApiError::BadRequest)?;
    let tables = app.symcaches.tables(&access.project_ids, &question.debug_ids(), LONGEST_WAIT).await?;
    note_misses(app, access, &question, &tables);
    let answered = app.symcaches.look_up(move || answer::write(&question, &tables)).await?;
    let text = answered.map_err(|TooLong| {
        ApiError::BadRequest("The answer would be too long. Ask for fewer frames at a time.".to_owned())
    })?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

/// Bodies up to this size are read in place, which takes less than a millisecond.
const SMALL: usize = 64 << 10;

async fn read(body: Bytes) -> ApiResult<Result<Question, String>> {
    if body.len() <= SMALL {
        return Ok(Question::read(&body));
    }
    tokio::task::spawn_blocking(move || Question::read(&body)).await.map_err(ApiError::internal)
}

/// Counts the modules that the project should have had.
fn note_misses(app: &App, access: &Access, question: &Question, tables: &Tables) {
    let [project_id] = access.project_ids[..] else { return };
    for (name, id) in question.modules_asked() {
        if let Some(Err(Absence::NoDebugFile)) = tables.get(&id) {
            app.misses.of_client(access.authenticated).note(
                project_id,
                &WantedId::Debug(id),
                RequestedKinds::SYMCACHE,
                Some(name),
                "symbolicate",
            );
        }
    }
}

fn is_meant(path: &str) -> bool {
    path.ends_with("/symbolicate/v5")
}

fn for_all(mut response: Response) -> Response {
    let headers = FOR_ALL.map(|(name, value)| (name, HeaderValue::from_static(value)));
    response.headers_mut().extend(headers);
    response
}
