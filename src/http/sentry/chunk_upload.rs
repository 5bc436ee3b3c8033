//! `chunk-upload/`: what clients are told about sending chunks, and the chunks they send.
//!
//! Every refusal but that of a quota comes under the key `error`, and only after the rest of the body was read: a client that is cut off
//! while it sends never hears why. No chunk is ever held in memory.

use axum::Json;
use axum::body::{Body, BodyDataStream, HttpBody as _};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use serde_json::{Value, json};

use crate::accounts::{Read, Upload};
use crate::app::App;
use crate::config::Uploads;
use crate::http::auth::OrganizationAccess;
use crate::http::error::{ApiError, ApiResult, UnderError};
use crate::http::multipart::{Multipart, MultipartError, drain};
use crate::http::own_url::own_url;
use crate::uploads::{ChunkEncoding, UploadError};

/// What this server takes. Clients of before version 3 leave away what is not named here.
const ACCEPT: &[&str] =
    &["debug_files", "pdbs", "sources", "bcsymbolmaps", "il2cpp", "portablepdbs", "proguard", "dartsymbolmap"];

/// Versions of `sentry-cli` that want the address of the upload relative: from the first, before the second.
const RELATIVE: [[u64; 3]; 2] = [[1, 70, 1], [2, 30, 0]];

/// `GET`: how chunks are to be sent.
pub async fn options(
    access: OrganizationAccess<Read>,
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
) -> ApiResult<Json<Value>> {
    let uploads = &app.config.uploads;
    let path = format!("organizations/{}/chunk-upload/", access.organization.slug);
    let url = match own_url(&app, &uri, &headers) {
        own if own.is_empty() || wants_relative(&headers) => path,
        own => format!("{own}/api/0/{path}"),
    };
    Ok(Json(json!({
        "url": url,
        "chunkSize": uploads.chunk_size,
        "chunksPerRequest": uploads.chunks_per_request,
        "maxFileSize": uploads.max_file_size,
        "maxRequestSize": uploads.max_request_size,
        "maxWait": uploads.max_wait.as_secs(),
        "concurrency": uploads.concurrency,
        "hashAlgorithm": "sha1",
        "compression": ["gzip"],
        "accept": ACCEPT,
    })))
}

/// `POST`: chunks, each a part named by its checksum.
pub async fn upload(
    access: OrganizationAccess<Upload>,
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, UnderError> {
    if body.is_end_stream() {
        return Ok(StatusCode::OK);
    }
    let mut body = body.into_data_stream();
    match receive(&app, access.organization.id, &headers, &mut body).await {
        Ok(()) => Ok(StatusCode::OK),
        // Nothing more is read from a sender that is too slow.
        Err(slow @ ApiError::TooSlow(_)) => Err(UnderError(slow)),
        Err(error) => {
            drain(&mut body).await;
            Err(UnderError(error))
        }
    }
}

/// Receives all chunks of a body, or those before the first that is refused.
async fn receive(app: &App, organization_id: i64, headers: &HeaderMap, body: &mut BodyDataStream) -> ApiResult<()> {
    let encoding = content_encoding(headers)?;
    let mut multipart = Multipart::open(headers, body, longest_body(&app.config.uploads))?;
    let mut receiver = app.chunk_receiver(organization_id);
    while let Some(part) = multipart.next_part().await? {
        let Some(encoding) = encoding_of(&part.name, encoding)? else { continue };
        let mut chunk = receiver.begin(part.filename.as_deref().unwrap_or_default(), encoding)?;
        while let Some(bytes) = multipart.content().await? {
            receiver.push(&mut chunk, bytes).await?;
        }
        receiver.finish(chunk).await?;
    }
    Ok(())
}

/// How every part of the field `file` is encoded, if a header says so.
fn content_encoding(headers: &HeaderMap) -> ApiResult<Option<ChunkEncoding>> {
    let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(None) };
    let value = value.to_str().unwrap_or_default().trim().to_ascii_lowercase();
    match value.as_str() {
        "" => Ok(None),
        "gzip" => Ok(Some(ChunkEncoding::Gzip)),
        "zstd" => Ok(Some(ChunkEncoding::Zstd)),
        _ => Err(ApiError::Refused("Unsupported Content-Encoding".to_owned())),
    }
}

/// How a part is encoded, or `None` for a field that is not a chunk.
fn encoding_of(field: &str, encoding: Option<ChunkEncoding>) -> ApiResult<Option<ChunkEncoding>> {
    match (field, encoding) {
        ("file", encoding) => Ok(Some(encoding.unwrap_or(ChunkEncoding::Plain))),
        ("file_gzip", None) => Ok(Some(ChunkEncoding::Gzip)),
        ("file_gzip", Some(_)) => {
            Err(ApiError::Refused("Cannot combine Content-Encoding with file_gzip field".to_owned()))
        }
        _ => Ok(None),
    }
}

/// More than any honest body needs: content that packing made larger, and the heads of all parts.
fn longest_body(uploads: &Uploads) -> u64 {
    let heads = uploads.chunks_per_request.saturating_mul(16 << 10);
    uploads.max_request_size.saturating_mul(2).saturating_add(heads).saturating_add(1 << 20)
}

/// Whether the client is of those that lose their way with an absolute address behind a proxy.
fn wants_relative(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let version = agent.and_then(|agent| agent.strip_prefix("sentry-cli/")).and_then(sentry_cli_version);
    version.is_some_and(|version| (RELATIVE[0]..RELATIVE[1]).contains(&version))
}

/// The three numbers at the beginning of `text`.
fn sentry_cli_version(text: &str) -> Option<[u64; 3]> {
    let version = text.split_whitespace().next()?;
    let mut numbers = version.split(['.', '-', '+']).map(|number| number.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

impl From<MultipartError> for ApiError {
    fn from(error: MultipartError) -> Self {
        match error {
            slow if slow.is_too_slow() => Self::TooSlow(slow.to_string()),
            refused => Self::Refused(refused.to_string()),
        }
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Quota(error) => error.into(),
            UploadError::Store(error) => error.into(),
            overloaded @ UploadError::Overloaded(_) => Self::Busy(overloaded.to_string()),
            refused => Self::Refused(refused.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_between_two_versions_want_a_relative_address() {
        for (agent, relative) in [
            ("sentry-cli/1.70.0", false),
            ("sentry-cli/1.70.1", true),
            ("sentry-cli/2.14.2", true),
            ("sentry-cli/2.14.2 my-pipeline", true),
            ("sentry-cli/2.29.9", true),
            ("sentry-cli/2.30.0", false),
            ("sentry-cli/3.8.2", false),
            ("sentry-cli/2", false),
            ("curl/8.0.0", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::USER_AGENT, agent.parse().unwrap());
            assert_eq!(wants_relative(&headers), relative, "{agent}");
        }
        assert!(!wants_relative(&HeaderMap::new()));
    }
}
