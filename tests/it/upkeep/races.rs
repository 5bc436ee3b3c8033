//! Uploads, questions, collections with rules and deletions of many, all against each other: nothing that was
//! acknowledged is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use symdepot::blobs::BlobKey;
use symdepot::debug_files::{BulkFilter, announce, delete_many, find_many};
use symdepot::types::{Policy, Retention};
use symdepot::upkeep::{Depth, Mode, Repair};

use super::server;
use crate::support::records::Record;
use crate::support::server::{Builder, TestServer};
use crate::support::uploads::Upload;

/// A server on which time flies, while files are stamped with the real one: temp files must not seem old.
async fn flying() -> Arc<TestServer> {
    let patient = |builder: Builder| builder.settings(|config| config.gc.temp_grace = Duration::from_secs(1 << 40));
    Arc::new(server().await.restart(patient).await)
}

fn file(number: u32) -> Record {
    let content = format!("file {number}");
    let name = if number.is_multiple_of(2) { "app" } else { "lib" };
    Record { name: name.to_owned(), ..Record::new(&content, &format!("00000000-0000-0000-0000-{number:012x}")) }
}

/// Which file a round is about: mostly one of eight, and now and then one that nobody spoke of for days.
fn number_of(round: u32) -> u32 {
    if round % 16 < 15 { round % 8 } else { 8 + round / 16 % 32 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_rounds_of_uploads_beside_retention_and_deletions_lose_nothing() {
    const ROUNDS: u32 = 2000;
    let server = flying().await;
    let project = server.account.project.id;
    let retention = Retention::of(&["3d", "idle:2d", "newest:6"]).unwrap();
    server.app.db.set_policy(project, &Policy { retention, ..Policy::default() }).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let collectors = (0..2).map(|_| {
        let (server, done) = (Arc::clone(&server), Arc::clone(&done));
        tokio::spawn(async move {
            let mut expired = 0;
            while !done.load(Ordering::Relaxed) {
                let swept = server.app.upkeep().gc(Mode::Remove).await.unwrap();
                expired += swept.expired.iter().map(|expired| expired.files.count).sum::<u64>();
            }
            expired
        })
    });
    let collectors: Vec<_> = collectors.collect();
    // How many deletions were begun. What was acknowledged before one may go by it.
    let begun = Arc::new(AtomicU64::new(0));
    let rounds = Arc::new(AtomicU64::new(0));
    let deleter = {
        let (server, done, begun) = (Arc::clone(&server), Arc::clone(&done), Arc::clone(&begun));
        let rounds = Arc::clone(&rounds);
        tokio::spawn(async move {
            let app = &server.app;
            let (filter, mut deleted) = (BulkFilter { name: Some("a*".to_owned()), ..BulkFilter::default() }, 0);
            while !done.load(Ordering::Relaxed) {
                if rounds.load(Ordering::Relaxed) / 50 <= begun.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    continue;
                }
                begun.fetch_add(1, Ordering::SeqCst);
                let now = announce(&app.db, &app.clock, project).await.unwrap();
                let found = find_many(&app.db, project, &filter, now, |_, _| {}).await.unwrap();
                let gone = delete_many(&app.db, app.blobs.as_ref(), &app.status, &app.clock, project, &found).await;
                deleted += gone.unwrap().files;
            }
            deleted
        })
    };
    let (mut asked, mut sent, mut checked) = (0, 0, 0);
    for round in 0..ROUNDS {
        server.app.clock.advance(TimeDelta::minutes(20 + i64::from(round % 7)));
        rounds.fetch_add(1, Ordering::Relaxed);
        let record = file(number_of(round));
        let deletions = begun.load(Ordering::SeqCst);
        let upload = Upload::new("app", record.content.clone());
        let id = match server.peek(&server.account, &upload).await {
            answer if answer["state"] == "ok" => {
                asked += 1;
                answer["dif"]["id"].as_str().unwrap().parse().unwrap()
            }
            _ => {
                sent += 1;
                server.put_file(&server.account, record).await.id
            }
        };
        let there = server.app.db.debug_file(project, id).await.unwrap().is_some();
        let undisturbed = begun.load(Ordering::SeqCst) == deletions;
        checked += u32::from(undisturbed);
        assert!(there || !undisturbed, "round {round}: what was acknowledged is there");
    }
    done.store(true, Ordering::Relaxed);
    let mut expired = 0;
    for collector in collectors {
        expired += collector.await.unwrap();
    }
    let deleted = deleter.await.unwrap();
    let told = format!("{asked} asked, {sent} sent, {checked} checked, {expired} expired, {deleted} deleted");
    assert!(asked > 0 && sent > 40 && checked > ROUNDS / 2 && expired > 0 && deleted > 0, "{told}");
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_repairs_at_once_beside_a_collection_find_only_what_is_lost() {
    let server = flying().await;
    let mut lost = Vec::new();
    for number in 0..200 {
        let stored = server.put_file(&server.account, file(number)).await;
        server.put_symcache(&stored, Ok(format!("symcache {number}").as_bytes())).await;
        if number % 50 == 0 {
            lost.push(server.app.db.debug_file_pieces(stored.id).await.unwrap()[0].key.clone());
        }
    }
    // As many chunks of no file, which go while they are looked at.
    for number in 0..100 {
        let chunks: Vec<_> = (0..8).map(|part| format!("{number} {part}").into_bytes()).collect();
        let chunks: Vec<_> = chunks.iter().map(Vec::as_slice).collect();
        server.send_chunks(&server.account, &chunks).await;
    }
    let keys: Vec<_> = lost.iter().map(|key| BlobKey::from_row(key)).collect();
    server.app.blobs.delete(&keys).await.unwrap();
    server.app.clock.advance(TimeDelta::hours(25));
    let collector = {
        let upkeep = server.app.upkeep();
        tokio::spawn(async move { upkeep.gc(Mode::Remove).await.unwrap().chunks.count })
    };
    let repairs = (0..2).map(|_| {
        let upkeep = server.app.upkeep();
        tokio::spawn(async move { upkeep.fsck(Depth::Content, Repair::Yes, |_| {}).await.unwrap() })
    });
    for repair in repairs.collect::<Vec<_>>() {
        let checked = repair.await.unwrap();
        assert_eq!((checked.findings.len(), checked.damaged_files().len()), (4, 4), "{:?}", checked.findings);
    }
    assert_eq!(collector.await.unwrap(), 800);
    for number in 0..200 {
        server.put_file(&server.account, file(number)).await;
    }
    let mended = server.app.upkeep().fsck(Depth::Content, Repair::Yes, |_| {}).await.unwrap();
    assert_eq!(mended.findings, []);
    assert_eq!(server.fsck().await, [""; 0]);
}
