//! Redis slow, gone, empty or back: polls are answered from the rows, nothing fails, and it is said once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use symdepot::config::Config;
use symdepot::types::AssemblyState;

use super::CALC;
use crate::support::cluster::{Cluster, Role};
use crate::support::converter::WatchedConverter;
use crate::support::process::TestProcess;
use crate::support::redis::RedisServer;
use crate::support::server::TestServer;
use crate::support::until;
use crate::support::uploads::Upload;

async fn on<T>(change: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(change)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_end_well_while_redis_goes_away_and_comes_back_and_it_is_said_once() {
    let mut redis = on(RedisServer::start).await;
    let server = TestProcess::start_with(&[("SYMDEPOT_STATUS__URL", &redis.url())]).await;
    let client = server.client();
    let upload = async |number| client.upload_ok(&Upload::fixture(CALC).another(number)).await;
    upload(0).await;
    for round in 1..=3 {
        on(|| redis.stop()).await;
        upload(round * 10).await;
        upload(round * 10 + 1).await;
        on(|| redis.start_again()).await;
        upload(round * 10 + 2).await;
    }
    let more = AtomicU32::new(100);
    until("it is noticed that it is back", || async {
        upload(more.fetch_add(1, Ordering::Relaxed)).await;
        server.log().contains("the status cache answers again").then_some(())
    })
    .await;
    let said = server.log().matches("the status cache does not answer; polls are answered from the rows").count();
    assert_eq!(said, 1, "{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_do_not_wait_for_a_redis_that_takes_connections_and_says_nothing() {
    let redis = on(RedisServer::start).await;
    let change = |config: &mut Config| {
        redis.settings(config);
        config.status.timeout = Duration::from_secs(2);
    };
    let server = TestServer::builder().settings(change).start().await;
    let calc = Upload::fixture(CALC);
    server.upload_ok(&calc).await;
    redis.freeze();
    server.upload_ok(&calc.another(1)).await;
    // If each of them waited for its answer, this would never end.
    let waiting = Upload::new("waiting", "these chunks are never sent");
    for _ in 0..500 {
        assert_eq!(server.ask(&server.account, &waiting).await["state"], "not_found");
    }
    redis.thaw();
    server.upload_ok(&calc.another(2)).await;
    until("it is asked again", || async { server.app.status.ping().await.ok() }).await;
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_redis_forgets_everything_the_rows_answer() {
    let redis = on(RedisServer::start).await;
    let server = TestServer::builder().settings(|config| redis.settings(config)).without_workers().start().await;
    let calc = Upload::fixture(CALC);
    server.send(&server.account, &calc).await;
    assert_eq!(server.ask(&server.account, &calc).await["state"], "created");
    assert!(server.app.status.get(server.account.project.id, calc.sha1()).await.is_some());
    on(|| redis.flush()).await;
    assert_eq!(server.app.status.get(server.account.project.id, calc.sha1()).await, None);
    assert_eq!(server.ask(&server.account, &calc).await["state"], "created");
    assert_eq!(server.peek(&server.account, &calc).await["state"], "created");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_servers_see_what_a_worker_does_at_once() {
    let converter = WatchedConverter::holding();
    let program = converter.program();
    let mut cluster = Cluster::empty(&[("SYMDEPOT_CONVERTER__PROGRAM", program.to_str().unwrap())]).await;
    cluster.add(&[Role::Server, Role::Server, Role::Worker]).await;
    let clients: Vec<_> = cluster.urls().iter().map(|url| cluster.client_of(url)).collect();
    let calc = Upload::fixture(CALC);
    clients[0].send(&clients[0].account, &calc).await;
    clients[0].ask(&clients[0].account, &calc).await;
    converter.begun(1).await;
    // What stands in the cache was said by the worker and is heard by all.
    let behind = cluster.behind().await;
    let remembered = behind.status.get(1, calc.sha1()).await.expect("the worker said where it stands");
    assert_eq!(remembered.state.state, AssemblyState::Assembling);
    for client in &clients {
        assert_eq!(client.ask(&client.account, &calc).await["state"], "assembling");
    }
    converter.release();
    for client in &clients {
        assert_eq!(client.poll(&client.account, &calc).await["state"], "ok");
    }
    let broken = Upload::new("garbage", "not a debug file");
    let end = clients[1].upload(&broken).await;
    assert_eq!(end["state"], "error");
    for client in &clients {
        assert_eq!(client.peek(&client.account, &broken).await, end);
    }
    behind.db.close().await;
    assert_eq!(cluster.fsck().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_word_of_another_process_never_hides_what_became_of_a_file() {
    let redis = on(RedisServer::start).await;
    let server = TestServer::builder().settings(|config| redis.settings(config)).start().await;
    let calc = Upload::fixture(CALC);
    server.upload_ok(&calc).await;
    let broken = Upload::new("garbage", "not a debug file");
    assert_eq!(server.upload(&broken).await["state"], "error");
    // A poller that read the row before the end writes what it saw after it.
    let late = |state| symdepot::cache::RememberedState { state, detail: None };
    for upload in [&calc, &broken] {
        let (project, now) = (server.account.project.id, server.app.clock.now());
        server.app.status.set(project, upload.sha1(), late(AssemblyState::Assembling), now).await;
    }
    assert_eq!(server.ask(&server.account, &calc).await["state"], "ok");
    assert_eq!(
        server.poll(&server.account, &broken).await["state"],
        "error",
        "believed for a moment, not for its time"
    );
    // Nor does one whose clock is far ahead.
    let ahead = server.app.clock.now() + chrono::TimeDelta::days(1);
    server.app.status.set(server.account.project.id, broken.sha1(), late(AssemblyState::Assembling), ahead).await;
    assert_eq!(server.ask(&server.account, &broken).await["state"], "error");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn states_go_to_redis_by_tls_and_only_to_one_that_is_vouched_for() {
    let redis = on(RedisServer::start_with_tls).await;
    let (url, authority) = (redis.url(), redis.authority());
    let settings = [("SYMDEPOT_STATUS__URL", url.as_str()), ("SYMDEPOT_STATUS__TIMEOUT", "10s")];
    let trusting = [&settings[..], &[("SSL_CERT_FILE", authority.to_str().unwrap())]].concat();
    for (settings, word) in [(trusting.as_slice(), "ok"), (&settings, "degraded")] {
        let server = TestProcess::start_with(settings).await;
        let client = server.client();
        let ready = client.get("/health/ready").send().await.unwrap().json::<serde_json::Value>().await.unwrap();
        assert_eq!(ready["status"], word, "{}", server.log());
        client.upload_ok(&Upload::fixture(CALC)).await;
    }
}
