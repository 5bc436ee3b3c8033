//! From one machine to many, on to others and back: `copy-to` takes everything along, goes on where it was broken off, and
//! never mixes two installations.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use symdepot::db::{NewJob, TABLES};
use symdepot::types::JobKind;
use tempfile::TempDir;

use crate::support::database::{Engine, TestDatabase, sqlite_url};
use crate::support::process::TestProcess;
use crate::support::redis;
use crate::support::s3::S3Bucket;
use crate::support::s3_proxy::{ALWAYS, S3Fault, S3Proxy};
use crate::support::until;
use crate::support::uploads::Upload;

const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.debug";
const CALC_ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";
const CALC_SYM: &str = "/symbols/default/default/calc/4EC932A9E89AF8CD96B5496A980E4EFE0/calc.sym";

/// What clients saw: path, status and bytes.
type Seen = Vec<(String, u16, Vec<u8>)>;

/// An empty database and an empty bucket, behind a proxy that breaks nothing by itself.
struct Target {
    database: TestDatabase,
    bucket: S3Bucket,
    proxy: Arc<S3Proxy>,
}

impl Target {
    async fn empty() -> Self {
        let database = TestDatabase::empty(Engine::Postgres).await;
        let bucket = S3Bucket::fresh();
        let proxy = Arc::new(S3Proxy::before(&bucket.endpoint).await);
        let bucket = bucket.by_way_of(&proxy.endpoint);
        Self { database, bucket, proxy }
    }

    /// Another one on the same S3 server.
    async fn beside(&self) -> Self {
        let database = TestDatabase::empty(Engine::Postgres).await;
        let bucket = S3Bucket::fresh().by_way_of(&self.proxy.endpoint);
        Self { database, bucket, proxy: Arc::clone(&self.proxy) }
    }

    /// All that a cluster needs to know that lives here.
    fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = self.bucket.environment();
        settings.push(("SYMDEPOT_DATABASE__URL", self.database.url.clone()));
        settings.push(("SYMDEPOT_STATUS__URL", redis::shared().url()));
        settings.push(("SYMDEPOT_STATUS__PREFIX", redis::fresh_prefix()));
        settings
    }

    /// Gives a process what it needs to know of the S3 server, and not that it should use it.
    fn tell(&self, process: &mut TestProcess) {
        for (name, value) in self.bucket.environment().into_iter().filter(|(name, _)| *name != "SYMDEPOT_BLOBS__URL") {
            process.set(name, &value);
        }
    }

    fn arguments(&self) -> [String; 5] {
        let (database, bucket) = (self.database.url.clone(), self.bucket.url());
        ["copy-to".to_owned(), "--database-url".to_owned(), database, "--blobs-url".to_owned(), bucket]
    }

    async fn copy(&self, process: &TestProcess) -> Output {
        process.run(&self.arguments().each_ref().map(String::as_str)).await
    }

    /// From the next start on, the process lives here.
    fn move_in(&self, process: &mut TestProcess) {
        process.set("SYMDEPOT_DATABASE__URL", &self.database.url);
        process.set("SYMDEPOT_BLOBS__URL", &self.bucket.url());
    }

    async fn rows_of(&self, table: &str) -> i64 {
        let mut connection = PgConnection::connect(&self.database.url).await.unwrap();
        let sql = AssertSqlSafe(format!("select count(*) from {table}"));
        sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
    }
}

