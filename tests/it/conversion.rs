//! Symcaches: a known address gives the known function, file, line and inlined callers, and a hostile file a reason.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::PathBuf;
use std::time::Duration;

use symbolic::symcache::SymCache;
use symdepot::symcaches::sandbox::{
    Conversion, Detection, FORMAT_VERSION, Hints, MappingFiles, Sandbox, SandboxError, SandboxSettings,
};
use symdepot::types::{DebugId, Features, Sha1};

use crate::support::fixtures::{self, file_of, sandbox, settings};

const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.debug";
const CALC_ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";
const HIDDEN: &str = "macho-arm64-hidden/calc.dSYM/Contents/Resources/DWARF/calc";
const HIDDEN_ID: &str = "4c4c44e1-5555-3144-a1c2-5b2a6556e497";

fn id(text: &str) -> DebugId {
    text.parse().expect("a debug id")
}

async fn convert_with(
    sandbox: &Sandbox,
    file: &File,
    debug_id: &DebugId,
    maps: &MappingFiles,
) -> Result<Vec<u8>, String> {
    match sandbox.convert(file, debug_id, maps).await.expect("a file is never the reason for an error") {
        Conversion::Made { mut file, size, sha1, .. } => {
            let mut bytes = Vec::new();
            file.rewind().expect("a temp file can be rewound");
            file.read_to_end(&mut bytes).expect("a temp file can be read");
            assert_eq!((bytes.len() as u64, Sha1::of(&bytes)), (size, sha1));
            Ok(bytes)
        }
        Conversion::Malformed(reason) => Err(reason),
    }
}

async fn convert(sandbox: &Sandbox, file: &File, debug_id: &DebugId) -> Result<Vec<u8>, String> {
    convert_with(sandbox, file, debug_id, &MappingFiles::default()).await
}

async fn failure(settings: SandboxSettings, bytes: &[u8], debug_id: &str) -> String {
    let result = convert(&Sandbox::new(settings), &file_of(bytes), &id(debug_id)).await;
    result.expect_err("it cannot be converted")
}

/// Frames at an address, innermost first, as in the known answers.
fn frames(symcache: &[u8], address: u64) -> Vec<String> {
    let symcache = SymCache::parse(symcache).expect("a symcache can be parsed");
    let frame = |location: symbolic::symcache::SourceLocation<'_, '_>| {
        let file = location.file().map(|file| file.full_path()).unwrap_or_default();
        format!("{} @ {file}:{}", location.function().name(), location.line())
    };
    symcache.lookup(address).map(frame).collect()
}

/// The same, as the newest reader sees it.
fn frames14(symcache: &[u8], address: u64) -> Vec<String> {
    let symcache = symbolic14::symcache::SymCache::parse(symcache).expect("the newest reader parses it too");
    let frame = |location: symbolic14::symcache::SourceLocation<'_, '_>| {
        let file = location.file().map(|file| file.full_path()).unwrap_or_default();
        format!("{} @ {file}:{}", location.function().name(), location.line())
    };
    symcache.lookup(address).map(frame).collect()
}

fn address(text: &str) -> u64 {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("an address in hexadecimal")
}

#[tokio::test]
async fn every_known_address_gives_the_known_frames() {
    let sandbox = sandbox();
    let mut lookups = 0;
    for (path, known) in fixtures::known() {
        for object in known.objects.iter().filter(|o| o.features.contains(&"debug".to_owned())) {
            if !object.format.has_addresses() {
                continue;
            }
            let file = fixtures::open(&path);
            let symcache = convert(&sandbox, &file, &object.debug_id).await.expect(&path);
            let again = convert(&sandbox, &file, &object.debug_id).await.expect(&path);
            assert_eq!(Sha1::of(&symcache), Sha1::of(&again), "{path}: the same bytes every time");
            let parsed = SymCache::parse(&symcache).expect(&path);
            assert_eq!(parsed.debug_id().to_string(), object.debug_id.as_str(), "{path}");
            assert_eq!(i64::from(parsed.version()), FORMAT_VERSION, "{path}");
            assert_eq!(parsed.arch().name(), object.arch, "{path}");
            for (at, expected) in &object.lookups {
                assert_eq!(&frames(&symcache, address(at)), expected, "{path} {at}");
                assert_eq!(&frames14(&symcache, address(at)), expected, "{path} {at} with the newest reader");
                lookups += 1;
            }
        }
    }
    assert!(lookups > 100, "only {lookups} look-ups are known");
}

#[tokio::test]
async fn the_age_of_the_request_stands_in_the_symcache() {
    let aged = id(&format!("{CALC_ID}-7"));
    let symcache = convert(&sandbox(), &fixtures::open(CALC), &aged).await.expect("it is converted");
    assert_eq!(SymCache::parse(&symcache).expect("it parses").debug_id().to_string(), aged.as_str());
}

