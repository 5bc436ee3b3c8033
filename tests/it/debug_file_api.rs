//! Debug files as people, older clients and symbolication workers meet them: lists, downloads, deletion.

use insta::assert_json_snapshot;
use reqwest::Method;
use serde_json::{Value, json};
use symdepot::cache::RememberedState;
use symdepot::types::{AssemblyState, DebugFile, Features, Format, Kind, Scope, Sha1};

use crate::support::answer::whole;
use crate::support::fixtures;
use crate::support::records::Record;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

const FILES: &str = "/api/0/projects/default/default/files/dsyms/";
const ID: &str = "3249d99d-0c40-4931-8610-f4e4fb0b6936";
const PDB_ID: &str = "9c2a902b-6fde-5d4c-8dd5-86a36a894bc8-1";

/// A server with one file of each of four formats.
async fn with_files() -> (TestServer, Vec<DebugFile>) {
    let server = TestServer::start().await;
    let elf = Record { code_id: Some("9dd94932400c3149".to_owned()), ..Record::new("libacme.so.debug", ID) };
    let pe = Record {
        code_id: Some("5AB38077000".to_owned()),
        format: Format::Pe,
        kind: Kind::Executable,
        features: Features::SYMTAB.union(Features::UNWIND),
        ..Record::new("acme.exe", PDB_ID)
    };
    let pdb = Record { format: Format::Pdb, cpu_name: "x86".to_owned(), ..Record::new("acme 100%.pdb", PDB_ID) };
    let map = Record {
        format: Format::Proguard,
        kind: Kind::None,
        features: Features::MAPPING,
        cpu_name: "any".to_owned(),
        ..Record::new("proguard-mapping", "747e1d76-509b-4225-8a5b-db7b7d4067d4")
    };
    let mut files = Vec::new();
    for record in [elf, pe, pdb, map] {
        files.push(server.put_file(&server.account, record).await);
    }
    (server, files)
}

/// The pairs of a query.
type Query = &'static [(&'static str, &'static str)];

/// Names of the files that a list has.
async fn names(server: &TestServer, query: &[(&str, &str)]) -> Vec<String> {
    let answer = server.get(FILES).query(query).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{query:?}");
    let list = answer.json::<Vec<Value>>().await.unwrap();
    list.into_iter().map(|file| file["objectName"].as_str().unwrap().to_owned()).collect()
}

/// Content of a file of several chunks with a length that no chunk divides.
fn long_content() -> Vec<u8> {
    (0..100_003_u32).flat_map(|number| number.to_le_bytes()).collect()
}

#[tokio::test]
async fn a_list_shows_the_newest_file_first() {
    let (server, _) = with_files().await;
    let answer = whole(server.get(FILES).send().await.unwrap()).await;
    assert_json_snapshot!(answer, { ".body[].dateCreated" => "[time]", ".headers.link" => insta::dynamic_redaction(link_without_port) });
}

/// The port changes with every run.
fn link_without_port(
    value: insta::internals::Content,
    _: insta::internals::ContentPath<'_>,
) -> insta::internals::Content {
    let link = value.as_str().unwrap_or_default();
    let (scheme, rest) = link.split_once("<http://").unwrap_or(("", link));
    assert_eq!(scheme, "");
    let host = rest.split('/').next().unwrap_or_default().to_owned();
    link.replace(&host, "HOST").into()
}

