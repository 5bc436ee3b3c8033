//! `POST files/dsyms/`: the way of old clients, a zip of debug files. It never writes under a name from the zip.

use axum::Json;
use axum::extract::multipart::MultipartError;
use axum::extract::{Multipart, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::dif::dif;
use crate::accounts::Upload;
use crate::app::App;
use crate::http::auth::ProjectAccess;
use crate::http::error::{ApiError, ApiResult};
use crate::symcaches::TakenIn;

/// Takes the debug files in a zip in and answers those that are new. What is no debug file is passed over.
pub async fn upload_zip(
    State(app): State<App>,
    access: ProjectAccess<Upload>,
    multipart: Multipart,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let zip = received(&app, multipart).await?;
    let limit = app.config.uploads.max_file_size;
    let unpacked = app.symcaches.sandbox.unzip(&zip, limit).await.map_err(ApiError::internal)?;
    let unpacked = unpacked.map_err(ApiError::BadRequest)?;
    let mut created = Vec::new();
    for entry in unpacked.entries() {
        let content = unpacked.content(entry).await.map_err(ApiError::internal)?;
        // The slash makes the path one that names of ProGuard mappings are found in.
        let name = format!("/{}", entry.name);
        let taken = app.symcaches.take_in(&app.local_files(), &access.project, content, &name).await;
        match taken.map_err(ApiError::internal)? {
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
async fn received(app: &App, mut multipart: Multipart) -> ApiResult<std::fs::File> {
    while let Some(mut field) = multipart.next_field().await.map_err(cut)? {
        if field.name() != Some("file") {
            continue;
        }
        let file = tempfile::tempfile_in(app.config.temp_dir()).map_err(ApiError::internal)?;
        let mut file = tokio::fs::File::from_std(file);
        let mut left = app.config.uploads.max_file_size;
        while let Some(bytes) = field.chunk().await.map_err(cut)? {
            left = left
                .checked_sub(bytes.len() as u64)
                .ok_or_else(|| ApiError::BadRequest("The zip is larger than a file may be.".to_owned()))?;
            file.write_all(&bytes).await.map_err(ApiError::internal)?;
        }
        file.flush().await.map_err(ApiError::internal)?;
        return Ok(file.into_std().await);
    }
    Err(ApiError::BadRequest("Missing uploaded file".to_owned()))
}

fn cut(error: MultipartError) -> ApiError {
    ApiError::BadRequest(format!("The upload cannot be read: {}.", error.body_text()))
}
