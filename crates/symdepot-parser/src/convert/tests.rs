//! Symcaches of the files in `fixtures/files/field-reports`: each is one kind of file that toolchains make and that answers
//! have gone wrong for. The frames beside them are those of `llvm-symbolizer` and `addr2line`.

use std::fs;
use std::io::{Read as _, Seek as _};
use std::path::PathBuf;

use symbolic::demangle::demangle;
use symbolic::symcache::SymCache;

use super::*;
use crate::detect::read_objects;

const MEMORY: u64 = 1 << 30;

fn folder(kind: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/files/field-reports")).join(kind)
}

fn read(kind: &str, name: &str) -> Vec<u8> {
    fs::read(folder(kind).join(name)).expect("the fixture is there")
}

fn convert_with(bytes: &[u8], maps: NameMaps<'_>, threads: usize) -> Result<(Vec<u8>, Made), String> {
    let objects = read_objects(bytes, MEMORY).expect("it is an object");
    let mut file = tempfile::tempfile().expect("a temp file");
    let output = file.try_clone().expect("a second handle");
    match convert(bytes, &objects[0].debug_id, maps, Means { memory: MEMORY, threads }, output) {
        Ok(made) => {
            let mut symcache = Vec::new();
            file.rewind().expect("it can be rewound");
            file.read_to_end(&mut symcache).expect("it can be read");
            Ok((symcache, made))
        }
        Err(Failure::Input(reason)) => Err(reason),
        Err(Failure::Output(error)) => panic!("{error}"),
    }
}

fn symcache(bytes: &[u8]) -> (Vec<u8>, Made) {
    convert_with(bytes, NameMaps::default(), 1).expect("it is converted")
}

/// A name as it is compared: without parameters and scopes, which toolchains spell differently.
fn plain(name: &str) -> String {
    let (mut depth, mut plain) = (0, String::new());
    let readable = demangle(name);
    for c in readable.split(" [clone").next().unwrap_or_default().chars() {
        depth += i32::from(matches!(c, '(' | '<'));
        if depth == 0 {
            plain.push(c);
        }
        depth -= i32::from(matches!(c, ')' | '>'));
    }
    let plain = plain.trim().trim_end_matches(" const").trim();
    plain.rsplit([':', ' ']).next().unwrap_or_default().to_owned()
}

type Frame = (String, Option<String>, u32);

/// The frames of an offset: name, path of the file, line.
fn frames(symcache: &[u8], offset: u64) -> Vec<Frame> {
    let symcache = SymCache::parse(symcache).expect("it is a symcache");
    let frame = |location: symbolic::symcache::SourceLocation<'_, '_>| {
        let file = location.file().map(|file| file.full_path()).filter(|path| !path.is_empty());
        (location.function().name().to_owned(), file, location.line())
    };
    symcache.lookup(offset).map(frame).collect()
}

/// Compares a fixture with the frames beside it.
fn check(kind: &str, name: &str, symcache: &[u8]) {
    let answers: serde_json::Value = serde_json::from_slice(&read(kind, "answers.json")).expect("it is JSON");
    let expected = answers[name]["frames"].as_object().expect("frames are known");
    assert!(!expected.is_empty());
    let whole = kind == "relative-folder";
    for (offset, expected) in expected {
        let at = u64::from_str_radix(offset.trim_start_matches("0x"), 16).expect("an offset");
        let found: Vec<Frame> = frames(symcache, at)
            .into_iter()
            .map(|(name, file, line)| {
                let base = |path: String| path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
                (plain(&name), if whole { file } else { file.map(base) }, line)
            })
            .collect();
        let expected: Vec<Frame> = serde_json::from_value::<Vec<Frame>>(expected.clone())
            .expect("frames")
            .into_iter()
            .map(|(name, file, line)| (plain(&name), file, line))
            .collect();
        assert_eq!(found, expected, "{kind}/{name} at {offset}");
    }
}

