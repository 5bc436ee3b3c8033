//! A rival who stores the same symcache and takes it away again, round after round: an answer that says so, heard by
//! whoever waits, and an end as soon as the rival is gone.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use symdepot::app::App;
use symdepot::clock::Clock;
use symdepot::symcaches::{ConversionTime, LocalFile};

use super::{CALC, CALC_ID, forget_symcaches};
use crate::support::answer::whole;
use crate::support::converter::WatchedConverter;
use crate::support::fixtures;
use crate::support::process::program;
use crate::support::rival::Rival;
use crate::support::server::{Builder, TestServer};
use crate::support::until;
use crate::support::uploads::Upload;

/// How often the server tries to be faster.
const ROUNDS: usize = 5;

fn lost() -> Value {
    json!({ "state": "error", "detail": "Concurrency error on symcache update", "missingChunks": [] })
}

fn against(rival: &Rival, builder: Builder) -> Builder {
    let rival = rival.clone();
    builder.tweak(move |app: &mut App| rival.watches(app))
}

fn id_of(dif: &Value) -> i64 {
    dif["id"].as_str().unwrap().parse().unwrap()
}

/// What is stored besides the chunks: nothing, if nobody was faster than the rival.
async fn nothing_is_left_over(server: &TestServer) {
    assert_eq!(server.fsck().await, [""; 0]);
    let stored = server.app.blobs.list(None, 100).await.unwrap();
    assert!(stored.iter().all(|blob| blob.key.as_str().starts_with("chunks/")), "{stored:?}");
}

/// The end of an upload, asked for only after it: while they fight, a poller may meet a row of the rival.
async fn end(server: &TestServer, upload: &Upload) -> Value {
    until("no assembly is under way", || async { (server.app.db.open_assemblies().await.unwrap() == 0).then_some(()) })
        .await;
    server.poll(&server.account, upload).await
}

