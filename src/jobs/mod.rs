//! Background work: assemblies and other jobs, taken from their rows, and cleaning up, by the clock.
//!
//! The rows are the queue: a job may be begun twice and rows decide who may end it. Nothing here answers a client.

mod assemble;
mod back_off;
mod clean_up;
mod held;
mod punctual;
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

/// Works until `shutdown` says otherwise and every job under way has ended or was handed back.
pub async fn run(app: App, shutdown: Shutdown) {
    let tracker = TaskTracker::new();
    tracker.spawn(worker::run(app.clone(), shutdown.clone()));
    if !app.config.gc.interval.is_zero() {
        tracker.spawn(clean_up::run(app, shutdown.stop.clone()));
    }
    tracker.close();
    tracker.wait().await;
}
