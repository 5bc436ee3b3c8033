//! Bytes that change at rest, as disks and power cuts change them: lost, emptied, cut short, lengthened or flipped. Repaired
//! or only uploaded again, files and bytes are whole in the end.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use serde_json::json;
use symdepot::blobs::{BlobKey, BlobStore};
use symdepot::config::Config;
use symdepot::types::Sha1;
use symdepot::upkeep::{Checked, Depth, Finding, Loss, Repair};

use super::{CALC, CALC_ID, server};
use crate::support::process::TestProcess;
use crate::support::server::TestServer;
use crate::support::symcaches::frames;
use crate::support::until;
use crate::support::uploads::Upload;

/// What becomes of bytes at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Lost,
    Emptied,
    Shortened,
    Lengthened,
    Flipped,
}

const CHANGES: [Change; 5] = [Change::Lost, Change::Emptied, Change::Shortened, Change::Lengthened, Change::Flipped];

impl Change {
    /// What finds it: only the content tells a flipped bit.
    fn depth(self) -> Depth {
        if self == Self::Flipped { Depth::Content } else { Depth::Sizes }
    }

    async fn apply(self, blobs: &dyn BlobStore, key: &BlobKey) {
        let mut bytes: Vec<u8> = blobs.open(key, None).await.unwrap().try_collect::<Vec<_>>().await.unwrap().concat();
        blobs.delete(std::slice::from_ref(key)).await.unwrap();
        match self {
            Self::Lost => return,
            Self::Emptied => bytes.clear(),
            Self::Shortened => bytes.truncate(bytes.len() - 1),
            Self::Lengthened => bytes.push(0),
            Self::Flipped => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            }
        }
        let mut spool = blobs.spool().await.unwrap();
        std::io::Write::write_all(&mut spool, &bytes).unwrap();
        blobs.put(key, spool).await.unwrap();
    }
}

async fn check(server: &TestServer, depth: Depth, repair: Repair) -> Checked {
    server.app.upkeep().fsck(depth, repair, |_| {}).await.unwrap()
}

async fn key_of(server: &TestServer, chunk: &[u8]) -> BlobKey {
    let sha1 = Sha1::of(chunk);
    let owned = server.app.db.owned_chunks(server.account.organization.id, &[sha1]).await.unwrap();
    BlobKey::from_row(&owned[&sha1].chunk.blob.key)
}

/// Everything is as it should be: rows, bytes, and the file as it was uploaded.
async fn is_whole(server: &TestServer, upload: &Upload, what: &str) {
    let ok = server.upload_ok(upload).await;
    let path = format!("{}files/dsyms/?id={}", server.account.project_path(), ok["id"].as_str().unwrap());
    let file = server.get(&path).send().await.unwrap();
    assert_eq!(file.status(), 200, "{what}");
    assert!(file.bytes().await.unwrap() == upload.content, "{what}");
    let symcache = server.symcache_bytes(&server.account, CALC_ID).await;
    assert_eq!(frames(&symcache, 0x1129), ["main @ /src/fixture/main.c:3"], "{what}");
    assert_eq!(check(server, Depth::Content, Repair::No).await.findings, [], "{what}");
    assert_eq!(server.fsck().await, [""; 0], "{what}");
    let stored = server.app.blobs.list(None, 1000).await.unwrap();
    assert!(stored.iter().all(|blob| blob.stored_size > 0), "{what}: {stored:?}");
}

#[tokio::test]
async fn a_chunk_of_a_file_that_changed_at_rest_is_repaired_by_the_next_upload() {
    for change in CHANGES {
        let what = format!("{change:?}");
        let server = server().await;
        let calc = Upload::fixture(CALC).chunk_size(4096);
        let ok = server.upload_ok(&calc).await;
        let broken = calc.chunks()[1];
        change.apply(&*server.app.blobs, &key_of(&server, broken).await).await;
        assert_eq!(check(&server, change.depth(), Repair::Yes).await.damaged_files().len(), 1, "{what}");
        // It stays a finding until it was uploaded again, of whichever size it is.
        let again = check(&server, Depth::Sizes, Repair::No).await;
        assert_eq!((again.findings.len(), again.damaged_files().len()), (1, 1), "{what}: {:?}", again.findings);
        let answer = server.ask(&server.account, &calc).await;
        assert_eq!(answer, json!({ "state": "not_found", "missingChunks": [Sha1::of(broken)] }), "{what}");
        assert_eq!(server.upload_ok(&calc).await["id"], ok["id"], "{what}");
        is_whole(&server, &calc, &what).await;
    }
}

