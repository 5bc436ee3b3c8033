//! Breakpad text made of debug files of other formats: complete, under the id that was asked for, made once, kept, and
//! never another project's.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use symbolic::debuginfo::Object;
use symbolic::debuginfo::breakpad::BreakpadObject;
use symdepot::blobs::{BlobKey, Fault};
use symdepot::db::{Db, Insert};
use symdepot::types::{DebugId, DerivedKey, DerivedSort, Sha1};
use symdepot::upkeep::{Depth, Finding, Loss, Repair};

use crate::support::converter::WatchedConverter;
use crate::support::fixtures::{self, Known};
use crate::support::server::TestServer;
use crate::support::symcaches::frames;
use crate::support::uploads::Upload;

const BASE: &str = "/symbols/default/default/";

/// The small program: what is shipped, what was taken out, and both in one.
const CALC: &str = "elf-x86_64-gcc-dwarf4/calc";
const CALC_DEBUG: &str = "elf-x86_64-gcc-dwarf4/calc.debug";
const CALC_FULL: &str = "elf-x86_64-gcc-dwarf4/calc.full";
const CALC_SYM: &str = "calc/4EC932A9E89AF8CD96B5496A980E4EFE0/calc.sym";
const CALC_ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";

/// Programs with the unwind information of their systems, which is in what is shipped.
const UNWIND_PE: &str = "pe-x86_64-unwind-llvm19/calc.exe";
const UNWIND_PDB: &str = "pe-x86_64-unwind-llvm19/calc.pdb";
const UNWIND_MACHO: &str = "macho-arm64-unwind-llvm19/calc";
const UNWIND_DSYM: &str = "macho-arm64-unwind-llvm19/calc.dSYM/Contents/Resources/DWARF/calc";

/// Files with debug information of every format that text is made of, and what goes with them.
const SOURCES: [(&str, &[&str]); 13] = [
    (CALC_FULL, &[]),
    (CALC_DEBUG, &[CALC]),
    ("elf-x86_64-gcc-dwarf5-zstd/calc.debug", &[]),
    ("elf-aarch64-clang-dwarf5/calc.full", &[]),
    ("elf-armv7-clang-dwarf4/calc.full", &[]),
    ("rust-inlines/shapes.debug", &["rust-inlines/shapes"]),
    ("macho-arm64-llvm19/calc.dSYM/Contents/Resources/DWARF/calc", &["macho-arm64-llvm19/calc"]),
    ("macho-x86_64-llvm19/calc.dSYM/Contents/Resources/DWARF/calc", &["macho-x86_64-llvm19/calc"]),
    ("pe-x86_64-llvm19/calc.pdb", &["pe-x86_64-llvm19/calc.exe"]),
    ("pe-i686-llvm19/calc.pdb", &["pe-i686-llvm19/calc.exe"]),
    ("pe-x86_64-exports-llvm19/calc.pdb", &["pe-x86_64-exports-llvm19/calc.dll"]),
    (UNWIND_PDB, &[UNWIND_PE]),
    (UNWIND_DSYM, &[UNWIND_MACHO]),
];

/// The text under a path below the default project, which must be there.
async fn text(server: &TestServer, path: &str) -> String {
    let answer = server.get(&format!("{BASE}{path}")).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}: {}", answer.text().await.unwrap());
    answer.text().await.unwrap()
}

async fn upload(server: &TestServer, fixture: &str) {
    let known: BTreeMap<String, Known> = fixtures::known();
    let hints = known[fixture].hints(fixture);
    let upload = Upload::fixture(fixture).name(&hints.name);
    server.upload_ok(&Upload { debug_id: hints.debug_id, ..upload }).await;
}

fn path_of(debug_id: &DebugId, name: &str) -> String {
    let stem = name.strip_suffix(".pdb").unwrap_or(name);
    format!("{name}/{}/{stem}.sym", debug_id.breakpad())
}

