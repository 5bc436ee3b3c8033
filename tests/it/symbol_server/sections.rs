//! Sections cut out of stored ELF files: as another reader sees them, decompressed, by reading only what is needed, and
//! without harm from files that lie.

use object::{Object as _, ObjectSection as _, SectionKind};
use symdepot::blobs::{BlobKey, Fault};
use symdepot::types::Kind;

use crate::support::fixtures;
use crate::support::records::Record;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

const ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";

fn path(build_id: &str, section: &str) -> String {
    format!("/symbols/default/default/buildid/{build_id}/section/{section}")
}

/// A file of the build id `ab` with a content of one's choice.
fn record(content: Vec<u8>) -> Record {
    Record { code_id: Some("ab".to_owned()), content, ..Record::new("file", ID) }
}

/// The names and contents of the sections that have bytes, compressed as they may be.
fn sections(file: &[u8]) -> Vec<(String, Vec<u8>)> {
    let file = object::File::parse(file).unwrap();
    let full = file.sections().filter(|section| section.kind() != SectionKind::UninitializedData);
    let full = full.filter(|section| section.file_range().is_some());
    full.map(|section| (section.name().unwrap().to_owned(), section.data().unwrap().to_vec())).collect()
}

#[tokio::test]
async fn every_section_is_what_another_reader_finds() {
    let server = TestServer::start().await;
    for (fixture, build_id) in [
        ("elf-x86_64-gcc-dwarf4/calc.full", "a932c94e9ae8cdf896b5496a980e4efee5dad2fc"),
        ("elf-i386-clang-dwarf4/calc.full", "63706e057d32c7042033cec802cc34b66663b877"),
        ("elf-armv7-clang-dwarf4/calc.full", "7d193e162f8a0d45786f90e0f99734f8cb899e7e"),
        ("elf-aarch64-clang-dwarf5/calc.full", "3a9311ad84b5454fcd89b51cd4f57fdd3bf62df7"),
    ] {
        server.upload_ok(&Upload::fixture(fixture).chunk_size(4 << 10)).await;
        let sections = sections(&fixtures::read(fixture));
        assert!(sections.len() > 10, "{fixture}");
        for (name, content) in sections.into_iter().filter(|(name, _)| !name.is_empty()) {
            let answer = server.get(&path(build_id, &name)).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{fixture} {name}");
            assert_eq!(answer.headers()["x-debuginfod-size"], content.len().to_string().as_str());
            assert!(answer.bytes().await.unwrap() == content, "{fixture} {name}");
        }
        for absent in [".bss", ".nothing", ".debug", "%00", "..%2f.text"] {
            assert_eq!(server.get(&path(build_id, absent)).send().await.unwrap().status(), 404, "{fixture} {absent}");
        }
    }
}

#[tokio::test]
async fn what_the_companion_lacks_comes_from_the_executable() {
    let server = super::with_calc().await;
    let from = |fixture: &str, name: &str| {
        let found = sections(&fixtures::read(fixture)).into_iter().find(|(found, _)| found == name);
        found.map(|(_, content)| content)
    };
    for (name, fixture) in [(".text", super::STRIPPED), (".debug_line", super::COMPANION)] {
        let answer = server.get(&path(super::BUILD_ID, name)).send().await.unwrap();
        assert_eq!(answer.headers()["x-debuginfod-file"], fixture.rsplit('/').next().unwrap());
        assert!(Some(answer.bytes().await.unwrap().to_vec()) == from(fixture, name), "{name}");
    }
}

#[tokio::test]
async fn compressed_sections_come_out_decompressed_in_every_part() {
    let server = TestServer::start().await;
    // LLVM compressed the sections of one file and left the rest as it was.
    let plain = sections(&fixtures::read("elf-x86_64-gcc-dwarf5-none/calc.debug"));
    server.upload_ok(&Upload::fixture("elf-x86_64-gcc-dwarf5-zstd/calc.debug").chunk_size(4 << 10)).await;
    server.upload_ok(&Upload::fixture("elf-x86_64-gcc-dwarf5-zlib/calc.debug").chunk_size(4 << 10)).await;
    let zlib = decompressed("elf-x86_64-gcc-dwarf5-zlib/calc.debug");
    for (build_id, expected) in [
        ("80fdc13bcda4ae0b9a75ff95a9d11d06cfd21870", plain),
        ("6c9a15d5985f224cd88814c1e97a7865e5f65d62", sections(&zlib)),
    ] {
        let debug: Vec<_> = expected.into_iter().filter(|(name, _)| name.starts_with(".debug_")).collect();
        assert!(debug.len() > 4);
        for (name, content) in debug {
            let path = path(build_id, &name);
            let answer = server.get(&path).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{name}");
            let etag = answer.headers()["etag"].clone();
            assert!(answer.bytes().await.unwrap() == content, "{build_id} {name}");

            let head = server.head(&path).send().await.unwrap();
            assert_eq!(head.headers()["content-length"], content.len().to_string().as_str());
            let end = content.len() - 1;
            let part = server.get(&path).header("range", format!("bytes=5-{end}")).send().await.unwrap();
            assert_eq!(part.status(), 206);
            assert!(part.bytes().await.unwrap() == content[5..], "{build_id} {name}");
            let same = server.get(&path).header("if-none-match", etag).send().await.unwrap();
            assert_eq!(same.status(), 304);
            let small = server.get(&path).header("x-debuginfod-maxsize", end).send().await.unwrap();
            assert_eq!(small.status(), 406);
        }
    }
}

