//! [`UploadLimits`]: how many upload requests are in hand, how many of their buffers are worked on, and what waits.
//!
//! A request that has sent less than a buffer holds nothing here, and neither does one whose next bytes are awaited but
//! its slot: permits are for work.

use crate::admission::{Overloaded, WorkLimiter, WorkPermit};
use crate::config::Uploads;

/// Requests that may have a chunk half decoded, for each permit to work. Such a chunk costs megabytes.
const STARTED_PER_PERMIT: usize = 4;

/// The limiters of everything that uploads bytes. A clone is the same.
#[derive(Clone, Debug)]
pub struct UploadLimits {
    /// Requests that have begun; further ones wait in its queue.
    requests: WorkLimiter,
    /// Buffers that are decoded, hashed and written, and chunks that are stored.
    work: WorkLimiter,
    /// Zips that are unpacked and imported, which takes minutes where a chunk takes moments.
    zips: WorkLimiter,
}

impl UploadLimits {
    /// As the settings say: `uploads.parallel`, `uploads.queue` and `uploads.queue_wait`.
    pub fn new(uploads: &Uploads) -> Self {
        let Uploads { parallel, queue, queue_wait, .. } = *uploads;
        let in_hand = parallel.saturating_add(queue);
        let started = parallel.saturating_mul(STARTED_PER_PERMIT).min(in_hand);
        // A quarter more for others, so that one organization alone never has all.
        let reserve = started.div_ceil(4);
        Self {
            requests: WorkLimiter::with_share(started.saturating_add(reserve), started, in_hand - started, queue_wait),
            // Of those that have begun each has one piece of work, so this queue is bounded by their number.
            work: WorkLimiter::new(parallel, started.saturating_add(reserve), queue_wait),
            zips: WorkLimiter::new(parallel.div_ceil(4), queue, queue_wait),
        }
    }

    /// A slot for one request, from its first buffer to its response.
    pub async fn begin(&self, organization_id: i64) -> Result<WorkPermit, Overloaded> {
        self.requests.acquire(organization_id).await
    }

    /// A permit for one piece of work of a request that has a slot.
    pub async fn work(&self, organization_id: i64) -> Result<WorkPermit, Overloaded> {
        self.work.acquire(organization_id).await
    }

    /// A permit to unpack and import one zip that has arrived.
    pub async fn import_zip(&self, organization_id: i64) -> Result<WorkPermit, Overloaded> {
        self.zips.acquire(organization_id).await
    }
}
