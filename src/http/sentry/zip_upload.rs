//! `POST files/dsyms/`: the upload of old clients, a zip of debug files. It never writes under a name from the zip, and
//! writes nothing before the quota and the limiter of uploads allow it.

use std::io::Write as _;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::dif::dif;
use crate::accounts::Upload;
use crate::admission::{Overloaded, WorkPermit};
use crate::app::App;
use crate::blobs::BlobError;
use crate::http::auth::ProjectAccess;
use crate::http::error::{ApiError, ApiResult};
use crate::http::multipart::{Multipart, MultipartError, drain};
use crate::symcaches::sandbox::OnBehalf;
use crate::symcaches::{ConversionTime, LocalFile, TakenIn};
use crate::types::{DebugFile, Project};

/// What a multipart body has besides the zip, generously.
const ENVELOPE: u64 = 1 << 20;

/// How long the answer waits for the symcaches of its files.
const SYMCACHES_AWAITED: Duration = Duration::from_secs(2);

/// Bytes that are worth a piece of work.
const BATCH: usize = 256 * 1024;

/// Imports the debug files in a zip and answers those that are new. What is no debug file is passed over.
pub async fn upload_zip(
    State(app): State<App>,
    access: ProjectAccess<Upload>,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let project = &access.project;
    let mut body = body.into_data_stream();
    let zip = received(&app, project, &headers, &mut body).await;
    if !matches!(zip, Err(ApiError::TooSlow(_))) {
        // Read to its end in any other case: a client that is cut off while it sends never receives the reason.
        drain(&mut body).await;
    }
    let (zip, slot) = zip?;
    let permit = app.upload_limits.import_zip(project.organization_id).await.map_err(too_busy)?;
    let imported = import(&app, project, zip).await;
    drop((permit, slot));
    let registered = imported?;
    await_symcaches(&app, &registered).await;
    let created: Vec<_> = registered.iter().map(dif).collect();
    Ok((StatusCode::CREATED, Json(json!(created))))
}

/// Registers the files of a zip; returns those that are new.
async fn import(app: &App, project: &Project, zip: std::fs::File) -> ApiResult<Vec<DebugFile>> {
    let limit = app.config.uploads.max_file_size;
    let on_behalf = OnBehalf::request(project.organization_id);
    let unpacked = app.symcaches.sandbox.unzip(&zip, limit, on_behalf).await?;
    // Its files are unpacked, so the disk need not hold both.
    drop(zip);
    let unpacked = unpacked.map_err(ApiError::BadRequest)?;
    let mut registered = Vec::new();
    for entry in unpacked.entries() {
        let content = unpacked.content(entry).await.map_err(ApiError::internal)?;
        // The slash makes the path one that names of ProGuard mappings are found in.
        let name = format!("/{}", entry.name);
        let incoming = LocalFile { file: content, name: &name, detection: None, conversion: ConversionTime::Queued };
        match app.symcaches.take_in(&app.local_files(), project, incoming).await? {
            TakenIn::Registered { files, .. } => registered.extend(files),
            TakenIn::Known(_) | TakenIn::NotADebugFile => {}
            TakenIn::Refused(reason) => {
                tracing::info!(project.id = project.id, reason, "a file of a zip was refused");
            }
        }
    }
    Ok(registered)
}

/// Gives workers a moment, so that who asks for a symcache right after its zip finds it, as a rule. It is no promise.
async fn await_symcaches(app: &App, files: &[DebugFile]) {
    let until = Instant::now() + SYMCACHES_AWAITED;
    for file in files.iter().filter(|file| file.has_names()) {
        let wait = until.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return;
        }
        if let Err(error) = app.symcaches.lookup(file.project_id, &file.debug_id, wait).await {
            tracing::debug!(debug_file.id = file.id, %error, "the symcache of a file of a zip is not there yet");
        }
    }
}

/// The part `file` in a nameless temp file, and the slot of the request.
async fn received(
    app: &App,
    project: &Project,
    headers: &HeaderMap,
    body: &mut BodyDataStream,
) -> ApiResult<(std::fs::File, WorkPermit)> {
    let limit = app.config.uploads.max_file_size;
    let mut multipart = Multipart::open(headers, body, limit.saturating_add(ENVELOPE)).map_err(unreadable)?;
    while let Some(part) = multipart.next_part().await.map_err(unreadable)? {
        if part.name != "file" {
            continue;
        }
        let mut incoming = IncomingZip::new(app, project);
        while let Some(bytes) = multipart.content().await.map_err(unreadable)? {
            incoming.push(bytes).await?;
        }
        return incoming.finish().await;
    }
    Err(ApiError::BadRequest("Missing uploaded file".to_owned()))
}

/// A zip whose bytes are arriving. It holds nothing but a buffer until the first batch is worth writing.
struct IncomingZip<'a> {
    app: &'a App,
    project: &'a Project,
    size: u64,
    batch: Vec<Bytes>,
    batch_size: usize,
    file: Option<(std::fs::File, WorkPermit)>,
}

impl<'a> IncomingZip<'a> {
    fn new(app: &'a App, project: &'a Project) -> Self {
        Self { app, project, size: 0, batch: Vec::new(), batch_size: 0, file: None }
    }

    async fn push(&mut self, bytes: Bytes) -> ApiResult<()> {
        self.size = self.size.saturating_add(bytes.len() as u64);
        if self.size > self.app.config.uploads.max_file_size {
            return Err(ApiError::BadRequest("The zip is larger than a file may be.".to_owned()));
        }
        self.batch_size += bytes.len();
        self.batch.push(bytes);
        if self.batch_size < BATCH {
            return Ok(());
        }
        self.file = Some(self.written().await?);
        Ok(())
    }

    async fn finish(mut self) -> ApiResult<(std::fs::File, WorkPermit)> {
        self.written().await
    }

    /// The file with the batch behind what it had. Before the first one the quota and a slot are asked for.
    async fn written(&mut self) -> ApiResult<(std::fs::File, WorkPermit)> {
        let (app, owner) = (self.app, self.project.organization_id);
        let (mut file, slot) = match self.file.take() {
            Some(opened) => opened,
            None => {
                let slot = app.upload_limits.begin(owner).await.map_err(too_busy)?;
                app.quotas.allowance(owner).may_add(self.project.id, 1, 1).await?;
                app.quotas.allowance(owner).may_send().await?;
                (self.temp_file()?, slot)
            }
        };
        let permit = app.upload_limits.work(owner).await.map_err(too_busy)?;
        let batch = std::mem::take(&mut self.batch);
        self.batch_size = 0;
        let writing = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            batch.iter().try_for_each(|bytes| file.write_all(bytes)).map(|()| file)
        });
        let file = writing.await.map_err(ApiError::internal)?.map_err(not_written)?;
        Ok((file, slot))
    }

    fn temp_file(&self) -> ApiResult<std::fs::File> {
        tempfile::tempfile_in(self.app.config.temp_dir()).map_err(not_written)
    }
}

fn unreadable(error: MultipartError) -> ApiError {
    if error.is_too_slow() { ApiError::TooSlow(error.to_string()) } else { ApiError::BadRequest(error.to_string()) }
}

fn too_busy(_: Overloaded) -> ApiError {
    ApiError::Busy("The server is busy with other uploads. Try again in some seconds.".to_owned())
}

fn not_written(error: std::io::Error) -> ApiError {
    BlobError::io("write an uploaded zip", error).into()
}
