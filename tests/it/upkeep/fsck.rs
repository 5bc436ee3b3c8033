//! The check of rows against bytes: what it finds, what it mends, and what it says.

use serde_json::json;
use symdepot::blobs::{BlobKey, Fault};
use symdepot::types::Sha1;
use symdepot::upkeep::{Checked, Depth, Finding, Loss, Repair};

use super::{CALC, CALC_ID, server};
use crate::support::process::TestProcess;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

async fn check(server: &TestServer, depth: Depth, repair: Repair) -> Checked {
    server.app.upkeep().fsck(depth, repair, |_| {}).await.unwrap()
}

async fn key_of(server: &TestServer, chunk: &[u8]) -> BlobKey {
    let sha1 = Sha1::of(chunk);
    let owned = server.app.db.owned_chunks(server.account.organization.id, &[sha1]).await.unwrap();
    BlobKey::from_row(&owned[&sha1].chunk.blob.key)
}

#[tokio::test]
async fn a_house_in_order_has_no_findings() {
    let server = server().await;
    let calc = Upload::fixture(CALC).chunk_size(4096);
    server.upload_ok(&calc).await;
    let checked = check(&server, Depth::Content, Repair::No).await;
    assert_eq!(checked.findings, []);
    assert_eq!((checked.chunks, checked.symcaches), (calc.chunks().len() as u64, 1));
}

#[tokio::test]
async fn a_lost_chunk_is_found_asked_for_again_and_mended_by_an_upload() {
    let server = server().await;
    let calc = Upload::fixture(CALC).chunk_size(4096);
    let broken = calc.chunks()[1];
    let ok = server.upload_ok(&calc).await;
    let key = key_of(&server, broken).await;
    server.app.blobs.delete(std::slice::from_ref(&key)).await.unwrap();

    for _twice in 0..2 {
        let checked = check(&server, Depth::Sizes, Repair::No).await;
        let [Finding::Chunk { sha1, loss, files, .. }] = &checked.findings[..] else {
            panic!("{:?}", checked.findings);
        };
        assert_eq!((*sha1, loss, files.len()), (Sha1::of(broken), &Loss::Missing, 1));
        assert_eq!(server.ask(&server.account, &calc).await["state"], "ok", "nothing was changed");
    }
    let checked = check(&server, Depth::Sizes, Repair::Yes).await;
    assert_eq!(checked.damaged_files().len(), 1);
    let answer = server.ask(&server.account, &calc).await;
    assert_eq!((&answer["state"], &answer["missingChunks"]), (&json!("not_found"), &json!([Sha1::of(broken)])));

    let mended = server.upload_ok(&calc).await;
    assert_eq!(mended["id"], ok["id"], "the same file");
    assert_eq!(check(&server, Depth::Content, Repair::No).await.findings, []);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_file_that_another_upload_made_whole_again_is_known_again() {
    let server = server().await;
    let calc = Upload::fixture(CALC).chunk_size(4096);
    let second = calc.another(7);
    server.upload_ok(&calc).await;
    server.upload_ok(&second).await;
    let shared = calc.chunks().into_iter().find(|chunk| second.chunks().contains(chunk)).unwrap();
    server.app.blobs.delete(&[key_of(&server, shared).await]).await.unwrap();
    assert_eq!(check(&server, Depth::Sizes, Repair::Yes).await.damaged_files().len(), 2);
    server.upload_ok(&second).await;
    assert_eq!(server.peek(&server.account, &calc).await["state"], "not_found");
    assert_eq!(check(&server, Depth::Sizes, Repair::Yes).await.mended_files, 1);
    assert_eq!(server.peek(&server.account, &calc).await["state"], "ok");
}

#[tokio::test]
async fn damage_within_a_chunk_is_found_by_reading_it() {
    for fault in [Fault::Flipped, Fault::Shortened] {
        let server = server().await;
        let calc = Upload::fixture(CALC);
        server.upload_ok(&calc).await;
        let key = key_of(&server, &calc.content).await;
        server.faults.inject(fault(key));
        assert_eq!(check(&server, Depth::Content, Repair::No).await.findings.len(), 1);
    }
}

#[tokio::test]
async fn a_lost_symcache_is_forgotten_and_made_anew() {
    let server = server().await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    let symcaches = server.app.db.symcache_bytes_after("", 10).await.unwrap();
    server.app.blobs.delete(&[BlobKey::from_row(&symcaches[0].blob.key)]).await.unwrap();
    let checked = check(&server, Depth::Sizes, Repair::Yes).await;
    assert!(matches!(&checked.findings[..], [Finding::Symcache { loss: Loss::Missing, .. }]), "{:?}", checked.findings);
    assert_eq!(check(&server, Depth::Sizes, Repair::No).await.findings, []);
    assert_eq!(server.symcache(&server.account, CALC_ID, 30).await.status(), 200);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn the_verb_says_what_is_lost_and_its_exit_code_tells() {
    let process = TestProcess::start().await;
    let client = process.client();
    let calc = Upload::fixture(CALC);
    client.upload_ok(&calc).await;
    let fine = process.run(&["fsck", "--deep"]).await;
    assert_eq!(fine.status.code(), Some(0));
    assert_eq!(String::from_utf8(fine.stdout).unwrap(), "1 chunks and 1 symcaches checked, 0 things wrong\n");

    let app = process.behind().await;
    let owned = app.db.owned_chunks(1, &[calc.sha1()]).await.unwrap();
    let key = owned[&calc.sha1()].chunk.blob.key.clone();
    app.blobs.delete(&[BlobKey::from_row(&key)]).await.unwrap();
    let lost = process.run(&["fsck"]).await;
    assert_eq!(lost.status.code(), Some(1));
    let expected = format!(
        "chunk {} ({key}): its bytes are missing\ndebug file 1 (calc.debug, {CALC_ID}) is not whole: upload it \
         again\n1 chunks and 1 symcaches checked, 1 things wrong\n",
        calc.sha1()
    );
    assert_eq!(String::from_utf8(lost.stdout).unwrap(), expected);
    assert_eq!(process.run(&["fsck", "--repair"]).await.status.code(), Some(1), "it is not whole yet");
    client.upload_ok(&calc).await;
    assert_eq!(process.run(&["fsck", "--repair"]).await.status.code(), Some(0));
}
