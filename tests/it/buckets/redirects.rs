//! What is fetched past us: large symcaches and whole files come from the bucket itself, by a URL that needs no credential.
//! Who asks for a part, or is known not to follow, has it from us.

use std::fmt::Write as _;

use reqwest::{Response, header};
use symdepot::config::Compression;
use symdepot::types::Sha1;

use super::{CALC, CALC_BUILD_ID, CALC_ID};
use crate::support::answer::whole;
use crate::support::s3::S3Bucket;
use crate::support::server::TestServer;
use crate::support::symcaches::frames;
use crate::support::uploads::Upload;

const LARGE_ID: &str = "11111111-2222-3333-4444-555555555555";
const FUNCTIONS: u64 = 50_000;

/// Symbols of so many functions that their symcache is none of those that are kept in memory.
fn large() -> Upload {
    let mut symbols = "MODULE Linux x86_64 111111112222333344445555555555550 large\nFILE 0 /src/large.c\n".to_owned();
    for number in 0..FUNCTIONS {
        let address = 0x1000 + number * 0x10;
        writeln!(symbols, "FUNC {address:x} 10 0 function_{number}\n{address:x} 10 {number} 0").unwrap();
    }
    Upload::new("large.sym", symbols)
}

/// A server on a bucket, with `calc` and a large file, both as they are.
async fn server(redirect: bool) -> (TestServer, S3Bucket) {
    let bucket = S3Bucket::fresh();
    let server = TestServer::builder().settings(|config| {
        bucket.settings(config);
        config.blobs.s3.redirect = redirect;
        config.blobs.compression = Compression::None;
    });
    (server.start().await, bucket)
}

fn path(debug_id: &str) -> String {
    format!("/api/v1/projects/default/default/symcaches/{debug_id}")
}

/// Where a debugger finds `calc`.
fn debugger() -> String {
    format!("/symbols/default/default/buildid/{CALC_BUILD_ID}/debuginfo")
}

fn location(answer: &Response) -> String {
    answer.headers()[header::LOCATION].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_large_symcache_is_fetched_from_the_bucket_by_who_wants_the_whole() {
    let (server, bucket) = server(true).await;
    server.upload_ok(&large()).await;
    let status = server.symcache_status(&server.account, LARGE_ID).await;
    let size = status["size"].as_u64().unwrap();
    assert!(size > 1 << 20, "{size} bytes are not large");

    let answer = server.get(&path(LARGE_ID)).send().await.unwrap();
    let url = location(&answer);
    assert!(url.starts_with(&format!("{}/{}/depot/symcaches/", bucket.endpoint, bucket.name)), "{url}");
    let mut answer = whole(answer).await;
    answer["headers"]["location"] = "<bucket>".into();
    insta::assert_json_snapshot!(answer);
    // Once by hand, and once by a client that follows.
    let by_hand = crate::support::client::http().get(&url).send().await.unwrap();
    let follower = reqwest::Client::new();
    let followed = follower.get(format!("{}{}", server.url, path(LARGE_ID))).bearer_auth(&server.account.token);
    for fetched in [by_hand, followed.send().await.unwrap()] {
        assert_eq!(fetched.status(), 200);
        let bytes = fetched.bytes().await.unwrap();
        assert_eq!(bytes.len() as u64, size);
        assert_eq!(serde_json::to_value(Sha1::of(&bytes)).unwrap(), status["sha1"]);
        for number in [0, FUNCTIONS / 2, FUNCTIONS - 1] {
            let frame = format!("function_{number} @ /src/large.c:{number}");
            assert_eq!(frames(&bytes, 0x1000 + number * 0x10), [frame]);
        }
    }
}

#[tokio::test]
async fn a_symcache_that_is_small_or_wanted_in_part_comes_from_us() {
    let (server, _bucket) = server(true).await;
    server.upload_ok(&large()).await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    let whole_one = server.http.get(location(&server.get(&path(LARGE_ID)).send().await.unwrap()));
    let bytes = whole_one.send().await.unwrap().bytes().await.unwrap();

    let small = server.symcache_bytes(&server.account, CALC_ID).await;
    assert_eq!(frames(&small, 0x1129), ["main @ /src/fixture/main.c:3"]);
    let head = server.head(&path(LARGE_ID)).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()[header::CONTENT_LENGTH], bytes.len().to_string());
    let etag = head.headers()[header::ETAG].clone();
    let known = server.get(&path(LARGE_ID)).header(header::IF_NONE_MATCH, &etag).send().await.unwrap();
    assert_eq!(known.status(), 304);
    let range = |range: String| server.get(&path(LARGE_ID)).header(header::RANGE, range).send();
    let half = bytes.len() / 2;
    let (first, second) = (range(format!("bytes=0-{}", half - 1)).await, range(format!("bytes={half}-")).await);
    let mut parts = Vec::new();
    for part in [first.unwrap(), second.unwrap()] {
        assert_eq!(part.status(), 206);
        parts.extend_from_slice(&part.bytes().await.unwrap());
    }
    assert!(parts == bytes, "the parts are those of what the bucket gives");
    let outside = range(format!("bytes={}-", bytes.len())).await.unwrap();
    assert_eq!(outside.status(), 416);
}

#[tokio::test]
async fn a_file_that_a_debugger_wants_whole_is_fetched_from_the_bucket() {
    let (server, _bucket) = server(true).await;
    let calc = Upload::fixture(CALC);
    server.upload_ok(&calc).await;
    let answer = server.get(&debugger()).send().await.unwrap();
    assert_eq!(answer.status(), 302);
    let bytes = crate::support::client::http().get(location(&answer)).send().await.unwrap();
    assert_eq!(bytes.status(), 200);
    assert!(bytes.bytes().await.unwrap() == calc.content, "the URL needs no credential");
    let part = server.get(&debugger()).header(header::RANGE, "bytes=0-3").send().await.unwrap();
    assert_eq!((part.status().as_u16(), part.bytes().await.unwrap().as_ref()), (206, b"\x7fELF".as_slice()));
    assert_eq!(server.head(&debugger()).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_paths_of_clients_that_do_not_follow_never_send_them_on() {
    let (server, _bucket) = server(true).await;
    let calc = Upload::fixture(CALC);
    let dif = server.upload_ok(&calc).await;
    // The same file is one that debuggers are sent on for.
    assert_eq!(server.get(&debugger()).send().await.unwrap().status(), 302);
    let by_id = format!("{}files/dsyms/?id={}", server.account.project_path(), dif["id"].as_str().unwrap());
    // `sentry-cli`, and Symbolicator's source of the kind `sentry`, which takes compressed bytes as well.
    for encoding in ["identity", "zstd"] {
        let answer = server.get(&by_id).header(header::ACCEPT_ENCODING, encoding).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{encoding}");
        assert!(answer.bytes().await.unwrap() == calc.content, "{encoding}");
    }
}

#[tokio::test]
async fn nobody_is_sent_on_without_the_setting() {
    let (server, _bucket) = server(false).await;
    let (large, calc) = (large(), Upload::fixture(CALC));
    server.upload_ok(&large).await;
    server.upload_ok(&calc).await;
    let status = server.symcache_status(&server.account, LARGE_ID).await;
    let bytes = server.symcache_bytes(&server.account, LARGE_ID).await;
    assert_eq!(serde_json::to_value(Sha1::of(&bytes)).unwrap(), status["sha1"]);
    let answer = server.get(&debugger()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.unwrap() == calc.content);
}
