//! Symbolicator's `sentry` source: a list by ids, read with no forgiveness, and downloads in parallel parts.
//!
//! [`Source`] asks and reads as Symbolicator does, so what it accepts works there.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use futures_util::future::try_join_all;
use rand::rngs::StdRng;
use rand::{RngCore as _, SeedableRng as _};
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_RANGE, HeaderMap, RANGE};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use symdepot::blobs::{BlobKey, Fault};
use symdepot::types::{Features, Format, Kind, Scope, Sha1};

use crate::support::fixtures;
use crate::support::records::Record;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

/// Every word that Symbolicator knows; one other word, and it drops the whole list.
const WORDS: [&str; 13] = [
    "pe",
    "pdb",
    "portablepdb",
    "macho",
    "elf",
    "wasm",
    "breakpad",
    "sourcebundle",
    "uuidmap",
    "bcsymbolmap",
    "il2cpp",
    "proguard",
    "dartsymbolmap",
];

/// Symbolicator complains of a list that is as long as this.
const TOO_MANY: usize = 20;

/// How large the first part of a download is at Symbolicator.
const SPLIT: u64 = 128 << 20;

/// Most parts after the first.
const MOST_PARTS: u64 = 4;

const ID: &str = "3249d99d-0c40-4931-8610-f4e4fb0b6936";

/// A source as it stands in Symbolicator's settings.
pub struct Source {
    url: String,
    token: String,
    http: reqwest::Client,
    split: u64,
}

/// A download, and how it came.
pub struct Download {
    /// Content, unpacked.
    pub content: Vec<u8>,
    /// Status of the first answer.
    status: u16,
    headers: HeaderMap,
    requests: usize,
}

impl Source {
    /// A source at the default project.
    pub fn of(server: &TestServer) -> Self {
        let url = format!("{}{}files/dsyms/", server.url, server.account.project_path());
        Self { url, token: server.account.token.clone(), http: server.http.clone(), split: SPLIT }
    }

    fn request(&self, query: &[(&str, &str)]) -> RequestBuilder {
        self.http.get(&self.url).query(query).header(AUTHORIZATION, format!("Bearer {}", self.token))
    }

    /// The files under either id: their ids and words, or why Symbolicator would take the list for broken.
    pub async fn look_up(
        &self,
        debug_id: Option<&str>,
        code_id: Option<&str>,
    ) -> Result<Vec<(String, String)>, String> {
        let ids = [("debug_id", debug_id), ("code_id", code_id)];
        let query: Vec<_> = ids.into_iter().filter_map(|(name, id)| Some((name, id?))).collect();
        let answer = self.request(&query).header(ACCEPT_ENCODING, "identity").send().await.unwrap();
        if !answer.status().is_success() {
            return Err(format!("status {}", answer.status()));
        }
        let list: Value = answer.json().await.map_err(|error| error.to_string())?;
        let list = list.as_array().ok_or("no array")?;
        if list.len() >= TOO_MANY {
            return Err(format!("{} files", list.len()));
        }
        list.iter().map(entry).collect()
    }

    /// Downloads a file in parts if the server gives any, and unpacks it if it is packed.
    pub async fn download(&self, id: &str) -> Result<Download, String> {
        let first = self.part(id, 0..=self.split - 1).await?;
        let (status, headers) = (first.status().as_u16(), first.headers().clone());
        let mut content = match status {
            200 | 206 => first.bytes().await.map_err(|error| error.to_string())?.to_vec(),
            416 => self.request(&[("id", id)]).send().await.unwrap().bytes().await.unwrap().to_vec(),
            other => return Err(format!("status {other}")),
        };
        let parts = headers.get(CONTENT_RANGE).map(|range| self.rest(range.to_str().unwrap())).unwrap_or_default();
        let requests = 1 + parts.len();
        let rest = try_join_all(parts.into_iter().map(|part| self.bytes(id, part))).await?;
        rest.iter().for_each(|part| content.extend_from_slice(part));
        if content.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            content = zstd::stream::decode_all(content.as_slice()).map_err(|error| error.to_string())?;
        }
        Ok(Download { content, status, headers, requests })
    }

    async fn part(&self, id: &str, part: RangeInclusive<u64>) -> Result<Response, String> {
        let range = format!("bytes={}-{}", part.start(), part.end());
        let request = self.request(&[("id", id)]).header(RANGE, range);
        let answer = request.header(ACCEPT_ENCODING, "br, deflate, gzip, zstd").send().await;
        answer.map_err(|error| error.to_string())
    }

    /// A part that must be what was asked for.
    async fn bytes(&self, id: &str, part: RangeInclusive<u64>) -> Result<Vec<u8>, String> {
        let size = part.end() - part.start() + 1;
        let answer = self.part(id, part).await?;
        assert_eq!(answer.status(), 206);
        let bytes = answer.bytes().await.map_err(|error| error.to_string())?;
        if bytes.len() as u64 == size {
            Ok(bytes.to_vec())
        } else {
            Err(format!("{} bytes and not {size}", bytes.len()))
        }
    }

    /// The parts that are missing once `content_range` has come.
    fn rest(&self, content_range: &str) -> Vec<RangeInclusive<u64>> {
        let (part, total) = content_range.strip_prefix("bytes ").unwrap().split_once('/').unwrap();
        let (start, end) = part.split_once('-').unwrap();
        let (end, total): (u64, u64) = (end.parse().unwrap(), total.parse().unwrap());
        assert_eq!(start, "0");
        let (begin, left) = (end + 1, total - end - 1);
        let parts = left.div_ceil(self.split).min(MOST_PARTS);
        let size = left / parts.max(1);
        let last = |index| if index + 1 == parts { total } else { begin + (index + 1) * size };
        (0..parts).map(|index| begin + index * size..=last(index) - 1).collect()
    }
}

