//! Chunks sent through the front door: what is taken, what is refused and in which words, and what stays of it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use symdepot::blobs::{BlobKey, Fault};
use symdepot::types::{Encoding, Sha1};

use crate::support::answer::whole;
use crate::support::fixtures;
use crate::support::form::is_cluster;
use crate::support::process::TestProcess;
use crate::support::server::{Account, TestServer};
use crate::support::until;
use crate::support::uploads::Upload;

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 3).unwrap()
}

/// A form with one part: `content` sent as it is, under `name`.
fn part(form: Form, field: &'static str, name: impl Into<String>, content: impl Into<Vec<u8>>) -> Form {
    form.part(field, Part::bytes(content.into()).file_name(name.into()))
}

fn one(field: &'static str, name: impl Into<String>, content: impl Into<Vec<u8>>) -> Form {
    part(Form::new(), field, name, content)
}

fn name_of(content: &[u8]) -> String {
    Sha1::of(content).to_string()
}

impl TestServer {
    fn chunk_upload(&self, account: &Account) -> RequestBuilder {
        let path = format!("{}chunk-upload/", account.organization_path());
        self.request_as(&account.token, Method::POST, &path)
    }

    async fn send(&self, form: Form) -> Response {
        self.chunk_upload(&self.account).multipart(form).send().await.unwrap()
    }

    async fn send_encoded(&self, encoding: &str, form: Form) -> Response {
        self.chunk_upload(&self.account).header("content-encoding", encoding).multipart(form).send().await.unwrap()
    }

    /// Those of `chunks` that the organization has.
    async fn owned(&self, account: &Account, chunks: &[&[u8]]) -> BTreeSet<Sha1> {
        let sha1s: Vec<_> = chunks.iter().map(|chunk| Sha1::of(chunk)).collect();
        self.app.db.owned_chunks(account.organization.id, &sha1s).await.unwrap().into_keys().collect()
    }

    async fn has(&self, chunk: &[u8]) -> bool {
        !self.owned(&self.account, &[chunk]).await.is_empty()
    }

    /// How many blobs there are.
    async fn blobs(&self) -> usize {
        self.app.blobs.list(None, 10_000).await.unwrap().len()
    }

