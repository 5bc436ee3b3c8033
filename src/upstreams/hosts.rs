//! [`Hosts`]: no upstream takes all the turns of the house, and one that is in trouble again and again is left alone for
//! a while, whatever is asked of it. It is forgotten when the process ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;

/// So many troubles in a row are enough.
const ENOUGH: u32 = 5;

/// How upstreams fared, by row id.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    troubles: Mutex<HashMap<i64, Trouble>>,
    turns: Mutex<HashMap<i64, Arc<Semaphore>>>,
}

#[derive(Debug)]
struct Trouble {
    in_a_row: u32,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
}

impl Hosts {
    /// The turns of one upstream, `at_a_time` of them.
    pub fn turns(&self, upstream_id: i64, at_a_time: usize) -> Arc<Semaphore> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(upstream_id).or_insert_with(|| Arc::new(Semaphore::new(at_a_time))))
    }

    /// Notes how a question ended.
    pub fn note(&self, upstream_id: i64, trouble: bool, now: DateTime<Utc>) {
        let mut hosts = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        if !trouble {
            hosts.remove(&upstream_id);
            return;
        }
        let one = hosts.entry(upstream_id).or_insert(Trouble { in_a_row: 0, first: now, last: now });
        *one = Trouble { in_a_row: one.in_a_row.saturating_add(1), last: now, ..*one };
    }

    /// For how long an upstream that is left alone has been in trouble: after many troubles one question at a time is
    /// let through in each `pause`.
    pub fn left_alone(&self, upstream_id: i64, pause: Duration, now: DateTime<Utc>) -> Option<Duration> {
        let mut hosts = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let one = hosts.get_mut(&upstream_id).filter(|one| one.in_a_row >= ENOUGH)?;
        if (now - one.last).to_std().is_ok_and(|passed| passed >= pause) {
            one.last = now;
            return None;
        }
        Some((now - one.first).to_std().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_many_troubles_one_question_is_let_through_in_each_pause() {
        let hosts = Hosts::default();
        let (start, pause) = (DateTime::UNIX_EPOCH, Duration::from_secs(30));
        let at = |second: i64| start + chrono::TimeDelta::seconds(second);
        for _ in 1..ENOUGH {
            hosts.note(1, true, at(0));
            assert_eq!(hosts.left_alone(1, pause, at(0)), None);
        }
        hosts.note(1, true, at(0));
        assert_eq!(hosts.left_alone(1, pause, at(29)), Some(Duration::from_secs(29)));
        assert_eq!(hosts.left_alone(2, pause, at(29)), None, "another one");
        assert_eq!(hosts.left_alone(1, pause, at(30)), None);
        assert_eq!(hosts.left_alone(1, pause, at(31)), Some(Duration::from_secs(31)), "one at a time");
        hosts.note(1, false, at(32));
        assert_eq!(hosts.left_alone(1, pause, at(32)), None);
    }
}
