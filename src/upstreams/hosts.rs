//! [`Hosts`]: upstreams that are in trouble again and again are left alone for a while, whatever is asked of them. It is
//! forgotten when the process ends.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

/// So many troubles in a row are enough.
const ENOUGH: u32 = 5;

/// How upstreams fared, by row id.
#[derive(Debug, Default)]
pub(super) struct Hosts(Mutex<HashMap<i64, Trouble>>);

#[derive(Debug)]
struct Trouble {
    in_a_row: u32,
    last: DateTime<Utc>,
}

impl Hosts {
    /// Notes how a question ended.
    pub fn note(&self, upstream_id: i64, trouble: bool, now: DateTime<Utc>) {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !trouble {
            hosts.remove(&upstream_id);
            return;
        }
        let one = hosts.entry(upstream_id).or_insert(Trouble { in_a_row: 0, last: now });
        *one = Trouble { in_a_row: one.in_a_row.saturating_add(1), last: now };
    }

    /// Whether an upstream is left alone: after many troubles one question at a time is let through in each `pause`.
    pub fn left_alone(&self, upstream_id: i64, pause: Duration, now: DateTime<Utc>) -> bool {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(one) = hosts.get_mut(&upstream_id).filter(|one| one.in_a_row >= ENOUGH) else { return false };
        let over = (now - one.last).to_std().is_ok_and(|passed| passed >= pause);
        if over {
            one.last = now;
        }
        !over
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
            assert!(!hosts.left_alone(1, pause, at(0)));
        }
        hosts.note(1, true, at(0));
        assert!(hosts.left_alone(1, pause, at(29)));
        assert!(!hosts.left_alone(2, pause, at(29)), "another one");
        assert!(!hosts.left_alone(1, pause, at(30)));
        assert!(hosts.left_alone(1, pause, at(31)), "one at a time");
        hosts.note(1, false, at(32));
        assert!(!hosts.left_alone(1, pause, at(32)));
    }
}
