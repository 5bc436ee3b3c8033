//! Two versions beside each other, as during an upgrade: each keeps what the other made, and no client waits for it.

use symdepot::app::App;
use symdepot::types::DerivedSort;

use super::{CALC, CALC_ID, no_job_is_left};
use crate::support::server::TestServer;
use crate::support::symcaches::frames;
use crate::support::until;
use crate::support::uploads::Upload;

/// A later version: everything that it makes is of its own.
fn later(app: &mut App) {
    app.symcaches.converter_version += "-later";
    app.symcaches.breakpad_version += "-later";
}

async fn stored(server: &TestServer) -> Vec<String> {
    let blobs = server.app.blobs.list(None, 100).await.unwrap();
    blobs.into_iter().map(|blob| blob.key.as_str().to_owned()).collect()
}

#[tokio::test]
async fn two_versions_serve_a_hundred_fetches_each_and_keep_what_the_other_one_made() {
    let server = TestServer::start().await;
    let dif = server.upload_ok(&Upload::fixture(CALC)).await;
    let id = dif["id"].as_str().unwrap().parse().unwrap();
    let text = format!("/symbols/{0}/{0}/calc/4EC932A9E89AF8CD96B5496A980E4EFE0/calc.sym", "default");
    assert_eq!(server.get(&text).send().await.unwrap().status(), 200);
    let beside = server.beside().tweak(later).start().await;
    let before = server.symcache_bytes(&server.account, CALC_ID).await;
    // The first fetch of the later version has what the earlier one made, at once.
    let first = beside.symcache(&beside.account, CALC_ID, 0).await;
    assert_eq!(first.status(), 200);
    assert!(first.bytes().await.unwrap() == before);
    assert_eq!(beside.get(&text).send().await.unwrap().status(), 200);
    until("the later version has made its own", || async {
        let symcaches = server.app.db.symcaches_of(&[id]).await.unwrap().len();
        let texts = server.app.db.derived_files_of(id, DerivedSort::Breakpad).await.unwrap().len();
        (symcaches == 2 && texts == 2).then_some(())
    })
    .await;
    no_job_is_left(&server.app, server.account.organization.id).await;
    let (rows, bytes) = (server.app.db.symcaches_of(&[id]).await.unwrap(), stored(&server).await);
    assert_eq!(bytes.len(), 1 + 2 + 2, "a chunk, two symcaches and two texts: {bytes:?}");
    for _ in 0..100 {
        for one in [&server, &beside] {
            let answer = one.symcache(&one.account, CALC_ID, 0).await;
            assert_eq!(answer.status(), 200);
            assert_eq!(frames(&answer.bytes().await.unwrap(), 0x1129), ["main @ /src/fixture/main.c:3"]);
            assert_eq!(one.symcache_status(&one.account, CALC_ID).await["state"], "ready");
            assert_eq!(one.get(&text).send().await.unwrap().status(), 200);
            one.app.symcaches.forget(&one.app.db.live_file(id).await.unwrap().unwrap()).await;
        }
    }
    assert_eq!(server.app.db.symcaches_of(&[id]).await.unwrap(), rows);
    assert_eq!(stored(&server).await, bytes);
    assert_eq!(server.app.db.open_jobs(server.account.organization.id, 9).await.unwrap(), 0, "no job was queued again");
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn what_an_earlier_version_made_is_served_while_no_worker_is_there() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    let before = server.symcache_bytes(&server.account, CALC_ID).await;
    let server = server.restart(|builder| builder.without_workers().tweak(later)).await;
    for _ in 0..3 {
        let answer = server.symcache(&server.account, CALC_ID, 0).await;
        assert_eq!(answer.status(), 200);
        assert!(answer.bytes().await.unwrap() == before);
        assert_eq!(server.symcache_status(&server.account, CALC_ID).await["state"], "ready");
    }
    assert_eq!(server.app.db.open_jobs(server.account.organization.id, 9).await.unwrap(), 1);
}

#[tokio::test]
async fn a_worker_of_an_earlier_version_makes_what_can_be_served_and_leaves_the_rest() {
    let server = TestServer::start().await;
    let dif = server.upload_ok(&Upload::fixture(CALC)).await;
    let id: i64 = dif["id"].as_str().unwrap().parse().unwrap();
    let files = server.app.db.debug_files_by_id(server.account.project.id, &[CALC_ID.parse().unwrap()]).await.unwrap();
    let web = server.beside().without_workers().tweak(later).start().await;
    super::forget_symcaches(&server.app, &files).await;
    // The web process waits for its own version; the worker knows only the earlier one.
    let answer = until("it is served", || async {
        let answer = web.symcache(&web.account, CALC_ID, 0).await;
        (answer.status() == 200).then_some(answer)
    });
    assert_eq!(frames(&answer.await.bytes().await.unwrap(), 0x1129), ["main @ /src/fixture/main.c:3"]);
    let rows = server.app.db.symcaches_of(&[id]).await.unwrap();
    let versions: Vec<_> = rows.iter().map(|row| row.converter_version.as_str()).collect();
    assert_eq!(versions, [server.app.symcaches.converter_version.as_str()]);
    let open = server.app.db.open_jobs(server.account.organization.id, 9).await.unwrap();
    assert_eq!(open, 1, "a worker of the later version will make its own");
    assert_eq!(server.fsck().await, [""; 0]);
}
