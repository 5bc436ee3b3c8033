//! Processes that start: all at once on an empty database, before the database does, and when Redis is away.

use serde_json::{Value, json};

use crate::support::cluster::{Cluster, Role};
use crate::support::form::Place;
use crate::support::postgres::OwnPostgres;
use crate::support::process::{TestProcess, program};
use crate::support::until;
use crate::support::uploads::Upload;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_processes_that_start_at_once_on_an_empty_database_make_one_installation() {
    let mut cluster = Cluster::empty(&[]).await;
    cluster.add(&[Role::Server, Role::Worker, Role::Server, Role::Worker]).await;
    let list = cluster.members[0].command().args(["token", "list", "--org", "default"]).output().await.unwrap();
    assert_eq!(String::from_utf8(list.stdout).unwrap().lines().count(), 2, "a heading and one token");
    for (number, url) in (0..).zip(cluster.urls()) {
        let client = cluster.client_of(&url);
        client.upload_ok(&Upload::fixture(super::CALC).another(number)).await;
    }
    for member in &mut cluster.members {
        assert_eq!(member.terminate().await, Some(0), "{}", member.log());
    }
    assert_eq!(cluster.fsck().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_waits_for_the_database_and_says_so() {
    let mut postgres = tokio::task::block_in_place(|| OwnPostgres::start(20));
    let url = postgres.url();
    postgres.stop();
    let folder = tempfile::TempDir::new().unwrap();
    let log = folder.path().join("log");
    let mut command = program();
    command.arg("--data-dir").arg(folder.path()).arg("migrate").env("SYMDEPOT_DATABASE__URL", &url);
    command.stdout(std::process::Stdio::piped()).stderr(std::fs::File::create(&log).unwrap());
    let child = command.spawn().unwrap();
    until("it says that it waits", || async {
        let log = std::fs::read_to_string(&log).unwrap();
        log.contains("the database is not up; it is waited for").then_some(())
    })
    .await;
    tokio::task::block_in_place(|| postgres.start_again());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "the postgres database has the newest schema\n");
    assert_eq!(output.status.code(), Some(0));
}

#[tokio::test]
async fn a_start_gives_up_waiting_for_the_database_after_its_time_and_at_once_if_waiting_is_no_use() {
    let start = async |url: &str, patience: &str| {
        let folder = tempfile::TempDir::new().unwrap();
        let mut command = program();
        command.arg("--data-dir").arg(folder.path()).arg("migrate");
        command.env("SYMDEPOT_DATABASE__URL", url).env("SYMDEPOT_DATABASE__CONNECT_TIMEOUT", patience);
        let output = command.output().await.unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = start("postgres://me:geheim@127.0.0.1:1/none", "300ms").await;
    assert!(said.contains("it is waited for"), "{said}");
    assert!(said.contains("symdepot: the database `postgres://***@127.0.0.1:1/none` cannot be used"), "{said}");
    assert!(!said.contains("geheim"), "{said}");
    // A database that is not there will not come.
    let postgres = tokio::task::spawn_blocking(|| OwnPostgres::start(20)).await.unwrap();
    let said = start(&postgres.url().replace("/postgres?", "/nowhere?"), "1h").await;
    assert!(said.contains("database \"nowhere\" does not exist"), "{said}");
}

#[tokio::test]
async fn readiness_tells_which_part_is_down_and_does_without_redis() {
    let furnished = async || {
        let place = Place::empty().await;
        let mut settings = symdepot::config::Config::default();
        place.settings(&mut settings);
        (place, crate::support::form::environment(&settings))
    };
    let ready = async |process: &TestProcess| {
        let answer = process.client().get("/health/ready").send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let parts =
        |database, blobs, status| json!({ "database": database, "blobs": blobs, "status": status, "events": "ok" });
    let (_place, form) = furnished().await;
    let form: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let healthy = TestProcess::start_with(&form).await;
    assert_eq!(ready(&healthy).await, (200, json!({ "status": "ok", "parts": parts("ok", "ok", "ok") })));
    assert_eq!(healthy.run(&["health", &healthy.url]).await.stdout, b"ready\n");
    // Nobody listens there.
    let (_place, form) = furnished().await;
    let mut form: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    form.push(("SYMDEPOT_STATUS__URL", "redis://me:geheim@127.0.0.1:1/0"));
    let mut degraded = TestProcess::start_with(&form).await;
    assert_eq!(ready(&degraded).await, (200, json!({ "status": "degraded", "parts": parts("ok", "ok", "down") })));
    assert_eq!(degraded.run(&["health", &degraded.url]).await.stdout, b"ready\n");
    assert!(!degraded.log().contains("geheim"), "{}", degraded.log());
    assert_eq!(degraded.terminate().await, Some(0));
}
