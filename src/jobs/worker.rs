//! Takes assemblies and jobs from their rows, as many at a time as settings allow, and keeps their leases alive.
//!
//! A lost wake-up costs a second, a dead worker costs a lease; neither loses a job.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::Shutdown;
use super::held::Held;
use super::punctual::Punctual;
use super::turns::Turns;
use crate::app::App;
use crate::config::or_cores;

/// How long to wait for a wake-up before looking at the rows anyway: other processes queue too.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long a job whose lease has ended may take to see it.
const LAST_STEPS: Duration = Duration::from_secs(5);

/// Takes jobs until told to stop, then waits for those under way.
pub(super) async fn run(app: App, shutdown: Shutdown) {
    let places = Arc::new(Semaphore::new(places(&app)));
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
            Some(held) => {
                let (app, shutdown) = (app.clone(), shutdown.clone());
                tracker.spawn(async move {
                    work(&app, &shutdown, held).await;
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

/// Jobs at a time. Each of every kind puts a whole file together in the temp folder before its child begins, so there are
/// no more than children, and one that has its file ready when a child ends. Taken before the row is claimed, so that what
/// cannot begin yet is left to other workers.
fn places(app: &App) -> usize {
    or_cores(app.config.jobs.concurrency).min(app.config.converter.at_a_time() + 1)
}

/// Takes what is next, with a fresh lease.
async fn claim(app: &App, turns: &mut Turns) -> Option<Held> {
    let token = app.clock.fresh_id().to_string();
    match app.db.claim(turns.served(), &token, lease_end(app), app.clock.now()).await {
        Ok(claimed) => {
            let held = Held::new(claimed?, token);
            turns.serve(held.organization_id());
            Some(held)
        }
        Err(error) => {
            tracing::error!(error = %error, "jobs cannot be taken from the database");
            None
        }
    }
}

/// Works on one job while its lease is kept alive.
async fn work(app: &App, shutdown: &Shutdown, held: Held) {
    held.announce(app).await;
    let (kind, id) = held.label();
    // A task of its own, so that a panic ends the job and not the worker.
    let mut job = tokio::spawn({
        let (app, held) = (app.clone(), held.clone());
        async move { held.run(&app).await }
    });
    let ended = tokio::select! {
        ended = &mut job => Some(ended),
        () = lease_lost(app, &held) => None,
        () = shutdown.cancel.cancelled() => {
            job.abort();
            if let Err(error) = held.give_back(app).await {
                tracing::warn!(job.kind = kind, job.id = id, error = %error, "a job could not be handed back; its lease will run out");
            }
            return;
        }
    };
    match ended {
        Some(Ok(())) => {}
        Some(Err(panic)) => held.surprise(app, &panic.to_string()).await,
        // A lease ends with the last step of its job too. A job that goes on now is another worker's.
        None if tokio::time::timeout(LAST_STEPS, &mut job).await.is_ok() => {}
        None => {
            job.abort();
            held.forget(app).await;
            tracing::warn!(job.kind = kind, job.id = id, "another worker took the job over");
        }
    }
}

/// Returns when another worker holds the lease; until then keeps it alive.
async fn lease_lost(app: &App, held: &Held) {
    loop {
        tokio::time::sleep(app.config.jobs.lease / 3).await;
        match held.renew(app, lease_end(app)).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                let (kind, id) = held.label();
                tracing::warn!(job.kind = kind, job.id = id, error = %error, "a lease could not be renewed");
            }
        }
    }
}

/// When the job of a worker that says nothing more is somebody else's: soon enough that it is taken over within the time
/// of the setting, look and all.
fn lease_end(app: &App) -> chrono::DateTime<chrono::Utc> {
    app.clock.now() + TimeDelta::from_std(app.config.jobs.lease * 9 / 10).unwrap_or(TimeDelta::seconds(27))
}