/// Frames as they are compared: names demangled, paths as they are.
fn compared(frames: Vec<String>) -> Vec<String> {
    let unmangled = |frame: String| {
        let (name, place) = frame.split_once(" @ ").unwrap();
        let name = symbolic::demangle::demangle(name).into_owned();
        // The text has the parameters of functions where the table has their names alone.
        format!("{} @ {place}", name.split('(').next().unwrap())
    };
    frames.into_iter().map(unmangled).collect()
}

#[tokio::test]
async fn the_text_says_of_every_known_address_what_the_symcache_says() {
    let known = fixtures::known();
    for (fixture, others) in SOURCES {
        let server = TestServer::start().await;
        for other in others {
            upload(&server, other).await;
        }
        upload(&server, fixture).await;
        let object = &known[fixture].objects[0];
        let name = fixture.rsplit('/').next().unwrap();
        let text = text(&server, &path_of(&object.debug_id, name)).await;
        assert!(text.starts_with("MODULE "), "{fixture}");
        let first = text.lines().next().unwrap();
        assert_eq!(first.split(' ').nth(3).unwrap(), object.debug_id.breakpad(), "{fixture}: {first}");

        let parsed = BreakpadObject::parse(text.as_bytes()).unwrap();
        assert_eq!(parsed.arch().name(), object.arch, "{fixture}");
        assert_eq!(parsed.debug_id().to_string(), object.debug_id.as_str(), "{fixture}");
        let mut converter = symbolic::symcache::SymCacheConverter::new();
        converter.process_object(&Object::Breakpad(parsed)).unwrap();
        let mut table = Vec::new();
        converter.serialize(&mut table).unwrap();
        let symcache = server.symcache_bytes(&server.account, object.debug_id.as_str()).await;
        // What is known of the code of a program is written beside its debug companion.
        let lookups = &known[&fixture.replace("calc.full", "calc.debug")].objects[0].lookups;
        assert!(!lookups.is_empty(), "{fixture}");
        for (address, expected) in lookups {
            let address = u64::from_str_radix(address.trim_start_matches("0x"), 16).unwrap();
            let from_table = frames(&symcache, address);
            assert_eq!(&from_table, expected, "{fixture} {address:#x}");
            assert_eq!(compared(frames(&table, address)), compared(from_table), "{fixture} {address:#x}\n{text}");
        }
        assert_eq!(server.fsck().await, [""; 0]);
    }
}

#[tokio::test]
async fn the_text_is_that_of_dump_syms_line_by_line() {
    for (fixtures, path, expected) in [
        (&[CALC_FULL][..], CALC_SYM, "breakpad/calc-elf.sym"),
        (
            &["macho-arm64-llvm19/calc", "macho-arm64-llvm19/calc.dSYM/Contents/Resources/DWARF/calc"],
            "calc/4C4C442C55553144A176E1E20AA6F22D0/calc.sym",
            "breakpad/calc-macho-arm64.sym",
        ),
        (
            &["pe-x86_64-llvm19/calc.exe", "pe-x86_64-llvm19/calc.pdb"],
            "calc.pdb/5433B924E30A5F8D4C4C44205044422E1/calc.sym",
            "breakpad/calc-pe.sym",
        ),
    ] {
        let server = TestServer::start().await;
        for fixture in fixtures {
            upload(&server, fixture).await;
        }
        let expected = String::from_utf8(crate::support::fixtures::read(expected)).unwrap();
        // `dump_syms` leaves out a line that an inlined function had before, and lets that of another call go on instead.
        let expected = expected.replace("\n103b b 6 1\n", "\n103b 5 6 1\n1040 6 6 1\n");
        assert_eq!(text(&server, path).await, expected, "{path}");
    }
}

