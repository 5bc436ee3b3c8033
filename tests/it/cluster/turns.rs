//! Organizations take turns with the workers, whatever their queues are like, and clocks that are set forward or back
//! keep nobody waiting.

use chrono::TimeDelta;
use symdepot::clock::Clock;
use symdepot::db::NewAssembly;
use symdepot::types::Sha1;

use super::CALC;
use crate::support::claims::ClaimAssembly as _;
use crate::support::converter::WatchedConverter;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

#[tokio::test]
async fn one_file_of_an_organization_does_not_wait_for_the_thousands_of_another() {
    let converter = WatchedConverter::holding();
    let program = converter.program();
    let change = |config: &mut symdepot::config::Config| {
        config.converter.program = program;
        config.jobs.concurrency = 1;
    };
    let server = TestServer::builder().settings(change).start().await;
    let small = server.add_account("small", "app").await;
    // The large one is first, with one file under way and thousands behind it.
    let calc = Upload::fixture(CALC);
    server.send(&server.account, &calc).await;
    server.ask(&server.account, &calc).await;
    converter.begun(1).await;
    let crowd = |number: u32| NewAssembly {
        project_id: server.account.project.id,
        organization_id: server.account.organization.id,
        sha1: Sha1::of(&number.to_be_bytes()),
        name: "one of many".to_owned(),
        debug_id: None,
        chunks: vec![calc.sha1()],
        size: 1,
    };
    let crowd: Vec<_> = (0..3000).map(crowd).collect();
    server.app.db.queue_assemblies(&crowd, server.app.clock.now()).await.unwrap();
    let single = calc.another(1);
    server.send(&small, &single).await;
    server.ask(&small, &single).await;
    converter.release();
    assert_eq!(server.poll(&small, &single).await["state"], "ok");
    // Nearly all of the others still wait: a job that fails, as each of these does, takes a moment too.
    let open = server.app.db.open_assemblies().await.unwrap();
    assert!(open > 2900, "{open} of 3000");
}

#[tokio::test]
async fn files_end_when_the_clock_is_set_forward_in_the_middle() {
    let clock = Clock::settable(Clock::System.now());
    let converter = WatchedConverter::holding();
    let program = converter.program();
    let builder = TestServer::builder().clock(clock.clone()).settings(|config| config.converter.program = program);
    let server = builder.start().await;
    let files: Vec<_> = (0..4).map(|number| Upload::fixture(CALC).another(number)).collect();
    for file in &files {
        server.send(&server.account, file).await;
        server.ask(&server.account, file).await;
    }
    converter.begun(1).await;
    clock.advance(TimeDelta::hours(5));
    converter.release();
    for file in &files {
        assert_eq!(server.poll(&server.account, file).await["state"], "ok");
    }
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn files_end_when_the_clock_is_set_back_by_hours() {
    // It was wrong while they were queued, failed and were put off, and is right now.
    let clock = Clock::settable(Clock::System.now() + TimeDelta::days(3));
    let server = TestServer::builder().clock(clock.clone()).without_workers().start().await;
    let files: Vec<_> = (0..3).map(|number| Upload::fixture(CALC).another(number)).collect();
    for file in &files {
        server.send(&server.account, file).await;
        server.ask(&server.account, file).await;
    }
    // One was begun by somebody who is gone.
    let (lease, until) = ("gone", clock.now() + TimeDelta::seconds(30));
    server.app.db.claim_assembly(&[], lease, until, clock.now()).await.unwrap().unwrap();
    clock.advance(TimeDelta::days(-3));
    let quick = |config: &mut symdepot::config::Config| config.jobs.lease = std::time::Duration::from_secs(1);
    let server = server.restart(|builder| builder.clock(clock.clone()).settings(quick)).await;
    // Time goes on.
    let ticking = async {
        loop {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            clock.advance(TimeDelta::milliseconds(50));
        }
    };
    let ends = async {
        for file in &files {
            assert_eq!(server.poll(&server.account, file).await["state"], "ok");
        }
    };
    tokio::select! { () = ends => {}, () = ticking => {} }
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn an_error_of_tomorrow_is_not_answered_for_ever() {
    let clock = Clock::settable(Clock::System.now() + TimeDelta::days(1));
    let server = TestServer::builder().clock(clock.clone()).start().await;
    let broken = Upload::new("garbage", "not a debug file");
    assert_eq!(server.upload(&broken).await["state"], "error");
    assert_eq!(server.ask(&server.account, &broken).await["state"], "error", "it stands for its time");
    clock.advance(TimeDelta::hours(-23));
    assert_eq!(server.ask(&server.account, &broken).await["state"], "created", "it is tried again");
    assert_eq!(server.poll(&server.account, &broken).await["state"], "error");
}
