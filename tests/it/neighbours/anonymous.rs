//! Clients without a credential on a public project: what they cause is bounded, and never pushes out what others need.

use reqwest::Method;
use symdepot::db::Db;
use symdepot::debug_files::{Misses, WantedId};
use symdepot::types::{Miss, RequestedKinds, UpstreamKind};

use crate::support::queries::Queries;
use crate::support::server::TestServer;
use crate::support::until;
use crate::support::uploads::Upload;
use crate::symbol_server::{BUILD_ID, key};

/// Rows of missing ids of a project at most.
const CAP: usize = 10_000;

const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.debug";

async fn make_public(server: &TestServer) {
    server.app.db.set_public_symbols(server.account.project.id, true).await.unwrap();
}

async fn rows(db: &Db, project_id: i64) -> Vec<Miss> {
    db.misses(project_id, 1 << 20).await.unwrap()
}

fn id(number: u32) -> WantedId {
    WantedId::Code(format!("{number:040x}"))
}

/// Counts misses as handlers do, a batch for each time that they are written.
async fn miss(misses: &Misses, project_id: i64, numbers: std::ops::Range<u32>) {
    let numbers: Vec<_> = numbers.collect();
    for batch in numbers.chunks(1000) {
        for number in batch {
            misses.note(project_id, &id(*number), RequestedKinds::ANY, None, "debuginfod");
        }
        misses.flush().await.unwrap();
    }
}

#[tokio::test]
async fn fifty_thousand_random_ids_leave_no_more_rows_than_a_project_may_have() {
    let server = TestServer::builder().without_workers().start().await;
    let project = server.account.project.id;
    let (known, anonymous) = (server.app.misses.of_client(true), server.app.misses.of_client(false));
    miss(&known, project, 0..10).await;
    miss(&anonymous, project, 100..50_100).await;
    let left = rows(&server.app.db, project).await;
    assert_eq!(left.len(), CAP);
    let has = |number: u32| {
        let WantedId::Code(id) = id(number) else { unreachable!("it is one") };
        left.iter().any(|miss| format!("{:?}", miss.id).contains(&id))
    };
    assert!((0..10).all(has), "what clients with a credential missed stays");
    assert!(has(50_099) && !has(100), "the oldest go first");
}

#[tokio::test]
async fn ids_that_were_missed_with_a_credential_are_evicted_by_age_too() {
    let server = TestServer::builder().without_workers().start().await;
    let project = server.account.project.id;
    miss(&server.app.misses, project, 0..12_000).await;
    let left = rows(&server.app.db, project).await;
    assert_eq!(left.len(), CAP);
    let other = server.add_project("other").await;
    miss(&server.app.misses, other.project.id, 0..10).await;
    assert_eq!(rows(&server.app.db, project).await.len(), CAP, "each project has its own");
}

#[tokio::test]
async fn counts_that_cannot_be_written_are_kept_for_the_next_time() {
    let server = TestServer::builder().without_workers().start().await;
    let project = server.account.project.id;
    // A database without its schema refuses every statement until it has one.
    let folder = tempfile::TempDir::new().unwrap();
    let db = Db::connect(&format!("sqlite://{}", folder.path().join("late.db").display())).await.unwrap();
    let misses = Misses::new(&db, &server.app.clock);
    let anonymous = misses.of_client(false);
    misses.note(project, &id(1), RequestedKinds::ANY, None, "debuginfod");
    anonymous.note(project, &id(2), RequestedKinds::ANY, None, "debuginfod");
    assert!(misses.flush().await.is_err());
    misses.note(project, &id(1), RequestedKinds::ANY, Some("late.so"), "debuginfod");
    assert!(misses.flush().await.is_err());

    db.migrate().await.unwrap();
    let now = server.app.clock.now();
    let organization = db.create_organization("default", now).await.unwrap();
    let created = db.create_project(organization.id, "default", now).await.unwrap();
    assert_eq!(created.id, project, "both are the first of their database");
    misses.flush().await.unwrap();
    let mut times: Vec<_> = rows(&db, project).await.into_iter().map(|miss| (miss.times, miss.name)).collect();
    times.sort();
    assert_eq!(times, [(1, None), (2, Some("late.so".to_owned()))]);
}

#[tokio::test]
async fn only_clients_with_a_credential_cause_requests_to_upstreams() {
    let upstream = TestServer::start().await;
    upstream.upload_ok(&Upload::fixture(CALC)).await;
    let key = key(&upstream, &upstream.account).await;
    let url = format!("{}/symbols/default/default/key/{key}/", upstream.url);

    for (allowed, expected) in [(false, 404), (true, 200)] {
        let server = TestServer::builder()
            .settings(|config| {
                config.upstreams.allow_private = true;
                config.upstreams.anonymous = allowed;
            })
            .start()
            .await;
        make_public(&server).await;
        let (db, now) = (&server.app.db, server.app.clock.now());
        db.add_upstream(server.account.project.id, UpstreamKind::Debuginfod, &url, now).await.unwrap();
        let path = format!("/symbols/default/default/buildid/{BUILD_ID}/debuginfo");
        let anonymous = server.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(anonymous.status(), expected, "upstreams.anonymous = {allowed}");
        let wrong = server.request_as("sntrys_wrong", Method::GET, &path).send().await.unwrap();
        assert_eq!(wrong.status(), expected, "a wrong token is none");
        assert_eq!(server.get(&path).send().await.unwrap().status(), 200, "a token causes a fetch");
    }
}

#[tokio::test]
async fn anonymous_look_ups_wait_behind_their_rate_and_those_with_a_token_do_not() {
    let server = TestServer::builder().settings(|config| config.symbols.anonymous_rate = 1).start().await;
    make_public(&server).await;
    let path = "/symbols/default/default/symbolicate/v5";
    let body = serde_json::json!({ "jobs": [{ "memoryMap": [], "stacks": [[]] }] });
    // The burst of ten seconds is used up and thirty more are booked, so a further one waits for that long.
    for _ in 0..40 {
        let turn = server.app.callers.turn_of_anonymous(server.account.organization.id);
        let _booked = futures_util::FutureExt::now_or_never(turn);
    }
    let waiting = server.request(Method::POST, path).json(&body).send();
    let served = server.post(path).json(&body).send();
    tokio::select! {
        biased;
        response = served => assert_eq!(response.unwrap().status(), 200),
        _ = waiting => panic!("the anonymous one was before the other"),
    }
}

#[tokio::test]
async fn look_ups_beyond_the_queue_of_one_organization_leave_others_their_own() {
    let server = TestServer::start().await;
    let busy = server.add_account("busy", "app").await;
    let mut permits = Vec::new();
    while let Some(permit) = server.app.symbolicate_limit.try_acquire(busy.organization.id) {
        permits.push(permit);
    }
    assert!(!permits.is_empty());
    let body = serde_json::json!({ "jobs": [{ "memoryMap": [], "stacks": [[]] }] });
    let response = server.post("/symbols/default/default/symbolicate/v5").json(&body).send().await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn readiness_is_looked_at_once_for_many_who_ask() {
    let server = TestServer::start().await;
    let ready = || async { server.request(Method::GET, "/health/ready").send().await.unwrap().status() };
    let queries = Queries::listen();
    let statuses = futures_util::future::join_all((0..40).map(|_| ready())).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    // One, and another for each second that the machine takes.
    let looks = queries.take().into_iter().filter(|query| *query == "db.ping").count();
    assert!((1..=5).contains(&looks), "{looks} looks at the database for 40 requests");
    server.app.db.close().await;
    until("it is looked at again", || async { (ready().await == 503).then_some(()) }).await;
}
