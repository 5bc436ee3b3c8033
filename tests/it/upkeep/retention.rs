//! Retention: what a rule of a project takes away, what keeps a file, and what is said of files that went.

use chrono::TimeDelta;
use serde_json::{Value, json};
use symdepot::app::App;
use symdepot::db::{NewSymcache, SymcacheKey};
use symdepot::types::{DebugFile, Format, Kind, Policy, Retention, Rule};
use symdepot::upkeep::{Expired, Freed, Mode, Swept};

use super::{a_day_later, server};
use crate::support::process::TestProcess;
use crate::support::records::Record;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

async fn rules(server: &TestServer, words: &[&str]) {
    let policy = Policy { retention: Retention::of(words).unwrap(), ..Policy::default() };
    server.app.db.set_policy(server.account.project.id, &policy).await.unwrap();
}

fn debug_id(number: u32) -> String {
    format!("00000000-0000-0000-0000-{number:012x}")
}

/// A file of its own debug id. Its content is its name and id.
fn record(name: &str, number: u32) -> Record {
    let id = debug_id(number);
    Record { content: format!("{name} {id}").into_bytes(), ..Record::new(name, &id) }
}

async fn put(server: &TestServer, name: &str, number: u32) -> DebugFile {
    server.put_file(&server.account, record(name, number)).await
}

/// Ids of the files that are listed, oldest first.
async fn left(server: &TestServer) -> Vec<i64> {
    let listed = server.listed(&server.account).await;
    let mut ids: Vec<_> = listed.iter().map(|dif| dif["id"].as_str().unwrap().parse().unwrap()).collect();
    ids.sort_unstable();
    ids
}

async fn collect(server: &TestServer) -> Swept {
    server.app.uses.flush().await.unwrap();
    let dry = server.app.upkeep().gc(Mode::DryRun).await.unwrap();
    let swept = server.app.upkeep().gc(Mode::Remove).await.unwrap();
    assert_eq!(swept.expired, dry.expired, "a dry run says what happens");
    swept
}

fn days(server: &TestServer, days: i64) {
    server.app.clock.advance(TimeDelta::days(days));
}

