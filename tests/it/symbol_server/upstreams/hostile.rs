//! Upstreams that lie, stall, flood or lead elsewhere: each is refused with a sentence, and nothing of it is kept.

use std::io::{Cursor, Write as _};
use std::time::Duration;

use symdepot::types::UpstreamKind;

use super::{ask, asking, name, reason};
use crate::support::fixtures;
use crate::support::form::left_over;
use crate::support::server::{Builder, TestServer};
use crate::support::stranger::{Step, Stranger, answer};

const BUILD_ID: &str = super::super::BUILD_ID;
const STRIPPED: &str = super::super::STRIPPED;
const COMPANION: &str = super::super::COMPANION;

fn path() -> String {
    format!("buildid/{BUILD_ID}/debuginfo")
}

/// The same in the folders of gdb, where a client is told of trouble.
fn folders() -> String {
    format!("{}/{}.debug", &BUILD_ID[..2], &BUILD_ID[2..])
}

/// A server with short patience.
fn impatient() -> Builder {
    asking().settings(|config| {
        config.upstreams.head_timeout = Duration::from_millis(500);
        config.upstreams.total_timeout = Duration::from_secs(2);
        config.upstreams.max_size = 1 << 20;
        config.upstreams.max_redirects = 3;
    })
}

/// Asks a stranger who answers so; gives back the status, what `explain` says of it and how often it was asked.
async fn meets(steps: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static) -> (u16, String, usize) {
    let stranger = Stranger::start(steps).await;
    let server = impatient().start().await;
    name(&server, UpstreamKind::Native, &stranger.url).await;
    let status = ask(&server, &folders()).await.0;
    assert!(server.listed(&server.account).await.is_empty());
    assert_eq!(server.fsck().await, Vec::<String>::new(), "nothing of it is kept");
    let left = left_over(&server.app.config.temp_dir());
    assert!(left.is_empty(), "no temp file is left: {left:?}");
    (status.as_u16(), reason(&server, BUILD_ID).await, stranger.asked().len())
}