#[tokio::test]
async fn every_sort_of_record_is_there() {
    let mut counts = String::new();
    for (fixture, others) in SOURCES {
        let server = TestServer::start().await;
        for other in others {
            upload(&server, other).await;
        }
        upload(&server, fixture).await;
        let object = fixtures::known()[fixture].objects[0].clone();
        let text = text(&server, &path_of(&object.debug_id, fixture.rsplit('/').next().unwrap())).await;
        let of = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
        let module = text.lines().take(2).collect::<Vec<_>>().join(" | ");
        let records =
            ["FILE ", "FUNC ", "INLINE ", "INLINE_ORIGIN ", "PUBLIC ", "STACK CFI INIT ", "STACK CFI ", "STACK WIN "]
                .map(|start| format!("{}{}", start, of(start)));
        writeln!(counts, "{fixture}: {module}\n    {}", records.join(", ")).unwrap();
    }
    insta::assert_snapshot!(counts);
}

#[tokio::test]
async fn unwind_information_comes_from_wherever_it_is() {
    let mut stacks = String::new();
    for (fixture, code) in [
        (UNWIND_PDB, UNWIND_PE),
        ("pe-i686-llvm19/calc.pdb", "pe-i686-llvm19/calc.exe"),
        (UNWIND_DSYM, UNWIND_MACHO),
        (CALC_DEBUG, CALC),
        ("elf-aarch64-clang-dwarf5/calc.debug", "elf-aarch64-clang-dwarf5/calc"),
    ] {
        let server = TestServer::start().await;
        upload(&server, fixture).await;
        let object = fixtures::known()[fixture].objects[0].clone();
        let path = path_of(&object.debug_id, fixture.rsplit('/').next().unwrap());
        for what in ["alone", "with its code"] {
            let text = text(&server, &path).await;
            writeln!(stacks, "{fixture} {what}").unwrap();
            let lines = text.lines().filter(|line| line.starts_with("STACK"));
            lines.for_each(|line| writeln!(stacks, "    {line}").unwrap());
            upload(&server, code).await;
        }
    }
    insta::assert_snapshot!(stacks);
}

#[tokio::test]
async fn a_fat_file_has_a_text_for_each_architecture() {
    let server = TestServer::start().await;
    let fixture = "macho-universal-llvm19/calc.dSYM/Contents/Resources/DWARF/calc";
    let path = format!("{}files/dsyms/", server.account.project_path());
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("calc", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut zip, &fixtures::read(fixture)).unwrap();
    let zip = zip.finish().unwrap().into_inner();
    let part = reqwest::multipart::Part::bytes(zip).file_name("calc.zip");
    let form = reqwest::multipart::Form::new().part("file", part);
    assert_eq!(server.post(&path).multipart(form).send().await.unwrap().status(), 201);
    for (id, arch) in [("4C4C44CE55553144A1752259C838DFD40", "x86_64"), ("4C4C442C55553144A176E1E20AA6F22D0", "arm64")]
    {
        let text = text(&server, &format!("calc/{id}/calc.sym")).await;
        assert!(text.starts_with(&format!("MODULE Mac {arch} {id} calc\n")), "{text}");
    }
}

#[tokio::test]
async fn an_uploaded_text_goes_before_one_that_is_made() {
    let server = TestServer::start().await;
    upload(&server, CALC_FULL).await;
    assert!(text(&server, CALC_SYM).await.contains("STACK CFI"));
    let uploaded = "MODULE Linux x86_64 4EC932A9E89AF8CD96B5496A980E4EFE0 calc\nFILE 0 a.c\nFUNC 1129 13 0 of_the_upload\n1129 13 1 0\n";
    server.upload_ok(&Upload::new("calc.sym", uploaded)).await;
    assert_eq!(text(&server, CALC_SYM).await, uploaded);
}

