//! The answer to an assemble request. A large one is written to a nameless temp file, from which it is sent: a client that
//! reads slowly holds a file and never memory.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write};

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use super::dif::dif;
use crate::admission::WorkPermit;
use crate::app::App;
use crate::blobs::BlobError;
use crate::http::error::{ApiError, ApiResult};
use crate::types::Sha1;
use crate::uploads::Answer;

/// Missing chunks up to which an answer is written in memory: about a megabyte of them.
const IN_MEMORY: usize = 24 << 10;

/// Bytes that are read at once from a large answer.
const BUFFER: usize = 256 << 10;

/// Where one file stands.
pub(super) type Entry = (Sha1, Answer);

/// What is answered of a file of which chunks are missing: the only entry that can be long.
#[derive(Serialize)]
struct NotFound<'a> {
    state: &'static str,
    #[serde(rename = "missingChunks")]
    missing_chunks: &'a [Sha1],
}

/// Writes where each file stands; `permit` is held until that is done.
pub(super) async fn respond(app: &App, entries: Vec<Entry>, permit: Option<WorkPermit>) -> ApiResult<Response> {
    let missing = |entry: &Entry| if let (_, Answer::NotFound(missing)) = entry { missing.len() } else { 0 };
    if entries.iter().map(missing).sum::<usize>() <= IN_MEMORY {
        let mut written = Vec::new();
        write(&mut written, &entries).map_err(ApiError::internal)?;
        return Ok(with_length(written.len() as u64, Body::from(written)));
    }
    let folder = app.config.temp_dir();
    let writing = tokio::task::spawn_blocking(move || {
        let written = write_file(tempfile::tempfile_in(folder)?, &entries);
        drop((entries, permit));
        written
    });
    let written = writing.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    let (file, length) = written.map_err(|error| BlobError::io("write an answer", error))?;
    let content = ReaderStream::with_capacity(tokio::fs::File::from_std(file), BUFFER);
    Ok(with_length(length, Body::from_stream(content)))
}

fn with_length(length: u64, body: Body) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, length.into());
    response
}

/// Writes the answer; returns the file at its beginning and its length.
fn write_file(file: File, entries: &[Entry]) -> io::Result<(File, u64)> {
    let mut writer = BufWriter::with_capacity(BUFFER, file);
    write(&mut writer, entries)?;
    let mut file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    let length = file.stream_position()?;
    file.rewind()?;
    Ok((file, length))
}

fn write(out: &mut impl Write, entries: &[Entry]) -> io::Result<()> {
    out.write_all(b"{")?;
    for (place, (sha1, answer)) in entries.iter().enumerate() {
        write!(out, "{}\"{sha1}\":", if place > 0 { "," } else { "" })?;
        match answer {
            Answer::NotFound(missing) => {
                serde_json::to_writer(&mut *out, &NotFound { state: "not_found", missing_chunks: missing })?;
            }
            short => serde_json::to_writer(&mut *out, &entry(short))?,
        }
    }
    out.write_all(b"}")
}

/// An entry that is short.
fn entry(answer: &Answer) -> Value {
    match answer {
        Answer::Ok { file, detail } => {
            json!({"state": "ok", "detail": detail, "missingChunks": [], "dif": dif(file)})
        }
        Answer::State(remembered) => {
            json!({"state": remembered.state.as_str(), "detail": remembered.detail, "missingChunks": []})
        }
        Answer::Queued => json!({"state": "created", "missingChunks": []}),
        Answer::NotFound(missing) => json!({"state": "not_found", "missingChunks": missing}),
    }
}
