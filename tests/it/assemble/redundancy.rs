//! Several files of one debug id: which stay, which retire, and what is heard of those that are gone.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use symdepot::clock::Clock;
use symdepot::upkeep::Mode;

use super::{CALC, not_found, queued};
use crate::support::server::TestServer;
use crate::support::until;
use crate::support::uploads::Upload;

/// The same debug information, stored in another way under the same id.
const ONE: &str = "elf-x86_64-gcc-dwarf5-none/calc.debug";
const OTHER: &str = "elf-x86_64-gcc-dwarf5-zstd/calc.debug";

#[tokio::test]
async fn an_executable_its_pdb_and_breakpad_symbols_of_one_id_all_stay() {
    let server = TestServer::start().await;
    let mut difs = Vec::new();
    for path in ["pe-x86_64-llvm19/calc.exe", "pe-x86_64-llvm19/calc.pdb", "breakpad/calc-pe.sym"] {
        difs.push(server.upload_ok(&Upload::fixture(path)).await);
    }
    assert!(difs.iter().all(|dif| dif["debugId"] == difs[0]["debugId"]), "{difs:?}");
    difs.reverse();
    assert_eq!(server.listed(&server.account).await, difs);
}

#[tokio::test]
async fn a_stripped_library_and_its_debug_companion_stay_in_either_order() {
    let server = TestServer::start().await;
    let parts = ["elf-x86_64-gcc-dwarf4/calc", CALC].map(Upload::fixture);
    let other = server.add_project("other").await;
    for part in &parts {
        server.upload_ok(part).await;
    }
    for part in parts.iter().rev() {
        assert_eq!(server.upload_to(&other, part).await["state"], "ok");
    }
    assert_eq!((server.listed(&server.account).await.len(), server.listed(&other).await.len()), (2, 2));
}

