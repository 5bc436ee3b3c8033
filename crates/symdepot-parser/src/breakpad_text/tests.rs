//! The text against that of Mozilla's `dump_syms`, and against the symcache of the same file.

use std::fs;
use std::io::{Read as _, Seek as _};

use symbolic::debuginfo::Object;
use symbolic::debuginfo::breakpad::BreakpadObject;
use symbolic::symcache::SymCacheConverter;

use super::*;
use crate::detect::read_objects;

const MEMORY: u64 = 1 << 30;

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/../../fixtures/files/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read(path).expect("the fixture is there")
}

fn text_of(bytes: &[u8], code: Option<&[u8]>, text: impl FnOnce(&mut BreakpadText)) -> String {
    let debug_id = read_objects(bytes, MEMORY).expect("an object").remove(0).debug_id;
    let mut says = BreakpadText { debug_id, code_id: None, name: "calc".to_owned(), code_file: None };
    text(&mut says);
    let mut file = tempfile::tempfile().expect("a temp file");
    let others = Others { unwinding: code, ..Others::default() };
    let made = dump(bytes, &says, others, MEMORY, file.try_clone().expect("a second handle"));
    assert!(made.is_ok(), "{made:?}");
    let mut text = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut text)).expect("it can be read");
    text
}

#[test]
fn the_text_is_that_of_dump_syms() {
    let dsym = "macho-arm64-llvm19/calc.dSYM/Contents/Resources/DWARF/calc";
    for (bytes, code, expected, name, code_id, code_file) in [
        (
            "elf-x86_64-gcc-dwarf4/calc.full",
            None,
            "calc-elf.sym",
            "calc.full",
            "a932c94e9ae8cdf896b5496a980e4efee5dad2fc",
            None,
        ),
        (
            dsym,
            Some("macho-arm64-llvm19/calc"),
            "calc-macho-arm64.sym",
            "calc",
            "4c4c442c55553144a176e1e20aa6f22d",
            None,
        ),
        (
            "pe-x86_64-llvm19/calc.pdb",
            Some("pe-x86_64-llvm19/calc.exe"),
            "calc-pe.sym",
            "calc.pdb",
            "d344b6704000",
            Some("calc.exe"),
        ),
    ] {
        let code = code.map(fixture);
        let text = text_of(&fixture(bytes), code.as_deref(), |says| {
            says.name = name.to_owned();
            says.code_id = Some(symdepot_types::CodeId::new(code_id));
            says.code_file = code_file.map(str::to_owned);
        });
        let expected = String::from_utf8(fixture(&format!("breakpad/{expected}"))).expect("text");
        // `dump_syms` leaves out a line that an inlined function had before, and lets that of another call go on instead.
        let expected = expected.replace("\n103b b 6 1\n", "\n103b 5 6 1\n1040 6 6 1\n");
        assert_eq!(text, expected, "{bytes}");
    }
}

#[test]
fn text_and_symcache_name_the_same_functions() {
    for name in [
        "field-reports/symbols-only/symtab.so",
        "field-reports/symbols-only/dynsym.so",
        "field-reports/untyped-labels/lib.so",
        "field-reports/broken-lines/lib.so",
        "elf-x86_64-gcc-dwarf5-zstd/calc.debug",
        "elf-armv7-clang-dwarf4/calc.full",
        "rust-inlines/shapes.debug",
        "pe-i686-llvm19/calc.pdb",
        "pe-x86_64-exports-llvm19/calc.dll",
    ] {
        let bytes = fixture(name);
        let object = read_objects(&bytes, MEMORY).expect("an object").remove(0);
        let means = Means { memory: MEMORY, threads: 1 };
        let mut own = Vec::new();
        let (converter, _) = table(&object.object, &object.debug_id, NameMaps::default(), means).expect("a table");
        converter.serialize(&mut own).expect("a vector takes everything");
        let text = text_of(&bytes, None, |_| {});
        let known = ["MODULE ", "INFO ", "FILE ", "INLINE_ORIGIN ", "FUNC ", "INLINE ", "PUBLIC ", "STACK "];
        let strange = |line: &&str| !known.iter().any(|word| line.starts_with(word)) && line.split(' ').count() != 4;
        assert_eq!(text.lines().find(strange), None, "{name}");

        let parsed = BreakpadObject::parse(text.as_bytes()).expect("Breakpad text");
        let mut converter = SymCacheConverter::new();
        converter.process_object(&Object::Breakpad(parsed)).expect("a table of the text");
        let mut read_back = Vec::new();
        converter.serialize(&mut read_back).expect("a vector takes everything");
        let frames = |table: &SymCache<'_>, at: u32| -> Vec<_> {
            let frame = |location: symbolic::symcache::SourceLocation<'_, '_>| {
                let file = location.file().map(|file| file.full_path());
                (names::readable(&location.function()), file, location.line())
            };
            table.lookup(u64::from(at)).map(frame).collect()
        };
        let (own, back) = (own, read_back);
        let (table, back) = (SymCache::parse(&own).expect("ours"), SymCache::parse(&back).expect("theirs"));
        for at in Ranges::read(&own).expect("ranges").iter() {
            let expected = frames(&table, at);
            if !expected.is_empty() {
                assert_eq!(frames(&back, at), expected, "{name} {at:#x}\n{text}");
            }
        }
    }
}
