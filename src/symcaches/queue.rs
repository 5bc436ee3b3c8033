//! What is to be made, as jobs: requests register their interest in a row and never make anything themselves. Whoever waits
//! for one looks at its row, so a worker of another process may do it.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::{LookupError, Symcaches};
use crate::db::{DbError, HEAD_START, NewJob, QueuedJob};
use crate::types::{DebugId, JobKind};

/// Between the first two looks at a row; each pause is half as long again as the one before.
const FIRST_LOOK: Duration = Duration::from_millis(50);

/// The longest pause between two looks.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// Requests of one process that wait for a build. Each looks at a row once a second; of more, each hears at once that the
/// build is under way.
pub(super) const MOST_WAITING: usize = 256;

/// Jobs that an organization may have. They take some 50 MB of rows, and days of conversions: an upgrade queues less at a
/// time, because each file is queued when it is asked for.
pub(super) const MOST_OPEN: i64 = 100_000;

/// What a job makes, and of which version. A worker of another version makes its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "make", rename_all = "snake_case")]
pub enum BuildTask {
    /// The symcache of a debug file, with the name maps that apply under the id that was asked for.
    Symcache {
        /// The debug file.
        debug_file_id: i64,
        /// The id.
        debug_id: DebugId,
        /// Version of the symcache format.
        format_version: i64,
        /// Version of the converter.
        converter_version: String,
    },
    /// Breakpad text.
    Breakpad {
        /// The file with the debug information.
        debug_file_id: i64,
        /// The file with the code.
        code: Option<i64>,
        /// The map of hidden names.
        names: Option<i64>,
        /// The file that `dwz` moved a part of the debug information to.
        #[serde(default)]
        supplement: Option<i64>,
        /// Names the tool and the content of the other files.
        version: String,
    },
    /// The table of call frame information.
    Cfi {
        /// The debug file.
        debug_file_id: i64,
        /// Names the tool.
        version: String,
    },
    /// The table of a ProGuard mapping.
    Proguard {
        /// The mapping.
        debug_file_id: i64,
        /// Names the tool.
        version: String,
    },
    /// The debug file in a cabinet.
    Cab {
        /// The debug file.
        debug_file_id: i64,
        /// Names the tool.
        version: String,
    },
}

/// A task in the project of its debug file.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub project_id: i64,
    pub task: BuildTask,
}

/// Whether a client waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// A client cannot go on without it.
    Client,
    /// Clients have something older until it is there.
    Background,
}

/// How a wait for a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// Its row is gone: what it was to make is there, or cannot be made now.
    Ended,
    /// An attempt failed; another one follows.
    Failed(String),
    /// It goes on, and the time is over.
    GoesOn,
}

impl BuildTask {
    /// The debug file that it is made from.
    pub fn debug_file_id(&self) -> i64 {
        match self {
            Self::Symcache { debug_file_id, .. }
            | Self::Breakpad { debug_file_id, .. }
            | Self::Cfi { debug_file_id, .. }
            | Self::Proguard { debug_file_id, .. }
            | Self::Cab { debug_file_id, .. } => *debug_file_id,
        }
    }

    /// What makes it the same work as another one.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Symcache { debug_file_id, debug_id, format_version, converter_version } => {
                format!("symcache {debug_file_id} {debug_id} {format_version} {converter_version}")
            }
            Self::Breakpad { debug_file_id, version, .. } => format!("breakpad {debug_file_id} {version}"),
            Self::Cfi { debug_file_id, version } => format!("cfi {debug_file_id} {version}"),
            Self::Proguard { debug_file_id, version } => format!("proguard {debug_file_id} {version}"),
            Self::Cab { debug_file_id, version } => format!("cab {debug_file_id} {version}"),
        }
    }
}

impl Symcaches {
    /// Queues what is not queued yet. Most clients ask again and again, so the rows are looked at before they are written.
    /// All of `wanted` are in one organization. Returns where those stand that were queued before.
    pub(super) async fn register_interest(
        &self,
        wanted: &[Wanted],
        urgency: Urgency,
    ) -> Result<HashMap<String, QueuedJob>, LookupError> {
        let (keys, now): (Vec<_>, _) = (wanted.iter().map(|wanted| wanted.task.key()).collect(), self.clock.now());
        let queued = self.db.queued_jobs(JobKind::Symcache, &keys, now).await?;
        let queued: HashMap<_, _> = queued.into_iter().map(|job| (job.dedup_key.clone(), job)).collect();
        let known = |wanted: &&Wanted| {
            // One that waits behind others for its first attempt is brought forward by a client.
            let waits =
                |job: &QueuedJob| urgency == Urgency::Client && job.attempt == 0 && job.due_at > now - HEAD_START;
            queued.get(&wanted.task.key()).is_some_and(|job| !waits(job))
        };
        let absent: Vec<_> = wanted.iter().filter(|wanted| !known(wanted)).cloned().collect();
        self.queue_builds(&absent, urgency).await?;
        Ok(queued)
    }

