//! PostgreSQL goes away in the middle and comes back, or has no connection left: requests are sent away for now, jobs are
//! done again, and what was acknowledged is there.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use symdepot::config::Config;
use symdepot::types::Sha1;

use super::CALC;
use crate::support::converter::WatchedConverter;
use crate::support::fsck::losses;
use crate::support::postgres::OwnPostgres;
use crate::support::server::TestServer;
use crate::support::until;
use crate::support::uploads::Upload;

async fn on<T>(change: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(change)
}

/// A server on a database of its own, which is as impatient as tests are.
async fn server_on(postgres: &OwnPostgres, change: impl FnOnce(&mut Config)) -> TestServer {
    let settings = |config: &mut Config| {
        config.database.url = postgres.url();
        config.database.max_connections = 8;
        config.database.acquire_timeout = Duration::from_secs(2);
        config.jobs.lease = Duration::from_secs(1);
        config.jobs.back_off = Duration::from_millis(50);
        change(config);
    };
    TestServer::builder().settings(settings).start().await
}

/// Stops the database in the middle of something and starts it again a moment later.
async fn restart(postgres: &mut OwnPostgres) {
    on(|| postgres.stop()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    on(|| postgres.start_again()).await;
}

/// Every row has its bytes. Of a commit whose answer was lost nobody knows whether it happened, so bytes may be left that
/// no row speaks of, until the next clean-up.
async fn nothing_is_lost(server: &TestServer) {
    assert_eq!(losses(server.fsck().await), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_the_middle_of_uploads_a_restart_loses_nothing_that_was_acknowledged() {
    let mut postgres = on(|| OwnPostgres::start(30)).await;
    let server = server_on(&postgres, |_| {}).await;
    let over = AtomicBool::new(false);
    let sender = |sender: usize| {
        let (server, over) = (&server, &over);
        async move {
            let (mut acknowledged, mut sent_away) = (Vec::new(), 0);
            for number in 0.. {
                let chunk = format!("{sender} {number} ").repeat(2000).into_bytes();
                let form = Form::new().part("file", Part::bytes(chunk.clone()).file_name(Sha1::of(&chunk).to_string()));
                let path = format!("{}chunk-upload/", server.account.organization_path());
                let request = server.request_as(&server.account.token, Method::POST, &path).multipart(form);
                let answer = request.send().await.unwrap();
                match answer.status().as_u16() {
                    200 => acknowledged.push(Sha1::of(&chunk)),
                    503 => {
                        sent_away += 1;
                        assert_eq!(answer.headers()["retry-after"], "2");
                        let said: Value = answer.json().await.unwrap();
                        let sentence = "The database of the server does not answer, or has too much to do. Try again in some seconds.";
                        assert!(
                            said == json!({ "detail": sentence }) || said == json!({ "error": sentence }),
                            "{said}"
                        );
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    other => panic!("{other}: {}", answer.text().await.unwrap()),
                }
                if over.load(Ordering::Relaxed) {
                    break;
                }
            }
            (acknowledged, sent_away)
        }
    };
    let restarts = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            restart(&mut postgres).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        over.store(true, Ordering::Relaxed);
    };
    let (sent, ()) = tokio::join!(join_all((0..4).map(sender)), restarts);
    assert!(sent.iter().map(|(_, sent_away)| sent_away).sum::<usize>() > 0, "nobody met a restart");
    let acknowledged: BTreeSet<_> = sent.into_iter().flat_map(|(acknowledged, _)| acknowledged).collect();
    let all: Vec<_> = acknowledged.iter().copied().collect();
    let owned = until("the database answers", || async {
        server.app.db.owned_chunks(server.account.organization.id, &all).await.ok()
    })
    .await;
    assert!(acknowledged.iter().all(|sha1| owned.contains_key(sha1)), "an acknowledged chunk is lost");
    nothing_is_lost(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_the_middle_of_a_job_a_restart_has_it_done_again() {
    let mut postgres = on(|| OwnPostgres::start(30)).await;
    let converter = WatchedConverter::holding();
    let program = converter.program();
    let server = server_on(&postgres, |config| config.converter.program = program).await;
    let calc = Upload::fixture(CALC);
    server.send(&server.account, &calc).await;
    server.ask(&server.account, &calc).await;
    converter.begun(1).await;
    // It is down when the job comes to its end.
    on(|| postgres.stop()).await;
    let down = server.request(Method::GET, "/health/ready").send().await.unwrap();
    assert_eq!(down.status(), 503);
    let said = down.json::<Value>().await.unwrap();
    assert_eq!((&said["status"], &said["parts"]["database"]), (&json!("down"), &json!("down")));
    assert_eq!((&said["parts"]["blobs"], &said["parts"]["status"]), (&json!("ok"), &json!("ok")));
    converter.release();
    tokio::time::sleep(Duration::from_millis(300)).await;
    on(|| postgres.start_again()).await;
    let end = until("the file ends", || async {
        let answer = server.ask_assemble(&server.account, &json!({ calc.sha1().to_string(): calc.entry() })).await;
        if answer.status() == 503 {
            return None;
        }
        assert_eq!(answer.status(), 200);
        let entry = answer.json::<Value>().await.unwrap()[calc.sha1().to_string()].take();
        (entry["state"] == "ok" || entry["state"] == "error").then_some(entry)
    })
    .await;
    assert_eq!(end["state"], "ok", "{end}");
    nothing_is_lost(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_finds_no_connection_in_time_is_told_to_come_again() {
    let postgres = on(|| OwnPostgres::start(30)).await;
    let change = |config: &mut Config| {
        config.database.max_connections = 2;
        config.database.acquire_timeout = Duration::from_millis(500);
    };
    let server = server_on(&postgres, change).await;
    let calc = Upload::fixture(CALC);
    server.upload_ok(&calc).await;
    // Somebody else has the table and does not let go, so that both connections hang.
    let mut other = <sqlx::PgConnection as sqlx::Connection>::connect(&postgres.url()).await.unwrap();
    sqlx::raw_sql("begin; lock table debug_files in access exclusive mode").execute(&mut other).await.unwrap();
    let path = format!("{}files/dsyms/", server.account.project_path());
    let ask = || async { server.get(&path).send().await.unwrap() };
    let hanging = tokio::join!(
        tokio::time::timeout(Duration::from_secs(3), ask()),
        tokio::time::timeout(Duration::from_secs(3), ask()),
        async {
            until("requests find no connection", || async {
                let answer = tokio::time::timeout(Duration::from_millis(900), ask()).await.ok()?;
                assert_eq!(answer.status(), 503);
                assert_eq!(answer.headers()["retry-after"], "2");
                Some(())
            })
            .await;
        }
    );
    drop(hanging);
    sqlx::raw_sql("rollback").execute(&mut other).await.unwrap();
    until("it answers as before", || async { (ask().await.status() == 200).then_some(()) }).await;
    assert_eq!(server.ask(&server.account, &calc).await["state"], "ok");
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_takes_too_long_is_taken_back_and_the_caller_comes_again() {
    let postgres = on(|| OwnPostgres::start(30)).await;
    for limit in ["lock", "statement"] {
        let change = |config: &mut Config| match limit {
            "lock" => config.database.lock_timeout = Duration::from_secs(1),
            _ => config.database.statement_timeout = Duration::from_secs(1),
        };
        let server = server_on(&postgres, change).await;
        let mut other = <sqlx::PgConnection as sqlx::Connection>::connect(&postgres.url()).await.unwrap();
        sqlx::raw_sql("begin; lock table debug_files in access exclusive mode").execute(&mut other).await.unwrap();
        let answer = server.get(&format!("{}files/dsyms/", server.account.project_path())).send().await.unwrap();
        assert_eq!(answer.status(), 503, "{limit}");
        sqlx::raw_sql("rollback").execute(&mut other).await.unwrap();
        assert_eq!(server.listed(&server.account).await, [] as [Value; 0]);
    }
}

/// A server without background work, whose connections rest for this long at most.
async fn resting(postgres: &OwnPostgres, limit: Duration) -> TestServer {
    let settings = |config: &mut Config| {
        config.database.url = postgres.url();
        config.database.idle_timeout = limit;
    };
    TestServer::builder().settings(settings).without_workers().start().await
}

/// How many connections of servers there are for which this is so.
async fn connections(postgres: &OwnPostgres, condition: &str) -> i64 {
    let mut watch = <sqlx::PgConnection as sqlx::Connection>::connect(&postgres.url()).await.unwrap();
    let sql = format!("select count(*) from pg_stat_activity where application_name = 'symdepot' and {condition}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut watch).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_nobody_uses_are_given_back_and_the_next_request_opens_one() {
    let postgres = on(|| OwnPostgres::start(30)).await;
    let server = resting(&postgres, Duration::from_secs(1)).await;
    let count = async |condition| connections(&postgres, condition).await;
    // As many as are needed at a time: all of them wait for a table that somebody else has.
    let mut other = <sqlx::PgConnection as sqlx::Connection>::connect(&postgres.url()).await.unwrap();
    sqlx::raw_sql("begin; lock table debug_files in access exclusive mode").execute(&mut other).await.unwrap();
    let path = format!("{}files/dsyms/", server.account.project_path());
    let ask = || async { server.get(&path).send().await.unwrap().status().as_u16() };
    let crowd = join_all((0..6).map(|_| ask()));
    let let_go = async {
        until("all of them wait", || async { (count("wait_event_type = 'Lock'").await == 6).then_some(()) }).await;
        sqlx::raw_sql("rollback").execute(&mut other).await.unwrap();
    };
    let (answers, ()) = tokio::join!(crowd, let_go);
    assert_eq!(answers, [200; 6]);
    until("all of them are given back", || async { (count("true").await == 0).then_some(()) }).await;
    assert_eq!(ask().await, 200);
    assert!((1..6).contains(&count("true").await), "no more than one request takes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_rests_for_too_long_is_ended_and_lets_go_of_what_it_has() {
    let postgres = on(|| OwnPostgres::start(30)).await;
    let server = resting(&postgres, Duration::from_millis(300)).await;
    let symdepot::db::Db::Postgres(pool) = &server.app.db else { panic!("it is on PostgreSQL") };
    // As a process would that is frozen in the middle of something.
    let mut frozen = pool.begin().await.unwrap();
    sqlx::query("lock table debug_files in access exclusive mode").execute(&mut *frozen).await.unwrap();
    assert_eq!(server.listed(&server.account).await, [] as [Value; 0], "whoever waits for the table gets it");
    assert_eq!(connections(&postgres, "state like 'idle in transaction%'").await, 0);
    assert!(frozen.commit().await.is_err(), "it came to nothing");
    assert_eq!(server.listed(&server.account).await, [] as [Value; 0]);
}
