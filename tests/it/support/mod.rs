//! What tests need and do not test: databases, servers in this process and of their own, rows compared with bytes,
//! debug files with known answers.

pub mod answer;
pub mod authority;
pub mod claims;
pub mod client;
pub mod cluster;
pub mod converter;
pub mod database;
pub mod fixtures;
pub mod form;
pub mod fsck;
pub mod issuer;
pub mod keys;
mod moto;
pub mod mounts;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod queries;
pub mod raw;
pub mod records;
pub mod redis;
pub mod rival;
pub mod s3;
pub mod s3_door;
pub mod s3_proxy;
pub mod server;
mod small_disk;
pub mod stranger;
pub mod symcaches;
pub mod uploads;
pub mod work;

use std::future::Future;
use std::time::{Duration, Instant};

/// Asks `attempt` again and again until it has something, and fails the test if it never has.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut attempt: impl FnMut() -> F) -> T {
    const LIMIT: Duration = Duration::from_secs(120);
    let begun = Instant::now();
    loop {
        if let Some(found) = attempt().await {
            return found;
        }
        assert!(begun.elapsed() < LIMIT, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
