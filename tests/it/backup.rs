//! Backup and restore as `docs/backup.md` tells them, taken while uploads go on: rows first, bytes after.
//!
//! What was acknowledged before the backup began is whole after the restore, and what came later is asked for again.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;

use crate::support::database::{Engine, TestDatabase, sqlite_url};
use crate::support::postgres::binaries;
use crate::support::process::TestProcess;
use crate::support::s3::S3Bucket;
use crate::support::uploads::Upload;

const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.debug";

fn copy_folder(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success(), "{from:?} to {to:?}");
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn downloaded(server: &TestProcess, dif: &Value) -> Vec<u8> {
    let client = server.client();
    let path = format!("{}files/dsyms/?id={}", client.account.project_path(), dif["id"].as_str().unwrap());
    let answer = client.get(&path).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.bytes().await.unwrap().to_vec()
}

/// What must hold after a restore: the file of before is whole, the one of later is asked for and taken.
async fn is_restored(server: &TestProcess, before: (&Upload, &Value), later: &Upload) {
    let fsck = server.run(&["fsck", "--deep"]).await;
    assert!(fsck.status.success(), "{}", said(&fsck));
    let client = server.client();
    assert!(downloaded(server, before.1).await == before.0.content, "it came back as it was");
    assert_eq!(client.ask(&client.account, later).await["state"], "not_found");
    client.upload_ok(later).await;
    let fsck = server.run(&["fsck", "--deep"]).await;
    assert!(fsck.status.success(), "{}", said(&fsck));
}

#[tokio::test]
async fn files_and_a_copy_of_the_database_that_was_taken_before_them_are_a_backup() {
    let mut server = TestProcess::start_embedded("this is the backup of that form", &[]).await;
    let client = server.client();
    let (before, later) = (Upload::fixture(CALC).chunk_size(4096), Upload::fixture(CALC).another(9).chunk_size(1024));
    let dif = client.upload_ok(&before).await;

    let backup = TempDir::new().unwrap();
    let mut database = SqliteConnection::connect(&sqlite_url(&server.data_dir().join("symdepot.db"))).await.unwrap();
    let copy = backup.path().join("symdepot.db");
    sqlx::query("vacuum into $1").bind(copy.to_str().unwrap()).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    client.upload_ok(&later).await;
    copy_folder(&server.data_dir().join("blobs"), &backup.path().join("blobs"));
    server.kill().await;

    for entry in fs::read_dir(server.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
    for name in ["symdepot.db", "blobs"] {
        copy_folder(&backup.path().join(name), &server.data_dir().join(name));
    }
    server.restart().await;
    is_restored(&server, (&before, &dif), &later).await;
}

#[tokio::test]
async fn a_dump_of_the_database_and_a_later_copy_of_the_bucket_are_a_backup() {
    let (database, bucket) = (TestDatabase::empty(Engine::Postgres).await, S3Bucket::fresh());
    let environment = bucket.environment();
    let mut settings: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    settings.push(("SYMDEPOT_DATABASE__URL", &database.url));
    let mut server = TestProcess::start_embedded("its places are made here", &settings).await;
    let client = server.client();
    let (before, later) = (Upload::fixture(CALC).chunk_size(4096), Upload::fixture(CALC).another(9).chunk_size(1024));
    let dif = client.upload_ok(&before).await;

    let backup = TempDir::new().unwrap();
    let (dump, binaries) = (backup.path().join("dump"), binaries().unwrap());
    let mut pg_dump = Command::new(binaries.join("pg_dump"));
    pg_dump.args(["--format=custom", "--dbname"]).arg(&database.url).arg("--file").arg(&dump);
    let dumped = pg_dump.output().unwrap();
    assert!(dumped.status.success(), "{}", said(&dumped));
    client.upload_ok(&later).await;
    copy_folder(bucket.folder(), &backup.path().join("bucket"));
    server.kill().await;

    let (fresh, restored) = (TestDatabase::empty(Engine::Postgres).await, S3Bucket::fresh());
    let mut pg_restore = Command::new(binaries.join("pg_restore"));
    let loaded = pg_restore.args(["--exit-on-error", "--dbname"]).arg(&fresh.url).arg(&dump).output().unwrap();
    assert!(loaded.status.success(), "{}", said(&loaded));
    copy_folder(&backup.path().join("bucket/depot"), restored.folder());
    server.set("SYMDEPOT_DATABASE__URL", &fresh.url);
    server.set("SYMDEPOT_BLOBS__URL", &restored.url());
    server.restart().await;
    is_restored(&server, (&before, &dif), &later).await;
}
