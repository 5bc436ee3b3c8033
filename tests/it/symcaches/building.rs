//! When symcaches are made: with the upload, on demand, once for all who ask, and never for a file that went.

use futures_util::future::join_all;
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use symdepot::app::App;
use symdepot::blobs::{BlobKey, Fault};

use super::{CALC, CALC_ID, forget_symcaches};
use crate::support::answer::whole;
use crate::support::converter::WatchedConverter;
use crate::support::server::TestServer;
use crate::support::symcaches::frames;
use crate::support::until;
use crate::support::uploads::Upload;

async fn watched(converter: &WatchedConverter) -> TestServer {
    let program = converter.program();
    TestServer::builder().settings(|config| config.converter.program = program).start().await
}

#[tokio::test]
async fn a_symcache_is_ready_when_its_upload_is_ok() {
    let converter = WatchedConverter::new();
    let server = watched(&converter).await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    let status = server.symcache_status(&server.account, CALC_ID).await;
    assert_eq!((&status["state"], &status["detail"]), (&json!("ready"), &Value::Null));
    let bytes = server.symcache_bytes(&server.account, CALC_ID).await;
    assert_eq!(status["size"], bytes.len());
    assert_eq!(
        frames(&bytes, 0x1158),
        [
            "square @ /src/fixture/calc.c:6",
            "sum_of_squares @ /src/fixture/calc.c:10",
            "calc_run @ /src/fixture/calc.c:21"
        ]
    );
    assert_eq!(converter.conversions(), 1);
}