#[tokio::test]
async fn a_chunk_that_changed_at_rest_before_its_file_was_made_is_asked_for_and_replaced() {
    for change in CHANGES {
        let what = format!("{change:?}");
        // Failed jobs are tried again as time goes by.
        let settings = |config: &mut Config| {
            (config.gc.interval, config.jobs.back_off) = (Duration::ZERO, Duration::from_millis(1));
        };
        let server = TestServer::builder().settings(settings).start().await;
        let calc = Upload::fixture(CALC).chunk_size(4096);
        server.send(&server.account, &calc).await;
        let broken = calc.chunks()[1];
        change.apply(&*server.app.blobs, &key_of(&server, broken).await).await;
        server.ask(&server.account, &calc).await;
        until("it fails", || async {
            let entry = server.peek(&server.account, &calc).await;
            (entry["state"] == "error").then_some(())
        })
        .await;
        let answer = server.ask(&server.account, &calc).await;
        assert_eq!(answer, json!({ "state": "not_found", "missingChunks": [Sha1::of(broken)] }), "{what}");
        is_whole(&server, &calc, &what).await;
    }
}

#[tokio::test]
async fn an_upload_of_a_chunk_of_another_size_at_rest_replaces_it_although_nothing_looked_for_damage() {
    for change in [Change::Lost, Change::Emptied, Change::Shortened, Change::Lengthened] {
        let what = format!("{change:?}");
        let server = server().await;
        let calc = Upload::fixture(CALC).chunk_size(4096);
        server.upload_ok(&calc).await;
        let broken = calc.chunks()[1];
        change.apply(&*server.app.blobs, &key_of(&server, broken).await).await;
        assert_eq!(server.send_chunks(&server.account, &[broken]).await.status(), 200);
        is_whole(&server, &calc, &what).await;
    }
}

#[tokio::test]
async fn a_download_that_finds_damage_has_the_next_upload_asked_for_it() {
    for change in CHANGES {
        let what = format!("{change:?}");
        let server = server().await;
        let calc = Upload::fixture(CALC).chunk_size(4096);
        let ok = server.upload_ok(&calc).await;
        change.apply(&*server.app.blobs, &key_of(&server, calc.chunks()[1]).await).await;
        let path = format!("{}files/dsyms/?id={}", server.account.project_path(), ok["id"].as_str().unwrap());
        let broken_off = match server.get(&path).send().await {
            Ok(file) => file.status() != 200 || file.bytes().await.is_err(),
            Err(_) => true,
        };
        assert!(broken_off, "{what}");
        until("it is asked for", || async {
            let answer = server.peek(&server.account, &calc).await;
            (answer["state"] == "not_found").then_some(())
        })
        .await;
        assert_eq!(server.upload_ok(&calc).await["id"], ok["id"], "{what}");
        is_whole(&server, &calc, &what).await;
    }
}

#[tokio::test]
async fn what_is_left_of_a_chunk_of_no_file_is_removed_by_a_repair_and_its_upload_is_kept() {
    for change in CHANGES {
        let what = format!("{change:?}");
        let server = server().await;
        let chunk: &[u8] = b"a chunk of no file";
        assert_eq!(server.send_chunks(&server.account, &[chunk]).await.status(), 200);
        change.apply(&*server.app.blobs, &key_of(&server, chunk).await).await;
        let found = check(&server, change.depth(), Repair::Yes).await;
        assert!(matches!(found.findings[..], [Finding::Chunk { .. }]), "{what}: {:?}", found.findings);
        assert_eq!(check(&server, Depth::Content, Repair::No).await.findings, [], "{what}");
        assert_eq!(server.app.blobs.list(None, 10).await.unwrap(), [], "{what}");
        assert_eq!(server.send_chunks(&server.account, &[chunk]).await.status(), 200);
        assert_eq!(server.fsck().await, [""; 0], "{what}");
        key_of(&server, chunk).await;
    }
}

