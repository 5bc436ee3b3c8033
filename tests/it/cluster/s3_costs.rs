//! What work costs at an S3 server, in requests, which are what such a server is paid by. The plan for a large company in
//! `docs/scaling.md` stands on these numbers.

use chrono::TimeDelta;
use symdepot::clock::Clock;
use symdepot::upkeep::Mode;

use super::CALC;
use crate::support::s3::S3Bucket;
use crate::support::s3_proxy::S3Proxy;
use crate::support::server::TestServer;
use crate::support::until;
use crate::support::uploads::Upload;

/// Everything that is asked of a bucket between its start and a clean-up.
const OPERATIONS: [&str; 5] = ["PutObject", "GetObject", "HeadObject", "ListObjectsV2", "DeleteObjects"];

/// Requests of each sort.
type Requests = [usize; OPERATIONS.len()];

#[tokio::test]
async fn a_chunk_costs_one_request_to_store_and_one_to_read_and_polls_cost_none() {
    let bucket = S3Bucket::fresh();
    let proxy = S3Proxy::before(&bucket.endpoint).await;
    let bucket = bucket.by_way_of(&proxy.endpoint);
    let clock = Clock::settable(Clock::System.now());
    let server = TestServer::builder().clock(clock).settings(|config| bucket.settings(config)).start().await;
    // The server asks whether the bucket is there, and looks through it for what was left behind.
    until("the look at the start", || async { (proxy.seen("ListObjectsV2") >= 2).then_some(()) }).await;
    let mut before = OPERATIONS.map(|operation| proxy.seen(operation));
    let mut costs = || -> Requests {
        let now = OPERATIONS.map(|operation| proxy.seen(operation));
        let since = std::array::from_fn(|at| now[at] - before[at]);
        before = now;
        since
    };

    let calc = Upload::fixture(CALC).chunk_size(1024);
    let chunks = calc.chunks().len();
    let dif = server.upload_ok(&calc).await;
    assert_eq!(costs(), [chunks + 1, chunks, 0, 0, 0], "each chunk is written and read once, its symcache is written");

    for _ in 0..5 {
        assert_eq!(server.ask(&server.account, &calc).await["state"], "ok");
    }
    server.listed(&server.account).await;
    assert_eq!(costs(), [0; 5], "polls, look-ups and lists ask the database alone");

    for _ in 0..5 {
        server.symcache_bytes(&server.account, dif["debugId"].as_str().unwrap()).await;
    }
    assert_eq!(costs(), [0, 1, 1, 0, 0], "a small symcache is looked at, read, and then kept in memory");

    let path = format!("{}files/dsyms/?id={}", server.account.project_path(), dif["id"].as_str().unwrap());
    server.get(&path).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(costs(), [0, chunks, 0, 0, 0], "a file is read chunk by chunk");

    let header = format!("MODULE Linux x86_64 4EC932A9E89AF8CD96B5496A980E4EFE0 {:_<13}\n", "calc");
    let line = "FUNC 1000 10 0 f\n";
    server.upload_ok(&Upload::new("calc.sym", header + &line.repeat(10_000)).chunk_size(line.len())).await;
    assert_eq!(costs(), [5 + 1, 5, 0, 0, 0], "a chunk that comes ten thousand times is read once");

    server.delete_file(dif["id"].as_str().unwrap()).await;
    assert_eq!(costs(), [0, 0, 0, 0, 1], "its symcache goes with it");
    server.app.clock.advance(TimeDelta::hours(25));
    let swept = server.app.upkeep().gc(Mode::Remove).await.unwrap();
    assert_eq!(swept.chunks.count, chunks as u64);
    let [put, get, head, lists, deletes] = costs();
    assert_eq!((put, get, head, deletes), (0, 0, 0, 1), "all of its chunks go with one request");
    assert!(lists <= 2, "{lists} requests to list a thousand objects");
}
