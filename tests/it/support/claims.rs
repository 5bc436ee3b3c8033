//! Assemblies taken from the queue in tests in which nothing else is queued.

use chrono::{DateTime, Utc};
use symdepot::db::{Claimed, Db, DbError};
use symdepot::types::Assembly;

/// Takes assemblies as a worker does.
pub trait ClaimAssembly {
    /// The assembly that is next.
    async fn claim_assembly(
        &self,
        served: &[i64],
        token: &str,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<Assembly>, DbError>;
}

impl ClaimAssembly for Db {
    async fn claim_assembly(
        &self,
        served: &[i64],
        token: &str,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<Assembly>, DbError> {
        Ok(self.claim(served, token, until, now).await?.map(|claimed| match claimed {
            Claimed::Assembly(assembly) => assembly,
            Claimed::Job(job) => panic!("nothing but assemblies was queued, and there is {job:?}"),
        }))
    }
}
