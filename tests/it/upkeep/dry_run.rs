//! A dry run of a collection says what the next one removes: the same lines with the same numbers.

use std::time::Duration;

use chrono::TimeDelta;
use symdepot::app::App;
use symdepot::blobs::{BlobKey, BlobStore};
use symdepot::types::{Policy, Retention};
use symdepot::upkeep::{Freed, Mode, Swept};

use super::{CALC, server};
use crate::support::form::left_over;
use crate::support::process::TestProcess;
use crate::support::records::Record;
use crate::support::server::{Builder, TestServer};
use crate::support::until;
use crate::support::uploads::Upload;

/// The same debug information, stored in another way under the same id: the second makes the first redundant.
const ONE: &str = "elf-x86_64-gcc-dwarf5-none/calc.debug";
const OTHER: &str = "elf-x86_64-gcc-dwarf5-zstd/calc.debug";

async fn stray(blobs: &dyn BlobStore, app: &App) {
    let key = BlobKey::fresh("chunks", app.clock.fresh_id());
    let mut spool = blobs.spool().await.unwrap();
    std::io::Write::write_all(&mut spool, b"of no row").unwrap();
    blobs.put(&key, spool).await.unwrap();
}

/// Counts first, then removes, and compares both.
async fn collect(server: &TestServer) -> Swept {
    server.app.uses.flush().await.unwrap();
    let before = server.app.db.blob_rows("", 1000).await.unwrap();
    let dry = server.app.upkeep().gc(Mode::DryRun).await.unwrap();
    assert_eq!(server.app.db.blob_rows("", 1000).await.unwrap(), before, "a dry run removes nothing");
    let swept = server.app.upkeep().gc(Mode::Remove).await.unwrap();
    assert_eq!(dry, swept);
    swept
}

async fn rules(server: &TestServer, words: &[&str]) {
    let policy = Policy { retention: Retention::of(words).unwrap(), ..Policy::default() };
    server.app.db.set_policy(server.account.project.id, &policy).await.unwrap();
}

/// A file of its own debug id, whose one chunk is `content`.
async fn put(server: &TestServer, name: &str, number: u32, content: &str) {
    let id = format!("00000000-0000-0000-0000-{number:012x}");
    let record = Record { content: content.as_bytes().to_vec(), ..Record::new(name, &id) };
    server.put_file(&server.account, record).await;
}