#[tokio::test]
async fn a_build_on_demand_that_loses_every_round_says_so_and_the_next_ask_builds_anew() {
    let rival = Rival::default();
    let server = against(&rival, TestServer::builder()).start().await;
    let dif = server.upload_ok(&Upload::fixture(CALC)).await;
    forget_symcaches(&server, &dif).await;
    rival.fights_for(&server.app, id_of(&dif));
    for asks in 1..=2 {
        let answer = whole(server.symcache(&server.account, CALC_ID, 60).await).await;
        let sentence = json!({ "detail": "The symcache could not be built just now. Ask again." });
        assert_eq!((&answer["status"], &answer["body"]), (&json!(503), &sentence));
        assert_eq!(answer["headers"]["retry-after"], "2");
        assert_eq!(rival.rounds(), asks * ROUNDS);
        nothing_is_left_over(&server).await;
    }
    assert_eq!(server.ask(&server.account, &Upload::fixture(CALC)).await["state"], "ok", "no upload failed by that");

    rival.gives_up();
    server.symcache_bytes(&server.account, CALC_ID).await;
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn an_upload_of_a_file_that_was_imported_meanwhile_hears_that_it_lost_and_ends_well_later() {
    let rival = Rival::default();
    let clock = Clock::settable(Clock::System.now());
    let server = TestServer::builder().clock(clock).without_workers().start().await;
    let calc = Upload::fixture(CALC);
    server.send(&server.account, &calc).await;
    assert_eq!(server.ask(&server.account, &calc).await["state"], "created");

    let file = fixtures::file_of(&calc.content);
    let conversion = ConversionTime::BeforeRegistration;
    let import = LocalFile { file, name: "calc.debug", detection: None, conversion };
    let project = &server.account.project;
    server.app.symcaches.take_in(&server.app.local_files(), project, import).await.unwrap();
    let mut known = server.ask(&server.account, &calc).await;
    assert_eq!(known["state"], "ok", "the imported file is all that was wanted");

    // The job of the upload is still to be done, and would find everything there. Now it finds no symcache.
    forget_symcaches(&server, &known["dif"].take()).await;
    let created = json!({ "state": "created", "detail": null, "missingChunks": [] });
    assert_eq!(server.ask(&server.account, &calc).await, created, "nobody is told `ok` before its end");
    rival.fights_for(&server.app, id_of(&server.listed(&server.account).await[0]));
    let server = server.restart(|builder| against(&rival, builder)).await;
    assert_eq!(end(&server, &calc).await, lost());
    assert_eq!(rival.rounds(), ROUNDS);
    nothing_is_left_over(&server).await;
    for _ in 0..2 {
        assert_eq!(server.ask(&server.account, &calc).await, lost());
        assert_eq!(server.peek(&server.account, &calc).await, lost());
    }
    assert_eq!(server.listed(&server.account).await.len(), 1, "the file itself stays");

    let server = server.restart(|builder| against(&rival, builder)).await;
    assert_eq!(server.peek(&server.account, &calc).await, lost(), "its row says so too");
    rival.gives_up();
    server.app.clock.advance(TimeDelta::from_std(server.app.config.status.ttl).unwrap());
    assert_eq!(server.ask(&server.account, &calc).await["state"], "created", "its time is over");
    let end = server.poll(&server.account, &calc).await;
    assert_eq!(end["state"], "ok", "{end}");
    assert_eq!(server.symcache(&server.account, CALC_ID, 0).await.status(), 200, "`ok` came after its symcache");
    // The symcache makes the answer `ok`; the row of the assembly goes a moment later.
    until("the assembly ends", || async { (server.app.db.open_assemblies().await.unwrap() == 0).then_some(()) }).await;
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn an_upload_of_a_file_that_was_imported_while_it_was_converted_hears_that_it_lost() {
    let rival = Rival::default();
    let converter = WatchedConverter::holding();
    let path = converter.program();
    let builder = TestServer::builder().settings(|config| config.converter.program = path);
    let server = against(&rival, builder).start().await;
    let calc = Upload::fixture(CALC);
    server.send(&server.account, &calc).await;
    server.ask(&server.account, &calc).await;
    converter.begun(1).await;

    // A process of its own, whose converter nobody holds up.
    let mut import = program();
    import.envs(server.environment()).arg("--data-dir").arg(server.data_dir()).arg("import").arg(fixtures::path(CALC));
    let imported = import.args(["--project", "default/default"]).output().await.unwrap();
    assert!(imported.status.success(), "{imported:?}");
    let mut known = server.ask(&server.account, &calc).await;
    assert_eq!(known["state"], "ok");
    let dif = known["dif"].take();
    forget_symcaches(&server, &dif).await;
    rival.fights_for(&server.app, id_of(&dif));
    converter.release();

    assert_eq!(end(&server, &calc).await, lost());
    assert_eq!(rival.rounds(), 1 + ROUNDS, "once with the file, which stood already");
    nothing_is_left_over(&server).await;
    assert_eq!(server.listed(&server.account).await, [dif]);

    rival.gives_up();
    let server = server.restart(|builder| builder.settings(|config| config.status.ttl = Duration::ZERO)).await;
    assert_eq!(server.poll(&server.account, &calc).await["state"], "ok");
    assert_eq!(server.symcache(&server.account, CALC_ID, 0).await.status(), 200);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn an_upload_that_failed_so_is_mended_by_whoever_asks_for_the_symcache() {
    let rival = Rival::default();
    let server = TestServer::builder().without_workers().start().await;
    let calc = Upload::fixture(CALC);
    server.send(&server.account, &calc).await;
    server.ask(&server.account, &calc).await;
    let mut import = program();
    import.envs(server.environment()).arg("--data-dir").arg(server.data_dir()).arg("import").arg(fixtures::path(CALC));
    assert!(import.args(["--project", "default/default"]).output().await.unwrap().status.success());
    let dif = server.listed(&server.account).await.remove(0);
    forget_symcaches(&server, &dif).await;
    rival.fights_for(&server.app, id_of(&dif));
    let server = server.restart(|builder| against(&rival, builder)).await;
    assert_eq!(end(&server, &calc).await, lost());
    rival.gives_up();
    server.symcache_bytes(&server.account, CALC_ID).await;
    for entry in [server.ask(&server.account, &calc).await, server.peek(&server.account, &calc).await] {
        assert_eq!((&entry["state"], &entry["dif"]), (&json!("ok"), &dif), "nothing is wrong with it any more");
    }
}
