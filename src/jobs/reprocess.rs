//! The job that processes events of a project again once debug files came that they lacked. It waits while files are still being
//! assembled, so that one run serves them all.

use chrono::TimeDelta;

use super::back_off::{MOST_ATTEMPTS, back_off};
use crate::app::App;
use crate::events::Reprocess;
use crate::types::{Job, JobLease};

/// How long a job waits for files that are on their way.
const LONGEST_WAIT: TimeDelta = TimeDelta::seconds(30);

/// Runs one attempt and writes its end into the row.
pub(super) async fn run(app: &App, job: &Job, lease: &JobLease) {
    let settings = &app.config.events;
    let project_id = job.project_id.unwrap_or_default();
    if settings.reprocess_max == 0 || settings.reprocess_days == 0 {
        return end(app, job, lease).await;
    }
    let now = app.clock.now();
    if now - job.created_at < LONGEST_WAIT && app.db.is_assembling(project_id).await.unwrap_or(false) {
        let soon = now + TimeDelta::seconds(1);
        if let Err(error) = app.db.release_job(lease, Some(soon)).await {
            tracing::error!(job.id, %error, "a job could not be handed back; its lease will run out");
        }
        return;
    }
    let order = Reprocess {
        project_id,
        organization_id: job.organization_id,
        debug_id: None,
        since: now - TimeDelta::days(settings.reprocess_days.into()),
        most: settings.reprocess_max,
        dry_run: false,
    };
    match app.events.reprocess(&order).await {
        Ok(done) => {
            tracing::info!(
                project.id = project_id,
                changed = done.changed,
                moved = done.moved,
                unchanged = done.unchanged,
                "events were processed again"
            );
            end(app, job, lease).await;
        }
        Err(error) => surprise(app, job, lease, &error.to_string()).await,
    }
}

/// Hands the job back to be tried again, or ends it after the last attempt.
pub(super) async fn surprise(app: &App, job: &Job, lease: &JobLease, cause: &str) {
    if job.attempt >= MOST_ATTEMPTS {
        tracing::error!(job.id, cause, "events could not be processed again, for the last time");
        return end(app, job, lease).await;
    }
    tracing::warn!(job.id, job.attempt, cause, "events could not be processed again; it is tried later");
    let not_before = app.clock.now() + back_off(app.config.jobs.back_off, job.attempt, &app.clock);
    if let Err(error) = app.db.retry_job(lease, cause, not_before).await {
        tracing::error!(job.id, %error, "a job could not be handed back; its lease will run out");
    }
}

async fn end(app: &App, job: &Job, lease: &JobLease) {
    if let Err(error) = app.db.end_job(lease, app.clock.now()).await {
        tracing::error!(job.id, %error, "the end of a job could not be written; its lease will run out");
    }
}
