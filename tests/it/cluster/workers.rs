//! Workers as processes of their own: killed, frozen beyond their lease, ended softly.

use rustix::process::Signal;

use super::CALC;
use crate::support::cluster::{Cluster, Role};
use crate::support::converter::WatchedConverter;
use crate::support::server::TestServer;
use crate::support::until;
use crate::support::uploads::Upload;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_job_of_a_killed_worker_is_taken_over_by_another_one() {
    let converter = WatchedConverter::holding();
    let program = converter.program();
    let settings = [("SYMDEPOT_CONVERTER__PROGRAM", program.to_str().unwrap()), ("SYMDEPOT_JOBS__LEASE", "2s")];
    let mut cluster = Cluster::empty(&settings).await;
    cluster.add(&[Role::Server, Role::Worker]).await;
    let client = cluster.client_of(&cluster.urls()[0]);
    let calc = Upload::fixture(CALC);
    client.send(&client.account, &calc).await;
    client.ask(&client.account, &calc).await;
    converter.begun(1).await;
    cluster.add(&[Role::Worker]).await;
    cluster.members[1].kill().await;
    converter.begun(2).await;
    converter.release();
    assert_eq!(client.poll(&client.account, &calc).await["state"], "ok");
    assert_eq!(cluster.fsck().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_worker_writes_that_was_frozen_beyond_its_lease_changes_nothing() {
    let converter = WatchedConverter::holding();
    let program = converter.program();
    let settings = [("SYMDEPOT_CONVERTER__PROGRAM", program.to_str().unwrap()), ("SYMDEPOT_JOBS__LEASE", "1s")];
    let mut cluster = Cluster::empty(&settings).await;
    cluster.add(&[Role::Server, Role::Worker]).await;
    let client = cluster.client_of(&cluster.urls()[0]);
    let calc = Upload::fixture(CALC);
    client.send(&client.account, &calc).await;
    client.ask(&client.account, &calc).await;
    converter.begun(1).await;
    cluster.members[1].signal(Signal::STOP);
    cluster.add(&[Role::Worker]).await;
    converter.begun(2).await;
    converter.release();
    let end = client.poll(&client.account, &calc).await;
    assert_eq!(end["state"], "ok");
    let symcache = client.symcache_bytes(&client.account, end["dif"]["debugId"].as_str().unwrap()).await;

    cluster.members[1].signal(Signal::CONT);
    until("it sees that it came too late", || async {
        let log = cluster.members[1].log();
        (log.contains("ended by another worker") || log.contains("took the job over")).then_some(())
    })
    .await;
    // A soft end waits for what is under way.
    for worker in &mut cluster.members[1..] {
        assert_eq!(worker.terminate().await, Some(0));
    }
    assert_eq!(client.ask(&client.account, &calc).await, end);
    assert_eq!(client.listed(&client.account).await, [end["dif"].clone()]);
    assert_eq!(client.symcache_bytes(&client.account, end["dif"]["debugId"].as_str().unwrap()).await, symcache);
    assert_eq!(cluster.fsck().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_asked_twice_to_end_hands_its_job_to_another_one_at_once() {
    let converter = WatchedConverter::holding();
    let program = converter.program();
    // Its lease would keep everybody waiting for longer than any test does.
    let settings = [("SYMDEPOT_CONVERTER__PROGRAM", program.to_str().unwrap()), ("SYMDEPOT_JOBS__LEASE", "1h")];
    let mut cluster = Cluster::empty(&settings).await;
    cluster.add(&[Role::Server, Role::Worker]).await;
    let client = cluster.client_of(&cluster.urls()[0]);
    let calc = Upload::fixture(CALC);
    client.send(&client.account, &calc).await;
    client.ask(&client.account, &calc).await;
    converter.begun(1).await;
    cluster.members[1].signal(Signal::TERM);
    until("the first signal is heard", || async {
        cluster.members[1].log().contains("nothing new is begun").then_some(())
    })
    .await;
    assert_eq!(client.ask(&client.account, &calc).await["state"], "assembling");
    assert_eq!(cluster.members[1].terminate().await, Some(0));
    cluster.add(&[Role::Worker]).await;
    converter.begun(2).await;
    converter.release();
    assert_eq!(client.poll(&client.account, &calc).await["state"], "ok");
    assert_eq!(cluster.fsck().await, [""; 0]);
}

#[tokio::test]
async fn conversions_at_a_time_are_as_many_as_have_room_together() {
    let converter = WatchedConverter::holding();
    let program = converter.program();
    let change = |config: &mut symdepot::config::Config| {
        config.converter.program = program;
        config.converter.concurrency = 4;
        config.converter.memory_total = 2 * config.converter.memory + 1;
        config.jobs.concurrency = 4;
    };
    let server = TestServer::builder().settings(change).start().await;
    let files: Vec<_> = (0..4).map(|number| Upload::fixture(CALC).another(number)).collect();
    for file in &files {
        server.send(&server.account, file).await;
        server.ask(&server.account, file).await;
    }
    converter.begun(2).await;
    until("all of them are under way", || async {
        let mut under_way = true;
        for file in &files {
            under_way &= server.ask(&server.account, file).await["state"] == "assembling";
        }
        under_way.then_some(())
    })
    .await;
    assert_eq!(converter.conversions(), 2);
    converter.release();
    for file in &files {
        assert_eq!(server.poll(&server.account, file).await["state"], "ok");
    }
}
