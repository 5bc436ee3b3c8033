//! Many of the largest assemble requests at once: the server reads them in bounded memory, and answers others beside them.

use bytes::Bytes;
use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use symdepot::types::Sha1;

use crate::support::process::TestProcess;
use crate::support::uploads::Upload;

/// Size of each body. A debug build takes minutes for twenty of the largest ones.
const BODY: usize = if cfg!(debug_assertions) { 16 << 20 } else { 61 << 20 };

/// What the process may have in use at most. That of release builds, and of debug builds no less.
const MOST_MEMORY: u64 = 400 * 1_000_000;

/// One entry whose chunks are no checksums.
fn zeros() -> Bytes {
    let mut body = format!("{{\"{}\":{{\"name\":\"x\",\"chunks\":[0", Sha1::of(b"x")).into_bytes();
    while body.len() < BODY {
        body.extend_from_slice(b",0");
    }
    body.extend_from_slice(b"]}}");
    body.into()
}

/// As many files as a request may ask for, of as many chunks as fit, none of which is there.
fn files() -> Bytes {
    const FILES: usize = 9_000;
    let mut body = Vec::with_capacity(BODY + (1 << 20));
    for file in 0..FILES {
        body.push(if file == 0 { b'{' } else { b',' });
        body.extend_from_slice(
            format!("\"{}\":{{\"name\":\"x\",\"chunks\":[", Sha1::of(&file.to_le_bytes())).as_bytes(),
        );
        let mut chunk = 0;
        while body.len() < BODY / FILES * (file + 1) {
            let comma = if chunk == 0 { "" } else { "," };
            let sha1 = Sha1::of(format!("{file} {chunk}").as_bytes());
            body.extend_from_slice(format!("{comma}\"{sha1}\"").as_bytes());
            chunk += 1;
        }
        body.extend_from_slice(b"]}");
    }
    body.push(b'}');
    body.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_of_the_largest_assemble_bodies_at_once_are_answered_in_bounded_memory() {
    let server = TestProcess::start_with(&[("SYMDEPOT_UPLOADS__QUEUE_WAIT", "10m")]).await;
    let (client, zeros, files) = (server.client(), zeros(), files());
    let path = format!("{}files/difs/assemble/", client.account.project_path());
    let ask = |body: &Bytes| {
        let request = client.request_as(&client.account.token, Method::POST, &path).body(body.clone());
        async move {
            let mut response = request.send().await.unwrap();
            let status = response.status();
            let (mut length, mut end) = (0, Bytes::new());
            while let Some(bytes) = response.chunk().await.unwrap() {
                length += bytes.len();
                end = bytes;
            }
            (status, length, end)
        }
    };
    let honest = async {
        let small = Upload::new("small", b"small".as_slice());
        for _ in 0..20 {
            let answer = client.ask(&client.account, &small).await;
            assert_eq!(answer, json!({ "state": "not_found", "missingChunks": [small.sha1()] }));
        }
    };
    let attack = join_all((0..20).map(|number| ask(if number % 4 == 3 { &files } else { &zeros })));
    let (answers, ()) = tokio::join!(attack, honest);
    for (number, (status, length, end)) in answers.into_iter().enumerate() {
        if number % 4 == 3 {
            assert_eq!(status, StatusCode::OK);
            assert!(length > BODY / 10 * 9 && end.ends_with(b"]}}"), "all missing chunks are named: {length} bytes");
        } else {
            assert_eq!(status, StatusCode::BAD_REQUEST);
            let error: Value = serde_json::from_slice(&end).unwrap();
            assert_eq!(error, json!({ "error": "0 is not of type 'string'" }));
        }
    }
    let peak = server.peak_memory();
    assert!(peak < MOST_MEMORY, "{} MB", peak / 1_000_000);
}