#[tokio::test]
async fn without_a_rule_everything_stays_and_with_one_what_is_too_old_goes() {
    let server = server().await;
    let old = put(&server, "old.so", 1).await;
    let bytes = server.app.db.debug_file_pieces(old.id).await.unwrap()[0].stored_size;
    days(&server, 1000);
    let new = put(&server, "new.so", 2).await;
    assert_eq!(collect(&server).await.expired, []);
    assert_eq!(left(&server).await, [old.id, new.id]);
    rules(&server, &["90d"]).await;
    a_day_later(&server);
    let expected =
        Expired { project: "default/default".to_owned(), rule: Rule::Days(90), files: Freed { count: 1, bytes } };
    let swept = collect(&server).await;
    assert_eq!(swept.expired, [expected]);
    assert_eq!(swept.chunks, Freed { count: 1, bytes }, "its chunk went with it");
    assert_eq!(left(&server).await, [new.id]);
    assert!(collect(&server).await.expired.is_empty(), "once");
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn who_asks_for_a_file_with_an_upload_renews_it_however_old_it_is() {
    let server = server().await;
    rules(&server, &["2d"]).await;
    let asked = put(&server, "asked.so", 1).await;
    let left_alone = put(&server, "left-alone.so", 2).await;
    let missing = put(&server, "missing.so", 3).await;
    let sent = put(&server, "sent.so", 4).await;
    days(&server, 5);
    assert_eq!(
        server.ask(&server.account, &Upload::new("asked.so", record("asked.so", 1).content)).await["state"],
        "ok"
    );
    let path = format!("{}files/dsyms/unknown/?checksums={}", server.account.project_path(), missing.sha1);
    let unknown: Value = server.get(&path).send().await.unwrap().json().await.unwrap();
    assert_eq!(unknown, json!({ "missing": [] }));
    put(&server, "sent.so", 4).await;
    assert_eq!(collect(&server).await.expired[0].files.count, 1);
    assert_eq!(left(&server).await, [asked.id, missing.id, sent.id], "{} went", left_alone.id);
    days(&server, 3);
    collect(&server).await;
    assert_eq!(left(&server).await, [0; 0]);
}

#[tokio::test]
async fn whatever_uses_a_file_keeps_it_from_being_idle() {
    let server = server().await;
    rules(&server, &["idle:10d"]).await;
    let idle = put(&server, "idle.so", 1).await;
    let downloaded = put(&server, "downloaded.so", 2).await;
    let code_id = Some("abcdef0123456789".to_owned());
    let debugged = server.put_file(&server.account, Record { code_id, ..record("debugged.so", 3) }).await;
    let looked_up = put(&server, "looked-up.so", 4).await;
    server.put_symcache(&looked_up, Ok(b"a symcache")).await;
    let asked_about = put(&server, "asked-about.so", 5).await;
    server.put_symcache(&asked_about, Ok(b"another symcache")).await;
    let explained = put(&server, "explained.so", 6).await;
    for _twice in 0..2 {
        days(&server, 6);
        let list = format!("{}files/dsyms/", server.account.project_path());
        for path in [
            format!("{list}?id={}", downloaded.id),
            "/symbols/default/default/buildid/abcdef0123456789/debuginfo".to_owned(),
            format!("{}{}", server.account.symcaches_path(), debug_id(4)),
        ] {
            assert_eq!(server.get(&path).send().await.unwrap().status(), 200, "{path}");
        }
        assert_eq!(server.symcache_status(&server.account, &debug_id(5)).await["state"], "ready");
        // To be listed or explained is no use.
        assert_eq!(server.get(&format!("{list}?query=idle")).send().await.unwrap().status(), 200);
        let explain = format!("/api/v1/projects/default/default/explain?debug_id={}", debug_id(6));
        assert_eq!(server.get(&explain).send().await.unwrap().status(), 200);
        server.app.uses.flush().await.unwrap();
    }
    let swept = collect(&server).await;
    assert_eq!(swept.expired[0].files.count, 2, "{} and {}", idle.id, explained.id);
    assert_eq!(left(&server).await, [downloaded.id, debugged.id, looked_up.id, asked_about.id]);
    days(&server, 11);
    collect(&server).await;
    assert_eq!(left(&server).await, [0; 0]);
}

#[tokio::test]
async fn a_use_is_written_once_an_hour_and_a_rule_allows_for_that() {
    let server = server().await;
    rules(&server, &["idle:1d"]).await;
    let file = put(&server, "used.so", 1).await;
    let path = format!("{}files/dsyms/?id={}", server.account.project_path(), file.id);
    let queries = crate::support::queries::Queries::listen();
    for _minute in 0..50 {
        server.app.clock.advance(TimeDelta::minutes(1));
        server.get(&path).send().await.unwrap();
        server.app.uses.flush().await.unwrap();
    }
    let touched = queries.take().into_iter().filter(|query| *query == "db.debug_files.touch").count();
    assert_eq!(touched, 1);
    // A day since the last use, and 25 hours less ten minutes since the last one that was written.
    server.app.clock.advance(TimeDelta::hours(24));
    collect(&server).await;
    assert_eq!(left(&server).await, [file.id]);
    server.app.clock.advance(TimeDelta::minutes(15));
    collect(&server).await;
    assert_eq!(left(&server).await, [0; 0]);
}

#[tokio::test]
async fn of_the_builds_of_a_name_the_newest_stay_with_all_their_files() {
    let server = server().await;
    rules(&server, &["newest:2"]).await;
    let mut builds = Vec::new();
    for number in 1..=4 {
        server.app.clock.advance(TimeDelta::minutes(10));
        let mut build = Vec::new();
        for (format, kind) in [(Format::Pe, Kind::Executable), (Format::Pdb, Kind::Debug)] {
            let content = format!("{number} {format}").into_bytes();
            let file = Record { format, kind, content, ..record("app", number) };
            build.push(server.put_file(&server.account, file).await.id);
        }
        // Another half of the same build: unwind information alone.
        let half =
            Record { content: format!("{number} half").into_bytes(), format: Format::Pdb, ..record("app", number) };
        build.push(server.put_file(&server.account, half).await.id);
        builds.push(build);
    }
    let other = put(&server, "other", 9).await;
    let arm = Record { cpu_name: "arm64".to_owned(), ..record("app", 10) };
    let arm = server.put_file(&server.account, Record { format: Format::Pe, kind: Kind::Executable, ..arm }).await;
    assert!(collect(&server).await.expired.is_empty(), "within the hour nothing goes");

    days(&server, 1);
    // Whoever uploads an old build again makes it the newest.
    server
        .put_file(
            &server.account,
            Record { format: Format::Pe, kind: Kind::Executable, content: b"1 pe".into(), ..record("app", 1) },
        )
        .await;
    let swept = collect(&server).await;
    assert_eq!((swept.expired[0].rule, swept.expired[0].files.count), (Rule::Newest(2), 5 + 1));
    let mut expected = vec![builds[0][0], other.id, arm.id];
    expected.extend([&builds[2][1..], &builds[3][..]].concat());
    expected.sort_unstable();
    assert_eq!(left(&server).await, expected);
}

#[tokio::test]
async fn several_rules_apply_each_for_itself_and_every_file_goes_once() {
    let server = server().await;
    rules(&server, &["20d", "idle:5d", "newest:1"]).await;
    let aged = put(&server, "a", 1).await;
    days(&server, 15);
    let path = format!("{}files/dsyms/?id={}", server.account.project_path(), aged.id);
    server.get(&path).send().await.unwrap();
    server.app.uses.flush().await.unwrap();
    put(&server, "b", 2).await;
    put(&server, "b", 3).await;
    days(&server, 6);
    let swept = collect(&server).await;
    let told: Vec<_> = swept.expired.iter().map(|expired| (expired.rule, expired.files.count)).collect();
    assert_eq!(told, [(Rule::Newest(1), 1), (Rule::Days(20), 1), (Rule::Idle(5), 1)]);
    assert_eq!(left(&server).await, [0; 0]);
}

#[tokio::test]
async fn chunks_that_another_file_has_do_not_become_free() {
    let server = server().await;
    rules(&server, &["10d"]).await;
    let shared = b"12345678".repeat(2);
    let of = |own: &str, number| {
        let content = [&shared[..], own.as_bytes()].concat();
        Record { content, chunk_size: 16, ..record(own, number) }
    };
    server.put_file(&server.account, of("old", 1)).await;
    server.put_file(&server.account, of("older", 2)).await;
    days(&server, 5);
    server.put_file(&server.account, of("new", 3)).await;
    days(&server, 6);
    assert_eq!(collect(&server).await.expired[0].files, Freed { count: 2, bytes: 8 }, "old and older");
    days(&server, 6);
    assert_eq!(collect(&server).await.expired[0].files, Freed { count: 1, bytes: 16 + 3 });
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn whoever_misses_an_expired_file_hears_which_rule_took_it() {
    let server = server().await;
    rules(&server, &["90d"]).await;
    let code_id = Some("abcdef".to_owned());
    server.put_file(&server.account, Record { code_id, ..record("app.so", 1) }).await;
    days(&server, 91);
    let day = server.app.clock.now().format("%Y-%m-%d").to_string();
    collect(&server).await;
    for question in [format!("debug_id={}", debug_id(1)), "code_id=ABCDEF".to_owned()] {
        let path = format!("/api/v1/projects/default/default/explain?{question}");
        let told: Value = server.get(&path).send().await.unwrap().json().await.unwrap();
        let reason = format!(
            "The debug file of this id (app.so) expired on {day} by the rule 90d of its project. Upload it again, and change \
             the rule with `symdepot project set` if files are needed for longer."
        );
        assert_eq!((&told["served"], &told["reason"]), (&json!(false), &json!(reason)));
        assert_eq!((&told["expired"][0]["rule"], &told["expired"][0]["debugId"]), (&json!("90d"), &json!(debug_id(1))));
    }
    days(&server, 91);
    collect(&server).await;
    let path = format!("/api/v1/projects/default/default/explain?debug_id={}", debug_id(1));
    let told: Value = server.get(&path).send().await.unwrap().json().await.unwrap();
    assert_eq!(told["expired"], json!([]), "that is not remembered for ever");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_collections_at_once_take_every_file_once() {
    let server = server().await;
    rules(&server, &["10d"]).await;
    for number in 0..500 {
        put(&server, "app", number).await;
    }
    days(&server, 11);
    let collections = (0..2).map(|_| {
        let upkeep = server.app.upkeep();
        tokio::spawn(async move { upkeep.gc(Mode::Remove).await.unwrap() })
    });
    let (mut files, mut chunks) = (0, 0);
    for collection in collections.collect::<Vec<_>>() {
        let swept = collection.await.unwrap();
        files += swept.expired.iter().map(|expired| expired.files.count).sum::<u64>();
        chunks += swept.chunks.count;
    }
    assert_eq!((files, chunks), (500, 500));
    assert_eq!(left(&server).await, [0; 0]);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn symcaches_of_another_version_go_after_a_day_and_those_of_today_stay() {
    let server = server().await;
    let (old, new) = (put(&server, "old", 1).await, put(&server, "new", 2).await);
    let today = server.put_symcache(&new, Ok(b"a symcache of today")).await;
    let stale = NewSymcache {
        key: SymcacheKey {
            debug_file_id: old.id,
            format_version: today.format_version,
            converter_version: "another".to_owned(),
            mappings: String::new(),
        },
        outcome: Err("It could not be read.".to_owned()),
        statistics: None,
    };
    server.app.db.insert_symcache(&stale, server.app.clock.now()).await.unwrap();
    assert_eq!(collect(&server).await.old_symcaches, Freed::default(), "a newer process may have made it");
    a_day_later(&server);
    assert_eq!(collect(&server).await.old_symcaches, Freed { count: 1, bytes: 0 });
    assert_eq!(server.app.db.symcaches_of(&[old.id, new.id]).await.unwrap().len(), 1);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_symcache_that_is_served_stays_until_a_day_after_its_successor_was_made() {
    let server = server().await;
    let file = put(&server, "served", 1).await;
    let served = server.put_symcache(&file, Ok(b"what an earlier version made")).await;
    let later = |app: &mut App| app.symcaches.converter_version = "later".to_owned();
    let server = server.restart(|builder| builder.without_workers().tweak(later)).await;
    for _day in 0..3 {
        a_day_later(&server);
        assert_eq!(collect(&server).await.old_symcaches, Freed::default());
        assert_eq!(server.symcache(&server.account, &debug_id(1), 0).await.status(), 200);
    }
    let successor = server.put_symcache(&file, Ok(b"what this version made")).await;
    assert_eq!(collect(&server).await.old_symcaches, Freed::default(), "a process of the earlier one may run");
    a_day_later(&server);
    assert_eq!(collect(&server).await.old_symcaches, Freed { count: 1, bytes: served.blob.unwrap().stored_size });
    assert_eq!(server.app.db.symcaches_of(&[file.id]).await.unwrap(), [successor]);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn the_verbs_say_what_holds_and_what_would_go() {
    let process = TestProcess::start().await;
    let say = async |line: &str| {
        let output = process.run(&line.split(' ').collect::<Vec<_>>()).await;
        let text = [output.stdout, output.stderr].concat();
        format!("{}{}", String::from_utf8(text).unwrap(), output.status.code().unwrap())
    };
    assert_eq!(
        say("project set default/default --retention idle:30d --retention 90d").await,
        "retention\t90d idle:30d\n0"
    );
    assert_eq!(say("project set default/default --quota-files 5").await, "quota-files\t5\n0");
    assert_eq!(
        say("project set default/default").await,
        "retention\t90d idle:30d\nquota-bytes\t0\nquota-files\t5\npublic-symbols\tfalse\nused-bytes\t0\nused-files\t0\n0"
    );
    let refused = say("project set default/default --retention keep --retention 90d").await;
    assert_eq!(refused, "symdepot: `keep` takes all rules away, so it stands alone\n1");
    assert!(
        say("project set default/default --retention soon").await.starts_with("symdepot: `soon` is no rule: write")
    );
    assert_eq!(
        say("project set default/default --retention keep --quota-files 0").await,
        "retention\tkeep\nquota-files\t0\n0"
    );
    assert_eq!(say("org set default --quota-bytes 1000 --quota-files 7").await, "quota-bytes\t1000\nquota-files\t7\n0");
    assert_eq!(say("org set default --quota-files 0").await, "quota-files\t0\n0");
    assert_eq!(say("org set default").await, "quota-bytes\t1000\nquota-files\t0\nused-bytes\t0\nused-files\t0\n0");
    let dry = say("gc --dry-run").await;
    assert!(dry.contains("0 symcaches of versions that nobody asks for: 0 B\n"), "{dry}");
}