fn raw(head: &str, body: &[u8]) -> Vec<Step> {
    vec![Step::Send([head.as_bytes(), b"\r\n\r\n", body].concat())]
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_that_can_be_kept_is_refused_with_a_sentence() {
    const OK: &str = "HTTP/1.1 200 OK";
    let companion = || fixtures::read(COMPANION);
    let cut = || companion()[..companion().len() / 2].to_vec();
    let with_length = |length: usize| format!("{OK}\r\ncontent-length: {length}");
    let hostile: Vec<(Vec<Step>, u16, &str)> = vec![
        (answer(200, "content-type: text/html\r\n", b"<html>Not found</html>"), 404, "is no debug file"),
        (answer(200, "", b""), 404, "sent nothing"),
        (answer(204, "", b""), 404, "answers 204"),
        (answer(206, "", &companion()), 404, "answers 206"),
        (answer(401, "", b""), 404, "user or password"),
        (answer(403, "", b""), 404, "user or password"),
        (answer(418, "", b""), 404, "answers 418"),
        (answer(429, "", b""), 503, "answers 429"),
        (answer(302, "", b""), 404, "answers 302"),
        (answer(200, "", &fixtures::read("elf-x86_64-gcc-dwarf5-none/calc.debug")), 404, "has another id: 3bc1fd80"),
        (answer(200, "", &fixtures::read(STRIPPED)), 404, "is not the sort of file"),
        (answer(200, "", &cut()), 404, "what it sent"),
        (answer(200, "", &fixtures::read("hostile/elf-zlib-chsize-huge.debug")), 404, "what it sent"),
        (raw(&with_length(1 << 40), b"x"), 404, "larger than 1048576 bytes"),
        (raw(&with_length(companion().len()), &cut()), 503, "broke off"),
        (raw(OK, &companion()), 404, "does not say where its file ends"),
        (raw(&format!("{OK}\r\ntransfer-encoding: chunked"), b"5\r\nabcde\r\n"), 503, "broke off"),
        (raw(&format!("{OK}\r\ntransfer-encoding: chunked"), b"zz\r\n"), 503, "broke off"),
        (raw("nonsense", b""), 503, "broke off"),
        (Vec::new(), 503, "broke off"),
        (vec![Step::Hang], 503, "did not answer within"),
        (vec![Step::Drip([b"HTTP/1.1 200 OK\r\nslow: ", &[b'x'; 999][..]].concat())], 503, "did not answer within"),
        (
            vec![Step::Send(format!("{}\r\n\r\n", with_length(1 << 16)).into()), Step::Drip(vec![b'x'; 1 << 16])],
            503,
            "took longer than 2s",
        ),
        (
            vec![
                Step::Send(format!("{OK}\r\ntransfer-encoding: chunked\r\n\r\n").into()),
                Step::Repeat([b"10000\r\n", &[b'x'; 1 << 16][..], b"\r\n"].concat()),
            ],
            404,
            "larger than 1048576 bytes",
        ),
        (vec![Step::Send(format!("{OK}\r\n").into()), Step::Repeat(vec![b'x'; 1 << 16])], 503, "broke off"),
        (answer(200, "content-encoding: br\r\n", &companion()), 404, "packs the file as `br`"),
        (answer(200, "content-encoding: gzip\r\n", &companion()), 404, "cannot be unpacked"),
        (answer(200, "", &gzip(&companion())[..99]), 404, "cannot be unpacked"),
        (answer(200, "", &gzip(&vec![0; 64 << 20])), 404, "larger than 1048576 bytes when unpacked"),
        (answer(200, "", &(0..9).fold(companion(), |inner, _| gzip(&inner))), 404, "packs the file more than"),
        (answer(200, "", b"MSCF and nothing like it"), 404, "cabinet is damaged"),
    ];
    for (steps, status, expected) in hostile {
        let (told, reason, _) = meets(move |_| steps.clone()).await;
        assert!(told == status && reason.contains(expected), "{expected}: {told} {reason}");
    }
}

#[tokio::test]
async fn redirects_are_followed_so_far_and_nowhere_else() {
    let to = |location: &str| answer(302, &format!("location: {location}\r\n"), b"");
    let (status, reason, times) = meets(move |head| {
        let number = head.split(['?', ' ']).nth(2).and_then(|number| number.parse::<u32>().ok()).unwrap_or(0);
        to(&format!("/round?{}", number + 1))
    })
    .await;
    assert_eq!((status, reason.as_str(), times), (404, "it redirects more than 3 times", 4));

    for (location, expected) in [
        ("file:///etc/passwd", "redirects to the scheme `file`"),
        ("gopher://127.0.0.1/", "redirects to the scheme `gopher`"),
        ("http://", "redirects to what is no URL"),
    ] {
        let (status, reason, times) = meets(move |_| to(location)).await;
        assert!(status == 404 && reason.contains(expected) && times == 1, "{location}: {status} {reason}");
    }

    let full = Stranger::start(|_| answer(200, "", &fixtures::read(COMPANION))).await;
    let elsewhere = full.url.clone();
    let first = Stranger::start(move |_| to(&format!("{elsewhere}another/place"))).await;
    let server = asking().start().await;
    let with_password = first.url.replace("http://", "http://me:geheim@");
    name(&server, UpstreamKind::Debuginfod, &with_password).await;
    assert_eq!(ask(&server, &path()).await.0, 200);
    let credential = "authorization: Basic bWU6Z2VoZWlt";
    assert!(first.asked()[0].contains(credential), "{:?}", first.asked());
    assert_eq!(full.paths(), ["/another/place"]);
    assert!(
        !full.asked()[0].to_lowercase().contains("authorization"),
        "a password is for one host: {:?}",
        full.asked()
    );
}

#[tokio::test]
async fn an_address_that_is_not_public_is_not_asked_unless_a_setting_allows_it() {
    let stranger = Stranger::start(|_| answer(200, "", &fixtures::read(COMPANION))).await;
    let port = stranger.address.port();
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost"] {
        let server = TestServer::start().await;
        name(&server, UpstreamKind::Debuginfod, &format!("http://{host}:{port}/")).await;
        assert_eq!(ask(&server, &path()).await.0, 404, "{host}");
        let reason = reason(&server, BUILD_ID).await;
        assert!(
            reason.contains("of this machine itself and is not asked (setting `upstreams.allow_private`)"),
            "{reason}"
        );
    }
    assert!(stranger.asked().is_empty());
}