#[tokio::test]
async fn a_lost_symcache_is_made_again_with_the_same_bytes() {
    let converter = WatchedConverter::new();
    let server = watched(&converter).await;
    let dif = server.upload_ok(&Upload::fixture(CALC).chunk_size(1024)).await;
    let bytes = server.symcache_bytes(&server.account, CALC_ID).await;
    forget_symcaches(&server, &dif).await;
    assert!(server.symcache_bytes(&server.account, CALC_ID).await == bytes);
    assert_eq!(converter.conversions(), 2);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_symcache_whose_bytes_were_lost_or_damaged_is_made_again() {
    for fault in [Fault::Lost, Fault::Flipped, Fault::Shortened] {
        let server = TestServer::start().await;
        let dif = server.upload_ok(&Upload::fixture(CALC)).await;
        let id = dif["id"].as_str().unwrap().parse().unwrap();
        let rows = server.app.db.symcaches_of(&[id]).await.unwrap();
        let fault = fault(BlobKey::from_row(&rows[0].blob.as_ref().unwrap().key));
        server.faults.inject(fault.clone());
        let answers = until("it is made again", || async {
            let response = server.symcache(&server.account, CALC_ID, 60).await;
            assert!(response.status() == 200 || response.status() == 503, "{fault:?} {}", response.status());
            (response.status() == 200).then_some(response)
        });
        let bytes = answers.await.bytes().await.unwrap();
        assert_eq!(frames(&bytes, 0x1129), ["main @ /src/fixture/main.c:3"], "{fault:?}");
        server.faults.heal();
        assert_eq!(server.fsck().await, [""; 0], "{fault:?}");
    }
}

#[tokio::test]
async fn a_symcache_of_an_older_converter_is_served_until_the_new_one_is_made() {
    let converter = WatchedConverter::new();
    let server = watched(&converter).await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    let older = server.symcache_bytes(&server.account, CALC_ID).await;
    converter.hold();
    let newer = |app: &mut App| app.symcaches.converter_version = "newer".to_owned();
    let server = server.restart(|builder| builder.tweak(newer)).await;
    let at_once = server.symcache(&server.account, CALC_ID, 0).await;
    assert_eq!((at_once.status(), at_once.bytes().await.unwrap() == older), (reqwest::StatusCode::OK, true));
    assert_eq!(server.symcache_status(&server.account, CALC_ID).await["state"], "ready");
    converter.begun(2).await;
    converter.release();
    until("the new one is made", || async {
        (server.app.db.open_jobs(server.account.organization.id, 1).await.unwrap() == 0).then_some(())
    })
    .await;
    assert!(server.symcache_bytes(&server.account, CALC_ID).await == older, "the converter was not so new after all");
    assert_eq!(converter.conversions(), 2);
    assert_eq!(server.app.blobs.list(None, 10).await.unwrap().len(), 3, "one chunk and two symcaches");
    assert_eq!(server.fsck().await, [""; 0]);
    let server = server.restart(|builder| builder.tweak(newer)).await;
    server.symcache_bytes(&server.account, CALC_ID).await;
    assert_eq!(converter.conversions(), 2);
}

#[tokio::test]
async fn sixty_four_who_ask_at_once_share_one_build() {
    let converter = WatchedConverter::new();
    let server = watched(&converter).await;
    let dif = server.upload_ok(&Upload::fixture(CALC)).await;
    forget_symcaches(&server, &dif).await;
    let asked = join_all((0..64).map(|_| server.symcache_bytes(&server.account, CALC_ID))).await;
    assert!(asked.iter().all(|bytes| *bytes == asked[0]));
    assert_eq!(converter.conversions(), 2, "one for the upload and one for all who asked");
    assert_eq!(server.app.blobs.list(None, 10).await.unwrap().len(), 2, "one chunk and one symcache");
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn who_does_not_wait_is_told_to_come_again() {
    let converter = WatchedConverter::new();
    let server = watched(&converter).await;
    let dif = server.upload_ok(&Upload::fixture(CALC)).await;
    forget_symcaches(&server, &dif).await;
    converter.hold();
    assert_json_snapshot!(whole(server.symcache(&server.account, CALC_ID, 0).await).await);
    let building = json!({ "state": "building", "sha1": null, "size": null, "version": null, "detail": null });
    assert_eq!(server.symcache_status(&server.account, CALC_ID).await, building);
    assert_eq!(server.symcache(&server.account, CALC_ID, 1).await.status(), 202);
    let waiting = server.symcache_bytes(&server.account, CALC_ID);
    let (bytes, ()) = tokio::join!(waiting, async {
        converter.begun(2).await;
        converter.release();
    });
    assert_eq!(frames(&bytes, 0x1129), ["main @ /src/fixture/main.c:3"]);
    assert_eq!(converter.conversions(), 2);
}

#[tokio::test]
async fn a_file_that_is_deleted_while_its_symcache_is_made_leaves_nothing() {
    let converter = WatchedConverter::new();
    let server = watched(&converter).await;
    let dif = server.upload_ok(&Upload::fixture(CALC)).await;
    forget_symcaches(&server, &dif).await;
    converter.hold();
    assert_eq!(server.symcache(&server.account, CALC_ID, 0).await.status(), 202);
    converter.begun(2).await;
    server.delete_file(dif["id"].as_str().unwrap()).await;
    assert_eq!(server.symcache(&server.account, CALC_ID, 0).await.status(), 404);
    converter.release();
    until("its job ends", || async {
        (server.app.db.open_jobs(server.account.organization.id, 1).await.unwrap() == 0).then_some(())
    })
    .await;
    assert_eq!(server.symcache(&server.account, CALC_ID, 0).await.status(), 404);
    assert_eq!(server.fsck().await, [""; 0]);
    assert_eq!(server.app.blobs.list(None, 10).await.unwrap().len(), 1, "only the chunk");
}

#[tokio::test]
async fn uploads_deletes_and_asks_at_once_leave_rows_and_bytes_in_agreement() {
    let server = TestServer::start().await;
    let calc = Upload::fixture(CALC).chunk_size(2048);
    let token = server.add_token(&server.account.organization, &[symdepot::types::Scope::ProjectAdmin], &[]).await;
    let uploads = async {
        for _ in 0..12 {
            let end = server.upload(&calc).await;
            assert_eq!(end["state"], "ok", "{end}");
        }
    };
    let deletes = async {
        for _ in 0..60 {
            for file in server.listed(&server.account).await {
                let id = file["id"].as_str().unwrap();
                let path = format!("{}files/dsyms/?id={id}", server.account.project_path());
                let request = server.request_as(&token, reqwest::Method::DELETE, &path);
                let status = request.send().await.unwrap().status();
                assert!(status == 204 || status == 404, "{status}");
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let asks = async {
        for _ in 0..60 {
            let status = server.symcache(&server.account, CALC_ID, 10).await.status();
            assert!([200, 202, 404, 503].contains(&status.as_u16()), "{status}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::join!(uploads, deletes, asks);
    assert_eq!(server.upload(&calc).await["state"], "ok");
    server.symcache_bytes(&server.account, CALC_ID).await;
    assert_eq!(server.fsck().await, [""; 0]);
}
