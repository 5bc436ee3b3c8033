//! Workers as processes of their own: killed, frozen beyond their lease, ended softly.

use chrono::TimeDelta;
use rustix::process::Signal;
use serde_json::Value;
use symdepot::clock::Clock;
use symdepot::config::Config;

use super::CALC;
use crate::support::client::Client;
use crate::support::cluster::{Cluster, Role};
use crate::support::converter::WatchedConverter;
use crate::support::server::TestServer;
use crate::support::until;
use crate::support::uploads::Upload;

/// A server and a worker, as processes, which is held up in the conversion of a file that somebody waits for.
struct HeldUp {
    cluster: Cluster,
    client: Client,
    converter: WatchedConverter,
    calc: Upload,
}

impl HeldUp {
    /// With a lease of one's choice, or the one that the settings have by themselves.
    async fn with_lease(lease: Option<&str>) -> Self {
        let converter = WatchedConverter::holding();
        let program = converter.program();
        let mut settings = vec![("SYMDEPOT_CONVERTER__PROGRAM", program.to_str().unwrap())];
        settings.extend(lease.map(|lease| ("SYMDEPOT_JOBS__LEASE", lease)));
        let mut cluster = Cluster::empty(&settings).await;
        cluster.add(&[Role::Server, Role::Worker]).await;
        let client = cluster.client_of(&cluster.urls()[0]);
        let calc = Upload::fixture(CALC);
        client.send(&client.account, &calc).await;
        client.ask(&client.account, &calc).await;
        converter.begun(1).await;
        Self { cluster, client, converter, calc }
    }

    /// Another worker joins and takes the job over, which then comes to its end. Returns what the poller hears.
    async fn taken_over(&mut self) -> Value {
        self.cluster.add(&[Role::Worker]).await;
        self.converter.begun(2).await;
        self.converter.release();
        let end = self.client.poll(&self.client.account, &self.calc).await;
        assert_eq!(end["state"], "ok", "{end}");
        end
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_job_of_a_killed_worker_is_taken_over_by_another_one() {
    let mut held = HeldUp::with_lease(Some("2s")).await;
    held.cluster.members[1].kill().await;
    held.taken_over().await;
    assert_eq!(held.cluster.fsck().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_settings_as_they_come_a_killed_worker_costs_thirty_seconds_at_most() {
    // The one time that a test goes by: that of the claim as its row has it, not that of who looks.
    const PROMISED: TimeDelta = TimeDelta::seconds(30);
    assert_eq!(TimeDelta::from_std(Config::default().jobs.lease).unwrap(), PROMISED);
    let mut held = HeldUp::with_lease(None).await;
    held.cluster.add(&[Role::Worker]).await;
    let killed_at = Clock::System.now();
    held.cluster.members[1].kill().await;
    held.converter.begun(2).await;
    let behind = held.cluster.behind().await;
    let rows = behind.db.assemblies(held.client.account.project.id, &[held.calc.sha1()]).await.unwrap();
    let waited = rows[0].updated_at - killed_at;
    assert!(rows[0].attempt == 2 && waited <= PROMISED, "it was claimed {waited} after the kill: {:?}", rows[0]);
    held.converter.release();
    assert_eq!(held.client.poll(&held.client.account, &held.calc).await["state"], "ok");
    behind.db.close().await;
    assert_eq!(held.cluster.fsck().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_worker_writes_that_was_frozen_beyond_its_lease_changes_nothing() {
    let mut held = HeldUp::with_lease(Some("1s")).await;
    held.cluster.members[1].signal(Signal::STOP);
    let end = held.taken_over().await;
    let HeldUp { mut cluster, client, calc, .. } = held;
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
    // Its lease would keep everybody waiting for longer than any test does.
    let mut held = HeldUp::with_lease(Some("1h")).await;
    held.cluster.members[1].signal(Signal::TERM);
    until("the first signal is heard", || async {
        held.cluster.members[1].log().contains("nothing new is begun").then_some(())
    })
    .await;
    assert_eq!(held.client.ask(&held.client.account, &held.calc).await["state"], "assembling");
    assert_eq!(held.cluster.members[1].terminate().await, Some(0));
    held.taken_over().await;
    assert_eq!(held.cluster.fsck().await, [""; 0]);
}

#[tokio::test]
async fn conversions_at_a_time_are_as_many_as_have_room_together() {
    let converter = WatchedConverter::holding();
    let program = converter.program();
    let change = |config: &mut Config| {
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
    let under_way = async || {
        let mut under_way = 0;
        for file in &files {
            under_way += usize::from(server.ask(&server.account, file).await["state"] == "assembling");
        }
        under_way
    };
    until("a further one is put together", || async { (under_way().await >= 3).then_some(()) }).await;
    assert_eq!(under_way().await, 3, "one more than can be converted");
    assert_eq!(converter.conversions(), 2);
    converter.release();
    for file in &files {
        assert_eq!(server.poll(&server.account, file).await["state"], "ok");
    }
}
