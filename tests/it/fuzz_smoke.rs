//! The fuzz targets on stable Rust: real inputs, broken in many small ways, always the same ones. `fuzz/` searches on
//! its own with a nightly toolchain.

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::cell::Cell;
use std::io::{Cursor, Write as _};
use std::panic;
use std::sync::Once;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::support::fixtures;

/// Numbers that readers of sizes and offsets stumble over.
const AWKWARD: &[u32] = &[0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, u32::MAX];

thread_local! {
    /// Whether the last panic of this thread came from a library of other people.
    static NOT_OURS: Cell<bool> = const { Cell::new(false) };
}

/// Notes where panics come from. Libraries that read debug files do panic now and then, which is one reason for the
/// child process; `conversion.rs` and `detection.rs` show that it makes an answer of them. Our own code must not.
fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let library = info.location().is_some_and(|location| location.file().contains("/registry/src/"));
            NOT_OURS.set(library);
            if !library {
                before(info);
            }
        }));
    });
}

/// Hands every seed to `target`, and then `rounds` broken ones.
fn smoke(seeds: &[Vec<u8>], rounds: u64, target: fn(&[u8])) {
    note_panics();
    assert!(!seeds.is_empty(), "there is something to break");
    for seed in seeds {
        target(seed);
    }
    for round in 0..rounds {
        let mut chance = StdRng::seed_from_u64(round);
        let mut bytes = seeds[chance.random_range(0..seeds.len())].clone();
        for _ in 0..chance.random_range(1..=4) {
            damage(&mut bytes, seeds, &mut chance);
        }
        // The number of the round is what one needs to find a failure again.
        let input = bytes.clone();
        let outcome = panic::catch_unwind(move || target(&input));
        assert!(outcome.is_ok() || NOT_OURS.get(), "round {round} with {} bytes", bytes.len());
    }
}

/// Breaks `bytes` in one way.
fn damage(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], chance: &mut StdRng) {
    if bytes.is_empty() {
        bytes.push(chance.random());
        return;
    }
    // Headers decide more than content does.
    let reach = if chance.random_bool(0.5) { bytes.len().min(512) } else { bytes.len() };
    let at = chance.random_range(0..reach);
    let end = (at + chance.random_range(1..=64)).min(bytes.len());
    match chance.random_range(0..7) {
        0 => bytes[at] ^= 1 << chance.random_range(0..8),
        1 => bytes[at] = chance.random(),
        2 => {
            let number = AWKWARD[chance.random_range(0..AWKWARD.len())];
            let number = if chance.random() { number.to_le_bytes() } else { number.to_be_bytes() };
            bytes.iter_mut().skip(at).zip(number).for_each(|(byte, new)| *byte = new);
        }
        3 => bytes.truncate(at),
        4 => drop(bytes.drain(at..end)),
        5 => {
            let copy = bytes[at..end].to_vec();
            bytes.splice(at..at, copy);
        }
        _ => {
            let other = &seeds[chance.random_range(0..seeds.len())];
            let from = chance.random_range(0..=other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..(from + 4096).min(other.len())]);
        }
    }
}

#[test]
fn a_body_is_read_the_same_however_it_is_cut_and_broken() {
    let parts = "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\\\"b\"\r\n\r\ncontent\r\n-\r\n--C\r\n\
        --B \t\r\ncontent-disposition:form-data;name=file_gzip\r\nX-Y: z\r\n\r\n\x1f\r\n--B--\r\n";
    let seeds: Vec<Vec<u8>> = [1, 2, 3, 7, 16, 255]
        .into_iter()
        .flat_map(|step| {
            [parts.to_owned(), format!("preamble\r\n{parts}epilogue"), parts.repeat(3)].map(|body| (step, body))
        })
        .map(|(step, body)| [vec![step], body.into_bytes()].concat())
        .collect();
    smoke(&seeds, 20_000, targets::multipart);
}