fn converts_right(kind: &str, names: &[&str]) {
    for name in names {
        let bytes = read(kind, name);
        let (one, _) = symcache(&bytes);
        check(kind, name, &one);
        let (several, _) = convert_with(&bytes, NameMaps::default(), 4).expect("it is converted");
        assert_eq!(one, several, "{kind}/{name}: the same bytes, however many threads there are");
    }
}

#[test]
fn parts_of_a_function_far_from_its_entry_keep_its_name() {
    converts_right("cold-parts", &["lib.so"]);
}

#[test]
fn debug_information_names_a_function_before_symbols_do() {
    converts_right("symbol-aliases", &["lib.so"]);
}

#[test]
fn lines_without_a_function_have_the_name_of_the_symbol() {
    converts_right("line-table-only", &["g1.so", "asm.so"]);
}

#[test]
fn a_relative_compilation_folder_is_joined_once() {
    converts_right("relative-folder", &["lib.so"]);
}

#[test]
fn bit_0_of_a_thumb_symbol_is_no_address() {
    converts_right("thumb", &["lib.so"]);
}

#[test]
fn relocations_of_a_file_that_is_not_linked_are_applied() {
    converts_right("relocatable", &["dwarf4.ko", "dwarf5.ko"]);
}

#[test]
fn a_call_without_a_file_has_none() {
    converts_right("call-file-zero", &["lib.so"]);
}

#[test]
fn addresses_count_from_the_lowest_segment_with_the_code() {
    converts_right("segments-out-of-order", &["exe"]);
}

#[test]
fn names_of_mingw_keep_what_they_begin_with() {
    converts_right("mingw-names", &["app.exe"]);
}

#[test]
fn common_entries_of_dwz_are_read_from_their_file() {
    let (bytes, common) = (read("dwz", "lib.so"), read("dwz", "common.dwz"));
    let maps = NameMaps { supplementary: Some(&common), ..NameMaps::default() };
    let (with, _) = convert_with(&bytes, maps, 1).expect("it is converted");
    check("dwz", "lib.so", &with);
}

#[test]
fn without_the_common_file_of_dwz_no_name_is_empty() {
    let (without, _) = symcache(&read("dwz", "lib.so"));
    let answers: serde_json::Value = serde_json::from_slice(&read("dwz", "answers.json")).expect("it is JSON");
    for offset in answers["lib.so"]["frames"].as_object().expect("frames are known").keys() {
        let at = u64::from_str_radix(offset.trim_start_matches("0x"), 16).expect("an offset");
        let frames = frames(&without, at);
        assert!(!frames.is_empty() && frames.iter().all(|frame| !frame.0.is_empty()), "{offset}: {frames:?}");
    }
}

#[test]
fn code_too_far_from_the_image_base_is_left_out_and_counted() {
    let (symcache, made) = symcache(&read("far-code", "exe"));
    assert_eq!(plain(&frames(&symcache, 0x1000)[0].0), "main");
    let statistics = made.statistics.expect("it was counted");
    assert_eq!(statistics.left_out.len(), 1, "{statistics:?}");
    assert!(statistics.left_out[0].what.contains("4 GiB") && statistics.left_out[0].count == 1, "{statistics:?}");
}

/// Whatever bytes of a file are damaged, the rest is converted or there is a reason.
#[test]
fn damage_anywhere_never_stops_the_reader() {
    for (kind, name) in [("cold-parts", "lib.so"), ("relocatable", "dwarf5.ko"), ("line-table-only", "g1.so")] {
        let bytes = read(kind, name);
        let mut seed: u64 = 0x9e37_79b9_7f4a_7c15;
        for _ in 0..300 {
            let mut damaged = bytes.clone();
            for _ in 0..8 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = 64 + usize::try_from(seed >> 33).expect("31 bits") % (damaged.len() - 64);
                damaged[at] ^= u8::try_from(seed >> 24 & 0xff).expect("8 bits");
            }
            if read_objects(&damaged, MEMORY).is_ok_and(|objects| !objects.is_empty()) {
                let _ = convert_with(&damaged, NameMaps::default(), 1);
            }
        }
    }
}
