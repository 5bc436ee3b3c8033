//! [`Flights`]: one build per key in this process, however many ask. It remembers nothing once a build has ended.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::db::SymcacheKey;
use crate::types::Symcache;

/// What a build came to. The error is a sentence, because several askers share it.
pub type Landing = Result<Symcache, String>;

/// Builds under way.
#[derive(Clone, Debug, Default)]
pub struct Flights(Arc<Mutex<HashMap<SymcacheKey, watch::Receiver<Option<Landing>>>>>);

impl Flights {
    /// Joins the build of `key`, or starts `build` on `tracker`. The receiver has the result once it is there.
    pub fn join<F>(
        &self,
        key: &SymcacheKey,
        tracker: &TaskTracker,
        build: impl FnOnce() -> F,
    ) -> watch::Receiver<Option<Landing>>
    where
        F: Future<Output = Landing> + Send + 'static,
    {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(key) {
            return flight.clone();
        }
        let (land, landing) = watch::channel(None);
        flights.insert(key.clone(), landing.clone());
        drop(flights);
        let ended = Ended { flights: self.clone(), key: key.clone() };
        let work = build();
        tracker.spawn(async move {
            let result = work.await;
            drop(ended);
            // Nobody listens any more if every asker went away; the row has the result then.
            land.send_replace(Some(result));
        });
        landing
    }
}

/// Removes a build from the list when it ends, also by panic.
struct Ended {
    flights: Flights,
    key: SymcacheKey,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.flights.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
