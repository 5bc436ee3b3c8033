//! Background work: assemblies and other jobs, taken from their rows, and cleaning up, by the clock.
//!
//! The rows are the queue: a job may be begun twice and rows decide who may end it. Nothing here answers a client.

mod assemble;
mod back_off;
mod clean_up;
mod digest;
mod held;
mod punctual;
mod reprocess;
mod symcache;
mod turns;
mod worker;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;

/// The two phases of an end: first nothing new is begun, then what is still under way is handed back.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Take no new job.
    pub stop: CancellationToken,
    /// Hand back what is under way.
    pub cancel: CancellationToken,
}

/// Does jobs alone, without cleaning up, until `shutdown` says otherwise and every job under way has ended or was handed back.
pub async fn work(app: App, shutdown: Shutdown) {
    worker::run(app, shutdown).await;
}

/// Digests alone what this machine accepted, for a process that leaves all other work to workers: nothing else reads its disk.
pub async fn digest_own(app: App, shutdown: Shutdown) {
    digest::disk(app, shutdown.stop).await;
}

/// Works until `shutdown` says otherwise and every job under way has ended or was handed back.
pub async fn run(app: App, shutdown: Shutdown) {
    let tracker = TaskTracker::new();
    tracker.spawn(worker::run(app.clone(), shutdown.clone()));
    tracker.spawn(digest::disk(app.clone(), shutdown.stop.clone()));
    tracker.spawn(digest::rows(app.clone(), shutdown.stop.clone()));
    tracker.spawn(digest::waiting(app.clone(), shutdown.stop.clone()));
    if !app.config.gc.interval.is_zero() {
        tracker.spawn(clean_up::run(app, shutdown.stop.clone()));
    }
    tracker.close();
    tracker.wait().await;
}