#[tokio::test]
async fn an_object_that_is_not_in_the_file_is_a_reason() {
    let reason = failure(settings(), &fixtures::read(CALC), HIDDEN_ID).await;
    assert_eq!(reason, format!("The file cannot be converted: it holds no object with the id {HIDDEN_ID}."));
}

#[tokio::test]
async fn hidden_names_are_resolved_when_the_symbol_map_is_there() {
    let map = fixtures::open("bcsymbolmap/c8374b6d-6e96-34d8-ae38-efaa5fec424f.bcsymbolmap");
    let maps = MappingFiles { bcsymbolmap: Some(map), ..MappingFiles::default() };
    let symcache =
        convert_with(&sandbox(), &fixtures::open(HIDDEN), &id(HIDDEN_ID), &maps).await.expect("it is converted");
    assert_eq!(frames(&symcache, 0x370), ["main @ /src/fixture/free_main.c:3"]);
    assert_eq!(frames(&symcache, 0x390), ["fixture_crash_here @ /src/fixture/calc.c:16"]);
    assert_eq!(
        frames(&symcache, 0x3b8),
        [
            "square @ /src/fixture/calc.c:6",
            "sum_of_squares @ /src/fixture/calc.c:10",
            "fixture_calc_run @ /src/fixture/calc.c:21"
        ]
    );
}

#[tokio::test]
async fn lines_of_generated_code_become_lines_of_the_source() {
    let maps = MappingFiles { il2cpp: Some(fixtures::open("il2cpp/calc.json")), ..MappingFiles::default() };
    let symcache = convert_with(&sandbox(), &fixtures::open(CALC), &id(CALC_ID), &maps).await.expect("it is converted");
    assert_eq!(frames(&symcache, 0x1129), ["main @ /src/fixture/main.c:3"]);
    assert_eq!(
        frames(&symcache, 0x1158),
        ["square @ Assets/Calc.cs:105", "sum_of_squares @ Assets/Calc.cs:109", "calc_run @ Assets/Calc.cs:120"]
    );
}

#[tokio::test]
async fn a_name_map_that_cannot_be_read_is_left_out() {
    let garbage = || Some(file_of(b"garbage"));
    let maps = MappingFiles { bcsymbolmap: garbage(), il2cpp: garbage(), supplement: garbage() };
    let sandbox = sandbox();
    let with = convert_with(&sandbox, &fixtures::open(HIDDEN), &id(HIDDEN_ID), &maps).await;
    assert_eq!(with, convert(&sandbox, &fixtures::open(HIDDEN), &id(HIDDEN_ID)).await);
}

#[tokio::test]
async fn a_hostile_file_is_malformed_and_the_server_lives() {
    let sandbox = sandbox();
    for (path, words) in
        [("hostile/elf-zlib-chsize-huge.debug", "compressed bytes cannot"), ("hostile/pdb-alloc-abort.pdb", "")]
    {
        let file = fixtures::open(path);
        let Detection::Objects(objects) = sandbox.detect(&file, &Hints::default()).await.expect(path) else {
            panic!("{path} is not even detected")
        };
        let reason = convert(&sandbox, &file, &objects[0].debug_id).await.expect_err(path);
        assert!(reason.starts_with("The file cannot be converted: ") && reason.contains(words), "{path}: {reason}");
    }
    convert(&sandbox, &fixtures::open(CALC), &id(CALC_ID)).await.expect("the next file is converted as ever");
}

/// `elf` (64 bit, little endian) with other content in one of its sections, compressed as `method` says.
fn with_section(elf: &[u8], name: &str, method: u32, inflated: u64, packed: &[u8]) -> Vec<u8> {
    let number = |at: usize, length: usize| {
        elf[at..at + length].iter().rev().fold(0_usize, |value, byte| value << 8 | usize::from(*byte))
    };
    let (headers, count, names) = (number(0x28, 8), number(0x3c, 2), number(0x3e, 2));
    let header = |index: usize| headers + 64 * index;
    let names = number(header(names) + 0x18, 8);
    let section = (0..count).find(|index| {
        let name_at = names + number(header(*index), 4);
        elf[name_at..].starts_with(name.as_bytes()) && elf[name_at + name.len()] == 0
    });
    let header = header(section.unwrap_or_else(|| panic!("there is no {name}")));
    let mut changed = elf.to_vec();
    let content = [&method.to_le_bytes()[..], &[0; 4], &inflated.to_le_bytes(), &1_u64.to_le_bytes(), packed].concat();
    changed[header + 0x8..header + 0x10].copy_from_slice(&0x800_u64.to_le_bytes());
    changed[header + 0x18..header + 0x20].copy_from_slice(&(elf.len() as u64).to_le_bytes());
    changed[header + 0x20..header + 0x28].copy_from_slice(&(content.len() as u64).to_le_bytes());
    changed.extend(content);
    changed
}