/// What Symbolicator reads of one entry.
fn entry(file: &Value) -> Result<(String, String), String> {
    let id = file["id"].as_str().ok_or_else(|| format!("an id that is no text: {}", file["id"]))?;
    let word = file["symbolType"].as_str().filter(|word| WORDS.contains(word));
    let word = word.ok_or_else(|| format!("an unknown word: {}", file["symbolType"]))?;
    Ok((id.to_owned(), word.to_owned()))
}

/// Bytes that cannot be packed.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    StdRng::seed_from_u64(7).fill_bytes(&mut bytes);
    bytes
}

/// Bytes that can, and never repeat.
fn text(length: usize) -> Vec<u8> {
    (0u32..).flat_map(|number| format!("{number:08}\n").into_bytes()).take(length).collect()
}

async fn put(server: &TestServer, content: Vec<u8>) -> String {
    let record = Record { content, chunk_size: 32 << 10, ..Record::new("content", ID) };
    server.put_file(&server.account, record).await.id.to_string()
}

#[tokio::test]
async fn uploaded_files_are_found_by_either_id_and_come_back_as_they_were() {
    let server = TestServer::start().await;
    let source = Source::of(&server);
    let files = [
        "elf-x86_64-gcc-dwarf4/calc",
        "elf-x86_64-gcc-dwarf4/calc.debug",
        "breakpad/calc-elf.sym",
        "sourcebundle/calc.src.zip",
        "pe-x86_64-llvm19/calc.exe",
        "pe-x86_64-llvm19/calc.pdb",
    ];
    for file in files {
        server.upload_ok(&Upload::fixture(file).chunk_size(4 << 10)).await;
    }
    let known = fixtures::known();
    let id_of = |file: &str| known[file].objects[0].debug_id.to_string();
    let code_id_of = |file: &str| known[file].objects[0].code_id.as_ref().unwrap().to_string();
    let (elf, elf_code) = (id_of(files[0]), code_id_of(files[0]));
    let (pe, pe_code) = (id_of(files[4]), code_id_of(files[4]));

    let elf_words = BTreeSet::from(["elf", "elf", "breakpad", "sourcebundle"]);
    let cases = [
        (Some(elf.as_str()), None, files[..4].to_vec(), elf_words.clone()),
        (None, Some(elf_code.as_str()), files[..4].to_vec(), elf_words.clone()),
        (Some(elf.as_str()), Some(elf_code.as_str()), files[..4].to_vec(), elf_words),
        (Some(pe.as_str()), None, files[4..].to_vec(), BTreeSet::from(["pe", "pdb"])),
        (None, Some(pe_code.as_str()), files[4..5].to_vec(), BTreeSet::from(["pe"])),
        (Some(ID), Some(pe_code.as_str()), files[4..5].to_vec(), BTreeSet::from(["pe"])),
        (Some(pe.as_str()), Some("ffffffff1000"), files[4..].to_vec(), BTreeSet::from(["pe", "pdb"])),
        (Some(ID), None, Vec::new(), BTreeSet::new()),
        (None, Some("ffffffff1000"), Vec::new(), BTreeSet::new()),
    ];
    for (debug_id, code_id, expected, words) in cases {
        let found = source.look_up(debug_id, code_id).await.unwrap();
        assert_eq!(found.iter().map(|(_, word)| word.as_str()).collect::<BTreeSet<_>>(), words);
        let mut contents = BTreeSet::new();
        for (id, _) in &found {
            contents.insert(Sha1::of(&source.download(id).await.unwrap().content));
        }
        let expected: BTreeSet<_> = expected.iter().map(|file| Sha1::of(&fixtures::read(file))).collect();
        assert_eq!(contents, expected, "{debug_id:?} {code_id:?}");
    }
}

