//! Removes what nobody can want any more: temp files of dead processes, retired files, old errors. Never a chunk.

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::blobs::{BlobError, BlobKey, sweep_folder};
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
}

async fn once(app: &App) -> Result<(), CleanUpError> {
    let now = app.clock.now();
    let grace = TimeDelta::from_std(app.config.gc.temp_grace).unwrap_or(TimeDelta::hours(1));
    let left_over = now - grace;
    let swept = app.blobs.sweep_temp(left_over).await? + sweep_folder(&app.config.temp_dir(), left_over).await?;
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
    let mut forgotten = 0;
    loop {
        let rows = app.db.forget_failed_assemblies(now - ERRORS_KEPT, BATCH).await?;
        forgotten += rows;
        if rows < BATCH.unsigned_abs() {
            break;
        }
    }
    if swept + purged + forgotten > 0 {
        tracing::info!(temp_files = swept, retired_files = purged, old_errors = forgotten, "cleaned up");
    }
    Ok(())
}