#[tokio::test]
async fn an_empty_chunk_can_be_lost_and_uploaded_again_too() {
    let server = server().await;
    assert_eq!(server.send_chunks(&server.account, &[b""]).await.status(), 200);
    let key = key_of(&server, b"").await;
    Change::Lost.apply(&*server.app.blobs, &key).await;
    let found = check(&server, Depth::Sizes, Repair::Yes).await;
    assert!(matches!(found.findings[..], [Finding::Chunk { loss: Loss::Missing, .. }]), "{:?}", found.findings);
    let owned = server.app.db.owned_chunks(server.account.organization.id, &[Sha1::of(b"")]).await.unwrap();
    assert!(owned.is_empty(), "it is asked for again");
    assert_eq!(server.send_chunks(&server.account, &[b""]).await.status(), 200);
    assert_ne!(key_of(&server, b"").await, key);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn symcaches_and_derived_files_that_changed_at_rest_are_made_again_with_a_repair_or_without() {
    for (change, repair) in CHANGES.into_iter().flat_map(|change| [(change, true), (change, false)]) {
        if change == Change::Flipped && !repair {
            continue;
        }
        let what = format!("{change:?}, repaired: {repair}");
        let server = server().await;
        let calc = Upload::fixture(CALC);
        server.upload_ok(&calc).await;
        let path = format!("/symbols/default/default/calc/{}0/calc.sym", CALC_ID.replace('-', ""));
        let text = async || {
            let answer = server.get(&path).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{what}");
            answer.text().await.unwrap()
        };
        let (whole, symcache) = (text().await, server.symcache_bytes(&server.account, CALC_ID).await);
        let rows = server.app.db.blob_rows("", 10).await.unwrap();
        let made: Vec<_> = rows.iter().filter(|(key, _)| !key.starts_with("chunks/")).collect();
        assert_eq!(made.len(), 2, "{rows:?}");
        // Nothing that is kept in memory may hide it.
        let server = server.restart(|builder| builder).await;
        for (key, _) in &made {
            change.apply(&*server.app.blobs, &BlobKey::from_row(key)).await;
        }
        if repair {
            assert_eq!(check(&server, change.depth(), Repair::Yes).await.findings.len(), 2, "{what}");
            assert_eq!(check(&server, Depth::Content, Repair::No).await.findings, [], "{what}");
        }
        let text = async || server.get(&path).send().await.unwrap().text().await.unwrap();
        until("the text is whole", || async { (text().await == whole).then_some(()) }).await;
        let symcaches = || async {
            let answer = server.symcache(&server.account, CALC_ID, 30).await;
            (answer.status() == 200 && answer.bytes().await.unwrap() == symcache).then_some(())
        };
        until("the symcache is whole", symcaches).await;
        is_whole(&server, &calc, &what).await;
    }
}

#[tokio::test]
async fn the_verb_repairs_an_emptied_chunk_and_one_upload_makes_the_file_whole() {
    let process = TestProcess::start().await;
    let client = process.client();
    let calc = Upload::fixture(CALC);
    client.upload_ok(&calc).await;
    let app = process.behind().await;
    let key = app.db.owned_chunks(1, &[calc.sha1()]).await.unwrap()[&calc.sha1()].chunk.blob.key.clone();
    Change::Emptied.apply(&*app.blobs, &BlobKey::from_row(&key)).await;
    assert_eq!(process.run(&["fsck", "--repair"]).await.status.code(), Some(1));
    let again = String::from_utf8(process.run(&["fsck"]).await.stdout).unwrap();
    let line = format!(
        "chunk {} ({key}): its bytes were found lost before and not uploaded again yet; 0 bytes are left of them\n",
        calc.sha1()
    );
    assert!(again.starts_with(&line), "{again}");
    client.upload_ok(&calc).await;
    let clean = process.run(&["fsck", "--deep"]).await;
    assert_eq!((clean.status.code(), app.blobs.stored_size(&BlobKey::from_row(&key)).await.unwrap()), (Some(0), None));
}
