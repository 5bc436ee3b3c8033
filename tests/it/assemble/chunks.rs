//! Chunks of a file: missing, shared, repeated, somebody else's.

use serde_json::json;
use symdepot::types::Sha1;

use super::{CALC, GARBAGE, error, garbage, not_found, queued};
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

#[tokio::test]
async fn missing_chunks_are_named_once_each_in_order_and_for_every_file() {
    let server = TestServer::builder().without_workers().start().await;
    let account = &server.account;
    let one = garbage("aaaabbbbaaaaccccbbbbdddd");
    let two = garbage("ddddaaaaeeeedddd");
    assert_eq!(server.send_chunks(account, &[b"cccc"]).await.status(), 200);
    let sha1s = |texts: &[&str]| texts.iter().map(|text| Sha1::of(text.as_bytes())).collect::<Vec<_>>();
    let both = json!({ one.sha1().to_string(): one.entry(), two.sha1().to_string(): two.entry() });
    let answer: serde_json::Value = server.ask_assemble(account, &both).await.json().await.unwrap();
    assert_eq!(
        answer,
        json!({
            one.sha1().to_string(): not_found(&sha1s(&["aaaa", "bbbb", "dddd"])),
            two.sha1().to_string(): not_found(&sha1s(&["dddd", "aaaa", "eeee"])),
        })
    );
    // One of the two is whole before the other.
    assert_eq!(server.send_chunks(account, &[b"aaaa", b"bbbb", b"dddd"]).await.status(), 200);
    let answer: serde_json::Value = server.ask_assemble(account, &both).await.json().await.unwrap();
    assert_eq!(
        answer,
        json!({ one.sha1().to_string(): queued(), two.sha1().to_string(): not_found(&sha1s(&["eeee"])) })
    );
}

#[tokio::test]
async fn what_another_organization_has_is_missing_here() {
    let server = TestServer::start().await;
    let stranger = server.add_account("stranger", "project").await;
    let calc = Upload::fixture(CALC).chunk_size(4096);
    server.upload_ok(&calc).await;
    let missing: Vec<_> = calc.chunks().into_iter().map(Sha1::of).collect();
    assert_eq!(server.ask(&stranger, &calc).await, not_found(&missing));
    assert_eq!(server.peek(&stranger, &calc).await, not_found(&[]));
    // Proving to have one of them proves nothing of the others.
    assert_eq!(server.send_chunks(&stranger, &calc.chunks()[..1]).await.status(), 200);
    assert_eq!(server.ask(&stranger, &calc).await, not_found(&missing[1..]));
    assert_eq!(server.upload_to(&stranger, &calc).await["state"], "ok");
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_file_of_ten_thousand_repeats_of_a_chunk_is_put_together() {
    let server = TestServer::start().await;
    let repeats = garbage(&"abcd".repeat(10_000));
    assert_eq!(server.ask(&server.account, &repeats).await, not_found(&[Sha1::of(b"abcd")]));
    assert_eq!(server.send_chunks(&server.account, &[b"abcd"]).await.status(), 200);
    assert_eq!(server.poll(&server.account, &repeats).await, error(GARBAGE));

    // A header of four chunks, and then one line again and again.
    let header = format!("MODULE Linux x86_64 4EC932A9E89AF8CD96B5496A980E4EFE0 {:_<13}\n", "calc");
    let line = "FUNC 1000 10 0 f\n";
    assert_eq!(header.len(), 4 * line.len());
    let symbols = Upload::new("calc.sym", header + &line.repeat(10_000)).chunk_size(line.len());
    assert_eq!(server.upload_ok(&symbols).await["size"], symbols.content.len());
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_file_that_is_too_large_with_its_repeats_is_refused_before_it_is_written() {
    let server = TestServer::builder().settings(|config| config.uploads.max_file_size = 10_000).start().await;
    let largest = Upload::new("largest", [b'x'; 10_000]).chunk_size(1000);
    let larger = Upload::new("larger", [b'x'; 10_001]).chunk_size(1000);
    assert_eq!(server.upload(&largest).await, error(GARBAGE));
    assert_eq!(server.upload(&larger).await, error("File larger exceeds maximum size (10001 > 10000)"));

    let server = TestServer::start().await;
    let chunk = vec![b'x'; 8 << 20];
    assert_eq!(server.send_chunks(&server.account, &[&chunk]).await.status(), 200);
    let huge = Sha1::of(b"whatever");
    let entry = json!({ "name": "huge", "chunks": vec![Sha1::of(&chunk); 10_000] });
    let refused = error("File huge exceeds maximum size (83886080000 > 4294967296)");
    assert_eq!(server.ask_with(&server.account, huge, entry).await, refused, "it is not even queued");
}