#[tokio::test]
async fn a_list_is_narrowed_by_text_ids_and_formats() {
    let (server, _) = with_files().await;
    let all = ["proguard-mapping", "acme 100%.pdb", "acme.exe", "libacme.so.debug"];
    let (pdb, exe, elf, map) = (all[1], all[2], all[3], all[0]);
    let cases: &[(Query, &[&str])] = &[
        (&[], &all),
        (&[("unknown", "x"), ("_last_upload", "1")], &all),
        (&[("query", "")], &all),
        (&[("query", "ACME")], &[pdb, exe, elf]),
        (&[("query", "100%")], &[pdb]),
        (&[("query", "%")], &[pdb]),
        (&[("query", "x86_64")], &[exe, elf]),
        (&[("query", "proguard")], &[map]),
        (&[("query", "nothing")], &[]),
        (&[("query", "3249D99D0C4049318610F4E4FB0B6936")], &[elf]),
        (&[("query", "9C2A902B6FDE5D4C8DD586A36A894BC81")], &[pdb, exe]),
        (&[("query", "5ab38077000")], &[exe]),
        (&[("debug_id", ID)], &[elf]),
        (&[("debug_id", "3249D99D-0C40-4931-8610-F4E4FB0B6936")], &[elf]),
        (&[("debug_id", "no id")], &[]),
        (&[("code_id", "5AB38077000")], &[exe]),
        (&[("debug_id", ID), ("code_id", "5ab38077000")], &[elf, exe]),
        (&[("debug_id", PDB_ID), ("code_id", "none")], &[pdb, exe]),
        (&[("debug_id", "no id"), ("code_id", "5ab38077000")], &[exe]),
        (&[("file_formats", "pdb")], &[pdb]),
        (&[("file_formats", "pdb"), ("file_formats", "elf"), ("file_formats", "nope")], &[pdb, elf]),
        (&[("file_formats", "nope")], &all),
        (&[("debug_id", PDB_ID), ("file_formats", "pe")], &[exe]),
        (&[("query", "acme"), ("file_formats", "pe")], &[exe]),
    ];
    for (query, expected) in cases {
        assert_eq!(names(&server, query).await, *expected, "{query:?}");
    }
}

