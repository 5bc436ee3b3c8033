//! Opening and migrating.

use std::collections::BTreeSet;

use sqlx::Row as _;
use symdepot::db::Db;
use tempfile::TempDir;

use super::{House, at, at_once, on_both_engines};
use crate::support::database::{Engine, TestDatabase, sqlite_url};

on_both_engines! {
    a_migrated_database_gives_a_sign_of_life_and_migrating_again_changes_nothing,
    what_was_answered_is_there_after_opening_again,
    a_database_that_a_newer_version_migrated_is_refused,
}

async fn a_migrated_database_gives_a_sign_of_life_and_migrating_again_changes_nothing(house: &House) {
    house.db.ping().await.unwrap();
    house.db.migrate().await.unwrap();
    assert!(!house.db.is_empty().await.unwrap());
    assert!(house.database.url.starts_with(house.db.engine()));
}

async fn what_was_answered_is_there_after_opening_again(house: &House) {
    let chunk = house.chunk("kept").await;
    let again = house.database.connect().await;
    let owned = again.owned_chunks(house.organization.id, &[chunk.sha1]).await.unwrap();
    assert_eq!(owned[&chunk.sha1].chunk, chunk);
    again.close().await;
    house.db.close().await;
    assert!(house.db.ping().await.is_err(), "a closed database answers nothing");
}

async fn a_database_that_a_newer_version_migrated_is_refused(house: &House) {
    house.raw("update _sqlx_migrations set version = 9999 where version = 1").await.unwrap();
    let error = house.db.migrate().await.unwrap_err().to_string();
    assert!(error.starts_with("database schema: "), "{error}");
    // And is not left locked for the version that can.
    house.raw("update _sqlx_migrations set version = 1 where version = 9999").await.unwrap();
    house.db.migrate().await.unwrap();
}

async fn several_processes_migrate_at_once(engine: Engine) {
    let database = TestDatabase::empty(engine).await;
    let url = database.url.clone();
    let opened = at_once(8, |_| {
        let url = url.clone();
        async move {
            let db = Db::connect(&url).await?;
            db.migrate().await?;
            Ok::<_, symdepot::db::DbError>(db)
        }
    });
    for db in opened.await {
        assert!(db.unwrap().is_empty().await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_migrate_sqlite_at_once() {
    several_processes_migrate_at_once(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_migrate_postgres_at_once() {
    several_processes_migrate_at_once(Engine::Postgres).await;
}

#[tokio::test]
async fn folders_of_any_name_are_made_for_a_sqlite_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a b/50%?x=1#é/rows.db");
    let db = Db::connect(&sqlite_url(&path)).await.unwrap();
    db.migrate().await.unwrap();
    assert!(path.is_file());
    db.create_organization("acme", at(0)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_that_says_so() {
    let error = Db::connect("postgres://nobody@127.0.0.1:1/none").await.unwrap_err().to_string();
    assert!(error.starts_with("database: "), "{error}");
}

/// Tables with their columns, whether these may be null, and the names of the indices that we named.
#[tokio::test]
async fn both_engines_have_the_same_tables_columns_and_indices() {
    let sqlite = TestDatabase::migrated(Engine::Sqlite).await;
    let pool = sqlx::SqlitePool::connect(&sqlite.url).await.unwrap();
    let rows = sqlx::query(
        "select m.name || '.' || c.name || case when c.\"notnull\" or c.pk > 0 then '' else '?' end
         from sqlite_schema m join pragma_table_info(m.name) c
         where m.type = 'table' and m.name not like 'sqlite%' and m.name not like '\\_sqlx%' escape '\\'
         union all
         select name from sqlite_schema where type = 'index' and name not like 'sqlite%'",
    );
    let in_sqlite: BTreeSet<String> = rows.fetch_all(&pool).await.unwrap().into_iter().map(|row| row.get(0)).collect();

    let postgres = TestDatabase::migrated(Engine::Postgres).await;
    let pool = sqlx::PgPool::connect(&postgres.url).await.unwrap();
    let rows = sqlx::query(
        "select table_name || '.' || column_name || case when is_nullable = 'YES' then '?' else '' end
         from information_schema.columns where table_schema = 'public' and table_name not like '\\_sqlx%'
         union all
         select indexname from pg_indexes
         where schemaname = 'public' and indexname !~ '(_pkey|_key)$'",
    );
    let in_postgres: BTreeSet<String> =
        rows.fetch_all(&pool).await.unwrap().into_iter().map(|row| row.get(0)).collect();

    assert!(in_sqlite.contains("debug_files.retired_at?"), "{in_sqlite:?}");
    assert_eq!(in_sqlite, in_postgres);
}
