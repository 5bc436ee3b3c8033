//! Files that come in a zip or from disk take the same way as an upload: same identity, same symcache, no litter.

use std::io::{Cursor, Write as _};

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::support::converter::WatchedConverter;
use crate::support::fixtures;
use crate::support::process::TestProcess;
use crate::support::server::TestServer;

const DSYMS: &str = "/api/0/projects/default/default/files/dsyms/";

/// A zip with these entries, in order.
fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Sends bytes the way old clients send a zip.
async fn send(server: &TestServer, bytes: Vec<u8>) -> (u16, Value) {
    let form = Form::new().part("file", Part::bytes(bytes).file_name("d3b07384.zip"));
    let response = server.post(DSYMS).multipart(form).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// Name, debug id and format of each file in an answer.
fn named(files: &Value) -> Vec<[&str; 3]> {
    files
        .as_array()
        .unwrap()
        .iter()
        .map(|file| ["objectName", "debugId", "symbolType"].map(|key| file[key].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn the_debug_files_of_a_zip_are_registered_once_and_the_rest_is_passed_over() {
    let server = TestServer::start().await;
    let elf = fixtures::read("elf-x86_64-gcc-dwarf4/calc.debug");
    let fat = fixtures::read("macho-universal-llvm19/calc.dSYM/Contents/Resources/DWARF/calc");
    let proguard = fixtures::read("proguard/mapping.txt");
    let zip = zip_of(&[
        ("calc.debug", &elf),
        ("read me.txt", b"no debug file"),
        ("../../escaped.debug", &fixtures::read("elf-i386-clang-dwarf4/calc.debug")),
        ("/absolute.debug", &fixtures::read("elf-armv7-clang-dwarf4/calc.debug")),
        ("DWARF/calc", &fat),
        ("proguard/9d089309-27e9-5967-969a-c02c8ea5d81f.txt", &proguard),
    ]);
    let (status, created) = send(&server, zip.clone()).await;
    assert_eq!(status, 201);
    assert_eq!(
        named(&created),
        [
            ["calc.debug", "4ec932a9-e89a-f8cd-96b5-496a980e4efe", "elf"],
            ["calc", "4c4c44ce-5555-3144-a175-2259c838dfd4", "macho"],
            ["calc", "4c4c442c-5555-3144-a176-e1e20aa6f22d", "macho"],
            ["proguard-mapping", "9d089309-27e9-5967-969a-c02c8ea5d81f", "proguard"],
        ]
    );
    assert_eq!(send(&server, zip).await, (201, json!([])), "what is there already is not new");
    for id in ["4ec932a9-e89a-f8cd-96b5-496a980e4efe", "4c4c442c-5555-3144-a176-e1e20aa6f22d"] {
        let path = format!("/api/v1/projects/default/default/symcaches/{id}?wait=60");
        assert_eq!(server.get(&path).send().await.unwrap().status(), 200, "{id}");
    }
    assert_eq!(server.fsck_when_idle().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_name_in_a_zip_that_no_row_holds_is_shortened_at_its_beginning() {
    let server = TestServer::start().await;
    let elf = fixtures::read("elf-x86_64-gcc-dwarf4/calc.debug");
    let name = format!("{}\u{1b}.debug", "n".repeat(5000));
    let (status, created) = send(&server, zip_of(&[(name.as_str(), elf.as_slice())])).await;
    assert_eq!(status, 201);
    let expected = format!("…{}\u{fffd}.debug", "n".repeat(1024 - "…\u{fffd}.debug".len()));
    assert_eq!(created[0]["objectName"], expected);
}

#[tokio::test]
async fn what_is_no_zip_is_refused_with_a_sentence() {
    let server = TestServer::start().await;
    let (status, answer) = send(&server, b"PK\x03\x04 and then nothing of a zip".to_vec()).await;
    assert_eq!(status, 400);
    assert!(answer["detail"].as_str().unwrap().starts_with("Not a zip file: "), "{answer}");
    let (status, answer) = send(&server, Vec::new()).await;
    assert_eq!((status, answer.as_object().unwrap().len()), (400, 1), "{answer}");
    let form = Form::new().text("other", "field");
    let response = server.post(DSYMS).multipart(form).send().await.unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(response.json::<Value>().await.unwrap(), json!({"detail": "Missing uploaded file"}));
    let whole = zip_of(&[("calc", &fixtures::read("elf-x86_64-gcc-dwarf4/calc.debug"))]);
    for cut in [30, whole.len() / 2, whole.len() - 10] {
        let (status, answer) = send(&server, whole[..cut].to_vec()).await;
        assert_eq!(status, 400, "cut at {cut}: {answer}");
    }
    assert_eq!(server.fsck_when_idle().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_zip_that_inflates_to_more_than_a_file_may_have_is_refused() {
    let server = TestServer::builder().settings(|config| config.uploads.max_file_size = 1 << 20).start().await;
    let bomb = zip_of(&[("zeros", &vec![0; 64 << 20])]);
    assert!(bomb.len() < 1 << 20, "small on the wire");
    assert_eq!(send(&server, bomb).await, (400, json!({"detail": "The zip holds more than 1048576 bytes."})));
    assert_eq!(send(&server, vec![0; 2 << 20]).await.0, 400, "larger than a file may be, on the wire already");
    assert_eq!(server.fsck_when_idle().await, Vec::<String>::new());
}

#[tokio::test]
async fn import_walks_folders_and_zips_and_skips_what_is_there() {
    let process = TestProcess::start().await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    write("a/calc.debug", &fixtures::read("elf-x86_64-gcc-dwarf4/calc.debug"));
    write("a/same bytes.debug", &fixtures::read("elf-x86_64-gcc-dwarf4/calc.debug"));
    write("b/notes.txt", b"no debug file");
    write("b/empty", b"");
    write("b/Info.plist", &fixtures::read("macho-arm64-llvm19/calc.dSYM/Contents/Info.plist"));
    write("b/package.json", b"{\"name\": \"not il2cpp\"}");
    write("b/Cargo.toml", b"[package]");
    write(
        "maps/2d10c42f-591d-3265-b147-78ba0868073f.plist",
        &fixtures::read("bcsymbolmap/2d10c42f-591d-3265-b147-78ba0868073f.plist"),
    );
    write(
        "maps/c8374b6d-6e96-34d8-ae38-efaa5fec424f.bcsymbolmap",
        &fixtures::read("bcsymbolmap/c8374b6d-6e96-34d8-ae38-efaa5fec424f.bcsymbolmap"),
    );
    let pdb = fixtures::read("pe-x86_64-llvm19/calc.pdb");
    write("b/symbols.zip", &zip_of(&[("calc.pdb", &pdb), ("readme", b"none")]));
    write("proguard/9d089309-27e9-5967-969a-c02c8ea5d81f.txt", &fixtures::read("proguard/mapping.txt"));
    let path = folder.path().to_str().unwrap();

    let import = async || process.run(&["import", path, "--project", "default/default"]).await;
    let first = import().await;
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let said = String::from_utf8_lossy(&first.stdout).into_owned();
    assert_eq!(said, "5 imported, 1 already there, 6 not debug files, 0 failed\n");
    let second = import().await;
    let said = String::from_utf8_lossy(&second.stdout).into_owned();
    assert_eq!(said, "0 imported, 6 already there, 6 not debug files, 0 failed\n");

    let url =
        format!("{}/api/v1/projects/default/default/symcaches/5433b924-e30a-5f8d-4c4c-44205044422e-1", process.url);
    let fetched = crate::support::client::http().get(url).bearer_auth(&process.token).send().await.unwrap();
    assert_eq!(fetched.status(), 200, "a running server serves what was imported beside it");
}

#[tokio::test]
async fn an_import_that_could_not_take_everything_fails_and_says_which_file_and_why() {
    let process = TestProcess::start().await;
    let hostile = fixtures::path("hostile/elf-zlib-chsize-huge.debug");
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("without an id.bcsymbolmap");
    std::fs::copy(fixtures::path("bcsymbolmap/c8374b6d-6e96-34d8-ae38-efaa5fec424f.bcsymbolmap"), &map).unwrap();
    // Text that is named by an id is meant as a map, whatever became of it; words in a file say nothing of what it is.
    let named = folder.path().join("c8374b6d-6e96-34d8-ae38-efaa5fec424f.json");
    std::fs::write(&named, "{\"unsupported object file format\"").unwrap();
    let cut = folder.path().join("cut.debug");
    std::fs::write(&cut, [&fixtures::read("elf-x86_64-gcc-dwarf4/calc.debug")[..16], &[0xff; 64]].concat()).unwrap();
    let text = folder.path().join("text");
    std::fs::write(&text, "Missing debug_id for BCSymbolMap").unwrap();
    let paths = [hostile.to_str().unwrap(), map.to_str().unwrap()];
    let more = [named.to_str().unwrap(), cut.to_str().unwrap(), text.to_str().unwrap()];
    let verb = ["import", "--project", "default/default"];
    let output = process.run(&[&verb[..], &paths, &more].concat()).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1 imported, 0 already there, 1 not debug files, 3 failed\n");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("elf-zlib-chsize-huge.debug: taken in without a symcache: The file cannot be converted"),
        "{said}"
    );
    assert!(said.contains(".bcsymbolmap: Missing debug_id for BCSymbolMap"), "{said}");
    assert!(said.contains(".json: Invalid il2cpp: "), "{said}");
    assert!(said.contains("cut.debug: Invalid debug information file: "), "{said}");
    let output = process.run(&["import", paths[0], "--project", "default/nope"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("symdepot project create default/nope"));
}

#[tokio::test]
async fn each_file_of_a_zip_is_looked_at_once() {
    let converter = WatchedConverter::new();
    let program = converter.program();
    let server = TestServer::builder().settings(|config| config.converter.program = program).start().await;
    let elf = fixtures::read("elf-x86_64-gcc-dwarf4/calc.debug");
    let bundle = fixtures::read("sourcebundle/calc.src.zip");
    let zip = zip_of(&[("calc.debug", &elf), ("calc.src.zip", &bundle), ("read me.txt", b"no debug file")]);
    let (status, created) = send(&server, zip.clone()).await;
    assert_eq!((status, created.as_array().map(Vec::len)), (201, Some(2)));
    converter.begun(1).await;
    assert_eq!((converter.detections(), converter.conversions()), (3, 1));
    // What the project has is known by its checksum.
    send(&server, zip).await;
    assert_eq!((converter.detections(), converter.conversions()), (4, 1));
}

#[tokio::test]
async fn each_imported_file_is_looked_at_once() {
    let converter = WatchedConverter::new();
    let program = converter.program();
    let process = TestProcess::start_with(&[("SYMDEPOT_CONVERTER__PROGRAM", program.to_str().unwrap())]).await;
    let paths = ["elf-x86_64-gcc-dwarf4/calc.debug", "sourcebundle/calc.src.zip", "pe-x86_64-llvm19/calc.pdb"];
    let folder = tempfile::tempdir().unwrap();
    for path in paths {
        let name = path.rsplit('/').next().unwrap();
        std::fs::copy(fixtures::path(path), folder.path().join(name)).unwrap();
    }
    let output = process.run(&["import", folder.path().to_str().unwrap(), "--project", "default/default"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(converter.detections(), 3);
}

#[tokio::test]
async fn a_process_without_workers_takes_a_zip_in_and_leaves_its_symcaches_to_a_worker() {
    let converter = WatchedConverter::new();
    let program = converter.program();
    let builder = TestServer::builder().settings(|config| config.converter.program = program);
    let server = builder.without_workers().start().await;
    let zip = zip_of(&[("calc.debug", &fixtures::read("elf-x86_64-gcc-dwarf4/calc.debug"))]);
    assert_eq!(send(&server, zip).await.0, 201);
    assert_eq!((converter.detections(), converter.conversions()), (1, 0));
    assert_eq!(server.app.db.open_jobs(server.account.organization.id, 10).await.unwrap(), 1);

    let _worker = server.beside().start().await;
    converter.begun(1).await;
    let symcache = server.symcache(&server.account, "4ec932a9-e89a-f8cd-96b5-496a980e4efe", 60).await;
    assert_eq!((symcache.status().as_u16(), converter.conversions()), (200, 1));
}
