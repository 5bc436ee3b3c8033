//! Cleans up at the start and at every interval, and looks through the whole store less often. What goes and what stays is
//! decided in `upkeep`.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::events::{ExpireMode, ExpiredEvents};
use crate::upkeep::{Expired, Mode};

/// Cleans up at once and then at every interval.
pub(super) async fn run(app: App, stop: CancellationToken) {
    let mut looked_through: Option<Instant> = None;
    loop {
        if let Err(error) = app.uses.flush().await {
            tracing::warn!(%error, "which files are used could not be written");
        }
        match app.events.expire(ExpireMode::Remove).await {
            Ok(gone) if gone == ExpiredEvents::default() => {}
            Ok(gone) => tracing::info!(
                events = gone.events,
                attachments = gone.attachments,
                rejected = gone.rejected,
                "events expired"
            ),
            Err(error) => tracing::warn!(%error, "events could not expire; it is tried again at the next interval"),
        }
        let upkeep = app.upkeep();
        let swept = if looked_through.is_some_and(|at| at.elapsed() < app.config.gc.strays_interval) {
            upkeep.gc_of_rows(Mode::Remove).await
        } else {
            let begun = Instant::now();
            upkeep.gc(Mode::Remove).await.inspect(|_| looked_through = Some(begun))
        };
        match swept {
            Ok(swept) if swept.is_nothing() => {}
            Ok(swept) => {
                for Expired { project, rule, files } in &swept.expired {
                    let (files, bytes) = (files.count, files.bytes);
                    tracing::info!(project, %rule, files, bytes, "debug files expired");
                }
                tracing::info!(
                    chunks = swept.chunks.count,
                    strays = swept.strays.count,
                    freed_bytes = [swept.chunks, swept.strays, swept.old_symcaches, swept.unused_derived]
                        .iter()
                        .map(|freed| freed.bytes)
                        .sum::<u64>(),
                    symcaches = swept.old_symcaches.count,
                    derived_files = swept.unused_derived.count,
                    retired_files = swept.retired_files,
                    old_errors = swept.old_errors,
                    temp_files = swept.temp_files,
                    "cleaned up"
                );
            }
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
