//! Files that have nothing but a table of symbols, or labels that no debug information knows, or text with faults.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _};
use std::process::Command;

use symbolic::symcache::SymCache;

use symdepot_types::DebugId;

use crate::convert::{Failure, Means, NameMaps, convert};
use crate::detect::read_objects;

const MEMORY: u64 = 1 << 30;

fn folder(kind: &str) -> String {
    format!("{}/../../fixtures/files/field-reports/{kind}", env!("CARGO_MANIFEST_DIR"))
}

fn symcache(bytes: &[u8]) -> Vec<u8> {
    let tidied = crate::convert::breakpad::tidy(bytes);
    let objects = read_objects(&tidied.text, MEMORY).expect("it is an object");
    symcache_of(bytes, &objects[0].debug_id)
}

fn symcache_of(bytes: &[u8], debug_id: &DebugId) -> Vec<u8> {
    let mut file = tempfile::tempfile().expect("a temp file");
    let output = file.try_clone().expect("a second handle");
    let means = Means { memory: MEMORY, threads: 1 };
    match convert(bytes, debug_id, NameMaps::default(), means, output) {
        Ok(_) => {}
        Err(Failure::Input(reason)) => panic!("{reason}"),
        Err(Failure::Output(error)) => panic!("{error}"),
    }
    let mut symcache = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut symcache)).expect("it can be read");
    symcache
}

/// The frames of an offset, innermost first: readable names, files without folders, lines.
fn frames(symcache: &[u8], offset: u64) -> Vec<(String, Option<String>, u32)> {
    let table = SymCache::parse(symcache).expect("it is a symcache");
    let frame = |location: symbolic::symcache::SourceLocation<'_, '_>| {
        let (function, file) = (location.function(), location.file().map(|file| file.full_path()));
        let file = file.and_then(|path| path.rsplit('/').next().map(str::to_owned)).filter(|name| !name.is_empty());
        let name = symdepot_demangle::readable(function.name(), function.language()).into_owned();
        let line = if file.is_some() { location.line() } else { 0 };
        (name, file, line)
    };
    table.lookup(offset).map(frame).collect()
}

/// Spellings that are no difference: how lambdas, template arguments and clones are written.
fn plain(name: &str) -> String {
    let name = name.split(" [clone").next().unwrap_or(name);
    let name = name.split(" (.").next().unwrap_or(name);
    name.replace("{lambda(int)#1}", "'lambda'(int)").replace(" >", ">").replace("...", "")
}

fn answered_right(kind: &str, names: &[&str]) {
    let answers = fs::read_to_string(format!("{}/answers.json", folder(kind))).expect("answers");
    let answers: serde_json::Value = serde_json::from_str(&answers).expect("JSON");
    for name in names {
        let bytes = fs::read(format!("{}/{name}", folder(kind))).expect("the fixture is there");
        let table = symcache(&bytes);
        let expected = answers[name]["frames"].as_object().expect("frames");
        for (offset, expected) in expected {
            let at = u64::from_str_radix(offset.trim_start_matches("0x"), 16).expect("an offset");
            let found: Vec<_> = frames(&table, at).into_iter().map(|(n, f, l)| (plain(&n), f, l)).collect();
            let expected: Vec<(String, Option<String>, u32)> =
                serde_json::from_value(expected.clone()).expect("frames");
            let expected: Vec<_> = expected.into_iter().map(|(n, f, l)| (plain(&n), f, l)).collect();
            assert_eq!(found, expected, "{kind}/{name} at {offset}");
        }
    }
}

#[test]
fn a_table_of_symbols_alone_gives_names() {
    answered_right("symbols-only", &["symtab.so", "dynsym.so", "publics.sym"]);
}

#[test]
fn labels_without_a_type_name_code_that_nothing_else_covers() {
    answered_right("untyped-labels", &["lib.so"]);
}

#[test]
fn names_of_newer_compilers_are_readable() {
    let kind = "cxx20-names";
    let table = symcache(&fs::read(format!("{}/names.sym", folder(kind))).expect("the fixture is there"));
    let answers = fs::read_to_string(format!("{}/answers.json", folder(kind))).expect("answers");
    let answers: serde_json::Value = serde_json::from_str(&answers).expect("JSON");
    for (offset, names) in answers["names.sym"]["contains"].as_object().expect("names") {
        let at = u64::from_str_radix(offset.trim_start_matches("0x"), 16).expect("an offset");
        let found = frames(&table, at);
        assert!(found[0].0.contains(names[1].as_str().expect("a name")), "{offset}: {found:?} for {names}");
    }
}

