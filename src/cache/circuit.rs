//! [`Circuit`]: whether somebody who did not answer is worth asking again. It never waits, and never asks by itself.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How long nobody asks after a failure; then one asks, and the others go on without.
const PAUSE: Duration = Duration::from_secs(1);

/// How often it is said that there is no answer.
const SAID: Duration = Duration::from_secs(60);

/// What came of the last questions. Times are in milliseconds since the beginning, and 0 is never one.
#[derive(Debug)]
pub struct Circuit {
    begun: Instant,
    /// When the next one may ask; 0 while all is well.
    next_try: AtomicU64,
    /// When it was last said that there is no answer.
    said: AtomicU64,
    /// Whether that was said and its end was not.
    told: AtomicBool,
}

impl Default for Circuit {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            next_try: AtomicU64::default(),
            said: AtomicU64::default(),
            told: AtomicBool::default(),
        }
    }
}

impl Circuit {
    /// Whether to ask. After a failure one caller in a while is sent ahead, so that the others need not wait.
    pub fn lets_through(&self) -> bool {
        self.lets_through_at(self.now())
    }

    /// Notes an answer. True if its coming back is worth saying: somebody was told that there was none.
    pub fn answered(&self) -> bool {
        self.next_try.store(0, Ordering::Release);
        self.told.load(Ordering::Relaxed) && self.told.swap(false, Ordering::Relaxed)
    }

    /// Notes a failure. True if it is worth saying, which is so once in a while.
    pub fn failed(&self) -> bool {
        self.failed_at(self.now())
    }

    fn lets_through_at(&self, now: u64) -> bool {
        match self.next_try.load(Ordering::Acquire) {
            0 => true,
            until if now < until => false,
            until => {
                let then = now + millis(PAUSE);
                self.next_try.compare_exchange(until, then, Ordering::AcqRel, Ordering::Acquire).is_ok()
            }
        }
    }

    fn failed_at(&self, now: u64) -> bool {
        self.next_try.store(now + millis(PAUSE), Ordering::Release);
        let said = self.said.load(Ordering::Relaxed);
        let due = said == 0 || now >= said + millis(SAID);
        let mine = due && self.said.compare_exchange(said, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if mine {
            self.told.store(true, Ordering::Relaxed);
        }
        mine
    }

    fn now(&self) -> u64 {
        millis(self.begun.elapsed()) + 1
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_one_caller_a_second_is_let_through() {
        let circuit = Circuit::default();
        assert!(circuit.lets_through_at(1) && circuit.lets_through_at(1));
        circuit.failed_at(5);
        assert!(!circuit.lets_through_at(1004));
        for second in 1..=3 {
            assert!(circuit.lets_through_at(second * 1000 + 5), "one");
            assert!(!circuit.lets_through_at(second * 1000 + 5), "and no other");
        }
        circuit.answered();
        assert!(circuit.lets_through_at(3006) && circuit.lets_through_at(3006));
    }

    #[test]
    fn a_failure_is_worth_saying_once_a_minute_and_so_is_its_end() {
        let circuit = Circuit::default();
        assert!(!circuit.answered(), "nothing was wrong");
        assert!(circuit.failed_at(7));
        assert!((8..1000).all(|now| !circuit.failed_at(now)));
        assert!(!circuit.failed_at(60_006));
        assert!(circuit.failed_at(60_007));
        assert!(circuit.answered());
        assert!(!circuit.answered(), "said once");
        assert!(!circuit.failed_at(60_008), "the minute is not over");
        assert!(!circuit.answered(), "nobody was told");
    }
}