#[tokio::test]
async fn every_format_has_a_word_that_symbolicator_knows() {
    let server = TestServer::start().await;
    for format in Format::ALL {
        server.put_file(&server.account, Record { format: *format, ..Record::new(format.as_str(), ID) }).await;
    }
    let found = Source::of(&server).look_up(Some(ID), None).await.unwrap();
    let words: BTreeSet<_> = found.iter().map(|(_, word)| word.as_str()).collect();
    assert_eq!(words, BTreeSet::from(WORDS));
}

#[tokio::test]
async fn of_many_files_the_best_come_and_never_twenty() {
    let server = TestServer::start().await;
    let source = Source::of(&server);
    // Many libraries that were all linked in the same second, under one code id; the wanted one is the oldest.
    let record = |name: &str, debug_id: &str| Record {
        code_id: Some("5ab380779000".to_owned()),
        format: Format::Pe,
        kind: Kind::Library,
        features: Features::UNWIND,
        ..Record::new(name, debug_id)
    };
    let wanted = server.put_file(&server.account, record("wanted", ID)).await.id.to_string();
    let described = Record { features: Features::DEBUG, ..record("described", &other(100)) };
    let described = server.put_file(&server.account, described).await.id.to_string();
    for number in 0..30 {
        server.put_file(&server.account, record(&format!("file {number}"), &other(number))).await;
    }
    let first = async |debug_id, count: usize| {
        let found = source.look_up(debug_id, Some("5ab380779000")).await.unwrap();
        assert_eq!(found.len(), 19);
        found.into_iter().take(count).map(|(id, _)| id).collect::<Vec<_>>()
    };
    assert_eq!(first(Some(ID), 2).await, [wanted, described.clone()]);
    assert_eq!(first(None, 1).await, [described]);
}

fn other(number: u32) -> String {
    format!("3249d99d-0c40-4931-8610-{number:012x}")
}

#[tokio::test]
async fn a_file_that_is_asked_for_whole_comes_packed_as_it_is_stored() {
    let server = TestServer::start().await;
    let source = Source::of(&server);
    let content = text(200_003);
    let id = put(&server, content.clone()).await;
    let download = source.download(&id).await.unwrap();
    assert!(download.content == content, "frames of several chunks are one stream");
    assert_eq!((download.status, download.requests), (200, 1));
    let header = |name: &str| download.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("content-encoding"), Some("zstd"));
    assert_eq!(header("vary"), Some("accept-encoding"));
    assert_eq!(header("accept-ranges"), None, "a range would be one of the packed bytes");
    assert_eq!(header("content-range"), None);
    assert_eq!(header("etag"), Some(format!("\"{}-zstd\"", Sha1::of(&content)).as_str()));
    let pieces = server.app.db.debug_file_pieces(id.parse().unwrap()).await.unwrap();
    let stored: u64 = pieces.iter().map(|piece| piece.stored_size).sum();
    assert_eq!(header("content-length"), Some(stored.to_string().as_str()));
    assert!(stored < content.len() as u64 / 2, "it is worth it");
}

#[tokio::test]
async fn what_is_not_packed_in_every_chunk_comes_as_it_is() {
    let server = TestServer::start().await;
    let source = Source::of(&server);
    let mixed = [text(32 << 10), noise(32 << 10)].concat();
    for content in [noise(100_003), mixed] {
        let id = put(&server, content.clone()).await;
        let download = source.download(&id).await.unwrap();
        assert!(download.content == content);
        assert_eq!((download.status, download.requests), (206, 1));
        assert_eq!(download.headers.get("content-encoding"), None);
        assert_eq!(download.headers["vary"], "accept-encoding");
    }
}

#[tokio::test]
async fn a_large_file_comes_in_parts_beside_each_other() {
    let server = TestServer::start().await;
    let mut source = Source::of(&server);
    let content = text(500_009);
    let id = put(&server, content.clone()).await;
    for (split, requests) in [(60_000, 5), (499_999, 2), (250_000, 3), (1, 5), (500_008, 2)] {
        source.split = split;
        let download = source.download(&id).await.unwrap();
        assert!(download.content == content, "{split}");
        assert_eq!((download.status, download.requests), (206, requests), "{split}");
        assert_eq!(download.headers.get("content-encoding"), None, "parts are of the content");
    }
}