#[tokio::test]
async fn a_file_made_redundant_is_still_ok_for_pollers_and_no_longer_listed() {
    let server = TestServer::start().await;
    let (one, other) = (Upload::fixture(ONE), Upload::fixture(OTHER));
    let older = server.upload_ok(&one).await;
    let newer = server.upload_ok(&other).await;
    assert_eq!(older["debugId"], newer["debugId"]);
    assert_eq!(server.listed(&server.account).await, [newer]);
    let ok = json!({ "state": "ok", "detail": null, "missingChunks": [], "dif": older });
    assert_eq!(server.ask(&server.account, &one).await, ok);
    assert_eq!(server.peek(&server.account, &one).await, ok);
    let server = server.restart(|builder| builder).await;
    assert_eq!(server.ask(&server.account, &one).await, ok);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn two_builds_with_one_debug_id_do_not_chase_each_other() {
    let server = TestServer::start().await;
    let (one, other) = (Upload::fixture(ONE), Upload::fixture(OTHER));
    let firsts = [server.upload_ok(&one).await, server.upload_ok(&other).await];
    for _ in 0..3 {
        let again = [server.upload_ok(&one).await, server.upload_ok(&other).await];
        assert_eq!(again, firsts, "nothing is assembled again");
    }
    assert_eq!(server.listed(&server.account).await, [firsts[1].clone()]);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn two_builds_with_one_debug_id_at_once_both_end_well() {
    let server = TestServer::start().await;
    let (one, other) = (Upload::fixture(ONE), Upload::fixture(OTHER));
    let (first, second) = tokio::join!(server.upload_ok(&one), server.upload_ok(&other));
    let listed = server.listed(&server.account).await;
    assert_eq!(listed.len(), 1);
    assert!(listed[0] == first || listed[0] == second);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_deleted_file_is_forgotten_by_everybody() {
    let server = TestServer::start().await;
    let calc = Upload::fixture(CALC).chunk_size(1024);
    let dif = server.upload_ok(&calc).await;
    assert_eq!(server.ask(&server.account, &calc).await["state"], "ok");
    server.delete_file(dif["id"].as_str().unwrap()).await;
    assert_eq!(server.listed(&server.account).await, [Value::Null; 0]);
    assert_eq!(server.peek(&server.account, &calc).await, not_found(&[]));
    // Its chunks were proved to be there, so that they need not be sent again.
    assert_eq!(server.ask(&server.account, &calc).await, queued());
    let again = server.upload_ok(&calc).await;
    assert_eq!((&again["sha1"], again["id"] == dif["id"]), (&dif["sha1"], false));
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn with_a_deleted_file_go_those_that_it_had_replaced() {
    let server = TestServer::start().await;
    let (one, other) = (Upload::fixture(ONE), Upload::fixture(OTHER));
    let older = server.upload_ok(&one).await;
    let newer = server.upload_ok(&other).await;
    server.delete_file(newer["id"].as_str().unwrap()).await;
    // Nothing of this id is served now, so nobody may hear that anything is there.
    assert_eq!(server.peek(&server.account, &one).await, not_found(&[]));
    assert_eq!(server.peek(&server.account, &other).await, not_found(&[]));
    let again = server.upload_ok(&one).await;
    assert_eq!((&again["sha1"], again["id"] == older["id"]), (&older["sha1"], false));
    assert_eq!(server.listed(&server.account).await, [again]);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_file_that_pollers_hear_ok_of_can_be_read_by_its_id_until_they_do_not() {
    let clock = Clock::settable(Clock::System.now());
    let quiet = |config: &mut symdepot::config::Config| config.gc.interval = Duration::ZERO;
    let server = TestServer::builder().clock(clock.clone()).settings(quiet).start().await;
    let (one, other) = (Upload::fixture(ONE), Upload::fixture(OTHER));
    server.upload_ok(&one).await;
    let newer = server.upload_ok(&other).await;
    let path = |id: &str| format!("{}files/dsyms/?id={id}", server.account.project_path());
    for minutes in [0, 59] {
        clock.advance(TimeDelta::minutes(minutes));
        server.app.upkeep().gc(Mode::Remove).await.unwrap();
        let told = server.ask(&server.account, &one).await;
        assert_eq!(told["state"], "ok");
        let file = server.get(&path(told["dif"]["id"].as_str().unwrap())).send().await.unwrap();
        assert_eq!(file.status(), 200);
        assert!(file.bytes().await.unwrap() == one.content, "an ok names a file that is there, whole");
    }
    let told = server.peek(&server.account, &one).await;
    clock.advance(TimeDelta::minutes(2));
    server.app.upkeep().gc(Mode::Remove).await.unwrap();
    assert_eq!(server.peek(&server.account, &one).await["state"], "not_found");
    assert_eq!(server.get(&path(told["dif"]["id"].as_str().unwrap())).send().await.unwrap().status(), 404);
    assert_eq!(server.listed(&server.account).await, [newer]);
}

#[tokio::test]
async fn after_an_hour_a_redundant_file_is_gone_and_left_over_temp_files_too() {
    let clock = Clock::settable(Clock::System.now());
    let builder = TestServer::builder().clock(clock.clone()).settings(|config| {
        config.gc.interval = Duration::from_millis(50);
    });
    let server = builder.start().await;
    let (one, other) = (Upload::fixture(ONE), Upload::fixture(OTHER));
    server.upload_ok(&one).await;
    server.upload_ok(&other).await;
    let left_over = server.app.config.temp_dir().join("left over");
    std::fs::write(&left_over, "of a process that died").unwrap();
    clock.advance(TimeDelta::minutes(59));
    assert_eq!(server.peek(&server.account, &one).await["state"], "ok");
    assert!(left_over.exists());
    clock.advance(TimeDelta::minutes(2));
    let gone = || async {
        let entry = server.peek(&server.account, &one).await;
        (entry["state"] == "not_found" && !left_over.exists()).then_some(entry)
    };
    assert_eq!(until("the file is purged", gone).await, json!({ "state": "not_found", "missingChunks": [] }));
    assert_eq!(server.peek(&server.account, &other).await["state"], "ok");
    assert_eq!(server.fsck().await, [""; 0]);
}
