//! A dump or report that arrives in a multipart body: the file goes to a nameless temp file, unpacked, and the options beside
//! it are read. It never holds more of the file than a buffer.

use std::fs::File;
use std::io::{self, Write as _};

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::HeaderMap;

use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::http::multipart::{Multipart, MultipartError, drain};
use crate::symbolication::{Options, UnpackError, unpacked};

/// Largest part that holds JSON.
const MAX_JSON: usize = 1 << 20;

/// What a multipart body has besides the file, generously.
const ENVELOPE: u64 = 4 << 20;

/// Bytes that are worth a step on a blocking thread.
const BATCH: usize = 256 << 10;

/// What arrived.
#[derive(Debug)]
pub struct Received {
    /// The file, unpacked, at its beginning.
    pub file: File,
    /// The part `options`.
    pub options: Options,
}

/// Reads a body whose file is the part `name`.
pub async fn received(app: &App, headers: &HeaderMap, body: Body, name: &str) -> ApiResult<Received> {
    let mut body = body.into_data_stream();
    let read = parts(app, headers, &mut body, name).await;
    if !matches!(read, Err(ApiError::TooSlow(_))) {
        // Read to its end: a client that is cut off while it sends never receives the reason.
        drain(&mut body).await;
    }
    read
}

async fn parts(app: &App, headers: &HeaderMap, body: &mut BodyDataStream, name: &str) -> ApiResult<Received> {
    let limit = app.config.symbolication.max_dump_size;
    let mut multipart = Multipart::open(headers, body, limit.saturating_add(ENVELOPE)).map_err(unreadable)?;
    let (mut file, mut options) = (None, Options::default());
    while let Some(part) = multipart.next_part().await.map_err(unreadable)? {
        if part.name == name && file.is_none() {
            file = Some(file_of(app, &mut multipart, limit).await?);
        } else if part.name == "options" {
            let text = json_of(&mut multipart).await?;
            let read = serde_json::from_slice::<Option<Options>>(&text);
            let wrong = |error| ApiError::BadRequest(format!("The part `options` cannot be read as JSON: {error}."));
            options = read.map_err(wrong)?.unwrap_or_default();
        }
    }
    let missing = || ApiError::BadRequest(format!("The part `{name}` is missing: send the file in it."));
    let file = file.ok_or_else(missing)?;
    let temp_dir = app.config.temp_dir();
    let unpacking = tokio::task::spawn_blocking(move || unpacked(file, limit, &temp_dir)).await;
    let file = unpacking.map_err(ApiError::internal)?.map_err(|error| match error {
        UnpackError::TooLarge => too_large(),
        UnpackError::Broken(_) => ApiError::BadRequest(error.to_string()),
        UnpackError::Temp(error) => not_written(error),
    })?;
    Ok(Received { file, options })
}

/// The content of a part in a nameless temp file.
async fn file_of(app: &App, multipart: &mut Multipart<'_>, limit: u64) -> ApiResult<File> {
    let mut file = tempfile::tempfile_in(app.config.temp_dir()).map_err(not_written)?;
    let (mut size, mut batch) = (0_u64, Vec::new());
    while let Some(bytes) = multipart.content().await.map_err(unreadable)? {
        if size == 0 && bytes.starts_with(b"--") {
            let sentence = "The file is a multipart body of its own. Send the file that is in it.";
            return Err(ApiError::BadRequest(sentence.to_owned()));
        }
        size += bytes.len() as u64;
        if size > limit {
            return Err(too_large());
        }
        batch.push(bytes);
        if batch.iter().map(Bytes::len).sum::<usize>() >= BATCH {
            file = written(file, std::mem::take(&mut batch)).await?;
        }
    }
    written(file, batch).await
}

async fn written(mut file: File, batch: Vec<Bytes>) -> ApiResult<File> {
    let writing = move || batch.iter().try_for_each(|bytes| file.write_all(bytes)).map(|()| file);
    tokio::task::spawn_blocking(writing).await.map_err(ApiError::internal)?.map_err(not_written)
}

async fn json_of(multipart: &mut Multipart<'_>) -> ApiResult<Vec<u8>> {
    let mut text = Vec::new();
    while let Some(bytes) = multipart.content().await.map_err(unreadable)? {
        if text.len() + bytes.len() > MAX_JSON {
            return Err(ApiError::BadRequest("A part with JSON is larger than 1 MiB.".to_owned()));
        }
        text.extend_from_slice(&bytes);
    }
    Ok(text)
}

fn too_large() -> ApiError {
    ApiError::TooLarge("The file is larger than `symbolication.max_dump_size` allows.".to_owned())
}

fn not_written(error: io::Error) -> ApiError {
    match error.kind() {
        io::ErrorKind::StorageFull => ApiError::Full(error.into()),
        _ => ApiError::internal(error),
    }
}

fn unreadable(error: MultipartError) -> ApiError {
    match error {
        MultipartError::TooLarge => too_large(),
        error if error.is_too_slow() => ApiError::TooSlow(error.to_string()),
        error => ApiError::BadRequest(error.to_string()),
    }
}