#[tokio::test]
async fn pages_are_turned_by_cursor_until_there_are_no_more() {
    let server = TestServer::start().await;
    for number in 0..45 {
        server.put_file(&server.account, Record::new(&format!("file {number}"), ID)).await;
    }
    let (mut cursor, mut seen, mut pages) = (String::new(), Vec::new(), Vec::new());
    loop {
        let answer = server.get(FILES).query(&[("cursor", &cursor)]).send().await.unwrap();
        let link = answer.headers()["link"].to_str().unwrap().to_owned();
        let list = answer.json::<Vec<Value>>().await.unwrap();
        pages.push(list.len());
        seen.extend(list.into_iter().map(|file| file["objectName"].as_str().unwrap().to_owned()));
        let next = link.split(", <").find(|relation| relation.contains("rel=\"next\"")).unwrap();
        let attribute =
            |name: &str| next.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap().to_owned();
        cursor = attribute("cursor");
        if attribute("results") == "false" {
            break;
        }
    }
    assert_eq!(pages, [20, 20, 5]);
    assert_eq!(seen, (0..45).rev().map(|number| format!("file {number}")).collect::<Vec<_>>());
    assert_eq!(names(&server, &[("per_page", "1"), ("cursor", "1:44:0")]).await, ["file 0"]);
    assert_eq!(names(&server, &[("per_page", "100"), ("cursor", "100:1:0")]).await, Vec::<String>::new());
    assert_eq!(names(&server, &[("cursor", "9223372036854775807:9223372036854775807:0")]).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_wrong_page_is_refused_with_a_sentence() {
    let server = TestServer::start().await;
    let mut answers = Vec::new();
    for query in ["per_page=x", "per_page=101", "per_page=0", "cursor=x", "cursor=1:2"] {
        answers.push(whole(server.get(&format!("{FILES}?{query}")).send().await.unwrap()).await);
    }
    assert_json_snapshot!(answers);
}

#[tokio::test]
async fn a_file_is_downloaded_whole_under_a_name_of_its_own() {
    let (server, files) = with_files().await;
    let mut answers = Vec::new();
    for file in &files {
        answers.push(whole(server.get(&format!("{FILES}?id={}", file.id)).send().await.unwrap()).await);
    }
    assert_json_snapshot!(answers);
}

#[tokio::test]
async fn a_file_of_several_chunks_is_downloaded_by_ranges_too() {
    let server = TestServer::start().await;
    let content = long_content();
    let record = Record { content: content.clone(), chunk_size: 32 << 10, ..Record::new("long", ID) };
    let file = server.put_file(&server.account, record).await;
    let path = format!("{FILES}?id={}", file.id);

    let whole_file = server.get(&path).send().await.unwrap();
    assert_eq!(whole_file.content_length(), Some(content.len() as u64));
    assert!(whole_file.bytes().await.unwrap() == content, "the content came back");

    let end = content.len();
    for (range, expected) in [
        ("bytes=0-0", 0..1),
        ("bytes=32767-32768", 32767..32769),
        ("bytes=100000-300000", 100_000..300_001),
        ("bytes=-5", end - 5..end),
        ("bytes=400000-9999999999", 400_000..end),
    ] {
        let answer = server.get(&path).header("range", range).send().await.unwrap();
        assert_eq!(answer.status(), 206, "{range}");
        let described = format!("bytes {}-{}/{end}", expected.start, expected.end - 1);
        assert_eq!(answer.headers()["content-range"], described.as_str(), "{range}");
        assert!(answer.bytes().await.unwrap() == content[expected], "{range}");
    }
    let several = server.get(&path).header("range", "bytes=0-1,5-6").send().await.unwrap();
    assert_eq!((several.status().as_u16(), several.content_length()), (200, Some(end as u64)));
}

#[tokio::test]
async fn what_a_client_has_is_not_sent_again() {
    let server = TestServer::start().await;
    let file = server.put_file(&server.account, Record::new("content", ID)).await;
    let path = format!("{FILES}?id={}", file.id);
    let etag = format!("\"{}\"", file.sha1);
    let same = server.get(&path).header("if-none-match", &etag);
    let other = server.get(&path).header("if-none-match", "\"other\"");
    let part = server.get(&path).header("if-range", &etag).header("range", "bytes=1-2");
    let no_part = server.get(&path).header("if-range", "\"other\"").header("range", "bytes=1-2");
    let outside = server.get(&path).header("range", "bytes=7-");
    let head = server.head(&path);
    let head_part = server.head(&path).header("range", "bytes=1-2");
    let mut answers = Vec::new();
    for request in [same, other, part, no_part, outside, head, head_part] {
        answers.push(whole(request.send().await.unwrap()).await);
    }
    assert_json_snapshot!(answers);
}

#[tokio::test]
async fn a_file_whose_bytes_are_lost_is_not_answered_with_200() {
    let server = TestServer::start().await;
    let file = server.put_file(&server.account, Record::new("content", ID)).await;
    let pieces = server.app.db.debug_file_pieces(file.id).await.unwrap();
    let key = symdepot::blobs::BlobKey::from_row(&pieces[0].key);
    server.faults.inject(symdepot::blobs::Fault::Lost(key));
    let answer = server.get(&format!("{FILES}?id={}", file.id)).send().await.unwrap();
    assert_json_snapshot!(whole(answer).await);
}

#[tokio::test]
async fn a_deleted_file_is_gone_with_everything_made_from_it() {
    let (server, files) = with_files().await;
    let file = &files[0];
    server.put_symcache(file, Ok(b"bytes")).await;
    let remembered = RememberedState { state: AssemblyState::Error, detail: Some("stale".to_owned()) };
    server.app.status.set(file.project_id, file.sha1, remembered, server.app.clock.now()).await;
    let symcache = format!("{}{ID}", server.account.symcaches_path());
    assert_eq!(server.get(&symcache).send().await.unwrap().status(), 200);

    let admin = server.add_token(&server.account.organization, &[Scope::ProjectReleases], &[]).await;
    let path = format!("{FILES}?id={}", file.id);
    let delete = || async { whole(server.request_as(&admin, Method::DELETE, &path).send().await.unwrap()).await };
    let (first, second) = (delete().await, delete().await);
    let without_id = server.request_as(&admin, Method::DELETE, FILES).send().await.unwrap();
    assert_json_snapshot!([first, second, whole(without_id).await]);

    assert_eq!(server.get(&path).send().await.unwrap().status(), 404);
    assert_eq!(server.get(&symcache).send().await.unwrap().status(), 404);
    assert_eq!(names(&server, &[("debug_id", ID)]).await, Vec::<String>::new());
    assert_eq!(server.app.status.get(file.project_id, file.sha1).await, None);
    assert_eq!(server.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_client_of_old_learns_which_files_are_unknown() {
    let (server, files) = with_files().await;
    let (known, absent) = (files[0].sha1.to_string().to_uppercase(), Sha1::of(b"absent").to_string());
    let ask = |query: Vec<(&'static str, String)>| {
        let request = server.get(&format!("{FILES}unknown/")).query(&query);
        async move { request.send().await.unwrap().json::<Value>().await.unwrap() }
    };
    assert_eq!(ask(vec![]).await, json!({ "missing": [] }));
    let query = vec![
        ("checksums", "zz".to_owned()),
        ("checksums", known),
        ("checksums", absent.clone()),
        ("checksums", absent.clone()),
    ];
    assert_eq!(ask(query).await, json!({ "missing": [absent, "zz"] }));
}

#[tokio::test]
async fn small_endpoints_of_old_clients_are_there() {
    let server = TestServer::start().await;
    let associate = server.post(&format!("{FILES}associate/")).body("anything").send().await.unwrap();
    let reprocess = server.post("/api/0/projects/default/default/reprocessing/").send().await.unwrap();
    assert_json_snapshot!([whole(associate).await, whole(reprocess).await]);
}

const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.debug";

#[tokio::test]
async fn an_uploaded_file_comes_back_as_it_was_with_its_symcache() {
    let server = TestServer::start().await;
    let content = fixtures::read(CALC);
    let dif = server.upload_ok(&Upload::new("calc.debug", content.clone()).chunk_size(4 << 10)).await;
    assert_json_snapshot!(dif, { ".dateCreated" => "[time]" });

    let download = server.get(&format!("{FILES}?id={}", dif["id"].as_str().unwrap())).send().await.unwrap();
    assert!(download.bytes().await.unwrap() == content);
    let symcache = format!("{}{}", server.account.symcaches_path(), dif["debugId"].as_str().unwrap());
    assert_eq!(server.get(&symcache).send().await.unwrap().status(), 200);
    assert_eq!(server.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_deleted_file_is_asked_for_and_assembled_anew() {
    let server = TestServer::start().await;
    let upload = Upload::new("calc.debug", fixtures::read(CALC)).chunk_size(4 << 10);
    let first = server.upload_ok(&upload).await;
    let admin = server.add_token(&server.account.organization, &[Scope::ProjectAdmin], &[]).await;
    let path = format!("{FILES}?id={}", first["id"].as_str().unwrap());
    assert_eq!(server.request_as(&admin, Method::DELETE, &path).send().await.unwrap().status(), 204);
    assert_eq!(server.fsck().await, Vec::<String>::new());

    let poll = server.ask(&server.account, &upload).await;
    assert_ne!(poll["state"], "ok", "{poll}");
    let second = server.upload_ok(&upload).await;
    assert_ne!(second["id"], first["id"]);
    assert_eq!(second["sha1"], first["sha1"]);
    assert_eq!(server.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_queued_file_waits_for_a_worker() {
    let server = TestServer::builder().without_workers().start().await;
    let upload = Upload::new("calc.debug", fixtures::read(CALC));
    assert_eq!(server.send_chunks(&server.account, &upload.chunks()).await.status(), 200);
    for _ in 0..3 {
        assert_eq!(server.ask(&server.account, &upload).await["state"], "created");
    }
    assert_eq!(names(&server, &[]).await, Vec::<String>::new());

    let home = server.stop().await;
    let server = TestServer::builder().home(home).start().await;
    assert_eq!(server.poll(&server.account, &upload).await["state"], "ok");
    assert_eq!(names(&server, &[]).await, ["calc.debug"]);
}