#[tokio::test]
async fn a_section_that_was_compressed_as_of_old_is_found_by_both_its_names() {
    const PLAIN: &str = "elf-x86_64-gcc-dwarf5-none/calc.full";
    let server = TestServer::start().await;
    let old = objcopy("--compress-debug-sections=zlib-gnu", PLAIN);
    server.put_file(&server.account, record(old.clone())).await;
    let plain = sections(&fixtures::read(PLAIN));
    // Another reader takes the old name for the new one, as far as the bytes go.
    let raw = |name: &str| {
        let file = object::read::elf::ElfFile64::<object::Endianness>::parse(&*old).unwrap();
        let section = file.sections().find(|section| section.name_bytes() == Ok(name.as_bytes()))?;
        let (at, size) = section.file_range().unwrap();
        Some(old[at as usize..(at + size) as usize].to_vec())
    };
    let mut compressed = 0;
    for (name, content) in plain.into_iter().filter(|(name, _)| name.starts_with(".debug_")) {
        let answer = server.get(&path("ab", &name)).send().await.unwrap();
        assert_eq!(answer.headers()["x-debuginfod-size"], content.len().to_string().as_str(), "{name}");
        assert!(answer.bytes().await.unwrap() == content, "{name}");
        let old_name = name.replace(".debug_", ".zdebug_");
        let answer = server.get(&path("ab", &old_name)).send().await.unwrap();
        match raw(&old_name) {
            Some(bytes) => assert!(answer.bytes().await.unwrap() == bytes, "{old_name}"),
            None => assert_eq!(answer.status(), 404, "{old_name}"),
        }
        compressed += usize::from(raw(&old_name).is_some());
    }
    assert!(compressed > 1, "objcopy compressed {compressed} sections");
    let mut lying = old.clone();
    let at = old.windows(4).position(|bytes| bytes == b"ZLIB").unwrap();
    for bytes in [b"ZLIP".as_slice(), b"ZLIB\xff\xff\xff\xff"] {
        lying[at..at + bytes.len()].copy_from_slice(bytes);
        let file = server.put_file(&server.account, record(lying.clone())).await;
        let names = [".debug_aranges", ".debug_info", ".debug_abbrev", ".debug_line", ".debug_str"].iter();
        let mut refused = 0;
        for name in names {
            refused += usize::from(server.get(&path("ab", name)).send().await.unwrap().status() == 404);
        }
        assert!(refused > 0, "the section that lies is not there");
        server.delete_file(&file.id.to_string()).await;
    }
}

/// The fixture with its sections decompressed by objcopy.
fn decompressed(fixture: &str) -> Vec<u8> {
    objcopy("--decompress-debug-sections", fixture)
}

/// The fixture as objcopy changes it.
fn objcopy(how: &str, fixture: &str) -> Vec<u8> {
    let folder = tempfile::TempDir::new().unwrap();
    let out = folder.path().join("out");
    let status = std::process::Command::new("objcopy").arg(how).arg(fixtures::path(fixture)).arg(&out).status();
    assert!(status.expect("objcopy is not installed: run `tests/setup.sh`, which does that").success());
    std::fs::read(out).unwrap()
}

