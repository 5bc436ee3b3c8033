//! What two transactions at the same moment must not do to each other on an engine that lets them run beside each other.
//! Each test holds one of them in the middle until the other waits for it.

use symdepot::db::Reason;
use symdepot::types::{NewDebugFile, Policy, Retention};

use super::{House, at, key, ready};
use crate::support::database::Engine;
use crate::support::raw::Raw;
use crate::support::until;

/// Waits until so many sessions of the database wait for a lock.
async fn until_waiting(house: &House, sessions: usize) {
    let pool = sqlx::PgPool::connect(&house.database.url).await.unwrap();
    until("sessions wait for each other", || async {
        const WAITING: &str =
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        let waiting: i64 = sqlx::query_scalar(WAITING).fetch_one(&pool).await.unwrap();
        (waiting >= i64::try_from(sessions).unwrap()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_found_lost_while_a_file_of_it_is_registered_damages_that_file_too() {
    let house = House::build(Engine::Postgres).await;
    let chunk = house.chunk("a").await;
    let new = NewDebugFile { chunk_ids: vec![chunk.id], ..house.new_file("file", 1) };
    let other = house.register(&house.new_file("other", 2)).await;
    // A transaction that stores another symcache under the same key is waited for, after the chunks were pointed at.
    let mut holder = Raw::open(&house.database.url).await;
    holder.run("begin").await;
    let columns = "debug_file_id, format_version, converter_version, mappings, state, blob_key, created_at";
    let values = format!("{}, 1, 'x', '', 'ready', 'symcaches/1', now()", other.id);
    holder.run(&format!("insert into symcaches ({columns}) values ({values})")).await;
    let registering = {
        let db = house.db.clone();
        tokio::spawn(async move {
            let symcache = ready(key(0), "symcaches/1");
            db.register_debug_file(&new, Some(&symcache), None, |_| Vec::new(), at(7)).await
        })
    };
    until_waiting(&house, 1).await;
    let losing = {
        let (db, key) = (house.db.clone(), chunk.blob.key.clone());
        tokio::spawn(async move { db.lose_chunk(chunk.id, &key, at(8)).await })
    };
    until_waiting(&house, 2).await;
    assert!(!losing.is_finished(), "it waits for the registration");
    holder.run("rollback").await;
    let file = super::created(registering.await.unwrap().unwrap());
    assert!(losing.await.unwrap().unwrap());
    assert!(house.db.damaged_files(&[file.id]).await.unwrap().contains(&file.id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_registered_of_a_chunk_that_was_found_lost_is_damaged_from_the_beginning() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let house = House::build(engine).await;
        let chunk = house.chunk("a").await;
        assert!(house.db.lose_chunk(chunk.id, &chunk.blob.key, at(1)).await.unwrap());
        let new = NewDebugFile { chunk_ids: vec![chunk.id], ..house.new_file("file", 1) };
        let file = house.register(&new).await;
        assert!(house.db.damaged_files(&[file.id]).await.unwrap().contains(&file.id));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_is_taken_back_waits_for_the_batch_that_goes_by_it() {
    let house = House::build(Engine::Postgres).await;
    let (db, project) = (house.db.clone(), house.project.id);
    let retention: Retention = "90d".parse().unwrap();
    db.set_policy(project, &Policy { retention: retention.clone(), ..Policy::default() }).await.unwrap();
    let file = house.register(&house.new_file("old", 1)).await;
    let found = db.files_uploaded_before(project, at(99), None, 10).await.unwrap();
    assert_eq!(found.len(), 1);
    let mut holder = Raw::open(&house.database.url).await;
    holder.run("begin").await;
    holder.run(&format!("select id from debug_files where id = {} for update", file.id)).await;
    let expiring = tokio::spawn(async move {
        let (uploaded_before, used_before) = (at(99), at(99));
        let reason = Reason { words: "90d", uploaded_before, used_before, retention: Some(&retention) };
        db.expire_files(project, &found, &reason, at(100)).await
    });
    until_waiting(&house, 1).await;
    let db = house.db.clone();
    let taking_back = tokio::spawn(async move { db.set_policy(project, &Policy::default()).await });
    until_waiting(&house, 2).await;
    assert!(!taking_back.is_finished(), "what is said now holds for the next batch");
    holder.run("rollback").await;
    assert_eq!(expiring.await.unwrap().unwrap().files.len(), 1);
    taking_back.await.unwrap().unwrap();
}
