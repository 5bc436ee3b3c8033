//! Garbage collection: only what nobody wanted for a day goes, whoever uploads, asks and collects at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use symdepot::blobs::{BlobKey, BlobStore};
use symdepot::config::Config;
use symdepot::types::Sha1;
use symdepot::upkeep::{Freed, Mode, Swept};

use super::{CALC, CALC_ID, a_day_later, has, server};
use crate::support::converter::WatchedConverter;
use crate::support::process::TestProcess;
use crate::support::server::{Builder, TestServer};
use crate::support::until;
use crate::support::uploads::Upload;

async fn collect(server: &TestServer) -> Swept {
    server.app.upkeep().gc(Mode::Remove).await.unwrap()
}

#[tokio::test]
async fn a_chunk_that_nobody_wants_goes_after_a_day_and_is_counted_before() {
    let server = server().await;
    let left: &[u8] = b"left behind";
    assert_eq!(server.send_chunks(&server.account, &[left]).await.status(), 200);
    server.upload_ok(&Upload::fixture(CALC).chunk_size(4096)).await;

    assert!(collect(&server).await.is_nothing(), "it is young");
    a_day_later(&server);
    let dry = server.app.upkeep().gc(Mode::DryRun).await.unwrap();
    assert_eq!(dry.chunks, Freed { count: 1, bytes: left.len() as u64 });
    assert!(has(&server, &[left]).await, "a dry run removes nothing");
    let swept = collect(&server).await;
    assert_eq!((swept.chunks, swept.strays), (dry.chunks, Freed::default()));
    assert!(!has(&server, &[left]).await);
    assert!(collect(&server).await.is_nothing(), "once");
    assert_eq!(server.fsck().await, [""; 0]);
    server.upload_ok(&Upload::fixture(CALC).chunk_size(4096)).await;
}

#[tokio::test]
async fn who_asks_for_a_file_keeps_its_chunks() {
    let server = server().await;
    let (known, unknown): (&[u8], &[u8]) = (b"known", b"unknown");
    server.send_chunks(&server.account, &[known]).await;
    let entry = json!({ "name": "a.so", "chunks": [Sha1::of(known), Sha1::of(unknown)] });
    for _day in 0..3 {
        server.app.clock.advance(TimeDelta::hours(23));
        let answer = server.ask_with(&server.account, Sha1::of(b"whole"), entry.clone()).await;
        assert_eq!(answer["missingChunks"], json!([Sha1::of(unknown)]));
        assert_eq!(collect(&server).await.chunks, Freed::default());
    }
    a_day_later(&server);
    assert_eq!(collect(&server).await.chunks.count, 1);
    let answer = server.ask_with(&server.account, Sha1::of(b"whole"), entry).await;
    assert_eq!(answer["missingChunks"], json!([Sha1::of(known), Sha1::of(unknown)]));
}

#[tokio::test]
async fn what_an_assembly_waits_for_stays_however_long_it_waits() {
    let idle = |builder: Builder| builder.without_workers();
    let server = server().await.restart(idle).await;
    let calc = Upload::fixture(CALC).chunk_size(4096);
    server.send(&server.account, &calc).await;
    assert_eq!(server.ask(&server.account, &calc).await["state"], "created");
    for _day in 0..3 {
        a_day_later(&server);
        assert_eq!(collect(&server).await.chunks, Freed::default());
    }
    assert!(has(&server, &calc.chunks()).await);
}