/// Content that takes several segments on the disk, and the file that has it compressed in `.debug_large`.
fn with_large_section() -> (Vec<u8>, Vec<u8>) {
    let content: Vec<u8> = (0..1_300_007_u32).flat_map(|number| (number / 5).to_le_bytes()).collect();
    let folder = tempfile::TempDir::new().unwrap();
    let [added, whole, out] = ["content", "whole", "out"].map(|name| folder.path().join(name));
    std::fs::write(&added, &content).unwrap();
    // What is added is compressed by a second run only.
    let add = format!("--add-section=.debug_large={}", added.display());
    let plain = fixtures::path("elf-x86_64-gcc-dwarf5-none/calc.full");
    for (how, from, to) in [(add.as_str(), &plain, &whole), ("--compress-debug-sections=zlib", &whole, &out)] {
        let status = std::process::Command::new("objcopy").arg(how).arg(from).arg(to).status();
        assert!(status.expect("objcopy is not installed: run `tests/setup.sh`, which does that").success());
    }
    let file = std::fs::read(out).unwrap();
    assert!(file.len() < content.len(), "the section is compressed");
    (content, file)
}

#[tokio::test]
async fn many_requests_for_a_large_section_share_one_decompression() {
    let server = TestServer::start().await;
    let (content, file) = with_large_section();
    server.put_file(&server.account, Record { chunk_size: 100_000, ..record(file) }).await;
    let path = path("ab", ".debug_large");
    let end = content.len() - 1;
    let ranges = [(0, end), (0, 0), (5, 3_000_000), (2 << 20, 2 << 20), ((2 << 20) - 1, 2 << 20), (end, end)];
    let asked = ranges.map(|(first, last)| {
        let request = server.get(&path).header("range", format!("bytes={first}-{last}"));
        tokio::spawn(async move { (first, last, request.send().await.unwrap().bytes().await.unwrap()) })
    });
    for one in asked {
        let (first, last, bytes) = one.await.unwrap();
        assert!(bytes == content[first..=last], "{first} {last}");
    }
    for _again in 0..2 {
        let answer = server.get(&path).send().await.unwrap();
        assert_eq!(answer.headers()["x-debuginfod-size"], content.len().to_string().as_str());
        assert!(answer.bytes().await.unwrap() == content);
    }
    assert_eq!(crate::support::form::left_over(&server.app.config.temp_dir()), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_large_section_that_is_damaged_never_arrives_as_a_whole_one() {
    let server = TestServer::start().await;
    let (content, file) = with_large_section();
    let range = object::File::parse(&*file).unwrap().section_by_name(".debug_large").unwrap().file_range().unwrap();
    let damaged = |at: u64| {
        let mut file = file.clone();
        file[at as usize..at as usize + 64].fill(0xee);
        file
    };
    let path = path("ab", ".debug_large");
    // At its beginning, before an answer has begun, and near its end.
    for (at, begins) in [(range.0 + 24, false), (range.0 + range.1 - 200, true)] {
        let stored = server.put_file(&server.account, record(damaged(at))).await;
        for _again in 0..2 {
            match server.get(&path).send().await {
                Ok(answer) if begins => assert!(answer.bytes().await.is_err(), "it breaks off"),
                Ok(answer) => assert_eq!(answer.status(), 404),
                Err(error) => assert!(begins, "{error}"),
            }
        }
        server.delete_file(&stored.id.to_string()).await;
    }
    server.put_file(&server.account, record(file)).await;
    assert!(server.get(&path).send().await.unwrap().bytes().await.unwrap() == content, "one that is whole does");
}

#[tokio::test]
async fn a_read_that_fails_while_a_section_is_decompressed_is_not_remembered() {
    let server = TestServer::start().await;
    let (content, file) = with_large_section();
    let file = server.put_file(&server.account, Record { chunk_size: 100_000, ..record(file) }).await;
    let pieces = server.app.db.debug_file_pieces(file.id).await.unwrap();
    let middle = BlobKey::from_row(&pieces[pieces.len() / 2].key);
    server.faults.inject(Fault::Lost(middle));
    let path = path("ab", ".debug_large");
    let failed = match server.get(&path).send().await {
        Ok(answer) => answer.bytes().await.is_err(),
        Err(_) => true,
    };
    assert!(failed, "the connection is reset");
    server.faults.heal();
    assert!(server.get(&path).send().await.unwrap().bytes().await.unwrap() == content);
}

#[tokio::test]
async fn only_the_chunks_that_are_needed_are_read() {
    const CHUNK: usize = 256;
    let server = TestServer::start().await;
    let content = fixtures::read("elf-x86_64-gcc-dwarf5-none/calc.debug");
    let file = server.put_file(&server.account, Record { chunk_size: CHUNK, ..record(content.clone()) }).await;
    let object = object::File::parse(&*content).unwrap();
    let range = |name: &str| {
        let (at, size) = object.section_by_name(name).unwrap().file_range().unwrap();
        at as usize..(at + size) as usize
    };
    let table = u64::from_le_bytes(content[40..48].try_into().unwrap()) as usize;
    let lines = usize::from(u16::from_le_bytes(content[60..62].try_into().unwrap()));
    let needed = [0..64, table..table + 64 * lines, range(".shstrtab"), range(".debug_line")];
    let pieces = server.app.db.debug_file_pieces(file.id).await.unwrap();
    let mut lost = 0;
    for (number, piece) in pieces.iter().enumerate() {
        let here = number * CHUNK..(number + 1) * CHUNK;
        // Chunks of equal content are one.
        let same = |other: usize| pieces[other].key == piece.key;
        let wanted =
            |other: usize| needed.iter().any(|part| part.start < (other + 1) * CHUNK && other * CHUNK < part.end);
        if !(0..pieces.len()).any(|other| same(other) && wanted(other)) {
            assert!(!needed.iter().any(|part| part.start < here.end && here.start < part.end));
            server.faults.inject(Fault::Lost(BlobKey::from_row(&piece.key)));
            lost += 1;
        }
    }
    assert!(lost > 3, "{lost} of {} chunks", pieces.len());
    let answer = server.get(&path("ab", ".debug_line")).send().await.unwrap();
    assert!(answer.bytes().await.unwrap() == content[range(".debug_line")]);
}

#[tokio::test]
async fn files_that_lie_have_no_sections() {
    let server = TestServer::start().await;
    let honest = fixtures::read("elf-x86_64-gcc-dwarf5-none/calc.debug");
    let with = |at: usize, bytes: &[u8]| {
        let mut content = honest.clone();
        content[at..at + bytes.len()].copy_from_slice(bytes);
        content
    };
    let zlib = fixtures::read("elf-x86_64-gcc-dwarf5-zlib/calc.debug");
    let (at, size) = object::File::parse(&*zlib).unwrap().section_by_name(".debug_info").unwrap().file_range().unwrap();
    let mut damaged = zlib.clone();
    damaged[at as usize + 24..(at + size) as usize].fill(0xee);
    let mut promising = zlib.clone();
    promising[at as usize + 8..at as usize + 16].fill(0xff);
    let contents = [
        b"no ELF at all".to_vec(),
        honest[..64].to_vec(),
        honest[..20].to_vec(),
        with(40, &[0xff; 8]),
        with(40, &(honest.len() as u64 - 10).to_le_bytes()),
        with(58, &[0xff; 2]),
        with(58, &[0; 2]),
        with(60, &[0; 2]),
        with(62, &[0xfe, 0xff]),
        with(62, &[0xff; 2]),
        damaged,
        promising,
        fixtures::read("hostile/elf-zlib-chsize-huge.debug"),
    ];
    for (number, content) in contents.into_iter().enumerate() {
        let kind = if number % 2 == 0 { Kind::Debug } else { Kind::Executable };
        let file = server.put_file(&server.account, Record { kind, ..record(content) }).await;
        let answer = server.get(&path("ab", ".debug_info")).send().await;
        assert_eq!(answer.unwrap().status(), 404, "{number}");
        server.delete_file(&file.id.to_string()).await;
    }
    server.put_file(&server.account, record(honest)).await;
    assert_eq!(server.get(&path("ab", ".debug_info")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn no_change_of_a_header_or_table_does_harm() {
    let server = TestServer::start().await;
    let honest = fixtures::read("elf-x86_64-gcc-dwarf5-zlib/calc.debug");
    let table = u64::from_le_bytes(honest[40..48].try_into().unwrap()) as usize;
    // Plain arithmetic instead of chance, so that a failure comes again.
    let mut state = 1_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for round in 0..60 {
        let mut content = honest.clone();
        for _ in 0..=next(3) {
            let (start, length) = if next(3) == 0 { (16, 48) } else { (table, honest.len() - table) };
            let width = [1, 2, 4, 8][next(4)];
            let at = start + next(length - width);
            let byte = [0, 1, 0x7f, 0x80, 0xff][next(5)];
            content[at..at + width].fill(byte);
        }
        let file = server.put_file(&server.account, record(content)).await;
        for section in [".debug_info", ".debug_str", ".symtab"] {
            // What promises more than it has breaks off.
            if let Ok(answer) = server.get(&path("ab", section)).send().await {
                assert!(matches!(answer.status().as_u16(), 200 | 404), "{round} {section}: {}", answer.status());
            }
        }
        server.delete_file(&file.id.to_string()).await;
    }
    server.put_file(&server.account, record(honest)).await;
    assert_eq!(server.get(&path("ab", ".debug_info")).send().await.unwrap().status(), 200);
}
