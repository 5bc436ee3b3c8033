//! [`ByRoom`]: values that are dear to make, by a key under which they never change. Together they take no more room than
//! they are given; what was asked for longest ago goes first. It never makes the same value twice at the same time.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use moka::future::Cache;

/// Values by key. Cheap to clone.
#[derive(Clone)]
pub struct ByRoom<V>(Cache<String, V>);

impl<V: Clone + Send + Sync + 'static> ByRoom<V> {
    /// Nothing yet. `room` and what `takes` says of a value are bytes.
    pub fn new(room: u64, takes: fn(&V) -> u64) -> Self {
        let kib = move |_: &String, value: &V| u32::try_from(takes(value).div_ceil(1 << 10)).unwrap_or(u32::MAX).max(1);
        Self(Cache::builder().max_capacity(room >> 10).weigher(kib).build())
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
