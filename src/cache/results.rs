//! Responses of requests that were answered `pending`, for those who ask again: in this process, and in Redis for all processes
//! of an installation if there is one. It never decides what a response says.

use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::shared_status::SharedStatus;

/// Largest response that other processes can have.
const MAX_SHARED: usize = 32 << 20;

/// How long a request that is never finished is reported as pending.
const PENDING_KEPT: Duration = Duration::from_secs(600);

/// Requests that are pending in one process at most; the oldest are forgotten first.
const MAX_PENDING: u64 = 100_000;

/// What is remembered of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RememberedResult {
    /// It is being worked on.
    Pending,
    /// Its response.
    Finished(Bytes),
}

/// Responses by project and request. A clone is the same.
#[derive(Clone, Debug)]
pub struct ResultCache {
    finished: moka::future::Cache<(i64, Uuid), Bytes>,
    pending: moka::future::Cache<(i64, Uuid), ()>,
    shared: Option<SharedStatus>,
    ttl: Duration,
}

impl ResultCache {
    /// Nothing is remembered. Each response is for `ttl`, all together take `memory` bytes in this process.
    pub fn new(ttl: Duration, memory: u64, shared: Option<SharedStatus>) -> Self {
        let weight = |_: &(i64, Uuid), response: &Bytes| u32::try_from(response.len() + 64).unwrap_or(u32::MAX);
        Self {
            finished: moka::future::Cache::builder().max_capacity(memory).weigher(weight).time_to_live(ttl).build(),
            pending: moka::future::Cache::builder().max_capacity(MAX_PENDING).time_to_live(PENDING_KEPT).build(),
            shared,
            ttl,
        }
    }

    /// Remembers that a request is being worked on.
    pub async fn begin(&self, project_id: i64, id: Uuid) {
        self.pending.insert((project_id, id), ()).await;
        if let Some(shared) = &self.shared {
            shared.set_result(project_id, id, &[], PENDING_KEPT).await;
        }
    }

    /// Remembers a response.
    pub async fn finish(&self, project_id: i64, id: Uuid, response: Bytes) {
        if let Some(shared) = self.shared.as_ref().filter(|_| response.len() <= MAX_SHARED) {
            shared.set_result(project_id, id, &response, self.ttl).await;
        }
        self.finished.insert((project_id, id), response).await;
        self.pending.invalidate(&(project_id, id)).await;
    }

    /// What is remembered; `None` if the request is unknown, or its time is over.
    pub async fn get(&self, project_id: i64, id: Uuid) -> Option<RememberedResult> {
        if let Some(response) = self.finished.get(&(project_id, id)).await {
            return Some(RememberedResult::Finished(response));
        }
        if self.pending.contains_key(&(project_id, id)) {
            return Some(RememberedResult::Pending);
        }
        let found = self.shared.as_ref()?.result(project_id, id).await?;
        Some(if found.is_empty() { RememberedResult::Pending } else { RememberedResult::Finished(found.into()) })
    }
}