#[tokio::test]
async fn a_store_that_has_everything_to_collect_is_counted_as_it_is_collected() {
    let server = server().await;
    // A file that another makes redundant, each with a symcache and a text; a chunk of no file; an assembly that failed.
    server.upload_ok(&Upload::fixture(ONE).chunk_size(4096)).await;
    server.upload_ok(&Upload::fixture(CALC).chunk_size(4096)).await;
    let other = server.upload_ok(&Upload::fixture(OTHER).chunk_size(4096)).await;
    let id = other["debugId"].as_str().unwrap().replace('-', "");
    assert_eq!(
        server.get(&format!("/symbols/default/default/calc/{id}0/calc.sym")).send().await.unwrap().status(),
        200
    );
    server.send_chunks(&server.account, &[b"of no file"]).await;
    let refused = server.upload(&Upload::new("refused.so", "no debug file")).await;
    assert_eq!(refused["state"], "error");
    // Files that a rule takes, one of which shares its chunk with one that stays.
    put(&server, "app", 1, "first").await;
    put(&server, "app", 2, "shared").await;
    put(&server, "lib", 3, "shared").await;
    server.app.clock.advance(TimeDelta::days(40));
    put(&server, "app", 4, "newest").await;
    rules(&server, &["newest:1"]).await;
    stray(&*server.app.blobs, &server.app).await;
    std::fs::write(server.app.config.temp_dir().join("left over"), "of a process that died").unwrap();
    // The symcaches become those of another version.
    let newer = |builder: Builder| builder.tweak(|app| app.symcaches.converter_version = "newer".to_owned());
    let server = server.restart(newer).await;
    let id = other["debugId"].as_str().unwrap().parse().unwrap();
    let successor_of = server.app.db.debug_files_by_id(server.account.project.id, &[id]).await.unwrap().remove(0);
    server.put_symcache(&successor_of, Ok(b"what the newer version made")).await;
    server.app.clock.advance(TimeDelta::hours(27));

    let swept = collect(&server).await;
    assert_eq!(swept.expired.len(), 1);
    assert!(swept.expired[0].files.count >= 2, "{swept:?}");
    for (what, freed) in [
        ("symcaches", swept.old_symcaches),
        ("derived files", swept.unused_derived),
        ("chunks", swept.chunks),
        ("strays", swept.strays),
    ] {
        assert!(freed.count > 0 && freed.bytes > 0, "{what}: {swept:?}");
    }
    assert_eq!((swept.retired_files, swept.old_errors, swept.temp_files), (1, 1, 1));
    assert!(collect(&server).await.is_nothing(), "once");
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn chunks_of_files_that_expire_in_the_same_run_are_counted_with_it() {
    let server = server().await;
    let other = server.add_project("other").await;
    put(&server, "one.so", 1, "in two projects").await;
    let id = "00000000-0000-0000-0000-00000000002a";
    let record = Record { content: b"in two projects".to_vec(), ..Record::new("two.so", id) };
    server.put_file(&other, record).await;
    put(&server, "three.so", 3, "also in one that stays").await;
    server.app.clock.advance(TimeDelta::days(30));
    put(&server, "four.so", 4, "also in one that stays").await;
    rules(&server, &["10d"]).await;
    let policy = Policy { retention: Retention::of(&["10d"]).unwrap(), ..Policy::default() };
    server.app.db.set_policy(other.project.id, &policy).await.unwrap();
    let swept = collect(&server).await;
    assert_eq!(swept.expired.iter().map(|expired| expired.files.count).sum::<u64>(), 3);
    let bytes = "in two projects".len() as u64;
    assert_eq!(swept.chunks, Freed { count: 1, bytes });
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn what_several_rules_would_take_is_counted_once() {
    let server = server().await;
    for (number, content) in (1..).zip(["one", "two", "three"]) {
        put(&server, "app", number, content).await;
        server.app.clock.advance(TimeDelta::days(1));
    }
    put(&server, "lib", 9, "three").await;
    server.app.clock.advance(TimeDelta::days(40));
    put(&server, "app", 4, "four").await;
    rules(&server, &["newest:2", "30d", "idle:10d"]).await;
    let counts: Vec<_> = collect(&server).await.expired.iter().map(|expired| expired.files.count).collect();
    assert_eq!(counts, [2, 2], "all but the two newest builds, then the older of these and the library");
    assert_eq!(server.listed(&server.account).await.len(), 1);
}

#[tokio::test]
async fn what_an_assembly_waits_for_is_not_counted() {
    let server = server().await.restart(Builder::without_workers).await;
    let calc = Upload::fixture(CALC).chunk_size(4096);
    server.send(&server.account, &calc).await;
    assert_eq!(server.ask(&server.account, &calc).await["state"], "created");
    server.send_chunks(&server.account, &[b"of no file"]).await;
    server.app.clock.advance(TimeDelta::days(3));
    assert_eq!(collect(&server).await.chunks.count, 1);
}

#[tokio::test]
async fn the_verb_prints_the_same_lines_for_both() {
    let grace =
        [("SYMDEPOT_GC__TEMP_GRACE", "0s"), ("SYMDEPOT_UPLOADS__CHUNK_GRACE", "0s"), ("SYMDEPOT_GC__INTERVAL", "0s")];
    let process = TestProcess::start_with(&grace).await;
    let client = process.client();
    client.upload_ok(&Upload::fixture(ONE)).await;
    client.upload_ok(&Upload::fixture(OTHER)).await;
    client.send_chunks(&client.account, &[b"of no file"]).await;
    let app = process.behind().await;
    stray(&*app.blobs, &app).await;
    let temp = process.data_dir().join("tmp");
    until("the start is over", || async { left_over(&temp).is_empty().then_some(()) }).await;
    std::fs::write(temp.join("left over"), "of a process that died").unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let lines = async |arguments: &[&str]| {
        let output = process.run(arguments).await;
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let dry = lines(&["gc", "--dry-run"]).await;
    let counted = dry.strip_suffix("Nothing was removed: this was a dry run.\n").unwrap();
    assert!(counted.contains("1 temp files of processes that died\n"), "{dry}");
    assert!(counted.contains("1 blobs that no row speaks of: 9 B\n"), "{dry}");
    assert!(counted.contains("1 chunks of no file, not wanted for 0 s: 10 B\n"), "{dry}");
    assert_eq!(lines(&["gc"]).await, counted);
    assert_ne!(lines(&["gc"]).await, counted, "it was removed");
}
