//! Takes assemblies from their rows, as many at a time as settings allow, and keeps their leases alive.
//!
//! A lost wake-up costs a second, a dead worker costs a lease; neither loses a job.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::punctual::Punctual;
use super::turns::Turns;
use super::{Shutdown, assemble};
use crate::app::App;
use crate::cache::RememberedState;
use crate::config::or_cores;
use crate::types::{Assembly, AssemblyState};

/// How long to wait for a wake-up before looking at the rows anyway: other processes queue too.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long a job whose lease has ended may take to see it.
const LAST_STEPS: Duration = Duration::from_secs(5);

/// How often a file is begun before it is given up.
pub(super) const MOST_ATTEMPTS: i64 = 5;

/// Takes jobs until told to stop, then waits for those under way.
pub(super) async fn run(app: App, shutdown: Shutdown) {
    let places = Arc::new(Semaphore::new(or_cores(app.config.jobs.concurrency)));
    let tracker = TaskTracker::new();
    let mut turns = Turns::default();
    let mut punctual = Punctual::default();
    loop {
        let place = tokio::select! {
            () = shutdown.stop.cancelled() => break,
            place = places.clone().acquire_owned() => place.expect("the semaphore is never closed"),
        };
        punctual.look(&app).await;
        match claim(&app, &mut turns).await {
            Some((assembly, lease)) => {
                let (app, shutdown) = (app.clone(), shutdown.clone());
                tracker.spawn(async move {
                    work(&app, &shutdown, assembly, lease).await;
                    drop(place);
                });
            }
            None => {
                drop(place);
                tokio::select! {
                    () = shutdown.stop.cancelled() => break,
                    () = app.wake.notified() => {}
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                }
            }
        }
    }
    tracker.close();
    tracker.wait().await;
}

/// Takes the assembly whose turn it is, with a fresh lease.
async fn claim(app: &App, turns: &mut Turns) -> Option<(Assembly, String)> {
    let lease = app.clock.fresh_id().to_string();
    match app.db.claim_assembly(turns.served(), &lease, lease_end(app), app.clock.now()).await {
        Ok(assembly) => {
            let assembly = assembly?;
            turns.serve(assembly.organization_id);
            Some((assembly, lease))
        }
        Err(error) => {
            tracing::error!(error = %error, "jobs cannot be taken from the database");
            None
        }
    }
}

/// Works on one job while its lease is kept alive.
async fn work(app: &App, shutdown: &Shutdown, assembly: Assembly, lease: String) {
    let state = RememberedState { state: AssemblyState::Assembling, detail: None };
    app.status.set(assembly.project_id, assembly.sha1, state, app.clock.now()).await;
    // A task of its own, so that a panic ends the job and not the worker.
    let mut job = tokio::spawn({
        let (app, assembly, lease) = (app.clone(), assembly.clone(), lease.clone());
        async move { assemble::run(&app, &assembly, &lease).await }
    });
    let ended = tokio::select! {
        ended = &mut job => Some(ended),
        () = lease_lost(app, assembly.id, &lease) => None,
        () = shutdown.cancel.cancelled() => {
            job.abort();
            if let Err(error) = app.db.give_back_assembly(assembly.id, &lease, app.clock.now()).await {
                tracing::warn!(assembly.id = assembly.id, error = %error, "a job could not be handed back; its lease will run out");
            }
            return;
        }
    };
    match ended {
        Some(Ok(())) => {}
        Some(Err(panic)) => assemble::surprise(app, &assembly, &lease, &panic.to_string()).await,
        // A lease ends with the last step of its job too. A job that goes on now is somebody else's.
        None if tokio::time::timeout(LAST_STEPS, &mut job).await.is_ok() => {}
        None => {
            job.abort();
            app.status.clear(assembly.project_id, assembly.sha1).await;
            tracing::warn!(assembly.id = assembly.id, "another worker took the job over");
        }
    }
}

/// Returns when somebody else holds the lease; until then keeps it alive.
async fn lease_lost(app: &App, assembly_id: i64, lease: &str) {
    loop {
        tokio::time::sleep(app.config.jobs.lease / 3).await;
        match app.db.renew_assembly_lease(assembly_id, lease, lease_end(app)).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(assembly.id = assembly_id, error = %error, "a lease could not be renewed");
            }
        }
    }
}

/// When the job of a worker that says nothing more is somebody else's: soon enough that it is taken over within the time
/// of the setting, look and all.
fn lease_end(app: &App) -> chrono::DateTime<chrono::Utc> {
    app.clock.now() + TimeDelta::from_std(app.config.jobs.lease * 9 / 10).unwrap_or(TimeDelta::seconds(27))
}