fn files_below(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// An installation with something of everything: files, one that failed, one with a symcache, what was made on the way,
/// keys, a miss, a job.
async fn lived_in(settings: &[(&str, &str)]) -> TestProcess {
    let server = TestProcess::start_embedded("the test says where it lives", settings).await;
    let client = server.client();
    client.upload_ok(&Upload::fixture(CALC).chunk_size(4096)).await;
    client.upload_ok(&Upload::fixture(CALC).another(7).chunk_size(200)).await;
    let nonsense = client.upload(&Upload::new("nonsense", b"no debug file".as_slice())).await;
    assert_eq!(nonsense["state"], "error");
    assert_eq!(client.symcache(&client.account, CALC_ID, 60).await.status(), 200);
    assert_eq!(client.get(CALC_SYM).send().await.unwrap().status(), 200);
    let absent = "11111111-2222-3333-4444-555555555555";
    assert_eq!(client.symcache(&client.account, absent, 0).await.status(), 404);
    for arguments in [
        &["org", "create", "another"][..],
        &["project", "create", "another/app"],
        &["token", "create", "--org", "another", "--project", "app", "--scope", "project:read"],
        &["symbol-key", "create", "--project", "default/default"],
    ] {
        let output = server.run(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    }
    // Only where it lives in its own folder can we look behind.
    if settings.is_empty() {
        let behind = server.behind().await;
        let job = NewJob {
            kind: JobKind::Symcache,
            organization_id: client.account.organization.id,
            project_id: Some(client.account.project.id),
            dedup_key: Some("a job for later".to_owned()),
            lane: Some("a lane".to_owned()),
            payload: json!({ "of": ["a later", "version", { "with": "ü \" \\ 9007199254740993" }] }).to_string(),
        };
        let now = behind.clock.now();
        behind.db.queue_jobs(&[job], now + TimeDelta::minutes(9), now).await.unwrap();
        behind.db.close().await;
    }
    server
}

/// Everything that a client can see, in the words of the server.
async fn seen(server: &TestProcess) -> Seen {
    let client = server.client();
    let files = format!("{}files/dsyms/", client.account.project_path());
    let mut paths = vec![
        files.clone(),
        "/api/0/organizations/".to_owned(),
        "/api/v1/projects/default/default/missing".to_owned(),
        format!("{}{CALC_ID}", client.account.symcaches_path()),
        CALC_SYM.to_owned(),
    ];
    for file in client.listed(&client.account).await {
        paths.push(format!("{files}?id={}", file["id"].as_str().unwrap()));
    }
    let mut seen = Vec::new();
    for path in paths {
        let answer = client.request_as(&client.account.token, Method::GET, &path).send().await.unwrap();
        let status = answer.status().as_u16();
        seen.push((path, status, answer.bytes().await.unwrap().to_vec()));
    }
    seen
}

#[tokio::test]
async fn everything_moves_and_answers_as_before() {
    let mut server = lived_in(&[]).await;
    let before = seen(&server).await;
    assert!(before.iter().filter(|(_, status, _)| *status == 200).count() >= 5, "{before:?}");
    server.terminate().await;

    let target = Target::empty().await;
    target.tell(&mut server);
    let copied = target.copy(&server).await;
    assert!(copied.status.success(), "{}", said(&copied));
    assert!(said(&copied).contains("rows copied"), "{}", said(&copied));
    let again = target.copy(&server).await;
    assert_eq!(String::from_utf8_lossy(&again.stdout), "Everything is there already.\n");

    target.move_in(&mut server);
    server.restart().await;
    lives_on(&server, &before).await;
}

/// Everything is as it was and goes on from there.
async fn lives_on(server: &TestProcess, before: &Seen) {
    let after = seen(server).await;
    let names = |seen: &Seen| seen.iter().map(|(path, status, _)| (path.clone(), *status)).collect::<Vec<_>>();
    assert_eq!(names(&after), names(before));
    assert!(after == *before, "the bytes are the same");
    let fsck = server.run(&["fsck", "--deep"]).await;
    assert!(fsck.status.success(), "{}", said(&fsck));

    let client = server.client();
    let newest = client.listed(&client.account).await[0]["id"].as_str().unwrap().parse::<u64>().unwrap();
    let dif = client.upload_ok(&Upload::fixture(CALC).another(8)).await;
    assert!(dif["id"].as_str().unwrap().parse::<u64>().unwrap() > newest, "no id is given twice: {dif}");
    let known = client.ask(&client.account, &Upload::fixture(CALC).chunk_size(4096)).await;
    assert_eq!(known["state"], "ok");
}

/// A cluster in which somebody lives, and everything that its clients saw before it was stopped.
async fn cluster_at(place: &Target) -> (TestProcess, Seen) {
    let settings = place.settings();
    let mut server = lived_in(&settings.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>()).await;
    let before = seen(&server).await;
    server.terminate().await;
    (server, before)
}

#[tokio::test]
async fn a_cluster_moves_into_another_one_and_the_old_one_stays_as_it_was() {
    let old = Target::empty().await;
    let (mut server, before) = cluster_at(&old).await;
    let new = old.beside().await;
    let copied = new.copy(&server).await;
    assert!(copied.status.success(), "{}", said(&copied));
    let again = new.copy(&server).await;
    assert_eq!(String::from_utf8_lossy(&again.stdout), "Everything is there already.\n");
    new.move_in(&mut server);
    server.restart().await;
    lives_on(&server, &before).await;
    let refused = old.copy(&server).await;
    assert!(said(&refused).contains("the target database holds something else"), "{}", said(&refused));
    server.terminate().await;

    old.move_in(&mut server);
    server.restart().await;
    assert!(seen(&server).await == before, "what came to the new one is not in the old one");
    // Into another database alone, beside the same bytes.
    let rows = TestDatabase::empty(Engine::Postgres).await;
    let moved = ["copy-to", "--database-url", &rows.url, "--blobs-url", &old.bucket.url()];
    let moved = server.run(&moved).await;
    assert!(said(&moved).starts_with("0 blobs (0 B) and "), "{}", said(&moved));
    server.terminate().await;
    server.set("SYMDEPOT_DATABASE__URL", &rows.url);
    server.restart().await;
    lives_on(&server, &before).await;
}

#[tokio::test]
async fn a_cluster_moves_back_onto_one_machine() {
    let old = Target::empty().await;
    let (mut server, before) = cluster_at(&old).await;
    let folder = TempDir::new().unwrap();
    let database = sqlite_url(&folder.path().join("symdepot.db"));
    let blobs = format!("file://{}", folder.path().join("blobs").display());
    let arguments = ["copy-to", "--database-url", &database, "--blobs-url", &blobs];
    let copied = server.run(&arguments).await;
    assert!(copied.status.success(), "{}", said(&copied));
    let again = server.run(&arguments).await;
    assert_eq!(String::from_utf8_lossy(&again.stdout), "Everything is there already.\n", "{}", said(&again));
    server.set("SYMDEPOT_DATABASE__URL", &database);
    server.set("SYMDEPOT_BLOBS__URL", &blobs);
    server.set("SYMDEPOT_STATUS__URL", "memory");
    server.restart().await;
    lives_on(&server, &before).await;
    let refused = old.copy(&server).await;
    assert!(said(&refused).contains("the target database holds something else"), "{}", said(&refused));
}

#[tokio::test]
async fn a_move_that_was_killed_among_the_bytes_goes_on_where_it_was() {
    let mut server = lived_in(&[]).await;
    let before = seen(&server).await;
    server.terminate().await;
    let target = Target::empty().await;
    target.tell(&mut server);

    let arguments = target.arguments();
    let mut moving = server.start_verb(&arguments.each_ref().map(String::as_str));
    until("some bytes are there", || async { (target.proxy.seen("PutObject") >= 6).then_some(()) }).await;
    target.proxy.inject("PutObject", S3Fault::Silent, ALWAYS);
    until("it stands still", || async { (target.proxy.seen("PutObject") >= 10).then_some(()) }).await;
    moving.kill().await.unwrap();
    target.proxy.heal();
    let (first, stored) = (target.proxy.seen("PutObject"), files_below(&target.bucket.folder().join("depot")));

    let copied = target.copy(&server).await;
    assert!(copied.status.success(), "{}", said(&copied));
    let all = files_below(&server.data_dir().join("blobs"));
    assert_eq!(target.proxy.seen("PutObject") - first, all - stored, "what was there was not sent again");
    target.move_in(&mut server);
    server.restart().await;
    assert!(seen(&server).await == before, "the bytes are the same");
    let fsck = server.run(&["fsck", "--deep"]).await;
    assert!(fsck.status.success(), "{}", said(&fsck));
}

#[tokio::test]
async fn a_move_that_was_killed_among_the_rows_leaves_none_and_is_done_again() {
    let mut server = lived_in(&[]).await;
    let before = seen(&server).await;
    server.terminate().await;
    let target = Target::empty().await;
    target.tell(&mut server);
    // The schema is there, and one of the last tables cannot be written to.
    symdepot::db::Db::connect(&target.database.url).await.unwrap().migrate().await.unwrap();
    let mut held = PgConnection::connect(&target.database.url).await.unwrap();
    let mut lock = held.begin().await.unwrap();
    sqlx::query("lock table misses in share mode").execute(&mut *lock).await.unwrap();

    let arguments = target.arguments();
    let mut moving = server.start_verb(&arguments.each_ref().map(String::as_str));
    let waiting = "select count(*) from pg_locks where not granted and relation = 'misses'::regclass";
    until("it waits for the table", || async {
        let mut watch = PgConnection::connect(&target.database.url).await.unwrap();
        let found: i64 = sqlx::query_scalar(waiting).fetch_one(&mut watch).await.unwrap();
        (found > 0).then_some(())
    })
    .await;
    moving.kill().await.unwrap();
    lock.rollback().await.unwrap();
    assert_eq!(target.rows_of("organizations").await, 0, "all rows or none");

    let copied = target.copy(&server).await;
    assert!(copied.status.success(), "{}", said(&copied));
    target.move_in(&mut server);
    server.restart().await;
    assert!(seen(&server).await == before, "the bytes are the same");
}

#[tokio::test]
async fn a_place_that_somebody_lives_in_is_refused_and_left_as_it_is() {
    let mut server = TestProcess::start_embedded("it moves out of the embedded form", &[]).await;
    let client = server.client();
    client.upload_ok(&Upload::fixture(CALC)).await;
    server.terminate().await;

    let target = Target::empty().await;
    target.tell(&mut server);
    let foreign = target.bucket.folder().join("depot/chunks/aa");
    std::fs::create_dir_all(&foreign).unwrap();
    std::fs::write(foreign.join("somebody-elses"), "bytes").unwrap();
    let refused = target.copy(&server).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("the target store holds something else"), "{}", said(&refused));
    assert_eq!(target.rows_of("organizations").await, 0);
    std::fs::remove_file(foreign.join("somebody-elses")).unwrap();

    let db = target.database.connect().await;
    db.create_organization("somebody", symdepot::clock::Clock::System.now()).await.unwrap();
    let refused = target.copy(&server).await;
    assert!(said(&refused).contains("the target database holds something else"), "{}", said(&refused));
    assert_eq!(target.rows_of("organizations").await, 1);

    for (database, blobs, sentence) in [
        ("sqlite:///tmp/no", "file:///tmp/no", "To move from SQLite to SQLite copy `data_dir`"),
        (target.database.url.as_str(), "memory", "lost with the process"),
        ("postgres://nobody@127.0.0.1:1/no", "file:///tmp/no", "cannot be used"),
    ] {
        let refused = server.run(&["copy-to", "--database-url", database, "--blobs-url", blobs]).await;
        assert_eq!(refused.status.code(), Some(1));
        assert!(said(&refused).contains(sentence), "{}", said(&refused));
    }
}

#[tokio::test]
async fn a_source_that_lost_bytes_is_told_to_be_mended_first() {
    let mut server = TestProcess::start_embedded("it moves out of the embedded form", &[]).await;
    server.client().upload_ok(&Upload::fixture(CALC).chunk_size(4096)).await;
    server.terminate().await;
    let chunks = server.data_dir().join("blobs/chunks");
    let folder = std::fs::read_dir(chunks).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_dir_all(folder).unwrap();
    let target = Target::empty().await;
    target.tell(&mut server);
    let refused = target.copy(&server).await;
    assert!(said(&refused).contains("symdepot fsck --repair"), "{}", said(&refused));
    assert_eq!(target.rows_of("organizations").await, 0);

    let repair = server.run(&["fsck", "--repair"]).await;
    assert_eq!(repair.status.code(), Some(1), "{}", said(&repair));
    let copied = target.copy(&server).await;
    assert!(copied.status.success(), "{}", said(&copied));
    target.move_in(&mut server);
    server.restart().await;
    let client = server.client();
    let asked = client.ask(&client.account, &Upload::fixture(CALC).chunk_size(4096)).await;
    assert_eq!(asked["state"], json!("not_found"), "what is lost is asked for: {asked}");
    client.upload_ok(&Upload::fixture(CALC).chunk_size(4096)).await;
}

#[tokio::test]
async fn no_table_is_left_behind_and_none_comes_before_one_that_it_speaks_of() {
    let (postgres, sqlite) =
        (TestDatabase::migrated(Engine::Postgres).await, TestDatabase::migrated(Engine::Sqlite).await);
    let mut postgres = PgConnection::connect(&postgres.url).await.unwrap();
    let path = sqlite.url.strip_prefix("sqlite://").unwrap();
    let mut sqlite = SqliteConnection::connect(&sqlite_url(path.as_ref())).await.unwrap();
    let listed: BTreeSet<String> = TABLES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(listed.len(), TABLES.len(), "no table is copied twice");
    let sql = "select table_name::text from information_schema.tables where table_schema = current_schema()";
    let there: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut postgres).await.unwrap();
    let here = "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'";
    let here: Vec<String> = sqlx::query_scalar(here).fetch_all(&mut sqlite).await.unwrap();
    for tables in [there, here] {
        let ours: BTreeSet<_> = tables.into_iter().filter(|name| name != "_sqlx_migrations").collect();
        assert_eq!(ours, listed, "put a new table into `TABLES` of src/db/copy.rs");
    }
    for table in TABLES {
        let sql = "select column_name::text from information_schema.columns where table_name = $1 order by 1";
        let mut there: Vec<String> = sqlx::query_scalar(sql).bind(table).fetch_all(&mut postgres).await.unwrap();
        let here = "select name from pragma_table_info($1) order by 1";
        let mut here: Vec<String> = sqlx::query_scalar(here).bind(table).fetch_all(&mut sqlite).await.unwrap();
        there.sort();
        here.sort();
        assert_eq!(here, there, "{table}");
    }
    let sql = "select conrelid::regclass::text, confrelid::regclass::text from pg_constraint where contype = 'f'";
    let speaks_of: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&mut postgres).await.unwrap();
    let position = |name: &str| TABLES.iter().position(|table| *table == name).unwrap();
    for (from, to) in speaks_of {
        assert!(position(&to) < position(&from), "{from} speaks of {to}");
    }
}