#[test]
fn an_assemble_request_is_read_the_same_however_it_is_cut_and_broken() {
    let (one, other) = ("da39a3ee5e6b4b0d3255bfef95601890afd80709", "a9993e364706816aba3e25717850c26c9cd0d89d");
    let bodies = [
        format!(r#"{{"{one}": {{"name": "calc.debug", "chunks": ["{one}", "{other}"]}}}}"#),
        format!(
            r#"{{"{one}":{{"name":"a\u0000\ud83d\ude00é\"\\","debug_id":"c8374b6d-6e96-34d8","chunks":[]}},
            "{other}":{{"name":"b","chunks":["{one}"],"more":[1.5e-7,true,null,{{"x":[]}}]}}}}"#
        ),
        format!(r#"{{"lol": 1, "{one}": [], "{other}": {{"name": 1, "chunks": [0, "zz"], "debug_id": null}}}}"#),
        format!(r#"[[{{"it's": "\"'"}}, -0.0, 1E4], "{}"]"#, "x".repeat(300)),
        String::new(),
    ];
    let seeds: Vec<Vec<u8>> = [1, 3, 64]
        .into_iter()
        .flat_map(|step| bodies.clone().map(|body| [vec![step], body.into_bytes()].concat()))
        .collect();
    smoke(&seeds, 20_000, targets::assemble);
}

#[test]
fn a_broken_debug_file_is_refused_with_a_reason_or_taken_with_an_id() {
    let files = fixtures::known().into_keys().filter(|path| !path.starts_with("hostile/"));
    let seeds: Vec<_> = files.map(|path| fixtures::read(&path)).collect();
    smoke(&seeds, 20_000, targets::detection);
}

#[test]
fn a_section_of_a_broken_file_lies_in_the_file_and_is_found_within_bounds() {
    let files =
        fixtures::known().into_keys().filter(|path| path.starts_with("elf-") || path.starts_with("hostile/elf-"));
    let seeds: Vec<_> = files.map(|path| fixtures::read(&path)).collect();
    smoke(&seeds, 20_000, targets::section);
}

#[test]
fn a_broken_debug_file_is_converted_the_same_by_one_thread_and_by_several() {
    let files = fixtures::known()
        .into_keys()
        .filter(|path| ["elf-", "macho-", "wasm-"].iter().any(|start| path.starts_with(start)));
    let seeds: Vec<_> = files.map(|path| fixtures::read(&path)).collect();
    smoke(&seeds, 2_000, targets::conversion);
}

#[test]
fn a_broken_zip_gives_no_more_than_it_may() {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in [("a/calc.sym", vec![b'x'; 5000]), ("../b", b"out".to_vec()), ("c\\..\\d", Vec::new())] {
        zip.start_file(name, SimpleFileOptions::default()).expect("an entry can begin");
        zip.write_all(&content).expect("an entry can be written");
    }
    zip.add_directory("folder", SimpleFileOptions::default()).expect("a folder can be added");
    let mut bomb = ZipWriter::new(Cursor::new(Vec::new()));
    bomb.start_file("bomb", SimpleFileOptions::default()).expect("an entry can begin");
    bomb.write_all(&vec![0; 3 << 20]).expect("an entry can be written");
    let seeds = [
        zip.finish().expect("a zip can end").into_inner(),
        bomb.finish().expect("a zip can end").into_inner(),
        fixtures::read("sourcebundle/calc.src.zip"),
    ];
    smoke(&seeds, 10_000, targets::zip);
}

fn crashes(names: &[&str]) -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/crashes");
    names.iter().map(|name| std::fs::read(folder.join(name)).expect("a fixture can be read")).collect()
}

#[test]
fn a_broken_dump_is_walked_within_its_limits_or_refused() {
    let dumps = ["nolibc/cfi-null.dmp", "nolibc/cfi-signal.dmp", "threads/threads.dmp", "breakpad-windows/windows.dmp"];
    smoke(&crashes(&dumps), 2_000, targets::walk);
}

#[test]
fn a_broken_crash_report_is_read_within_its_limits_or_refused() {
    smoke(&crashes(&["apple/calc.crash", "apple/calc.ips"]), 10_000, targets::report);
}

#[test]
fn a_broken_name_is_read_or_left_as_it_is() {
    let names = [
        "_ZN4llvm12handleErrorsIJZN5clang8cross_tu27CrossTranslationUnitContext20importDefinitionImplINS1_12FunctionDeclEEENS_8\
         ExpectedIPKT_EES9_PNS1_7ASTUnitEEUlRKNS1_11ImportErrorEE_EEENS_5ErrorESH_DpOT_",
        "_Z4req2IiEiT_QeqstS0_Li4E",
        "_ZZ1fvENKUlTyT_E_clIiEEDaS_",
        "_ZNK3foo3barIJidEEEDTcl1gspfp_EEDpOT_",
        "_Z1fM1AKFvvERA5_iPFivE",
        "??$nttp@$MH04@@YAHH@Z",
        "??__MOps@@QEBAHAEBU0@@Z",
        "_RNvMsr_NtCs3ssYzQotkvD_3std4pathNtB5_7PathBuf3new",
        "_ZN6shapes5boxes17h0123456789abcdefE",
    ];
    let seeds: Vec<_> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
    smoke(&seeds, 20_000, targets::demangle);
}

/// Events of the worked cases of grouping.
fn events() -> Vec<Vec<u8>> {
    let cases: serde_json::Value =
        serde_json::from_str(include_str!("../../fixtures/events/grouping-cases.json")).expect("the cases are JSON");
    let cases = cases["cases"].as_array().expect("there are cases");
    cases.iter().map(|case| case["event"].to_string().into_bytes()).collect()
}

#[test]
fn a_broken_envelope_keeps_the_grammar_or_is_refused() {
    let seeds: Vec<Vec<u8>> = events()
        .into_iter()
        .map(|event| {
            let head =
                format!("{{\"event_id\":\"{}\"}}\n{{\"type\":\"event\",\"length\":{}}}\n", "7".repeat(32), event.len());
            let rest = b"\n{\"type\":\"attachment\",\"length\":3}\natt\n{\"type\":\"session\"}\n{}\n".to_vec();
            [head.into_bytes(), event, rest].concat()
        })
        .collect();
    smoke(&seeds, 20_000, targets::envelope);
}

#[test]
fn a_broken_event_is_refused_by_both_readers_or_stored_the_same_twice() {
    smoke(&events(), 10_000, targets::event);
}

#[test]
fn broken_rules_are_read_or_refused_with_their_line() {
    let seeds = [
        include_bytes!("../../crates/symdepot-events/src/grouping/builtin_rules.txt").to_vec(),
        b"type:A level:fatal -> db-down, {{ transaction }} title=\"DB {{ type }}\"\n!message:\"a \\\" b*\" -> {{ default }} x".to_vec(),
        b"[ function:a ] | module:b | [ app:yes ] +app v-group max-frames=3".to_vec(),
    ];
    smoke(&seeds, 10_000, targets::rules);
}
