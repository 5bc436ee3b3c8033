//! Naming the frames of stacks for symbolication clients, on Symbolicator's wire. A handler reads the request, hands it on and
//! waits; it never looks an address up.

mod received;
mod waiting;

use axum::body::Body;
use axum::extract::{FromRequest as _, Path, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::auth::ProjectAccess;
use super::error::{ApiError, ApiResult};
use super::extract::{QueryPairs, RawBody};
use crate::accounts::Symbols;
use crate::admission::{Overloaded, WorkPermit};
use crate::app::App;
use crate::symbolication::{Asker, JvmRequest, SymbolicateRequest, Symbolication, SymbolicationError};
use received::{Received, received};
use waiting::{remembered, responded, timeout};

/// Largest body of JSON.
pub const MAX_BODY: usize = 16 << 20;

/// Bodies up to this size are read in place, which takes less than a millisecond.
const SMALL: usize = 64 << 10;

/// `POST symbolicate`: stack traces with modules.
pub async fn symbolicate(
    access: ProjectAccess<Symbols>,
    State(app): State<App>,
    query: QueryPairs,
    request: Request,
) -> ApiResult<Response> {
    let timeout = timeout(&query)?;
    let request = read(&app, &access, request, SymbolicateRequest::read).await?;
    let (permit, asker, symbolication) = admitted(&app, &access, "symbolicate").await?;
    let work = async move {
        let _permit = permit;
        Ok(symbolication.symbolicate(&asker, request).await?)
    };
    responded(&app, access.project.id, timeout, work).await
}

/// `POST symbolicate-jvm`: stack traces of Java and Kotlin with ProGuard mappings.
pub async fn jvm(
    access: ProjectAccess<Symbols>,
    State(app): State<App>,
    query: QueryPairs,
    request: Request,
) -> ApiResult<Response> {
    let timeout = timeout(&query)?;
    let request = read(&app, &access, request, JvmRequest::read).await?;
    let (permit, asker, symbolication) = admitted(&app, &access, "symbolicate").await?;
    let work = async move {
        let _permit = permit;
        Ok(symbolication.jvm(&asker, request).await?)
    };
    responded(&app, access.project.id, timeout, work).await
}

/// `POST minidump`: a dump of a process.
pub async fn minidump(
    access: ProjectAccess<Symbols>,
    State(app): State<App>,
    query: QueryPairs,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<Response> {
    let timeout = timeout(&query)?;
    let Received { file, options } = take(&app, &access, &headers, body, "upload_file_minidump").await?;
    let dumps = app.symbolication.dumps.acquire(access.organization.id).await.map_err(too_busy)?;
    let (permit, asker, symbolication) = admitted(&app, &access, "minidump").await?;
    let work = async move {
        let _permits = (permit, dumps);
        Ok(symbolication.minidump(&asker, &file, options).await?)
    };
    responded(&app, access.project.id, timeout, work).await
}

/// `POST applecrashreport`: a report of Apple's systems, as text or `.ips`.
pub async fn apple_report(
    access: ProjectAccess<Symbols>,
    State(app): State<App>,
    query: QueryPairs,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<Response> {
    let timeout = timeout(&query)?;
    let Received { file, options } = take(&app, &access, &headers, body, "apple_crash_report").await?;
    let (permit, asker, symbolication) = admitted(&app, &access, "symbolicate").await?;
    let work = async move {
        let _permit = permit;
        Ok(symbolication.apple_report(&asker, &file, options).await?)
    };
    responded(&app, access.project.id, timeout, work).await
}

/// `GET requests/{id}`: the response of an earlier request.
pub async fn request(
    access: ProjectAccess<Symbols>,
    State(app): State<App>,
    Path((_, _, id)): Path<(String, String, String)>,
    query: QueryPairs,
) -> ApiResult<Response> {
    remembered(&app, access.project.id, &id, timeout(&query)?.unwrap_or_default()).await
}

/// A permit for the work of one request, whose body is here, and what the work needs.
async fn admitted(
    app: &App,
    access: &ProjectAccess<Symbols>,
    kind: &'static str,
) -> ApiResult<(WorkPermit, Asker, Symbolication)> {
    let permit = app.symbolication.limiter.acquire(access.organization.id).await.map_err(too_busy)?;
    let path = format!("{}/{}", access.organization.slug, access.project.slug);
    Ok((permit, Asker { project: access.project.clone(), path, kind }, app.symbolication.clone()))
}

fn too_busy(_: Overloaded) -> ApiError {
    ApiError::Busy("The server is busy with other symbolication requests. Try again in some seconds.".to_owned())
}

/// Reads a body of JSON. Until it is here, its sender holds a place among bodies and no permit to work.
async fn read<T: Send + 'static>(
    app: &App,
    access: &ProjectAccess<Symbols>,
    request: Request,
    read: fn(&[u8]) -> Result<T, String>,
) -> ApiResult<T> {
    let _place = app.symbolication.bodies.acquire(access.organization.id).await.map_err(too_busy)?;
    let RawBody(body) = RawBody::from_request(request, app).await?;
    let read = if body.len() <= SMALL {
        read(&body)
    } else {
        tokio::task::spawn_blocking(move || read(&body)).await.map_err(ApiError::internal)?
    };
    read.map_err(ApiError::BadRequest)
}

/// Takes the file of a multipart body in, in the same way.
async fn take(
    app: &App,
    access: &ProjectAccess<Symbols>,
    headers: &HeaderMap,
    body: Body,
    name: &str,
) -> ApiResult<Received> {
    let _place = app.symbolication.bodies.acquire(access.organization.id).await.map_err(too_busy)?;
    received(app, headers, body, name).await
}

impl From<SymbolicationError> for ApiError {
    fn from(error: SymbolicationError) -> Self {
        match error {
            SymbolicationError::Limit(sentence) => Self::BadRequest(sentence),
            SymbolicationError::Lookup(error) => error.into(),
            SymbolicationError::Db(error) => error.into(),
            SymbolicationError::Blob(error) => error.into(),
            SymbolicationError::Sandbox(error) => error.into(),
        }
    }
}
