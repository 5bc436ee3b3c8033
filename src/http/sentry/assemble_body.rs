//! The body of an assemble request: small ones are read where they arrive, larger ones go to a nameless temp file first, so
//! that what a slow sender holds is a file and never memory. It never holds a body of more than [`AT_ONCE`] bytes.

use std::fs::File;
use std::io::{Read as _, Seek as _};

use axum::body::{Body, BodyDataStream, Bytes, HttpBody as _};
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

use super::assemble_schema::{Asked, SchemaError, WantedFiles};
use crate::admission::WorkPermit;
use crate::app::App;
use crate::blobs::BlobError;
use crate::config::Uploads;
use crate::http::error::{ApiError, ApiResult};
use crate::http::multipart::drain;
use crate::http::unreadable_body;

/// Most bytes of one request's JSON: some ten thousand files of ordinary size, with all their chunks.
pub const MAX_BODY: u64 = 64 << 20;

/// Bytes of a body that are held in memory, and read at once from a larger one.
const AT_ONCE: usize = 256 << 10;

/// Chunks that a file may have whatever the settings say: chunks of before may have been smaller.
const MOST_CHUNKS: u64 = 1 << 16;

/// The files of a request, and the permit that its work holds if the request is a large one.
pub(super) struct Question {
    pub(super) asked: Vec<Asked>,
    pub(super) permit: Option<WorkPermit>,
}

/// What was received.
enum Received {
    Small(Vec<u8>),
    Large(File, WorkPermit),
}

/// Reads the files that a request asks for.
pub(super) async fn read(app: &App, organization_id: i64, body: Body) -> ApiResult<Question> {
    let most_chunks = most_chunks(&app.config.uploads);
    let is_too_large = body.size_hint().lower() > MAX_BODY;
    let mut body = body.into_data_stream();
    let received = if is_too_large { Err(too_large()) } else { receive(app, organization_id, &mut body).await };
    match received {
        Ok(Received::Small(bytes)) => {
            let mut files = WantedFiles::new(most_chunks);
            files.feed(&bytes)?;
            Ok(Question { asked: files.finish()?, permit: None })
        }
        Ok(Received::Large(file, receiving)) => {
            let permit = app.assemble_work.acquire(organization_id).await.map_err(|_| too_busy())?;
            let reading = tokio::task::spawn_blocking(move || read_file(file, most_chunks));
            let asked = reading.await.map_err(ApiError::internal)??;
            drop(receiving);
            Ok(Question { asked, permit: Some(permit) })
        }
        Err(error) => {
            // A client that is cut off while it sends never reads why.
            drain(&mut body).await;
            Err(error)
        }
    }
}

async fn receive(app: &App, organization_id: i64, body: &mut BodyDataStream) -> ApiResult<Received> {
    let mut small = Vec::new();
    while let Some(bytes) = next(body).await? {
        if small.len() + bytes.len() > AT_ONCE {
            let permit = app.assemble_bodies.acquire(organization_id).await.map_err(|_| too_busy())?;
            let file = receive_large(app, body, small, bytes).await?;
            return Ok(Received::Large(file, permit));
        }
        small.extend_from_slice(&bytes);
    }
    Ok(Received::Small(small))
}

async fn receive_large(app: &App, body: &mut BodyDataStream, begun: Vec<u8>, next_bytes: Bytes) -> ApiResult<File> {
    let file = tempfile::tempfile_in(app.config.temp_dir()).map_err(not_written)?;
    let mut file = tokio::fs::File::from_std(file);
    file.write_all(&begun).await.map_err(not_written)?;
    let mut received = begun.len() as u64;
    drop(begun);
    let mut arrived = Some(next_bytes);
    while let Some(bytes) = arrived {
        received += bytes.len() as u64;
        if received > MAX_BODY {
            return Err(too_large());
        }
        file.write_all(&bytes).await.map_err(not_written)?;
        arrived = next(body).await?;
    }
    file.flush().await.map_err(not_written)?;
    Ok(file.into_std().await)
}

/// The next bytes of a body. How slowly they may come is the same for every route.
async fn next(body: &mut BodyDataStream) -> ApiResult<Option<Bytes>> {
    body.next().await.transpose().map_err(|error| unreadable_body(&error))
}

/// Reads a large body from its file; blocks.
fn read_file(mut file: File, most_chunks: usize) -> ApiResult<Vec<Asked>> {
    let not_read = |error| ApiError::from(BlobError::io("read an assemble request", error));
    file.rewind().map_err(not_read)?;
    let mut files = WantedFiles::new(most_chunks);
    let mut buffer = vec![0; AT_ONCE];
    loop {
        match file.read(&mut buffer).map_err(not_read)? {
            0 => return Ok(files.finish()?),
            length => files.feed(&buffer[..length])?,
        }
    }
}

/// Most chunks of one file: as many as the largest one has, or more.
fn most_chunks(settings: &Uploads) -> usize {
    let most = settings.max_file_size.div_ceil(settings.chunk_size).max(MOST_CHUNKS);
    usize::try_from(most).unwrap_or(usize::MAX)
}

fn too_large() -> ApiError {
    ApiError::TooLarge("The body of the request is too large. Ask for fewer files at once.".to_owned())
}

fn too_busy() -> ApiError {
    ApiError::Busy("The server is busy with other large requests. Try again in some seconds.".to_owned())
}

fn not_written(error: std::io::Error) -> ApiError {
    BlobError::io("write an assemble request", error).into()
}

impl From<SchemaError> for ApiError {
    fn from(error: SchemaError) -> Self {
        Self::Refused(error.0)
    }
}