#[tokio::test]
async fn a_text_that_is_made_has_validators_and_ranges_in_every_layout() {
    let server = TestServer::start().await;
    upload(&server, CALC_FULL).await;
    let whole = text(&server, CALC_SYM).await;
    for path in [CALC_SYM, "a9/32c94e9ae8cdf896b5496a980e4efee5dad2fc/breakpad", &CALC_SYM.to_lowercase()] {
        assert_eq!(text(&server, path).await, whole, "{path}");
        let path = format!("{BASE}{path}");
        let head = server.head(&path).send().await.unwrap();
        assert_eq!(head.headers()["content-length"], whole.len().to_string());
        assert_eq!(head.headers()["etag"], format!("\"{}\"", Sha1::of(whole.as_bytes())));
        let again = server.get(&path).header("if-none-match", &head.headers()["etag"]).send().await.unwrap();
        assert_eq!(again.status(), 304);
        let part = server.get(&path).header("range", "bytes=100-199").send().await.unwrap();
        assert_eq!((part.status().as_u16(), part.text().await.unwrap().as_str()), (206, &whole[100..200]));
    }
    let redirect = server.get(&format!("{BASE}calc/A932C94E9AE8CDF896B5496A980E4EFEE5DAD2FC/calc.sym"));
    let redirect = redirect.send().await.unwrap();
    assert_eq!(redirect.status(), 302);
    assert_eq!(redirect.headers()["location"], format!("../../{CALC_SYM}"));
}

#[tokio::test]
async fn a_text_is_made_once_however_many_ask_and_again_when_the_code_arrives() {
    let converter = WatchedConverter::new();
    let program = converter.program();
    let server = TestServer::builder().settings(|config| config.converter.program = program).start().await;
    upload(&server, CALC_DEBUG).await;
    let before = converter.texts();
    let asks = (0..16).map(|_| text(&server, CALC_SYM));
    let texts = futures_util::future::join_all(asks).await;
    assert!(texts.iter().all(|text| *text == texts[0] && !text.contains("STACK CFI")));
    text(&server, CALC_SYM).await;
    assert_eq!(converter.texts() - before, 1);

    upload(&server, CALC).await;
    let with_code = text(&server, CALC_SYM).await;
    assert!(with_code.contains("STACK CFI"));
    assert_eq!(converter.texts() - before, 2);
    assert_eq!(server.fsck().await, [""; 0], "the bytes of the first text are gone");
}

