//! No answer at all where any answer would be remembered as "there is no such file": whatever cuts an answer of debuginfod
//! short, its client meets a reset.

use reqwest::Method;
use symdepot::blobs::{BlobKey, Fault};
use symdepot::types::BlobRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::{BUILD_ID, COMPANION};
use crate::support::client::Client;
use crate::support::fixtures;
use crate::support::process::TestProcess;
use crate::support::records::Record;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

const ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";

fn path() -> String {
    format!("/symbols/default/default/buildid/{BUILD_ID}/debuginfo")
}

fn record() -> Record {
    Record { code_id: Some(BUILD_ID.to_owned()), ..Record::new("long", ID) }
}

/// A connection on which a file was asked for, by a client that takes little at a time.
async fn ask(client: &Client, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let mut connection = socket.connect(client.url.trim_start_matches("http://").parse().unwrap()).await.unwrap();
    let token = &client.account.token;
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    connection
}

/// Everything that comes back, and how it ends.
async fn raw(server: &TestServer, path: &str) -> (Vec<u8>, std::io::Result<usize>) {
    let mut connection = ask(server, path).await;
    let mut answer = Vec::new();
    let end = connection.read_to_end(&mut answer).await;
    (answer, end)
}

/// A file of eight pieces, and where they are.
async fn put_long(server: &TestServer) -> Vec<BlobRef> {
    let content: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let file = server.put_file(&server.account, Record { content, chunk_size: 100_000, ..record() }).await;
    server.app.db.debug_file_pieces(file.id).await.unwrap()
}

#[tokio::test]
async fn trouble_that_passes_resets_the_connection_and_is_never_answered() {
    let server = TestServer::start().await;
    let pieces = put_long(&server).await;
    let path = path();

    let lost = |piece: usize| server.faults.inject(Fault::Lost(BlobKey::from_row(&pieces[piece].key)));
    lost(7);
    let (begun, end) = raw(&server, &path).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset, "a transfer never ends short");
    assert!(begun.len() < 800_000);

    lost(0);
    let (answer, end) = raw(&server, &path).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(String::from_utf8_lossy(&answer), "");

    let head = server.request_as(&server.account.token, Method::HEAD, &path).send().await.unwrap();
    assert_eq!(head.status(), 200, "what needs no bytes is answered");

    server.app.db.close().await;
    for path in [path.as_str(), "/symbols/default/default/metadata?key=buildid&value=ab"] {
        let (answer, end) = raw(&server, path).await;
        assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset, "{path}");
        assert_eq!(String::from_utf8_lossy(&answer), "", "{path}");
    }
}

#[tokio::test]
async fn a_panic_resets_the_connection_and_is_never_answered() {
    let server = TestServer::start().await;
    let pieces = put_long(&server).await;
    for (piece, begun) in [(7, true), (0, false)] {
        server.faults.inject(Fault::Panics(BlobKey::from_row(&pieces[piece].key)));
        let (answer, end) = raw(&server, &path()).await;
        assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset, "piece {piece}");
        assert_eq!(!answer.is_empty(), begun, "piece {piece}");
    }
    // Others hear of a panic in their own language.
    let by_id = format!("/symbols/default/default/a9/{}/debuginfo", &BUILD_ID[2..]);
    assert_eq!(server.get(&by_id).send().await.unwrap().status(), 500);
    server.faults.heal();
    assert_eq!(server.get(&path()).send().await.unwrap().status(), 200, "the server goes on");
}

/// A server process with a file that no buffer of a connection can hold.
async fn process_with_large_file() -> TestProcess {
    let server = TestProcess::start().await;
    let mut large = Upload::fixture(COMPANION);
    let noise = (0..4 << 20).scan(1_u64, |state, _| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((*state >> 32) as u32)
    });
    large.content.extend(noise.flat_map(u32::to_le_bytes));
    server.client().upload_ok(&large).await;
    server
}

#[tokio::test]
async fn a_transfer_that_outlives_its_server_ends_in_a_reset() {
    for killed in [true, false] {
        let mut server = process_with_large_file().await;
        let mut transfer = ask(&server.client(), &path()).await;
        let mut begin = [0; 1000];
        transfer.read_exact(&mut begin).await.unwrap();
        assert!(begin.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&begin));
        if killed {
            server.kill().await;
        } else {
            // The second time means: now, whatever still runs.
            server.ask_to_end();
            crate::support::until("it is about to end", || async {
                TcpStream::connect(server.url.trim_start_matches("http://")).await.is_err().then_some(())
            })
            .await;
            server.terminate().await;
        }
        let end = transfer.read_to_end(&mut Vec::new()).await;
        assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset, "killed: {killed}");
    }
}

#[tokio::test]
async fn a_connection_whose_answers_are_whole_ends_in_good_order() {
    let mut server = TestProcess::start().await;
    let client = server.client();
    client.upload_ok(&Upload::fixture(COMPANION)).await;
    let mut connections = Vec::new();
    for (path, last_bytes) in [(path(), fixtures::read(COMPANION)), (path().replace(BUILD_ID, "00"), b"}".to_vec())] {
        let mut connection = ask(&client, &path).await;
        let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
        while !answer.ends_with(&last_bytes) {
            let got = connection.read(&mut buffer).await.unwrap();
            assert!(got > 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&buffer[..got]);
        }
        connections.push(connection);
    }
    server.terminate().await;
    for mut connection in connections {
        assert_eq!(connection.read(&mut [0; 10]).await.unwrap(), 0);
    }
}