    /// Queues all of `wanted`, which are in one organization. What runs at the moment runs once more after its end.
    pub(super) async fn queue_builds(&self, wanted: &[Wanted], urgency: Urgency) -> Result<(), LookupError> {
        let Some(first) = wanted.first() else { return Ok(()) };
        let Some(project) = self.db.project_by_id(first.project_id).await? else { return Ok(()) };
        if self.db.open_jobs(project.organization_id, self.most_open).await? >= self.most_open {
            return Err(LookupError::QueueFull);
        }
        let job = |wanted: &Wanted| {
            Ok(NewJob {
                kind: JobKind::Symcache,
                organization_id: project.organization_id,
                project_id: Some(wanted.project_id),
                dedup_key: Some(wanted.task.key()),
                lane: None,
                payload: serde_json::to_string(&wanted.task)
                    .map_err(|error| DbError::BadRow { table: "jobs", reason: error.to_string() })?,
            })
        };
        let jobs: Vec<_> = wanted.iter().map(job).collect::<Result<_, DbError>>()?;
        let now = self.clock.now();
        let due = if urgency == Urgency::Client { now - HEAD_START } else { now };
        self.db.queue_jobs(&jobs, due, now).await?;
        self.wake.notify_one();
        Ok(())
    }

    /// The same for whom it must not be an error: what is not queued now is queued by the next who asks.
    pub(super) async fn queue_quietly(&self, wanted: &[Wanted]) {
        if let Err(error) = self.register_interest(wanted, Urgency::Background).await {
            tracing::warn!(%error, "a build could not be queued; the next request for it queues it");
        }
    }

    /// Queues a task for a client and waits until its job ends, an attempt fails or `until` has come.
    pub(super) async fn queue_and_wait(&self, wanted: &Wanted, until: Instant) -> Result<Waited, LookupError> {
        let key = wanted.task.key();
        // From before the row is looked at, so that no end is missed.
        let mut ends = self.ends.subscribe();
        let mut queued = self.register_interest(std::slice::from_ref(wanted), Urgency::Client).await?;
        let before = queued.remove(&key);
        // A failure of the attempt that runs now, or of a later one, is news.
        let seen = before.as_ref().map_or(0, |job| job.attempt - i64::from(job.running));
        let mut failure = before.filter(|job| !job.running).and_then(|job| job.last_error);
        let place = (until > Instant::now()).then(|| self.waiting.try_acquire().ok()).flatten();
        let (mut pause, file) = (FIRST_LOOK, wanted.task.debug_file_id());
        while place.is_some() && Instant::now() < until {
            let next_look = (Instant::now() + pause).min(until);
            tokio::select! {
                () = tokio::time::sleep_until(next_look) => pause = (pause * 3 / 2).min(LAST_LOOK),
                () = ended(&mut ends, file) => {}
            }
            let keys = std::slice::from_ref(&key);
            let Some(job) = self.db.queued_jobs(JobKind::Symcache, keys, self.clock.now()).await?.pop() else {
                return Ok(Waited::Ended);
            };
            failure = job.last_error.filter(|_| !job.running);
            if job.attempt > seen
                && let Some(reason) = failure
            {
                return Ok(Waited::Failed(reason));
            }
        }
        Ok(failure.map_or(Waited::GoesOn, Waited::Failed))
    }

    /// Tells those who wait in this process that a job on a debug file made a step.
    pub fn announce(&self, task: &BuildTask) {
        // An error says that none waits.
        let _none_waits = self.ends.send(task.debug_file_id());
    }
}

/// Returns when a job on the debug file made a step in this process.
async fn ended(ends: &mut tokio::sync::broadcast::Receiver<i64>, file: i64) {
    loop {
        match ends.recv().await {
            Ok(id) if id != file => {}
            Ok(_) | Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
