//! Torture: processes are killed at moments that chance chooses, round after round, while files are uploaded. After each
//! round every acknowledged chunk is there and rows have their bytes; in the end every file that was asked for is whole.
//!
//! `make torture` runs 200 rounds of either form; a normal run has a few. The seed is printed, and the same one chooses the
//! same victims and moments.

use std::time::Duration;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;
use symdepot::config::Config;
use symdepot::types::Sha1;

use crate::support::client::Client;
use crate::support::cluster::{Cluster, Role};
use crate::support::proxy::Proxy;
use crate::support::symcaches::frames;
use crate::support::until;
use crate::support::uploads::Upload;

/// A file with debug information that everything is known of.
const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.debug";

/// Rounds of a normal run.
const ROUNDS: u32 = 8;

/// Chosen once.
const SEED: u64 = 20_261_121;

/// Files in each round.
const FILES: u32 = 4;

/// After so many rounds the files of these rounds have to come to their end.
const CENSUS: u32 = 10;

/// What the tortured processes are told: leases are short, so that nobody waits long for the dead.
const SETTINGS: [(&str, &str); 2] = [("SYMDEPOT_JOBS__LEASE", "1s"), ("SYMDEPOT_JOBS__BACK_OFF", "20ms")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_at_any_step_lose_nothing_on_one_machine() {
    let mut house = Cluster::on(Config::default(), &SETTINGS);
    house.add(&[Role::Whole]).await;
    torture("one machine", house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_at_any_step_lose_nothing_on_many_machines() {
    let mut house = Cluster::empty(&SETTINGS).await;
    house.add(&[Role::Server, Role::Server, Role::Worker, Role::Worker]).await;
    torture("many machines", house).await;
}

async fn torture(what: &str, mut house: Cluster) {
    let (rounds, seed) = (setting("ROUNDS").unwrap_or(ROUNDS), setting("SEED").unwrap_or(SEED));
    println!("torture of {what}: {rounds} rounds, SYMDEPOT_TORTURE_SEED={seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let proxy = Proxy::start().await;
    proxy.in_front_of(house.urls());
    let client = house.client_of(&proxy.url);
    let (mut asked_for, mut counted) = (Vec::new(), 0);
    for round in 0..rounds {
        let victim = chance.random_range(0..house.members.len());
        let (moment, pause) = (chance.random_range(0..400), chance.random_range(0..150));
        let files: Vec<_> =
            (0..FILES).map(|at| Upload::fixture(CALC).another(round * FILES + at).chunk_size(1024)).collect();
        let kill = async {
            tokio::time::sleep(Duration::from_millis(moment)).await;
            house.members[victim].kill().await;
            tokio::time::sleep(Duration::from_millis(pause)).await;
            house.members[victim].start().await;
            proxy.in_front_of(house.urls());
        };
        let (sent, ()) = tokio::join!(join_all(files.iter().map(|file| send(&client, file))), kill);
        let context = format!("{what}, round {round}, victim {victim} after {moment} ms");
        assert_eq!(house.lost().await, [""; 0], "{context}");
        everything_acknowledged_is_there(&house, &sent.concat(), &context).await;
        asked_for.extend(files);
        if round % CENSUS == CENSUS - 1 || round == rounds - 1 {
            for file in &asked_for[counted..] {
                let end = ends(&client, file).await;
                assert_eq!(end["state"], "ok", "{context}: {end}");
            }
            counted = asked_for.len();
            println!("torture of {what}: {counted} files are well after {} rounds", round + 1);
        }
    }
    // The early ones have seen every later kill.
    for file in &asked_for {
        let entry = ask(&client, file).await;
        assert_eq!(entry["state"], "ok", "{entry}");
    }
    for file in asked_for.iter().step_by(7) {
        let entry = ends(&client, file).await;
        let bytes = client.symcache_bytes(&client.account, entry["dif"]["debugId"].as_str().unwrap()).await;
        assert_eq!(frames(&bytes, 0x1129), ["main @ /src/fixture/main.c:3"]);
    }
    let fsck = house.members[0].command().args(["fsck", "--deep", "--repair"]).output().await.unwrap();
    assert!(fsck.status.success(), "{fsck:?}");
    assert_eq!(house.lost().await, [""; 0]);
}

/// Sends all chunks of a file, each again until it is acknowledged, and asks for the file. Returns what was acknowledged.
async fn send(client: &Client, file: &Upload) -> Vec<Sha1> {
    let mut acknowledged = Vec::new();
    for chunks in file.chunks().chunks(3) {
        until("the chunks are taken", || async {
            let status = client.send_chunks(&client.account, chunks).await.status();
            match status.as_u16() {
                200 => Some(()),
                502..=504 => None,
                other => panic!("chunks were answered {other}"),
            }
        })
        .await;
        acknowledged.extend(chunks.iter().map(|chunk| Sha1::of(chunk)));
    }
    ask(client, file).await;
    acknowledged
}

/// Where a file stands, asked until somebody answers.
async fn ask(client: &Client, file: &Upload) -> Value {
    let sha1 = file.sha1().to_string();
    let question = serde_json::json!({ sha1.as_str(): file.entry() });
    until("somebody answers", || async {
        let answer = client.ask_assemble(&client.account, &question).await;
        match answer.status().as_u16() {
            200 => Some(answer.json::<Value>().await.unwrap()[&sha1].take()),
            502..=504 => None,
            other => panic!("a poll was answered {other}"),
        }
    })
    .await
}

/// Polls a file whose chunks were acknowledged, by asking alone.
async fn ends(client: &Client, file: &Upload) -> Value {
    until("the file ends", || async {
        let entry = ask(client, file).await;
        assert_ne!(entry["state"], "not_found", "{entry}");
        (entry["state"] == "ok" || entry["state"] == "error").then_some(entry)
    })
    .await
}

async fn everything_acknowledged_is_there(house: &Cluster, acknowledged: &[Sha1], context: &str) {
    let behind = house.behind().await;
    let owned = behind.db.owned_chunks(1, acknowledged).await.unwrap();
    assert!(acknowledged.iter().all(|sha1| owned.contains_key(sha1)), "{context}: an acknowledged chunk is lost");
    behind.db.close().await;
}

#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the program")]
fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(format!("SYMDEPOT_TORTURE_{name}")).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("SYMDEPOT_TORTURE_{name} is {text:?}; it takes a number")))
}
