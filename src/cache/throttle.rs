//! [`Throttle`]: so many turns a second for each of many, and whoever wants more waits. Nobody is refused: some clients
//! take a refusal for the truth about a file.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Seconds of turns that may be taken at once after a rest: a debugger asks for hundreds of libraries when it starts.
const BURST: u32 = 10;

/// Longest wait, so that no connection is held for ever.
const LONGEST: Duration = Duration::from_secs(30);

/// From so many on, those who have rested are forgotten.
const CROWD: usize = 10_000;

/// Turns of those that are told apart by a number. A clone is the same throttle.
#[derive(Clone, Debug)]
pub struct Throttle {
    /// Time between two turns; zero means that nobody waits.
    pace: Duration,
    /// When each has used up what it was given.
    used_up: Arc<Mutex<HashMap<i64, Instant>>>,
}

impl Throttle {
    /// So many turns a second for each; 0 means any number.
    pub fn new(per_second: u32) -> Self {
        let pace = Duration::from_secs(1).checked_div(per_second).unwrap_or_default();
        Self { pace, used_up: Arc::default() }
    }

    /// Waits for the next turn of `who`.
    pub async fn turn(&self, who: i64) {
        let wait = self.book(who, Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait.min(LONGEST)).await;
        }
    }

    /// Takes a turn of `who` at `now`; returns how long it is until it comes.
    fn book(&self, who: i64, now: Instant) -> Duration {
        if self.pace.is_zero() {
            return Duration::ZERO;
        }
        let mut used_up = self.used_up.lock().unwrap_or_else(PoisonError::into_inner);
        if used_up.len() >= CROWD {
            used_up.retain(|_, until| *until > now);
        }
        let until = used_up.entry(who).or_insert(now);
        let wait = until.saturating_duration_since(now).saturating_sub(Duration::from_secs(BURST.into()));
        // Nothing is booked beyond the longest wait, or a client that went away would be waited for.
        if wait < LONGEST {
            *until = (*until).max(now) + self.pace;
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_then_everybody_has_a_pace_of_its_own() {
        let throttle = Throttle::new(100);
        let now = Instant::now();
        for turn in 0..=1000 {
            assert_eq!(throttle.book(1, now), Duration::ZERO, "{turn}");
        }
        assert_eq!(throttle.book(1, now), Duration::from_millis(10));
        assert_eq!(throttle.book(1, now), Duration::from_millis(20));
        assert_eq!(throttle.book(2, now), Duration::ZERO, "another one");
        assert_eq!(throttle.book(1, now + Duration::from_secs(5)), Duration::ZERO, "after a rest");
    }

    #[test]
    fn nobody_is_booked_further_ahead_than_the_longest_wait() {
        let throttle = Throttle::new(1);
        let now = Instant::now();
        let longest = (0..1000).map(|_| throttle.book(1, now)).max();
        assert_eq!(longest, Some(LONGEST));
    }

    #[test]
    fn without_a_pace_nobody_waits() {
        let throttle = Throttle::new(0);
        let now = Instant::now();
        assert!((0..100_000).all(|_| throttle.book(1, now).is_zero()));
    }
}
