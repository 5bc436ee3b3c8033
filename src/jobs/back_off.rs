//! How long a failed job waits for its next attempt: twice as long each time, and never quite as long as another one, so
//! that jobs which failed together do not come back together. It decides nothing else.

use std::time::Duration;

use chrono::TimeDelta;

use crate::clock::Clock;

/// How often a job is begun before it is given up.
pub(super) const MOST_ATTEMPTS: i64 = 5;

/// The pause after this attempt, from 1 on: three quarters to all of `first` doubled for each attempt before.
pub(super) fn back_off(first: Duration, attempt: i64, clock: &Clock) -> TimeDelta {
    let exponent = u32::try_from(attempt.clamp(1, 16)).unwrap_or(1) - 1;
    let longest = first.saturating_mul(2u32.saturating_pow(exponent));
    let (.., random) = clock.fresh_id().as_u64_pair();
    // In steps of a thousandth of the quarter, which no multiplication can exceed.
    let shorter = longest / 4000 * u32::try_from(random % 1000).unwrap_or(0);
    TimeDelta::from_std(longest.saturating_sub(shorter)).unwrap_or(TimeDelta::seconds(30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_and_differs_by_up_to_a_quarter() {
        let first = Duration::from_secs(8);
        for (attempt, longest) in [(0, 8), (1, 8), (2, 16), (5, 128), (16, 262_144), (99, 262_144)] {
            let pauses: Vec<_> = (0..100).map(|_| back_off(first, attempt, &Clock::System)).collect();
            let within = TimeDelta::seconds(longest * 3 / 4)..=TimeDelta::seconds(longest);
            assert!(pauses.iter().all(|pause| within.contains(pause)), "{attempt}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{attempt}");
        }
        assert_eq!(back_off(Duration::MAX, 9, &Clock::System), TimeDelta::seconds(30), "never an overflow");
    }
}
