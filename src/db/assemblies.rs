//! The durable state of assemblies: who wants a file, who works on it, why it failed.

use chrono::{DateTime, Utc};

use super::{Db, DbError};
use crate::types::{Assembly, Sha1};

/// A file that a client wants assembled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAssembly {
    /// Project that wants it.
    pub project_id: i64,
    /// Owner of the project.
    pub organization_id: i64,
    /// Checksum of the whole file.
    pub sha1: Sha1,
    /// Name the client gave.
    pub name: String,
    /// Debug id the client gave, as it wrote it.
    pub debug_id: Option<String>,
    /// Chunks in order, with repeats.
    pub chunks: Vec<Sha1>,
}

#[expect(unused_variables, reason = "stubs")]
impl Db {
    /// The assemblies of these contents in a project. One query for any number.
    pub async fn assemblies(&self, project_id: i64, sha1s: &[Sha1]) -> Result<Vec<Assembly>, DbError> {
        todo!()
    }
    /// Queues files: a row that is not there is made in state `created`, one in state `error` goes back to `created`
    /// with what is wanted now, attempt 0 and no lease; one already `created` or `assembling` stays as it is. Returns
    /// the checksums that were queued by this call. One transaction, constant number of queries for any number.
    pub async fn queue_assemblies(&self, wanted: &[NewAssembly], now: DateTime<Utc>) -> Result<Vec<Sha1>, DbError> {
        todo!()
    }
    /// Takes the assembly that waited longest: `created` and due, or `assembling` with its lease run out. Sets state
    /// `assembling`, `lease_token`, `lease_until` and counts the attempt.
    pub async fn claim_assembly(
        &self,
        lease_token: &str,
        lease_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<Assembly>, DbError> {
        todo!()
    }
    /// Holds on to an assembly; false if somebody else has it.
    pub async fn renew_assembly_lease(
        &self,
        id: i64,
        lease_token: &str,
        lease_until: DateTime<Utc>,
    ) -> Result<bool, DbError> {
        todo!()
    }
    /// Hands an assembly back to be tried again at `not_before`; false if the lease was lost.
    pub async fn retry_assembly(
        &self,
        id: i64,
        lease_token: &str,
        detail: &str,
        not_before: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, DbError> {
        todo!()
    }
    /// Ends an assembly in state `error`; false if the lease was lost.
    pub async fn fail_assembly(
        &self,
        id: i64,
        lease_token: &str,
        detail: &str,
        converter_version: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, DbError> {
        todo!()
    }
    /// Ends an assembly whose file stands already; false if the lease was lost.
    pub async fn close_assembly(&self, id: i64, lease_token: &str) -> Result<bool, DbError> {
        todo!()
    }
    /// How many assemblies wait or are worked on.
    pub async fn open_assemblies(&self) -> Result<i64, DbError> {
        todo!()
    }
    /// Deletes up to `limit` assemblies in state `error` that did not change since `before`; returns how many.
    pub async fn forget_failed_assemblies(&self, before: DateTime<Utc>, limit: i64) -> Result<u64, DbError> {
        todo!()
    }
}
