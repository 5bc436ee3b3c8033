//! Removes what nobody can want any more: temp files of dead processes, retired files, old errors. Never a chunk.

use std::path::Path;
use std::time::SystemTime;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::blobs::{BlobError, BlobKey};
use crate::db::DbError;

/// How long a file that newer ones made redundant still answers pollers.
const RETIRED_KEPT: TimeDelta = TimeDelta::hours(1);
/// How long the reason of a failed assembly is kept.
const ERRORS_KEPT: TimeDelta = TimeDelta::days(7);
/// Rows handled in one transaction.
const BATCH: i64 = 500;

/// Cleans up at once and then at every interval.
pub(super) async fn run(app: App, stop: CancellationToken) {
    loop {
        if let Err(error) = once(&app).await {
            tracing::warn!(error = %error, "cleaning up failed; it is tried again at the next interval");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(app.config.gc.interval) => {}
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum CleanUpError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error("temp folder: {0}")]
    Temp(#[from] std::io::Error),
}

async fn once(app: &App) -> Result<(), CleanUpError> {
    let now = app.clock.now();
    let grace = TimeDelta::from_std(app.config.gc.temp_grace).unwrap_or(TimeDelta::hours(1));
    let (folder, temp_grace) = (app.config.temp_dir(), app.config.gc.temp_grace);
    let ours = tokio::task::spawn_blocking(move || sweep_folder(&folder, temp_grace)).await;
    let swept = app.blobs.sweep_temp(now - grace).await? + ours.unwrap_or(Ok(0))?;
    let mut purged = 0;
    loop {
        let (keys, files) = app.db.purge_retired(now - RETIRED_KEPT, BATCH).await?;
        let keys: Vec<_> = keys.iter().map(|key| BlobKey::from_row(key)).collect();
        app.blobs.delete(&keys).await?;
        purged += files;
        if files < BATCH.unsigned_abs() {
            break;
        }
    }
    let forgotten = app.db.forget_failed_assemblies(now - ERRORS_KEPT, BATCH).await?;
    if swept + purged + forgotten > 0 {
        tracing::info!(temp_files = swept, retired_files = purged, old_errors = forgotten, "cleaned up");
    }
    Ok(())
}

/// Removes files of the temp folder that were last written before the grace; returns how many.
fn sweep_folder(folder: &Path, grace: std::time::Duration) -> Result<u64, std::io::Error> {
    let Some(before) = SystemTime::now().checked_sub(grace) else { return Ok(0) };
    let mut swept = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_file() && metadata.modified()? < before {
            std::fs::remove_file(entry.path())?;
            swept += 1;
        }
    }
    Ok(swept)
}
