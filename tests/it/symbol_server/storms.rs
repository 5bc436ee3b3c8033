//! Many debuggers at once: their questions are asked together, and each hears the truth of the moment in which it asked,
//! about its own projects.

use futures_util::future::join_all;
use symdepot::blobs::{BlobKey, Fault};
use symdepot::config::Compression;

use super::{BUILD_ID, COMPANION, anonymous, key};
use crate::support::fixtures;
use crate::support::records::Record;
use crate::support::server::{Account, TestServer};
use crate::support::uploads::Upload;

/// Build id and debug id of the `number`th file.
fn ids(number: usize) -> (String, String) {
    (format!("{:040x}", number + 1), format!("3249d99d-0c40-4931-8610-{number:012}"))
}

async fn put(server: &TestServer, account: &Account, number: usize, name: &str) {
    let (build_id, debug_id) = ids(number);
    server.put_file(account, Record { code_id: Some(build_id), ..Record::new(name, &debug_id) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_who_ask_at_once_gets_its_own_answer() {
    const FILES: usize = 20;
    let server = TestServer::builder().settings(|config| config.symbols.key_rate = 0).start().await;
    let second = server.add_project("second").await;
    for number in 0..FILES {
        put(&server, &server.account, number, &format!("first {number}")).await;
        // The other project has every second id, with other bytes.
        if number % 2 == 0 {
            put(&server, &second, number, &format!("second {number}")).await;
        }
    }
    let bases = [
        format!("default/default/key/{}", key(&server, &server.account).await),
        format!("default/second/key/{}", key(&server, &second).await),
    ];
    for _ in 0..5 {
        let asked = (0..FILES + 5).flat_map(|number| [(number, 0), (number, 1)]).map(async |(number, project)| {
            let path = format!("/symbols/{}/buildid/{}/debuginfo", bases[project], ids(number).0);
            let answer = anonymous(&server, &path).await;
            (number, project, answer.status().as_u16(), answer.text().await.unwrap())
        });
        for (number, project, status, text) in join_all(asked).await {
            let has = number < FILES && (project == 0 || number % 2 == 0);
            assert_eq!(status, if has { 200 } else { 404 }, "{project} {number}");
            if has {
                assert_eq!(text, format!("{} {number}", ["first", "second"][project]));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_found_at_once_however_many_look_for_it_in_vain() {
    let server = TestServer::builder().settings(|config| config.symbols.key_rate = 0).start().await;
    let base = format!("/symbols/default/default/key/{}", key(&server, &server.account).await);
    for number in 0..5 {
        let upload = Upload::fixture(COMPANION).another(number);
        let path = format!("{base}/buildid/{number:08x}{}/debuginfo", &BUILD_ID[8..]);
        let waiting = async {
            let ask = async || loop {
                if anonymous(&server, &path).await.status() == 200 {
                    return;
                }
            };
            join_all((0..16).map(|_| ask())).await
        };
        let uploading = async {
            server.upload_ok(&upload).await;
            anonymous(&server, &path).await.status()
        };
        let (_, found) = tokio::join!(waiting, uploading);
        assert_eq!(found, 200, "the first who asks after the upload");
    }
}

#[tokio::test]
async fn a_small_file_that_was_deleted_is_gone_although_its_bytes_are_at_hand() {
    let server = TestServer::start().await;
    let path = format!("/symbols/default/default/buildid/{BUILD_ID}/debuginfo");
    let dif = server.upload_ok(&Upload::fixture(COMPANION)).await;
    let content = fixtures::read(COMPANION);
    assert!(server.get(&path).send().await.unwrap().bytes().await.unwrap() == content);
    let pieces = server.app.db.debug_file_pieces(dif["id"].as_str().unwrap().parse().unwrap()).await.unwrap();
    server.faults.inject(Fault::Lost(BlobKey::from_row(&pieces[0].key)));
    let part = server.get(&path).header("range", "bytes=100-199").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert!(part.bytes().await.unwrap() == content[100..200], "it is read from memory");
    server.delete_file(dif["id"].as_str().unwrap()).await;
    assert_eq!(server.get(&path).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_small_file_whose_bytes_are_not_what_was_uploaded_is_not_sent() {
    let server = TestServer::builder().settings(|config| config.blobs.compression = Compression::None).start().await;
    let dif = server.upload_ok(&Upload::fixture(COMPANION)).await;
    let pieces = server.app.db.debug_file_pieces(dif["id"].as_str().unwrap().parse().unwrap()).await.unwrap();
    server.faults.inject(Fault::Flipped(BlobKey::from_row(&pieces[0].key)));
    let by_id = format!("/symbols/default/default/_.debug/elf-buildid-sym-{BUILD_ID}/_.debug");
    assert_eq!(server.get(&by_id).send().await.unwrap().status(), 500);
    server.faults.heal();
    assert_eq!(server.get(&by_id).send().await.unwrap().status(), 200);
}
