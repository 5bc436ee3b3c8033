//! What every status cache promises: in this process, and in Redis for many.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use symdepot::cache::{Remembered, RememberedState, StatusCache};
use symdepot::config::Config;
use symdepot::types::{AssemblyState, Sha1};

use crate::support::redis;
use crate::support::until;

/// Runs each sentence on both engines, each time on an empty cache.
macro_rules! on_both_engines {
    ($($sentence:ident,)+) => {
        mod memory {
            $(
                #[tokio::test]
                async fn $sentence() {
                    super::$sentence(super::StatusCache::local).await;
                }
            )+
        }
        mod shared {
            $(
                #[tokio::test]
                async fn $sentence() {
                    super::$sentence(super::shared).await;
                }
            )+
        }
    };
}

on_both_engines! {
    a_state_is_remembered_whole_until_it_is_cleared,
    the_last_word_counts,
    projects_do_not_hear_of_each_other,
    many_states_are_written_and_asked_for_at_once,
    a_state_is_forgotten_when_its_time_is_over_and_lasts_anew_when_it_is_said_again,
    details_are_kept_as_they_are,
    it_gives_a_sign_of_life,
}

/// A cache in the Redis of the tests, with keys of its own.
fn shared(ttl: Duration) -> StatusCache {
    let mut config = Config::default();
    redis::shared().settings(&mut config);
    config.status.ttl = ttl;
    // The machine of the tests may be busy with others.
    config.status.timeout = Duration::from_secs(20);
    StatusCache::open(&config.status).unwrap()
}

const HOUR: Duration = Duration::from_secs(3600);

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 123_456_000).unwrap() + TimeDelta::seconds(second)
}

fn sha1(number: u32) -> Sha1 {
    Sha1::of(&number.to_be_bytes())
}

fn state(state: AssemblyState, detail: Option<&str>) -> RememberedState {
    RememberedState { state, detail: detail.map(str::to_owned) }
}

async fn a_state_is_remembered_whole_until_it_is_cleared(cache: impl Fn(Duration) -> StatusCache) {
    let cache = cache(HOUR);
    assert_eq!(cache.get(1, sha1(1)).await, None);
    let states = [
        state(AssemblyState::Created, None),
        state(AssemblyState::Assembling, None),
        state(AssemblyState::Error, Some("Reported checksum mismatch")),
    ];
    for state in states {
        cache.set(1, sha1(1), state.clone(), at(1)).await;
        assert_eq!(cache.get(1, sha1(1)).await, Some(Remembered { state, since: at(1) }));
    }
    cache.clear(1, sha1(1)).await;
    assert_eq!(cache.get(1, sha1(1)).await, None);
    cache.clear(1, sha1(1)).await;
}

async fn the_last_word_counts(cache: impl Fn(Duration) -> StatusCache) {
    let cache = cache(HOUR);
    let (first, last) = (state(AssemblyState::Error, Some("old")), state(AssemblyState::Created, None));
    cache.set(1, sha1(1), first.clone(), at(9)).await;
    cache.set(1, sha1(1), last.clone(), at(1)).await;
    assert_eq!(cache.get(1, sha1(1)).await, Some(Remembered { state: last.clone(), since: at(1) }));
    let both = [(first, at(2)), (last.clone(), at(3))].map(|(state, since)| (sha1(2), Remembered { state, since }));
    cache.set_many(1, both.to_vec()).await;
    assert_eq!(cache.get(1, sha1(2)).await, Some(Remembered { state: last, since: at(3) }));
}

async fn projects_do_not_hear_of_each_other(cache: impl Fn(Duration) -> StatusCache) {
    let cache = cache(HOUR);
    cache.set(1, sha1(1), state(AssemblyState::Created, None), at(1)).await;
    assert_eq!(cache.get(11, sha1(1)).await, None);
    cache.clear(11, sha1(1)).await;
    assert!(cache.get(1, sha1(1)).await.is_some());
}

async fn many_states_are_written_and_asked_for_at_once(cache: impl Fn(Duration) -> StatusCache) {
    let cache = cache(HOUR);
    let remembered = |number: u32| Remembered { state: state(AssemblyState::Created, None), since: at(number.into()) };
    cache.set_many(1, (0..3000).map(|number| (sha1(number), remembered(number))).collect()).await;
    let asked: Vec<_> = (1500..4500).map(sha1).collect();
    let found = cache.get_many(1, &asked).await;
    assert_eq!(found.len(), 1500);
    assert!((1500..3000).all(|number| found[&sha1(number)] == remembered(number)));
    assert!(cache.get_many(1, &[]).await.is_empty());
    cache.set_many(1, Vec::new()).await;
}

async fn a_state_is_forgotten_when_its_time_is_over_and_lasts_anew_when_it_is_said_again(
    cache: impl Fn(Duration) -> StatusCache,
) {
    let long = cache(HOUR);
    long.set(1, sha1(1), state(AssemblyState::Created, None), at(1)).await;
    let short = cache(Duration::from_millis(300));
    for _ in 0..5 {
        short.set(1, sha1(1), state(AssemblyState::Created, None), at(1)).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    until("it is forgotten", || async { short.get(1, sha1(1)).await.is_none().then_some(()) }).await;
    assert!(long.get(1, sha1(1)).await.is_some());
}

async fn details_are_kept_as_they_are(cache: impl Fn(Duration) -> StatusCache) {
    let cache = cache(HOUR);
    for detail in ["", "a\"b'c\\d\r\n", "Grüße 日本", &"long ".repeat(10_000)] {
        let state = state(AssemblyState::Error, Some(detail));
        cache.set(1, sha1(1), state.clone(), at(1)).await;
        assert_eq!(cache.get(1, sha1(1)).await.unwrap().state, state);
    }
}

async fn it_gives_a_sign_of_life(cache: impl Fn(Duration) -> StatusCache) {
    cache(HOUR).ping().await.unwrap();
}

#[tokio::test]
async fn what_one_process_says_another_one_hears_at_once() {
    let mut config = Config::default();
    redis::shared().settings(&mut config);
    config.status.timeout = Duration::from_secs(20);
    let [one, other] = [(); 2].map(|()| StatusCache::open(&config.status).unwrap());
    one.set(1, sha1(1), state(AssemblyState::Assembling, None), at(1)).await;
    assert_eq!(other.get(1, sha1(1)).await.unwrap().state, state(AssemblyState::Assembling, None));
    other.clear(1, sha1(1)).await;
    assert_eq!(one.get(1, sha1(1)).await, None);
    // Another installation on the same Redis.
    config.status.prefix = redis::fresh_prefix();
    let elsewhere = StatusCache::open(&config.status).unwrap();
    one.set(1, sha1(1), state(AssemblyState::Assembling, None), at(1)).await;
    assert_eq!(elsewhere.get(1, sha1(1)).await, None);
}
