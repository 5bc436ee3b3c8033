//! The job that makes something from a stored debug file: its symcache, its Breakpad text, a cabinet of it. What is made and
//! when it is not is known in `symcaches`; here a failure becomes another attempt or the end of the job.

use chrono::TimeDelta;

use super::back_off::{MOST_ATTEMPTS, back_off};
use crate::app::App;
use crate::symcaches::{BuildError, BuildTask, Built, StoreError};
use crate::types::{Job, JobLease};

/// After so long a job of a version of which no worker came is dropped. The next who asks has it queued again.
const OTHER_VERSIONS_KEPT: TimeDelta = TimeDelta::days(1);

/// The shortest and the longest time that a job of another version is left alone.
pub(super) const LEFT_ALONE: (TimeDelta, TimeDelta) = (TimeDelta::seconds(30), TimeDelta::minutes(10));

/// Runs one attempt and writes its end into the row.
pub(super) async fn run(app: &App, job: &Job, lease: &JobLease) {
    let task = match serde_json::from_str::<BuildTask>(&job.payload) {
        Ok(task) => task,
        Err(error) => {
            tracing::warn!(job.id, %error, "a job is of a newer version");
            return leave_to_another(app, job, lease).await;
        }
    };
    let project_id = job.project_id.unwrap_or_default();
    let ended = match job.attempt > MOST_ATTEMPTS {
        true => give_up(app, project_id, &task, lease).await,
        false => app.symcaches.build(project_id, &task, lease).await,
    };
    match ended {
        Ok(Built::Stored) => {}
        Ok(Built::Standing) | Err(BuildError::Store(StoreError::FileGone)) => end(app, job, lease).await,
        Ok(Built::OtherVersion) => leave_to_another(app, job, lease).await,
        Ok(Built::LeaseLost) => tracing::warn!(job.id, "the job was ended by another worker"),
        Err(error) => fail(app, job, lease, &error).await,
    }
    app.symcaches.announce(&task);
}

/// Deals with a job that panicked.
pub(super) async fn surprise(app: &App, job: &Job, lease: &JobLease, cause: &str) {
    retry(app, job, lease, cause).await;
}

/// Ends a job under which workers were stopped again and again: the next one must not be.
async fn give_up(app: &App, project_id: i64, task: &BuildTask, lease: &JobLease) -> Result<Built, BuildError> {
    let reason = format!(
        "The file cannot be converted: the server was stopped {MOST_ATTEMPTS} times while it worked on it. Ask whoever runs \
         the server to look at its log."
    );
    tracing::error!(job.id = lease.job_id, ?task, "a job is given up, because its worker was stopped each time");
    app.symcaches.give_up(project_id, task, lease, &reason).await
}

async fn fail(app: &App, job: &Job, lease: &JobLease, error: &BuildError) {
    match error {
        // Each further attempt would add to the contention. The next request queues another job.
        BuildError::Store(StoreError::Concurrency) => {
            tracing::warn!(job.id, %error, "a job failed");
            end(app, job, lease).await;
        }
        error if !error.is_transient() => {
            tracing::error!(job.id, job.payload, %error, "a job failed, and another attempt would change nothing");
            end(app, job, lease).await;
        }
        error => retry(app, job, lease, &error.to_string()).await,
    }
}

/// Hands the job back to be tried again, later each time, or ends it after the last attempt.
async fn retry(app: &App, job: &Job, lease: &JobLease, cause: &str) {
    if job.attempt >= MOST_ATTEMPTS {
        tracing::error!(job.id, job.payload, cause, "a job failed for the last time");
        return end(app, job, lease).await;
    }
    tracing::warn!(job.id, job.attempt, cause, "a job failed and is tried again");
    let not_before = app.clock.now() + back_off(app.config.jobs.back_off, job.attempt, &app.clock);
    if let Err(error) = app.db.retry_job(lease, cause, not_before).await {
        tracing::error!(job.id, %error, "a job could not be handed back; its lease will run out");
    }
}

/// Leaves the job to a worker of its version for a while, the longer the older it is.
async fn leave_to_another(app: &App, job: &Job, lease: &JobLease) {
    let now = app.clock.now();
    let age = now - job.created_at;
    if age > OTHER_VERSIONS_KEPT {
        return end(app, job, lease).await;
    }
    let (shortest, longest) = LEFT_ALONE;
    if let Err(error) = app.db.release_job(lease, Some(now + (age / 2).clamp(shortest, longest))).await {
        tracing::error!(job.id, %error, "a job could not be handed back; its lease will run out");
    }
}

async fn end(app: &App, job: &Job, lease: &JobLease) {
    if let Err(error) = app.db.end_job(lease, app.clock.now()).await {
        tracing::error!(job.id, %error, "the end of a job could not be written; its lease will run out");
    }
}
