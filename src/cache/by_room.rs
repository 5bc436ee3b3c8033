//! [`ByRoom`]: values that are dear to make, by a key under which they never change. Together they take no more room than
//! they are given; what was asked for longest ago goes first. It never makes the same value twice at the same time.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use moka::future::{Cache, CacheBuilder};

/// Values by key. Cheap to clone.
#[derive(Clone)]
pub struct ByRoom<V>(Cache<String, V>);

impl<V: Clone + Send + Sync + 'static> ByRoom<V> {
    /// Nothing yet. `room` and what `takes` says of a value are bytes.
    pub fn new(room: u64, takes: fn(&V) -> u64) -> Self {
        Self(Self::builder(room, takes).build())
    }

    /// The same, which also drops values that were not requested for `idle`.
    pub fn idle(capacity: u64, takes: fn(&V) -> u64, idle: Duration) -> Self {
        Self(Self::builder(capacity, takes).time_to_idle(idle).build())
    }

    fn builder(capacity: u64, takes: fn(&V) -> u64) -> CacheBuilder<String, V, Cache<String, V>> {
        let kib = move |_: &String, value: &V| u32::try_from(takes(value).div_ceil(1 << 10)).unwrap_or(u32::MAX).max(1);
        Cache::builder().max_capacity(capacity >> 10).weigher(kib)
    }

    /// Removes a value. Callers that have it keep it.
    pub async fn forget(&self, key: &str) {
        self.0.invalidate(key).await;
    }

    /// The value of `key`, made by `make` if it is not there. Others who ask meanwhile wait for it and share its error.
    pub async fn get<E: Send + Sync + 'static>(
        &self,
        key: &str,
        make: impl Future<Output = Result<V, E>>,
    ) -> Result<V, Arc<E>> {
        self.0.try_get_with_by_ref(key, make).await
    }
}

impl<V> fmt::Debug for ByRoom<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByRoom")
    }
}