#[test]
fn one_bad_record_of_breakpad_text_costs_that_record() {
    let read = |name: &str| symcache(&fs::read(format!("{}/{name}", folder("breakpad-one-bad-line"))).expect("there"));
    let frame = |name: &str, file: &str, line| (name.to_owned(), Some(file.to_owned()), line);
    for name in ["bad-line-number.sym", "latin1-path.sym", "nameless-inline.sym"] {
        let table = read(name);
        let inner = if name == "nameless-inline.sym" { "<name omitted>" } else { "inner(int)" };
        assert_eq!(
            frames(&table, 0x1014),
            [frame(inner, "inl.h", 3), frame("middle(int)", "inl.h", 5), frame("outer(int)", "a.c", 12)],
            "{name}"
        );
        let second = match name {
            "bad-line-number.sym" => ("second(int)".to_owned(), None, 0),
            _ => frame("second(int)", "a.c", 33),
        };
        assert_eq!(frames(&table, 0x1060), [second], "{name}");
        assert_eq!(frames(&table, 0x1084), [("pub_one".to_owned(), None, 0)], "{name}");
    }
}

#[test]
fn line_breaks_in_names_and_paths_are_gone() {
    let bytes = fs::read(format!("{}/lib.so", folder("broken-lines"))).expect("the fixture is there");
    let table = symcache(&bytes);
    let table = SymCache::parse(&table).expect("a symcache");
    assert!(table.functions().count() > 0);
    let control = |text: &str| text.contains(char::is_control);
    assert!(table.functions().all(|function| !control(function.name())));
    assert!(table.files().all(|file| !control(&file.full_path())));
}

/// Packs with the `xz` of this machine; without it there is nothing to test.
fn packed_by_xz(bytes: &[u8]) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("inner");
    fs::write(&path, bytes).expect("a file");
    let output = Command::new("xz").args(["-c", "-9"]).stdin(File::open(&path).ok()?).output().ok()?;
    output.status.success().then_some(output.stdout)
}

#[test]
fn a_packed_table_of_symbols_is_read_and_a_bomb_is_not() {
    let full = fs::read(format!("{}/symtab.so", folder("symbols-only"))).expect("the fixture is there");
    let Some(packed) = packed_by_xz(&full) else { return };
    let with_section = |section: &[u8]| super::mini::unpacked(section, 4 << 20);
    assert_eq!(with_section(&packed).as_deref(), Some(&full[..]));
    let mut bomb = b"\x7fELF".to_vec();
    bomb.resize(16 << 20, 0);
    let bomb = packed_by_xz(&bomb).expect("xz is there");
    assert!(bomb.len() < 1 << 20);
    assert_eq!(with_section(&bomb), None);
    assert_eq!(with_section(&packed[..packed.len() / 2]), None);
    assert_eq!(with_section(b"no xz at all"), None);
}

#[test]
fn every_known_address_of_every_fixture_keeps_its_frames() {
    let root = format!("{}/../../fixtures", env!("CARGO_MANIFEST_DIR"));
    let known = fs::read_to_string(format!("{root}/known.json")).expect("what is known");
    let known: serde_json::Value = serde_json::from_str(&known).expect("JSON");
    let (mut faults, mut compared) = (Vec::new(), 0);
    // Of these more is known now than is written there: lines of an executable whose `.dwo` is absent, and an inlined call
    // without a line.
    let better = |name: &str| name.contains("splitdwarf") || name.starts_with("wasm-");
    for (name, file) in known.as_object().expect("files").iter().filter(|(name, _)| !better(name)) {
        for object in file["objects"].as_array().into_iter().flatten() {
            let lookups = object["lookups"].as_object().filter(|lookups| !lookups.is_empty());
            let (Some(lookups), Some(id)) = (lookups, object["debug_id"].as_str()) else { continue };
            let bytes = fs::read(format!("{root}/files/{name}")).expect("the fixture is there");
            let table = symcache_of(&bytes, &id.parse().expect("an id"));
            let table = SymCache::parse(&table).expect("a symcache");
            for (address, expected) in lookups {
                let at = u64::from_str_radix(address.trim_start_matches("0x"), 16).expect("an address");
                let frame = |location: symbolic::symcache::SourceLocation<'_, '_>| {
                    let file = location.file().map(|file| file.full_path()).unwrap_or_default();
                    format!("{} @ {file}:{}", location.function().name(), location.line())
                };
                let found: Vec<_> = table.lookup(at).map(frame).collect();
                compared += 1;
                if serde_json::json!(found) != *expected {
                    faults.push(format!("{name} {address}: {found:?} and not {expected}"));
                }
            }
        }
    }
    assert!(compared > 100, "{compared}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