#[tokio::test]
async fn a_redirect_to_an_address_that_is_not_public_is_not_followed() {
    let secret = Stranger::start(|_| answer(200, "", &fixtures::read(COMPANION))).await;
    for host in ["127.0.0.1", "localhost", "[::ffff:7f00:1]", "0177.1"] {
        let location = format!("http://{host}:{}/latest/meta-data", secret.address.port());
        let public = Stranger::start(move |_| answer(307, &format!("location: {location}\r\n"), b"")).await;
        let address = public.address;
        let server = TestServer::builder()
            .tweak(move |app| app.upstreams = app.upstreams.clone().as_if_public(address))
            .start()
            .await;
        name(&server, UpstreamKind::Debuginfod, &public.url).await;
        assert_eq!(ask(&server, &path()).await.0, 404, "{host}");
        let reason = reason(&server, BUILD_ID).await;
        assert!(reason.contains("of this machine itself and is not asked"), "{reason}");
        assert_eq!(public.asked().len(), 1, "the redirect was heard");
    }
    assert!(secret.asked().is_empty());
}

#[tokio::test]
async fn what_is_packed_in_any_usual_way_is_unpacked() {
    let content = fixtures::read(COMPANION);
    let zstd = zstd::encode_all(&content[..], 1).unwrap();
    for packed in [
        answer(200, "content-encoding: gzip\r\n", &gzip(&content)),
        answer(200, "content-encoding: zstd\r\n", &zstd),
        answer(200, "content-encoding: gzip\r\n", &gzip(&zstd)),
        answer(200, "", &gzip(&content)),
        answer(200, "content-encoding: identity\r\n", &zstd),
        raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked", &chunked(&gzip(&content))),
    ] {
        let stranger = Stranger::start(move |_| packed.clone()).await;
        let server = asking().start().await;
        name(&server, UpstreamKind::Debuginfod, &stranger.url).await;
        let (status, bytes) = ask(&server, &path()).await;
        assert!(status == 200 && bytes == content, "{status}");
    }
}

fn chunked(bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for chunk in bytes.chunks(1000) {
        body.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        body.extend([chunk, b"\r\n"].concat());
    }
    body.extend(b"0\r\n\r\n");
    body
}

#[tokio::test]
async fn a_store_that_has_only_packed_files_is_unpacked() {
    let content = fixtures::read("pe-x86_64-llvm19/calc.pdb");
    let mut builder = cab::CabinetBuilder::new();
    builder.add_folder(cab::CompressionType::MsZip).add_file("calc.pdb");
    let mut writer = builder.build(Cursor::new(Vec::new())).unwrap();
    writer.next_file().unwrap().unwrap().write_all(&content).unwrap();
    let cabinet = writer.finish().unwrap().into_inner();
    let packed = "/calc.pdb/5433B924E30A5F8D4C4C44205044422E1/calc.pd_";
    let stranger = Stranger::start(move |head| match head.contains(packed) {
        true => answer(200, "", &cabinet),
        false => answer(404, "", b""),
    })
    .await;
    let server = asking().start().await;
    name(&server, UpstreamKind::Ssqp, &stranger.url).await;
    let (status, bytes) = ask(&server, "calc.pdb/5433b924e30a5f8d4c4c44205044422e1/calc.pdb").await;
    assert!(status == 200 && bytes == content, "{status}");
    assert_eq!(stranger.paths(), [packed.replace("pd_", "pdb"), packed.to_owned()]);
}