#[tokio::test]
async fn the_chunks_of_a_deleted_file_go_and_those_that_another_file_has_stay() {
    let server = server().await;
    let first = Upload::fixture(CALC).chunk_size(4096);
    let second = first.another(7);
    let ok = server.upload_ok(&first).await;
    server.upload_ok(&second).await;
    server.delete_file(ok["id"].as_str().unwrap()).await;
    a_day_later(&server);
    let own = first.chunks().into_iter().filter(|chunk| !second.chunks().contains(chunk)).count() as u64;
    assert!(own > 0);
    assert_eq!(collect(&server).await.chunks.count, own);
    assert!(has(&server, &second.chunks()).await);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn bytes_that_no_row_speaks_of_go_once_they_are_old() {
    let server = server().await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    let blobs: &Arc<dyn BlobStore> = &server.app.blobs;
    let key = BlobKey::fresh("chunks", server.app.clock.fresh_id());
    blobs.put(&key, blobs.spool().await.unwrap()).await.unwrap();
    assert_eq!(collect(&server).await.strays, Freed::default(), "they may be on their way to a row");
    server.app.clock.advance(TimeDelta::hours(2));
    assert_eq!(collect(&server).await.strays.count, 1);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_server_looks_through_its_whole_store_at_its_start_and_then_not_at_every_clean_up() {
    let server = server().await.restart(|builder| builder.settings(often)).await;
    let cleaned_up = async |chunk: &[u8]| {
        server.send_chunks(&server.account, &[chunk]).await;
        a_day_later(&server);
        until("a clean-up", || async { (!has(&server, &[chunk]).await).then_some(()) }).await;
    };
    // A clean-up goes on for a while after its chunk went. It is over once the next one has taken another.
    cleaned_up(b"one").await;
    cleaned_up(b"two").await;
    let blobs: &Arc<dyn BlobStore> = &server.app.blobs;
    let key = BlobKey::fresh("chunks", server.app.clock.fresh_id());
    blobs.put(&key, blobs.spool().await.unwrap()).await.unwrap();
    cleaned_up(b"three").await;
    cleaned_up(b"four").await;
    assert_eq!(blobs.stored_size(&key).await.unwrap(), Some(0));
    let server = server.restart(|builder| builder.settings(often)).await;
    let gone = || async { server.app.blobs.stored_size(&key).await.unwrap().is_none().then_some(()) };
    until("it is found", gone).await;
}

fn often(config: &mut Config) {
    config.gc.interval = Duration::from_millis(20);
}

#[tokio::test]
async fn a_server_without_an_interval_leaves_cleaning_up_to_others() {
    let server = server().await;
    assert!(server.app.config.gc.interval.is_zero());
    server.send_chunks(&server.account, &[b"unwanted"]).await;
    a_day_later(&server);
    // Not at its start either, nor while its workers are at work.
    let server = server.restart(|builder| builder).await;
    for number in 0..10 {
        server.upload_ok(&Upload::fixture(CALC).another(number)).await;
    }
    assert!(has(&server, &[b"unwanted"]).await);
    assert_eq!(collect(&server).await.chunks.count, 1);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn what_was_made_on_the_way_goes_when_nobody_asked_for_it_in_thirty_days_and_is_made_anew_for_who_does() {
    let converter = WatchedConverter::new();
    let program = converter.program();
    let server = server().await.restart(|builder| builder.settings(|config| config.converter.program = program)).await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    let path = format!("/symbols/default/default/calc/{}0/calc.sym", CALC_ID.replace('-', ""));
    let text = async || {
        let answer = server.get(&path).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.text().await.unwrap()
    };
    let stored = async || {
        let rows = server.app.db.blob_rows("", 10).await.unwrap();
        rows.iter().filter(|(key, _)| key.starts_with("breakpad/")).count()
    };
    let whole = text().await;
    for _month in 0..2 {
        server.app.clock.advance(TimeDelta::days(30));
        assert_eq!(collect(&server).await.unused_derived, Freed::default());
        assert_eq!(text().await, whole);
    }
    assert_eq!(converter.texts(), 1, "who asks keeps it");

    server.app.clock.advance(TimeDelta::days(30) + TimeDelta::seconds(1));
    let dry = server.app.upkeep().gc(Mode::DryRun).await.unwrap().unused_derived;
    assert!(dry.count == 1 && dry.bytes > 0, "{dry:?}");
    assert_eq!(stored().await, 1, "a dry run removes nothing");
    assert_eq!(collect(&server).await.unused_derived, dry);
    assert_eq!((stored().await, collect(&server).await.unused_derived), (0, Freed::default()));
    assert_eq!(server.fsck().await, [""; 0]);
    assert_eq!((text().await, converter.texts()), (whole, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_uploads_and_questions_beside_collections_lose_nothing() {
    const ROUNDS: u32 = 2000;
    // Time flies in this test and files are stamped with the real one: temp files must not seem old.
    let patient = |builder: Builder| builder.settings(|config| config.gc.temp_grace = Duration::from_secs(1 << 40));
    let server = Arc::new(server().await.restart(patient).await);
    let done = Arc::new(AtomicBool::new(false));
    let collectors = (0..2).map(|_| {
        let (server, done) = (Arc::clone(&server), Arc::clone(&done));
        tokio::spawn(async move {
            let mut removed = 0;
            while !done.load(Ordering::Relaxed) {
                removed += collect(&server).await.chunks.count;
            }
            removed
        })
    });
    let collectors: Vec<_> = collectors.collect();
    let (absent, mut renewed) = (Sha1::of(b"absent"), 0);
    for round in 0..ROUNDS {
        // A chunk comes round after 64 rounds, 32 hours: it may be collected at any moment until it is asked for.
        server.app.clock.advance(TimeDelta::minutes(30));
        let content = format!("content number {}", round % 64);
        let chunk = content.as_bytes();
        let entry = json!({ "name": "a.so", "chunks": [Sha1::of(chunk), absent] });
        let whole = Sha1::of(format!("whole {round}").as_bytes());
        let answer = server.ask_with(&server.account, whole, entry.clone()).await;
        if answer["missingChunks"] == json!([absent]) {
            renewed += 1;
        } else {
            let sent = server.send_chunks(&server.account, &[chunk]).await;
            assert_eq!(sent.status(), 200, "{}", sent.text().await.unwrap());
            let answer = server.ask_with(&server.account, whole, entry).await;
            assert_eq!(answer["missingChunks"], json!([absent]), "round {round}: what was acknowledged is there");
        }
        assert!(has(&server, &[chunk]).await, "round {round}: what was said to be there stays there");
    }
    done.store(true, Ordering::Relaxed);
    let mut removed = 0;
    for collector in collectors {
        removed += collector.await.unwrap();
    }
    assert!(removed > 0, "something was collected meanwhile; {renewed} chunks were renewed before that");
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn the_verb_says_what_would_go_and_a_running_server_is_not_in_its_way() {
    let process = TestProcess::start().await;
    let client = process.client();
    client.upload_ok(&Upload::fixture(CALC)).await;
    client.send_chunks(&client.account, &[b"left behind"]).await;
    let output = process.run(&["gc", "--dry-run"]).await;
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("0 chunks of no file, not wanted for 24 h: 0 B\n"), "{text}");
    assert!(text.contains("0 files made from others that nobody asked for in 30 days: 0 B\n"), "{text}");
    assert!(text.ends_with("Nothing was removed: this was a dry run.\n"), "{text}");
    let list = client.get(&format!("{}files/dsyms/", client.account.project_path())).send().await.unwrap();
    assert_eq!(list.status(), 200);
    for (arguments, looks_through) in [(&["gc", "--rows-only"][..], false), (&["gc"], true)] {
        let output = process.run(arguments).await;
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.contains("0 blobs that no row speaks of: 0 B\n"), looks_through, "{text}");
    }
}
