//! `POST files/dsyms/`: the way of old clients, a zip of debug files. It never writes under a name from the zip.

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::dif::dif;
use crate::accounts::Upload;
use crate::app::App;
use crate::blobs::BlobError;
use crate::http::auth::ProjectAccess;
use crate::http::error::{ApiError, ApiResult};
use crate::http::multipart::{Multipart, MultipartError, drain};
use crate::symcaches::TakenIn;
use crate::symcaches::sandbox::OnBehalf;

/// What a multipart body has besides the zip, generously.
const ENVELOPE: u64 = 1 << 20;

/// Takes the debug files in a zip in and answers those that are new. What is no debug file is passed over.
pub async fn upload_zip(
    State(app): State<App>,
    access: ProjectAccess<Upload>,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let mut body = body.into_data_stream();
    let zip = received(&app, &headers, &mut body).await;
    // Read to its end in any case: a client that is cut off while it sends never hears why.
    drain(&mut body).await;
    let zip = zip?;
    let limit = app.config.uploads.max_file_size;
    let on_behalf = OnBehalf::request(access.project.organization_id);
    let unpacked = app.symcaches.sandbox.unzip(&zip, limit, on_behalf).await?;
    let unpacked = unpacked.map_err(ApiError::BadRequest)?;
    let mut created = Vec::new();
    for entry in unpacked.entries() {
        let content = unpacked.content(entry).await.map_err(ApiError::internal)?;
        // The slash makes the path one that names of ProGuard mappings are found in.
        let name = format!("/{}", entry.name);
        let taken = app.symcaches.take_in(&app.local_files(), &access.project, content, &name).await;
        match taken? {
            TakenIn::Registered { files, .. } => created.extend(files.iter().map(dif)),
            TakenIn::Known(_) | TakenIn::NotADebugFile => {}
            TakenIn::Refused(reason) => {
                tracing::info!(project.id = access.project.id, reason, "a file of a zip was refused");
            }
        }
    }
    Ok((StatusCode::CREATED, Json(json!(created))))
}

/// The part `file` in a nameless temp file.
async fn received(app: &App, headers: &HeaderMap, body: &mut BodyDataStream) -> ApiResult<std::fs::File> {
    let limit = app.config.uploads.max_file_size;
    let mut multipart = Multipart::open(headers, body, limit.saturating_add(ENVELOPE)).map_err(unreadable)?;
    while let Some(part) = multipart.next_part().await.map_err(unreadable)? {
        if part.name != "file" {
            continue;
        }
        let file = tempfile::tempfile_in(app.config.temp_dir()).map_err(not_written)?;
        let mut file = tokio::fs::File::from_std(file);
        let mut left = limit;
        while let Some(bytes) = multipart.content().await.map_err(unreadable)? {
            left = left
                .checked_sub(bytes.len() as u64)
                .ok_or_else(|| ApiError::BadRequest("The zip is larger than a file may be.".to_owned()))?;
            file.write_all(&bytes).await.map_err(not_written)?;
        }
        file.flush().await.map_err(not_written)?;
        return Ok(file.into_std().await);
    }
    Err(ApiError::BadRequest("Missing uploaded file".to_owned()))
}

fn unreadable(error: MultipartError) -> ApiError {
    ApiError::BadRequest(error.to_string())
}

fn not_written(error: std::io::Error) -> ApiError {
    BlobError::io("write an uploaded zip", error).into()
}
