//! [`Held`]: an assembly or a job of the table, with the lease under which this worker has it. It knows which file does the
//! work of which kind, and nothing of how.

use chrono::{DateTime, Utc};

use super::{assemble, reprocess, symcache};
use crate::app::App;
use crate::cache::RememberedState;
use crate::db::{Claimed, DbError};
use crate::types::{Assembly, AssemblyState, Job, JobKind, JobLease};

/// Work that a worker has taken.
#[derive(Clone, Debug)]
pub(super) enum Held {
    /// A file to be assembled, and the token of the lease.
    Assembly(Assembly, String),
    /// Another job.
    Job(Job, JobLease),
}

impl Held {
    pub(super) fn new(claimed: Claimed, token: String) -> Self {
        match claimed {
            Claimed::Assembly(assembly) => Self::Assembly(assembly, token),
            Claimed::Job(job) => {
                let lease = JobLease { job_id: job.id, token };
                Self::Job(job, lease)
            }
        }
    }

    pub(super) fn organization_id(&self) -> i64 {
        match self {
            Self::Assembly(assembly, _) => assembly.organization_id,
            Self::Job(job, _) => job.organization_id,
        }
    }

    /// Kind and row id, for the log.
    pub(super) fn label(&self) -> (&'static str, i64) {
        match self {
            Self::Assembly(assembly, _) => ("assemble", assembly.id),
            Self::Job(job, _) => (job.kind.as_str(), job.id),
        }
    }

    /// Says that the work begins.
    pub(super) async fn announce(&self, app: &App) {
        if let Self::Assembly(assembly, _) = self {
            let state = RememberedState { state: AssemblyState::Assembling, detail: None };
            app.status.set(assembly.project_id, assembly.sha1, state, app.clock.now()).await;
        }
    }

    /// One attempt.
    pub(super) async fn run(&self, app: &App) {
        match self {
            Self::Assembly(assembly, lease) => assemble::run(app, assembly, lease).await,
            Self::Job(job, lease) => match job.kind {
                JobKind::Symcache => symcache::run(app, job, lease).await,
                JobKind::Reprocess => reprocess::run(app, job, lease).await,
            },
        }
    }

    /// Deals with an attempt that panicked.
    pub(super) async fn surprise(&self, app: &App, cause: &str) {
        match self {
            Self::Assembly(assembly, lease) => assemble::surprise(app, assembly, lease, cause).await,
            Self::Job(job, lease) => match job.kind {
                JobKind::Symcache => symcache::surprise(app, job, lease, cause).await,
                JobKind::Reprocess => reprocess::surprise(app, job, lease, cause).await,
            },
        }
    }

    /// Holds on to it; false if another worker has it.
    pub(super) async fn renew(&self, app: &App, until: DateTime<Utc>) -> Result<bool, DbError> {
        match self {
            Self::Assembly(assembly, lease) => app.db.renew_assembly_lease(assembly.id, lease, until).await,
            Self::Job(_, lease) => app.db.renew_job_lease(lease, until).await,
        }
    }

    /// Gives it back as if it had never been taken.
    pub(super) async fn give_back(&self, app: &App) -> Result<bool, DbError> {
        match self {
            Self::Assembly(assembly, lease) => app.db.give_back_assembly(assembly.id, lease, app.clock.now()).await,
            Self::Job(_, lease) => app.db.release_job(lease, None).await,
        }
    }

    /// Another worker has it: what this process remembers of it is not true any more.
    pub(super) async fn forget(&self, app: &App) {
        if let Self::Assembly(assembly, _) = self {
            app.status.clear(assembly.project_id, assembly.sha1).await;
        }
    }
}
