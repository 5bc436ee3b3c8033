//! [`Flights`]: one piece of work per key in this process, however many ask for it. It remembers nothing once the work
//! has ended.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// Work under way, by what it is for, and what it came to, which several askers share.
pub struct Flights<K, V>(Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>);

impl<K, V> Clone for Flights<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, V> fmt::Debug for Flights<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flights")
    }
}

impl<K, V> Flights<K, V>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Send + Sync + 'static,
{
    /// Joins the work for `key`, or starts `begin` on `tracker`. The receiver has the result once it is there.
    pub fn join<F>(&self, key: &K, tracker: &TaskTracker, begin: impl FnOnce() -> F) -> watch::Receiver<Option<V>>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(key) {
            return flight.clone();
        }
        let (land, landing) = watch::channel(None);
        flights.insert(key.clone(), landing.clone());
        drop(flights);
        let ended = Ended { flights: self.clone(), key: key.clone() };
        let work = begin();
        tracker.spawn(async move {
            let result = work.await;
            drop(ended);
            // Nobody listens any more if every asker went away; the rows have the result then.
            land.send_replace(Some(result));
        });
        landing
    }
}

/// Removes a piece of work from the list when it ends, also by panic.
struct Ended<K: Hash + Eq, V> {
    flights: Flights<K, V>,
    key: K,
}

impl<K: Hash + Eq, V> Drop for Ended<K, V> {
    fn drop(&mut self) {
        self.flights.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