#[tokio::test]
async fn who_takes_no_zstd_or_a_part_gets_plain_bytes() {
    let server = TestServer::start().await;
    let content = text(100_003);
    let id = put(&server, content.clone()).await;
    let path = format!("{}files/dsyms/?id={id}", server.account.project_path());
    for (encodings, range, expected) in [
        ("identity", "bytes=0-", content.as_slice()),
        ("gzip, br", "bytes=0-", &content),
        ("zstd;q=0", "bytes=0-", &content),
        ("zstd", "bytes=1-", &content[1..]),
        ("zstd", "bytes=0-100001", &content[..100_002]),
        ("zstd", "bytes=-3", &content[100_000..]),
    ] {
        let request = server.get(&path).header(ACCEPT_ENCODING, encodings).header(RANGE, range);
        let answer = request.send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers().get("content-encoding")), (206, None), "{encodings}");
        assert!(answer.bytes().await.unwrap() == expected, "{encodings} {range}");
    }
    let outside = server.get(&path).header(ACCEPT_ENCODING, "zstd").header(RANGE, "bytes=100003-");
    assert_eq!(outside.send().await.unwrap().status(), 416);
}

#[tokio::test]
async fn what_symbolicator_has_in_either_form_is_not_sent_again() {
    let server = TestServer::start().await;
    let content = text(100_003);
    let id = put(&server, content.clone()).await;
    let path = format!("{}files/dsyms/?id={id}", server.account.project_path());
    let (plain, packed) = (format!("\"{}\"", Sha1::of(&content)), format!("\"{}-zstd\"", Sha1::of(&content)));
    for (method, known, encodings, status) in [
        (Method::GET, &plain, "zstd", 304),
        (Method::GET, &packed, "zstd", 304),
        (Method::GET, &plain, "identity", 304),
        (Method::GET, &packed, "identity", 200),
        (Method::HEAD, &packed, "zstd", 304),
    ] {
        let request = server.request_as(&server.account.token, method, &path).header(ACCEPT_ENCODING, encodings);
        let answer = request.header("if-none-match", known).send().await.unwrap();
        assert_eq!(answer.status(), status, "{known} {encodings}");
    }
    let head = server.head(&path).header(ACCEPT_ENCODING, "zstd").send().await.unwrap();
    let get = server.get(&path).header(ACCEPT_ENCODING, "zstd").send().await.unwrap();
    for name in ["content-length", "content-encoding", "etag", "vary", "content-type"] {
        assert_eq!(head.headers()[name], get.headers()[name], "{name}");
    }
}

#[tokio::test]
async fn packed_bytes_that_are_lost_are_no_answer() {
    let server = TestServer::start().await;
    let source = Source::of(&server);
    let id = put(&server, text(100_003)).await;
    let pieces = server.app.db.debug_file_pieces(id.parse().unwrap()).await.unwrap();
    server.faults.inject(Fault::Lost(BlobKey::from_row(&pieces[1].key)));
    assert!(source.download(&id).await.is_err(), "a transfer that breaks off");
    server.faults.inject(Fault::Lost(BlobKey::from_row(&pieces[0].key)));
    assert_eq!(source.download(&id).await.err().as_deref(), Some("status 500"));

    let short = put(&server, text(50_003)).await;
    let pieces = server.app.db.debug_file_pieces(short.parse().unwrap()).await.unwrap();
    server.faults.inject(Fault::Shortened(BlobKey::from_row(&pieces[1].key)));
    assert!(source.download(&short).await.is_err(), "not one byte too few");
}

#[tokio::test]
async fn who_may_not_read_learns_nothing() {
    let server = TestServer::start().await;
    let mut source = Source::of(&server);
    let foreign = server.add_account("foreign", "project").await;
    let theirs = server.put_file(&foreign, Record::new("theirs", ID)).await.id.to_string();
    assert_eq!(source.look_up(Some(ID), None).await, Ok(Vec::new()));
    assert_eq!(source.download(&theirs).await.err().as_deref(), Some("status 404"));
    for (scope, status) in [(Scope::ProjectRead, None), (Scope::SymbolsRead, Some("status 403 Forbidden".to_owned()))] {
        source.token = server.add_token(&server.account.organization, &[scope], &[]).await;
        assert_eq!(source.look_up(Some(ID), None).await.err(), status);
    }
    source.token = "wrong".to_owned();
    assert_eq!(source.look_up(Some(ID), None).await.err().as_deref(), Some("status 401 Unauthorized"));
    assert_eq!(source.download(&theirs).await.err().as_deref(), Some("status 401"));
}