#[tokio::test]
async fn sections_that_inflate_beyond_the_limit_are_refused_before_they_are_inflated() {
    const ZLIB: u32 = 1;
    const ZSTD: u32 = 2;
    let calc = fixtures::read(CALC);
    let size: u64 = 320 << 20;
    let bomb = zstd::encode_all(std::io::repeat(0).take(size), 1).expect("zeros can be compressed");
    assert!(bomb.len() < 100_000);
    let cannot = |reason: &str| format!("The file cannot be converted: {reason}.");
    let too_large = cannot(
        "its compressed sections inflate to 320 MiB, and it may use 256 MiB of memory (setting `converter.memory`)",
    );
    for section in [".debug_info", ".debug_str", ".debug_loc"] {
        let reason = failure(settings(), &with_section(&calc, section, ZSTD, size, &bomb), CALC_ID).await;
        assert_eq!(reason, too_large, "{section}");
    }
    let huge = with_section(&calc, ".debug_info", ZSTD, u64::MAX, &bomb);
    assert!(failure(settings(), &huge, CALC_ID).await.contains("256 MiB of memory"));
    let lie = with_section(&calc, ".debug_info", ZLIB, 1 << 30, &bomb);
    assert!(failure(settings(), &lie, CALC_ID).await.contains("compressed bytes cannot"));
    let unknown = with_section(&calc, ".debug_info", 7, 1000, &bomb);
    assert_eq!(
        failure(settings(), &unknown, CALC_ID).await,
        cannot("its section .debug_info is compressed in an unknown way; use zlib or zstd")
    );
    // A header that claims too little.
    let small = with_section(&calc, ".debug_info", ZSTD, 1000, &bomb);
    assert_eq!(
        failure(settings(), &small, CALC_ID).await,
        cannot("its section .debug_info cannot be inflated; it is damaged")
    );
    // Just below the limit it goes on, into the limit of the process or not: the bytes are zeros, which name nothing.
    let roomy = SandboxSettings { memory: 1 << 30, ..settings() };
    let file = file_of(&with_section(&calc, ".debug_str", ZSTD, size, &bomb));
    convert(&Sandbox::new(roomy), &file, &id(CALC_ID)).await.expect("there is memory for it");
}

#[tokio::test]
async fn what_a_valid_file_needs_beyond_the_limit_is_said() {
    // A gigabyte of nothing in a section that is inflated late, behind a header that claims what it is.
    let calc = fixtures::read(CALC);
    let size: u64 = 60 << 20;
    let bomb = zstd::encode_all(std::io::repeat(1).take(size), 1).expect("ones can be compressed");
    let file = with_section(&calc, ".debug_abbrev", 2, size, &bomb);
    let tight = SandboxSettings { memory: 64 << 20, ..settings() };
    let reason = failure(tight, &file, CALC_ID).await;
    assert_eq!(
        reason,
        "The file cannot be converted: it needs more than 64 MiB of memory (setting `converter.memory`)."
    );
}

#[tokio::test]
async fn a_converter_that_dies_is_a_reason_and_not_an_outage() {
    for (fault, cause) in [
        ("panic", "the converter stopped with \"a fault for a test\""),
        ("memory", "it needs more than 256 MiB of memory (setting `converter.memory`)"),
        ("deep", "it is nested too deeply"),
        ("abort", "the converter crashed (signal SIGABRT)"),
    ] {
        let faulty = SandboxSettings { test_fault: fault.to_owned(), ..settings() };
        let reason = failure(faulty, &fixtures::read(CALC), CALC_ID).await;
        assert_eq!(reason, format!("The file cannot be converted: {cause}."));
    }
    let slow = SandboxSettings {
        test_fault: "hang".to_owned(),
        timeout: Duration::from_millis(300),
        concurrency: 1,
        ..settings()
    };
    let sandbox = Sandbox::new(slow);
    for _ in 0..2 {
        let reason = convert(&sandbox, &fixtures::open(CALC), &id(CALC_ID)).await.expect_err("it never ends");
        assert_eq!(reason, "The file cannot be converted: it took longer than 300ms (setting `converter.timeout`).");
    }
}

#[tokio::test]
async fn a_fault_for_conversions_leaves_detections_alone() {
    let faulty = SandboxSettings { test_fault: "panic".to_owned(), ..settings() };
    let found = Sandbox::new(faulty).detect(&fixtures::open(CALC), &Hints::default()).await.expect("it is read");
    let Detection::Objects(objects) = found else { panic!("it is refused") };
    assert!(objects[0].features.contains(Features::DEBUG));
}

#[tokio::test]
async fn a_converter_that_cannot_be_run_is_an_error_to_try_again() {
    for program in ["/no/such/program", "/bin/false", "/bin/echo"] {
        let broken = SandboxSettings { program: PathBuf::from(program), ..settings() };
        let result = Sandbox::new(broken).convert(&fixtures::open(CALC), &id(CALC_ID), &MappingFiles::default()).await;
        assert!(matches!(result, Err(SandboxError::Run(_))), "{program}: {result:?}");
    }
}
