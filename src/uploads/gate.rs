//! [`Gate`]: how many uploads are worked on at a time, and how many may wait for their turn.
//!
//! It never turns away what there is room for, and never lets the waiting grow without bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The door in front of the uploads. A clone is the same door.
#[derive(Clone, Debug)]
pub struct Gate {
    turns: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    queue: usize,
    patience: Duration,
}

/// A turn; it ends when this is dropped.
#[derive(Debug)]
pub struct Turn {
    _permit: OwnedSemaphorePermit,
}

/// A place in the queue, given back however the waiting ends.
struct Place<'a>(&'a AtomicUsize);

impl Gate {
    /// A door that lets `parallel` in at a time while at most `queue` others wait for up to `patience`.
    pub fn new(parallel: usize, queue: usize, patience: Duration) -> Self {
        let turns = parallel.min(Semaphore::MAX_PERMITS);
        Self { turns: Arc::new(Semaphore::new(turns)), waiting: Arc::default(), queue, patience }
    }

    /// A turn, at once or after waiting; `None` if too many wait already or the waiting took too long.
    pub async fn enter(&self) -> Option<Turn> {
        if let Ok(permit) = Arc::clone(&self.turns).try_acquire_owned() {
            return Some(Turn { _permit: permit });
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _place = Place(&self.waiting);
        if before >= self.queue {
            return None;
        }
        let turn = tokio::time::timeout(self.patience, Arc::clone(&self.turns).acquire_owned()).await;
        Some(Turn { _permit: turn.ok()?.ok()? })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_that_find_the_queue_full_are_turned_away_and_the_others_get_their_turn() {
        let gate = Gate::new(1, 1, Duration::from_secs(60));
        let turn = gate.enter().await.expect("the first has a turn at once");
        let second = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter().await.is_some() }
        });
        while gate.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(gate.enter().await.is_none());
        drop(turn);
        assert!(second.await.expect("no panic"));
        assert!(gate.enter().await.is_some());
        assert_eq!(gate.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn whoever_waited_too_long_is_turned_away() {
        let gate = Gate::new(1, 1, Duration::from_millis(1));
        let _turn = gate.enter().await.expect("the first has a turn at once");
        assert!(gate.enter().await.is_none());
        assert_eq!(gate.waiting.load(Ordering::Relaxed), 0);
    }
}
