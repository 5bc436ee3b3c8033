//! A bound on the work that a file may cause. Records may be referred to from any number of places, so their number does not
//! bound the work; a multiple of the size of the sections does, and no real file comes near it.

use std::sync::atomic::{AtomicU64, Ordering};

/// How much work there may be for each byte.
const PER_BYTE: u64 = 64;

/// What a small file may cause in any case.
const LEAST: u64 = 1 << 20;

/// How much work has been done; shared by all threads.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicU64,
    limit: u64,
}

/// The work is more than the file may cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

impl Budget {
    /// For sections of this size.
    pub(super) fn new(bytes: u64) -> Self {
        Self { used: AtomicU64::new(0), limit: bytes.saturating_mul(PER_BYTE).saturating_add(LEAST) }
    }

    /// Takes so many steps.
    pub(super) fn spend(&self, steps: u64) -> Result<(), Exhausted> {
        let used = self.used.fetch_add(steps, Ordering::Relaxed).saturating_add(steps);
        if used > self.limit { Err(Exhausted) } else { Ok(()) }
    }

    /// Whether more was asked for than there is. It does not depend on which thread asked last.
    pub(super) fn is_exhausted(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.limit
    }
}
