//! How a long-running verb lives and ends: signals, workers, and the wait for what is still under way.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::config::Gc;
use crate::jobs::{self, Shutdown};
use crate::types::child_protocol::{Isolation, Lock};

/// How long the last tasks may take once everything else has ended.
const LAST_TASKS: Duration = Duration::from_secs(5);

/// How long jobs under way may go on before they are handed back to the queue.
const DRAIN: Duration = Duration::from_secs(25);

/// Ends softly at the first SIGTERM or SIGINT: takes nothing new, and hands back what has not ended after a while, or
/// at the second signal. Both are heard from here on.
pub fn on_signals() -> std::io::Result<Shutdown> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let shutdown = Shutdown::default();
    let watched = shutdown.clone();
    // On no tracker, because it ends with the process and with nothing else.
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("ending; nothing new is begun");
        watched.stop.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = tokio::time::sleep(DRAIN) => {}
        }
        tracing::info!("handing back what is still under way");
        watched.cancel.cancel();
    });
    Ok(shutdown)
}

/// Has a child try what it can do on this machine, and logs once what it should not be able to. Nothing waits for it.
pub fn try_isolation(app: &App) {
    let sandbox = app.symcaches.sandbox.clone();
    app.tasks.spawn(async move {
        match sandbox.isolation().await {
            Ok(isolation) if isolation.is_whole() => tracing::debug!("the process that reads uploads is isolated"),
            Ok(isolation) => tracing::warn!(
                "the process that reads uploads is not isolated as it should be: {}",
                what_is_missing(&isolation)
            ),
            Err(error) => tracing::error!(%error, "no process to read uploads can be started"),
        }
    });
}

fn what_is_missing(isolation: &Isolation) -> String {
    let locks = [("Landlock", &isolation.landlock), ("seccomp", &isolation.seccomp)];
    let mut missing: Vec<String> = locks
        .into_iter()
        .filter_map(|(name, lock)| match lock {
            Lock::Missing(reason) => Some(format!("{name} is not in force ({reason})")),
            Lock::Closed => None,
        })
        .collect();
    if isolation.escapes.is_empty() {
        missing.push("what it tried failed all the same".to_owned());
    }
    missing.extend(isolation.escapes.iter().map(|escape| format!("it can {escape}")));
    missing.join("; ")
}

/// The background work, until it is told to end.
pub async fn workers(app: &App, shutdown: &Shutdown) {
    jobs::run(app.clone(), shutdown.clone()).await;
}

/// Removes the temp files that processes like this one left when they died, at the start and then at every interval.
///
/// No other machine can do that, so it is never left to other processes.
pub async fn clean_temp(app: &App, shutdown: &Shutdown) {
    let interval = if app.config.gc.interval.is_zero() { Gc::default().interval } else { app.config.gc.interval };
    loop {
        sweep_temp(app).await;
        tokio::select! {
            () = shutdown.stop.cancelled() => return,
            () = tokio::time::sleep(interval) => {}
        }
    }
}

/// The same, once.
pub async fn sweep_temp(app: &App) {
    match app.upkeep().sweep_own_temp().await {
        Ok(0) => {}
        Ok(temp_files) => tracing::info!(temp_files, "removed temp files of processes that died"),
        Err(error) => tracing::warn!(%error, "failed to remove left-over temp files"),
    }
}

/// Waits for the tasks that outlive their requests, for a while.
pub async fn finish(app: &App, shutdown: &Shutdown) {
    app.tasks.close();
    tokio::select! {
        () = app.tasks.wait() => {}
        () = shutdown.cancel.cancelled() => {}
        () = tokio::time::sleep(LAST_TASKS) => tracing::warn!("some tasks were still running and have been dropped"),
    }
    app.db.close().await;
}
