//! A disk that is really full: the real process on a small volume. What was acknowledged stays, what was not is said.

use rand::rngs::StdRng;
use rand::{RngCore as _, SeedableRng as _};
use serde_json::{Value, json};
use symdepot::types::Sha1;

use super::{CALC, CALC_ID};
use crate::support::fsck::{fsck, losses};
use crate::support::process::TestProcess;
use crate::support::symcaches::frames;
use crate::support::until;
use crate::support::uploads::Upload;

const FULL: &str = "The server's disk is full. Ask whoever runs it to make space, then upload the file again.";

/// Bytes that no compression makes smaller.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// What a row speaks of is there. Bytes that no row speaks of may be left over, for the clean-up.
async fn rows_have_bytes(server: &TestProcess) {
    let (_folder, copy) = server.small_disk().copy().await;
    let differences = fsck(&copy.db, copy.blobs.as_ref()).await;
    assert_eq!(losses(differences), [""; 0]);
    copy.db.close().await;
}

#[tokio::test]
async fn chunks_that_do_not_fit_are_refused_with_a_sentence_and_no_acknowledged_one_is_lost() {
    let server = TestProcess::start_on_small_disk(16 << 20, &[]).await;
    let (client, disk) = (server.client(), server.small_disk());
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    // From nothing at all to room for the bytes and not for the rows, and on.
    let room = [0, 4 << 10, 16 << 10, 64 << 10, 100 << 10, 104 << 10, 112 << 10, 128 << 10, 256 << 10, 4 << 20];
    for (seed, left) in (0..).zip(room) {
        disk.fill_but(left);
        let chunk = noise(seed, 100 << 10);
        let answer = client.send_chunks(&client.account, &[&chunk]).await;
        match answer.status().as_u16() {
            200 => taken.push(chunk),
            507 => {
                let sentence =
                    json!({ "error": "The disk of the server is full. Free some space there and try again." });
                assert_eq!(answer.json::<Value>().await.unwrap(), sentence, "{left} bytes left");
                refused.push(chunk);
            }
            other => panic!("{other} with {left} bytes left: {}\n{}", answer.text().await.unwrap(), server.log()),
        }
    }
    assert!(taken.len() >= 2 && refused.len() >= 4, "{} were taken and {} refused", taken.len(), refused.len());
    let missing = async || {
        let chunks: Vec<_> = taken.iter().chain(&refused).map(|chunk| Sha1::of(chunk)).collect();
        let entry = json!({ "name": "all", "chunks": chunks });
        client.ask_with(&client.account, Sha1::of(b"never"), entry).await["missingChunks"].take()
    };
    let all_refused: Vec<_> = refused.iter().map(|chunk| Sha1::of(chunk)).collect();
    disk.fill_but(0);
    assert_eq!(missing().await, json!(all_refused), "a full disk answers questions");

    disk.make_space();
    assert_eq!(missing().await, json!(all_refused));
    for chunk in &refused {
        assert_eq!(client.send_chunks(&client.account, &[chunk]).await.status(), 200);
    }
    assert_ne!(
        client.ask_with(&client.account, Sha1::of(b"never"), json!({ "name": "all", "chunks": all_refused })).await["state"],
        "not_found"
    );
    rows_have_bytes(&server).await;
}

#[tokio::test]
async fn a_file_that_does_not_fit_is_tried_again_then_an_error_and_ends_well_once_there_is_space() {
    let settings = [("SYMDEPOT_JOBS__BACK_OFF", "20ms"), ("SYMDEPOT_STATUS__TTL", "0s")];
    let server = TestProcess::start_on_small_disk(32 << 20, &settings).await;
    let (client, disk) = (server.client(), server.small_disk());
    let mut calc = Upload::fixture(CALC).chunk_size(1 << 20);
    calc.content.extend(noise(7, 6 << 20));
    client.send(&client.account, &calc).await;
    disk.fill_but(3 << 20);
    assert_eq!(client.ask(&client.account, &calc).await["state"], "created");
    let end = until("it fails", || async {
        let entry = client.peek(&client.account, &calc).await;
        (entry["state"] == "error").then_some(entry)
    });
    assert_eq!(end.await, json!({ "state": "error", "detail": FULL, "missingChunks": [] }));
    assert_eq!(server.log().matches("a job failed and is tried again").count(), 4, "{}", server.log());
    assert!(client.listed(&client.account).await.is_empty());
    rows_have_bytes(&server).await;

    disk.make_space();
    assert_eq!(client.ask(&client.account, &calc).await["state"], "created", "no chunk is asked for again");
    let end = client.poll(&client.account, &calc).await;
    assert_eq!(end["state"], "ok", "{end}");
    let bytes = client.symcache_bytes(&client.account, CALC_ID).await;
    assert_eq!(frames(&bytes, 0x1129), ["main @ /src/fixture/main.c:3"]);
    rows_have_bytes(&server).await;
}

#[tokio::test]
async fn wherever_a_job_finds_the_disk_full_that_is_what_its_uploader_hears() {
    let settings =
        [("SYMDEPOT_JOBS__BACK_OFF", "10ms"), ("SYMDEPOT_STATUS__TTL", "0s"), ("SYMDEPOT_JOBS__LEASE", "1s")];
    let server = TestProcess::start_on_small_disk(16 << 20, &settings).await;
    let (client, disk) = (server.client(), server.small_disk());
    let full = json!({ "state": "error", "detail": FULL, "missingChunks": [] });
    let stuck = || {
        let log = server.log();
        let signs = ["jobs cannot be taken", "could not be handed back", "end of a job could not be written"];
        signs.iter().map(|sign| log.matches(sign).count()).sum::<usize>()
    };
    let mut troubled = 0;
    // From no room for the wish itself to room for its file, its symcache and all of its rows.
    for (number, left) in (0..).zip([0, 2, 4, 6, 8, 9, 10, 11, 12, 13, 14, 16, 20].map(|pages| pages * 4096)) {
        let calc = Upload::fixture(CALC).another(number);
        client.send(&client.account, &calc).await;
        let before = stuck();
        disk.fill_but(left);
        let wish = json!({ calc.sha1().to_string(): calc.entry() });
        let answer = client.ask_assemble(&client.account, &wish).await;
        if answer.status() == 200 {
            let told = until("it ends, or cannot even be written", || async {
                let entry = client.peek(&client.account, &calc).await;
                (entry["state"] == "error" || entry["state"] == "ok" || stuck() > before).then_some(entry)
            });
            let told = told.await;
            assert!(told["state"] != "error" || told == full, "{left} bytes left: {told}\n{}", server.log());
            troubled += u32::from(told["state"] != "ok");
        } else {
            assert_eq!(answer.status(), 507, "{left} bytes left");
            troubled += 1;
        }
        disk.make_space();
        let end = until("it ends well", || async {
            let entry = client.ask(&client.account, &calc).await;
            assert!(entry["state"] != "error" || entry == full, "{left} bytes left: {entry}\n{}", server.log());
            (entry["state"] == "ok").then_some(entry)
        });
        client.symcache_bytes(&client.account, end.await["dif"]["debugId"].as_str().unwrap()).await;
    }
    assert!(troubled > 0, "the disk was full");
    rows_have_bytes(&server).await;
}
