//! [`Clock`]: the only caller of `Utc::now`, and the maker of ids that sort by time. It never sleeps.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use uuid::Uuid;

/// Tells the time: of the system, or one that a test sets.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The time of the machine.
    #[default]
    System,
    /// A time that stands still until it is moved.
    Settable(Arc<Mutex<DateTime<Utc>>>),
}

impl Clock {
    /// A clock that stands at `at`.
    pub fn settable(at: DateTime<Utc>) -> Self {
        Self::Settable(Arc::new(Mutex::new(at)))
    }

    /// Now, cut to microseconds, which is what both databases keep.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine for the time")]
    pub fn now(&self) -> DateTime<Utc> {
        let now = match self {
            Self::System => Utc::now(),
            Self::Settable(at) => *at.lock().unwrap_or_else(PoisonError::into_inner),
        };
        now.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(now)
    }

    /// Moves a settable clock; the system's time cannot be moved.
    pub fn advance(&self, by: TimeDelta) {
        if let Self::Settable(at) = self {
            *at.lock().unwrap_or_else(PoisonError::into_inner) += by;
        }
    }

    /// A fresh id that nobody else has: random, and sorted by time.
    #[expect(clippy::disallowed_methods, reason = "ids are made from time, so they are made here")]
    pub fn fresh_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}