    /// Names of the files left in the folder for temp files of the store.
    /// Names of the staging files of blobs.
    pub fn temp_files(&self) -> Vec<String> {
        let folder = if is_cluster() { "tmp/spools" } else { "blobs/tmp" };
        let files = std::fs::read_dir(self.data_dir().join(folder)).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Waits until nothing is left of what was given up.
    async fn assert_nothing_left(&self) {
        until("temp files are gone", || async { self.temp_files().is_empty().then_some(()) }).await;
        assert_eq!(self.fsck().await, Vec::<String>::new());
    }
}

async fn assert_taken(response: Response) {
    let status = response.status();
    assert_eq!((status.as_u16(), response.text().await.unwrap().as_str()), (200, ""));
}

async fn assert_refused(response: Response, sentence: &str) {
    assert_eq!(response.headers()["content-type"], "application/json");
    let status = response.status();
    assert_eq!((status.as_u16(), response.json::<Value>().await.unwrap()), (400, json!({ "error": sentence })));
}

#[tokio::test]
async fn clients_are_told_how_to_send_chunks() {
    let server =
        TestServer::builder().settings(|config| config.public_url = "https://symbols.example".into()).start().await;
    let path = format!("{}chunk-upload/", server.account.organization_path());
    insta::assert_json_snapshot!(whole(server.get(&path).send().await.unwrap()).await);
    for (agent, url) in [
        ("sentry-cli/2.14.2", "organizations/default/chunk-upload/"),
        ("sentry-cli/2.58.6", "https://symbols.example/api/0/organizations/default/chunk-upload/"),
        ("sentry-cli/3.8.2", "https://symbols.example/api/0/organizations/default/chunk-upload/"),
    ] {
        let options: Value = server.get(&path).header("user-agent", agent).send().await.unwrap().json().await.unwrap();
        assert_eq!(options["url"], url, "{agent}");
    }
    let by_id = format!("/api/0/organizations/{}/chunk-upload/", server.account.organization.id);
    let options: Value = server.get(&by_id).send().await.unwrap().json().await.unwrap();
    assert_eq!(options["url"], "https://symbols.example/api/0/organizations/default/chunk-upload/");
}

#[tokio::test]
async fn chunks_are_taken_however_they_are_packed() {
    let server = TestServer::start().await;
    let (plain, packed) = (b"a plain chunk".repeat(9000), b"a packed chunk".repeat(9000));
    let form = one("file", name_of(&plain), plain.clone());
    assert_taken(server.send(part(form, "file_gzip", name_of(&packed), gzip(&packed))).await).await;
    assert_eq!(server.owned(&server.account, &[&plain, &packed]).await.len(), 2);

    for (encoding, content) in [("gzip", b"by gzip"), ("ZStd", b"by zstd")] {
        let packed = if encoding == "gzip" { gzip(content) } else { zstd(content) };
        assert_taken(server.send_encoded(encoding, one("file", name_of(content), packed)).await).await;
        assert!(server.has(content).await, "{encoding}");
    }
    server.assert_nothing_left().await;
}

#[tokio::test]
async fn chunks_stand_compressed_where_that_helps_and_the_setting_allows_it() {
    for (compression, expected) in [("zstd", Encoding::Zstd), ("none", Encoding::Raw)] {
        let server = TestServer::builder()
            .settings(|config| config.blobs.compression = serde_json::from_value(json!(compression)).unwrap())
            .start()
            .await;
        let content = b"debug data repeats itself ".repeat(10_000);
        assert_taken(server.send(one("file", name_of(&content), content.clone())).await).await;
        let sha1 = Sha1::of(&content);
        let owned = server.app.db.owned_chunks(server.account.organization.id, &[sha1]).await.unwrap();
        let blob = &owned[&sha1].chunk.blob;
        assert_eq!((blob.encoding, blob.size), (expected, content.len() as u64));
        server.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn a_request_without_chunks_is_fine() {
    let server = TestServer::start().await;
    assert_taken(server.chunk_upload(&server.account).send().await.unwrap()).await;
    assert_taken(server.send(Form::new()).await).await;
    assert_taken(server.send(Form::new().text("comment", "not a chunk")).await).await;
    assert_taken(server.send(one("attachment", "x", "not a chunk")).await).await;
    assert_eq!(server.blobs().await, 0);
}

#[tokio::test]
async fn an_empty_chunk_is_a_chunk() {
    let server = TestServer::start().await;
    assert_taken(server.send(one("file", "da39a3ee5e6b4b0d3255bfef95601890afd80709", "")).await).await;
    assert_taken(server.send(one("file_gzip", "da39a3ee5e6b4b0d3255bfef95601890afd80709", gzip(b""))).await).await;
    assert!(server.has(b"").await);
    assert_eq!(server.blobs().await, 1);
    server.assert_nothing_left().await;
}

#[tokio::test]
async fn a_chunk_must_be_named_by_its_checksum_and_nothing_else() {
    let server = TestServer::start().await;
    let content = b"content";
    let right = name_of(content);
    for name in [
        name_of(b"other content"),
        right.to_uppercase(),
        format!("sha1:{right}"),
        format!("{right}.bin"),
        right[..39].to_owned(),
        "chunk".to_owned(),
        String::new(),
    ] {
        assert_refused(server.send(one("file", name, content)).await, "Checksum mismatch").await;
    }
    let nameless = Form::new().part("file", Part::bytes(content.to_vec()));
    assert_refused(server.send(nameless).await, "Checksum mismatch").await;
    assert!(!server.has(content).await);
    assert_eq!(server.blobs().await, 0);

    assert_taken(server.send(one("file", format!("x/y/{right}"), content)).await).await;
    assert!(server.has(content).await);
    server.assert_nothing_left().await;
}

#[tokio::test]
async fn chunks_before_a_refused_one_stay_and_those_behind_it_do_not() {
    let server = TestServer::start().await;
    let form = one("file", name_of(b"first"), "first");
    let form = part(form, "file", name_of(b"second"), "something else");
    let form = part(form, "file", name_of(b"third"), "third");
    assert_refused(server.send(form).await, "Checksum mismatch").await;
    assert!(server.has(b"first").await);
    assert!(!server.has(b"second").await);
    assert!(!server.has(b"third").await);
    server.assert_nothing_left().await;
}

#[tokio::test]
async fn sizes_are_counted_after_inflating() {
    let server = TestServer::builder()
        .settings(|config| {
            config.uploads.chunk_size = 1 << 16;
            config.uploads.max_request_size = 1 << 17;
            config.uploads.chunks_per_request = 4;
        })
        .start()
        .await;
    let chunk = |fill: u8, size| vec![fill; size];
    for fill in 1..=2 {
        let (exact, larger) = (chunk(fill, 1 << 16), chunk(fill, (1 << 16) + 1));
        assert_taken(server.send(one("file_gzip", name_of(&exact), gzip(&exact))).await).await;
        for form in [one("file", name_of(&larger), larger.clone()), one("file_gzip", name_of(&larger), gzip(&larger))] {
            assert_refused(server.send(form).await, "Chunk size too large").await;
        }
        let form = one("file", name_of(&larger), zstd(&larger));
        assert_refused(server.send_encoded("zstd", form).await, "Chunk size too large").await;
    }
    let form = (3..6).fold(Form::new(), |form, fill| {
        let chunk = chunk(fill, if fill == 5 { 1 } else { 1 << 16 });
        part(form, "file_gzip", name_of(&chunk), gzip(&chunk))
    });
    assert_refused(server.send(form).await, "Request too large").await;
    assert!(server.has(&chunk(4, 1 << 16)).await && !server.has(&chunk(5, 1)).await);

    let form = |count| {
        (0..count).fold(Form::new(), |form, fill| {
            let field = if fill % 2 == 0 { "file" } else { "file_gzip" };
            let content = if fill % 2 == 0 { vec![fill] } else { gzip(&[fill]) };
            part(form, field, name_of(&[fill]), content)
        })
    };
    assert_taken(server.send(form(4)).await).await;
    assert_refused(server.send(form(5)).await, "Too many chunks").await;
    server.assert_nothing_left().await;
}

#[tokio::test]
async fn a_bomb_costs_no_more_than_a_chunk() {
    let server = TestServer::builder().settings(|config| config.uploads.chunk_size = 1 << 20).start().await;
    let zeros = vec![0; 256 << 20];
    let (gzip_bomb, zstd_bomb) = (gzip(&zeros), zstd(&zeros));
    let name = name_of(&zeros);
    drop(zeros);
    assert_refused(server.send(one("file_gzip", &name, gzip_bomb)).await, "Chunk size too large").await;
    assert_refused(server.send_encoded("zstd", one("file", &name, zstd_bomb)).await, "Chunk size too large").await;
    server.assert_nothing_left().await;
}

#[tokio::test]
async fn what_cannot_be_unpacked_is_refused() {
    let server = TestServer::start().await;
    let content: Vec<u8> = (0..50_000u32).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let name = name_of(&content);
    let (gz, zst) = (gzip(&content), zstd(&content));
    let damaged = |packed: &[u8]| {
        let mut damaged = packed.to_vec();
        damaged[packed.len() / 2] ^= 0x55;
        damaged
    };
    let cut = |packed: &[u8]| packed[..packed.len() - 1].to_vec();
    let followed = |packed: &[u8]| [packed, b"garbage"].concat();
    for packed in [cut(&gz), damaged(&gz), followed(&gz), content.clone(), zst.clone(), Vec::new()] {
        assert_refused(server.send(one("file_gzip", &name, packed.clone())).await, "Invalid gzip payload").await;
        assert_refused(server.send_encoded("gzip", one("file", &name, packed)).await, "Invalid gzip payload").await;
    }
    for packed in [cut(&zst), followed(&zst), content.clone(), gz.clone(), Vec::new()] {
        assert_refused(server.send_encoded("zstd", one("file", &name, packed)).await, "Invalid zstd payload").await;
    }
    assert!(!server.has(&content).await);
    server.assert_nothing_left().await;
}

#[tokio::test]
async fn encodings_that_are_unknown_or_said_twice_are_refused() {
    let server = TestServer::start().await;
    let form = || one("file", name_of(b"x"), "x");
    for encoding in ["br", "deflate", "gzip, zstd"] {
        assert_refused(server.send_encoded(encoding, form()).await, "Unsupported Content-Encoding").await;
    }
    let form = one("file_gzip", name_of(b"x"), gzip(b"x"));
    let sentence = "Cannot combine Content-Encoding with file_gzip field";
    assert_refused(server.send_encoded("gzip", form).await, sentence).await;
    assert_eq!(server.blobs().await, 0);
}

#[tokio::test]
async fn a_body_that_is_no_multipart_is_refused() {
    let server = TestServer::start().await;
    let sentence = "The body must be multipart/form-data with a boundary.";
    let post = || server.chunk_upload(&server.account);
    assert_refused(post().body("bytes").send().await.unwrap(), sentence).await;
    assert_refused(post().json(&json!({})).send().await.unwrap(), sentence).await;
    let typed = |kind: &'static str| post().header("content-type", kind);
    assert_refused(typed("multipart/form-data").body("--x--").send().await.unwrap(), sentence).await;

    let typed = || typed("multipart/form-data; boundary=x");
    let cut = "The request ended before its body was complete. Send it again.";
    let body =
        format!("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\r\ncont", name_of(b"cont"));
    for end in [3, 20, body.len()] {
        assert_refused(typed().body(body[..end].to_owned()).send().await.unwrap(), cut).await;
    }
    assert_refused(typed().body("no delimiter at all").send().await.unwrap(), cut).await;
    let malformed = "The multipart body is malformed: a part has no name.";
    assert_refused(typed().body("--x\r\n\r\nbytes\r\n--x--").send().await.unwrap(), malformed).await;
    assert!(!server.has(b"cont").await);
    server.assert_nothing_left().await;
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_of_a_chunk_leaves_nothing() {
    use tokio::io::AsyncWriteExt as _;

    let server = TestServer::start().await;
    let mut connection = tokio::net::TcpStream::connect(server.url.trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "POST {}chunk-upload/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 9000000\r\n\
         Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\nContent-Disposition: form-data; name=\"file\"; \
         filename=\"{}\"\r\n\r\n",
        server.account.organization_path(),
        server.account.token,
        name_of(b"never complete"),
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&vec![7; 100_000]).await.unwrap();
    until("the chunk is being taken in", || async { (!server.temp_files().is_empty()).then_some(()) }).await;
    drop(connection);
    server.assert_nothing_left().await;
    assert_eq!(server.blobs().await, 0);
}

#[tokio::test]
async fn identical_chunks_in_one_request_are_stored_once() {
    let server = TestServer::start().await;
    let content = b"the same again";
    let form = (0..10).fold(Form::new(), |form, _| part(form, "file", name_of(content), content));
    assert_taken(server.send(form).await).await;
    assert_eq!(server.blobs().await, 1);
    server.assert_nothing_left().await;
}

#[tokio::test]
async fn sixty_four_parallel_uploads_of_one_chunk_store_it_once() {
    let server = TestServer::start().await;
    let content: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
    let others: Vec<_> = futures_util::future::join_all((0..4).map(|number| {
        let slug = format!("org-{number}");
        let server = &server;
        async move { server.add_account(&slug, "project").await }
    }))
    .await;
    let uploads = (0..64).map(|number| {
        let account = &others[number % others.len()];
        let (server, content) = (&server, &content);
        async move { server.send_chunks(account, &[content]).await }
    });
    for response in futures_util::future::join_all(uploads).await {
        assert_taken(response).await;
    }
    assert_eq!(server.blobs().await, 1);
    for account in &others {
        assert_eq!(server.owned(account, &[&content]).await.len(), 1);
    }
    assert!(!server.has(&content).await);
    server.assert_nothing_left().await;
}

#[tokio::test]
async fn a_chunk_of_another_organization_must_be_sent_to_be_owned() {
    let server = TestServer::start().await;
    let other = server.add_account("other", "project").await;
    let content = b"common to both";
    assert_taken(server.send_chunks(&other, &[content]).await).await;
    assert!(!server.has(content).await);
    // Its checksum alone proves nothing.
    assert_refused(server.send(one("file", name_of(content), "not it")).await, "Checksum mismatch").await;
    assert!(!server.has(content).await);
    assert_taken(server.send_chunks(&server.account, &[content]).await).await;
    assert!(server.has(content).await);
    assert_eq!(server.blobs().await, 1);
    server.assert_nothing_left().await;
}

#[tokio::test]
async fn a_known_name_with_other_content_is_refused_and_changes_nothing() {
    let server = TestServer::start().await;
    assert_taken(server.send_chunks(&server.account, &[b"content"]).await).await;
    assert_refused(server.send(one("file", name_of(b"content"), "other")).await, "Checksum mismatch").await;
    assert_taken(server.send_chunks(&server.account, &[b"content"]).await).await;
    assert_eq!(server.blobs().await, 1);
    server.assert_nothing_left().await;
}

#[tokio::test]
async fn lost_bytes_are_replaced_by_the_next_upload_of_the_chunk() {
    let server = TestServer::start().await;
    let other = server.add_account("other", "project").await;
    let content = b"lost and found";
    for (round, account) in [&server.account, &other].into_iter().enumerate() {
        assert_taken(server.send_chunks(account, &[content]).await).await;
        let key = server.app.blobs.list(None, 10).await.unwrap().remove(0).key;
        server.app.blobs.delete(&[key]).await.unwrap();
        assert_eq!(server.fsck().await.len(), 1, "round {round}");
        assert_taken(server.send_chunks(account, &[content]).await).await;
        server.assert_nothing_left().await;
    }
    let key = server.app.blobs.list(None, 10).await.unwrap().remove(0).key;
    server.faults.inject(Fault::Shortened(BlobKey::from_row(key.as_str())));
    assert_taken(server.send_chunks(&server.account, &[content]).await).await;
    assert_eq!(server.blobs().await, 1);
    server.assert_nothing_left().await;
}

#[tokio::test]
async fn damaged_bytes_are_asked_for_again_and_replaced() {
    let server = TestServer::builder().settings(|config| config.jobs.back_off = Duration::from_millis(1)).start().await;
    let upload = Upload::new("calc-elf.sym", fixtures::read("breakpad/calc-elf.sym"));
    let sha1 = upload.sha1();
    assert_taken(server.send_chunks(&server.account, &upload.chunks()).await).await;
    let key = server.app.blobs.list(None, 10).await.unwrap().remove(0).key;
    server.faults.inject(Fault::Flipped(key));
    let entry = until("the chunk is asked for again", || async {
        let entry = server.ask(&server.account, &upload).await;
        (entry["state"] == "not_found").then_some(entry)
    })
    .await;
    assert_eq!(entry["missingChunks"], json!([sha1]));
    server.upload_ok(&upload).await;
    server.assert_nothing_left().await;
}

#[tokio::test]
async fn a_full_disk_is_said_and_the_next_try_succeeds() {
    let server = TestServer::start().await;
    server.faults.inject(Fault::Full(1));
    let form = || part(one("file", name_of(b"one"), "one"), "file", name_of(b"two"), "two");
    let response = server.send(form()).await;
    let status = response.status().as_u16();
    let said = json!({ "error": "The disk of the server is full. Free some space there and try again." });
    assert_eq!((status, response.json::<Value>().await.unwrap()), (507, said));
    assert!(!server.has(b"one").await && !server.has(b"two").await);
    assert_taken(server.send(form()).await).await;
    assert!(server.has(b"one").await && server.has(b"two").await);
    server.assert_nothing_left().await;
}

#[tokio::test]
async fn a_broken_store_is_a_server_error_that_tells_no_secrets() {
    let server = TestServer::start().await;
    server.faults.inject(Fault::PutBroken(1));
    let response = server.send(one("file", name_of(b"one"), "one")).await;
    assert_eq!(response.status(), 500);
    let said: Value = response.json().await.unwrap();
    assert_eq!(said["error"], "Something went wrong in the server. Its log says what, under the id of this request.");
    assert!(!server.has(b"one").await);
    server.assert_nothing_left().await;
}

#[tokio::test]
async fn uploads_beyond_the_queue_are_sent_away_and_the_others_wait_for_their_turn() {
    let server = TestServer::builder()
        .settings(|config| {
            config.uploads.parallel = 2;
            config.uploads.queue = 3;
            config.uploads.queue_wait = Duration::from_secs(600);
        })
        .start()
        .await;
    server.faults.hold_puts();
    let mut uploads: futures_util::stream::FuturesUnordered<_> = (0..9u8)
        .map(|number| {
            let content = vec![number; 300_000];
            let request = server.chunk_upload(&server.account).multipart(one("file", name_of(&content), content));
            async move { request.send().await.unwrap() }
        })
        .collect();
    for _ in 0..4 {
        let response = uploads.next().await.unwrap();
        let status = response.status().as_u16();
        let said = json!({ "error": "The server is busy with other uploads. Try again in some seconds." });
        assert_eq!((status, response.json::<Value>().await.unwrap()), (503, said));
    }
    server.faults.heal();
    while let Some(response) = uploads.next().await {
        assert_taken(response).await;
    }
    assert_eq!(server.blobs().await, 5);
    server.assert_nothing_left().await;
}

#[tokio::test]
async fn who_waited_too_long_is_sent_away() {
    let server = TestServer::builder()
        .settings(|config| {
            config.uploads.parallel = 1;
            config.uploads.queue_wait = Duration::from_millis(10);
        })
        .start()
        .await;
    server.faults.hold_puts();
    let first = tokio::spawn(server.chunk_upload(&server.account).multipart(one("file", name_of(b"1"), "1")).send());
    until("the first upload is being stored", || async { (!server.temp_files().is_empty()).then_some(()) }).await;
    let second = server.send(one("file", name_of(b"2"), "2")).await;
    assert_eq!(second.status(), 503);
    server.faults.heal();
    assert_taken(first.await.unwrap().unwrap()).await;
    server.assert_nothing_left().await;
}

#[tokio::test]
async fn without_the_right_token_no_chunk_is_taken() {
    let server = TestServer::start().await;
    let other = server.add_account("other", "project").await;
    let read = [symdepot::types::Scope::ProjectRead];
    let reader = server.add_token(&server.account.organization, &read, &[]).await;
    let path = format!("{}chunk-upload/", server.account.organization_path());
    let send = |request: RequestBuilder| request.multipart(one("file", name_of(b"x"), "x")).send();
    assert_eq!(send(server.request(Method::POST, &path)).await.unwrap().status(), 401);
    assert_eq!(send(server.request_as(&reader, Method::POST, &path)).await.unwrap().status(), 403);
    assert_eq!(send(server.request_as(&other.token, Method::POST, &path)).await.unwrap().status(), 404);
    assert_eq!(server.request_as(&reader, Method::GET, &path).send().await.unwrap().status(), 200);
    assert_eq!(server.blobs().await, 0);
}

#[tokio::test]
async fn every_acknowledged_chunk_survives_the_death_of_the_server() {
    let mut process = TestProcess::start().await;
    let contents: Vec<Vec<u8>> = (0..200u32).map(|number| number.to_le_bytes().repeat(50_000)).collect();
    let http = crate::support::client::http();
    let url = |process: &TestProcess, path: &str| format!("{}/api/0/{path}", process.url);
    let chunk_upload = url(&process, "organizations/default/chunk-upload/");
    let acknowledged = Mutex::new(BTreeSet::new());
    let uploading = futures_util::stream::iter(&contents).for_each_concurrent(8, |content| {
        let form = one("file_gzip", name_of(content), gzip(content));
        let request = http.post(&chunk_upload).bearer_auth(&process.token).multipart(form).send();
        let acknowledged = &acknowledged;
        async move {
            if request.await.is_ok_and(|response| response.status() == 200) {
                acknowledged.lock().unwrap().insert(name_of(content));
            }
        }
    });
    let enough =
        until("some chunks are acknowledged", || async { (acknowledged.lock().unwrap().len() >= 40).then_some(()) });
    tokio::select! {
        () = uploading => panic!("the server was to be killed in the middle"),
        () = enough => {}
    }
    process.kill().await;
    process.restart().await;

    let never_sent = name_of(b"never sent");
    let chunks: Vec<_> = contents.iter().map(|content| name_of(content)).chain([never_sent.clone()]).collect();
    let wish = json!({ (name_of(b"a file")): { "name": "a file", "chunks": chunks } });
    let assemble = url(&process, "projects/default/default/files/difs/assemble/");
    let answer = http.post(assemble).bearer_auth(&process.token).json(&wish).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let missing = answer[name_of(b"a file")]["missingChunks"].as_array().unwrap();
    let missing: BTreeSet<_> = missing.iter().map(|sha1| sha1.as_str().unwrap().to_owned()).collect();
    assert!(missing.contains(&never_sent));
    assert_eq!(missing.intersection(&acknowledged.into_inner().unwrap()).collect::<Vec<_>>(), Vec::<&String>::new());
}