#[tokio::test]
async fn a_text_whose_bytes_are_lost_is_made_again() {
    let server = TestServer::start().await;
    upload(&server, CALC_FULL).await;
    let whole = text(&server, CALC_SYM).await;
    let keys = blobs_of(&server.app.db, "breakpad/").await;
    assert_eq!(keys.len(), 1);
    server.app.blobs.delete(&[BlobKey::from_row(&keys[0])]).await.unwrap();
    assert_eq!(text(&server, CALC_SYM).await, whole);
    assert_eq!(server.fsck().await, [""; 0]);
    let again = blobs_of(&server.app.db, "breakpad/").await;
    assert_ne!(again, keys);

    // Damage is not seen before the bytes are read. They are made anew for the next who asks.
    server.faults.inject(Fault::Flipped(BlobKey::from_row(&again[0])));
    let damaged = server.get(&format!("{BASE}{CALC_SYM}")).send().await.unwrap();
    assert_eq!(damaged.status(), 500);
    assert_eq!(text(&server, CALC_SYM).await, whole);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_check_finds_a_text_that_is_lost_and_a_repair_lets_it_be_made_again() {
    let server = TestServer::start().await;
    upload(&server, CALC_FULL).await;
    let whole = text(&server, CALC_SYM).await;
    let key = blobs_of(&server.app.db, "breakpad/").await.remove(0);
    let upkeep = server.app.upkeep();
    assert_eq!(upkeep.fsck(Depth::Content, Repair::No, |_| {}).await.unwrap().findings, []);
    server.faults.inject(Fault::Flipped(BlobKey::from_row(&key)));
    assert_eq!(upkeep.fsck(Depth::Sizes, Repair::No, |_| {}).await.unwrap().findings, []);
    let found = upkeep.fsck(Depth::Content, Repair::Yes, |_| {}).await.unwrap().findings;
    assert!(
        matches!(&found[..], [Finding::Derived { key: lost, loss: Loss::Content(_) }] if *lost == key),
        "{found:?}"
    );
    assert_eq!(text(&server, CALC_SYM).await, whole);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_text_goes_with_its_debug_file() {
    let server = TestServer::start().await;
    let dif = server.upload_ok(&Upload::fixture(CALC_FULL)).await;
    text(&server, CALC_SYM).await;
    server.delete_file(dif["id"].as_str().unwrap()).await;
    let gone = server.get(&format!("{BASE}{CALC_SYM}")).send().await.unwrap();
    assert_eq!(gone.status(), 404);
    assert_eq!(blobs_of(&server.app.db, "").await.iter().filter(|key| key.starts_with("breakpad")).count(), 0);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_file_that_no_text_can_be_made_of_is_not_there_and_not_tried_again() {
    for (fault, reason) in [
        ("panic", "the converter stopped with \"a fault for a test\""),
        ("memory", "it needs more than 64 MiB of memory (setting `converter.memory`)"),
        ("hang", "it took longer than 2s (setting `converter.timeout`)"),
        ("abort", "the converter crashed (signal SIGABRT)"),
    ] {
        let converter = WatchedConverter::new();
        let program = converter.program();
        let change = |config: &mut symdepot::config::Config| {
            config.converter.test_fault = format!("dump-{fault}");
            config.converter.memory = 64 << 20;
            config.converter.timeout = std::time::Duration::from_secs(2);
            config.converter.program = program;
        };
        let server = TestServer::builder().settings(change).start().await;
        upload(&server, CALC_FULL).await;
        for _ in 0..2 {
            let answer = server.get(&format!("{BASE}{CALC_SYM}")).send().await.unwrap();
            assert_eq!(answer.status(), 404, "{fault}");
            let sentence = format!("The file cannot be converted: {reason}.");
            assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["detail"], sentence, "{fault}");
        }
        assert_eq!(converter.texts(), 1, "{fault}");
    }
}

#[tokio::test]
async fn a_text_that_cannot_be_made_just_now_is_made_for_the_next_who_asks() {
    let server = TestServer::start().await;
    upload(&server, CALC_FULL).await;
    server.faults.inject(Fault::Full(1));
    let busy = server.get(&format!("{BASE}{CALC_SYM}")).send().await.unwrap();
    assert_eq!(busy.status(), 503);
    let sentence = "This file could not be made just now. Ask again.";
    assert_eq!(busy.json::<serde_json::Value>().await.unwrap()["detail"], sentence);
    assert!(text(&server, CALC_SYM).await.starts_with("MODULE Linux"));
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn nothing_is_made_of_files_without_debug_information_or_of_another_project() {
    let server = TestServer::start().await;
    upload(&server, CALC).await;
    let stranger = server.add_account("other", "app").await;
    server.upload_to(&stranger, &Upload::fixture(CALC_FULL)).await;
    for path in [BASE.to_owned(), "/symbols/default/".to_owned(), "/symbols/other/app/".to_owned()] {
        let answer = server.get(&format!("{path}{CALC_SYM}")).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
    assert_eq!(blobs_of(&server.app.db, "breakpad/").await, [""; 0]);
}

#[tokio::test]
async fn the_winner_of_a_race_between_two_servers_is_what_both_answer() {
    let server = TestServer::start().await;
    upload(&server, CALC_FULL).await;
    let file = server.app.db.debug_files_by_id(server.account.project.id, &[CALC_ID.parse().unwrap()]).await.unwrap();
    let version = symdepot::symcaches::sandbox::BREAKPAD_VERSION.to_owned();
    let key = DerivedKey { debug_file_id: file[0].id, sort: DerivedSort::Breakpad, version };
    let said = Err("The other server said so.".to_owned());
    let inserted = server.app.db.insert_derived_file(&key, &said, server.app.clock.now()).await.unwrap();
    assert!(matches!(inserted, Insert::Inserted(_)));
    let answer = server.get(&format!("{BASE}{CALC_SYM}")).send().await.unwrap();
    assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["detail"], "The other server said so.");
}

/// The keys of all bytes that rows speak of and that begin so.
async fn blobs_of(db: &Db, start: &str) -> Vec<String> {
    let rows = db.blob_rows("", 10_000).await.unwrap();
    rows.into_iter().map(|(key, _)| key).filter(|key| key.starts_with(start)).collect()
}
