//! Rates of accepted events: a bucket for each project and each key that has one, refilled evenly. A process that ends forgets
//! them, which costs no event.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};

/// Buckets that are kept; full ones are dropped first.
const MOST: usize = 10_000;
/// The time within which a bucket fills.
const MINUTE: f64 = 60.0;

/// The buckets. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    buckets: Arc<Mutex<HashMap<(u8, i64), Bucket>>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: DateTime<Utc>,
}

impl Rates {
    /// Takes one of `rate` per minute, or says after how many seconds there is one. 0 is no limit.
    pub fn admit(&self, owner: (u8, i64), rate: i64, now: DateTime<Utc>) -> Result<(), u64> {
        if rate <= 0 {
            return Ok(());
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate is small")]
        let rate = rate as f64;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST && !buckets.contains_key(&owner) {
            buckets.retain(|_, bucket| seconds(bucket.at, now) < MINUTE);
        }
        let bucket = buckets.entry(owner).or_insert(Bucket { tokens: rate, at: now });
        bucket.tokens = (bucket.tokens + seconds(bucket.at, now) * rate / MINUTE).min(rate);
        bucket.at = bucket.at.max(now);
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        let wait = ((1.0 - bucket.tokens) * MINUTE / rate).ceil().max(1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 1 and 60")]
        Err(wait as u64)
    }
}

fn seconds(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of minutes")]
    let milliseconds = (to - from).num_milliseconds().max(0) as f64;
    milliseconds / 1000.0
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_minute_worth_passes_at_once_and_then_one_at_a_time() {
        let (rates, start) = (Rates::default(), DateTime::UNIX_EPOCH);
        for _ in 0..6 {
            assert_eq!(rates.admit((0, 1), 6, start), Ok(()));
        }
        assert_eq!(rates.admit((0, 1), 6, start), Err(10));
        assert_eq!(rates.admit((0, 2), 6, start), Ok(()), "another project has a bucket of its own");
        assert_eq!(rates.admit((0, 1), 6, start + TimeDelta::seconds(4)), Err(6));
        assert_eq!(rates.admit((0, 1), 6, start + TimeDelta::seconds(10)), Ok(()));
        assert_eq!(rates.admit((0, 1), 6, start), Err(10), "a clock that goes back gives nothing");
        assert_eq!(rates.admit((0, 3), 0, start), Ok(()));
    }
}
