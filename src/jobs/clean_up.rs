//! Cleans up at the start and at every interval. What goes and what stays is decided in `upkeep`.

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::upkeep::Mode;

/// Cleans up at once and then at every interval.
pub(super) async fn run(app: App, stop: CancellationToken) {
    loop {
        match app.upkeep().gc(Mode::Remove).await {
            Ok(swept) if swept.is_nothing() => {}
            Ok(swept) => tracing::info!(
                chunks = swept.chunks.count,
                strays = swept.strays.count,
                freed_bytes = swept.chunks.bytes + swept.strays.bytes,
                retired_files = swept.retired_files,
                old_errors = swept.old_errors,
                temp_files = swept.temp_files,
                "cleaned up"
            ),
            Err(error) => {
                tracing::warn!(error = %error, "cleaning up failed; it is tried again at the next interval");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(app.config.gc.interval) => {}
        }
    }
}
