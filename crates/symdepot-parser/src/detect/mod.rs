//! From bytes and hints to what a file is. It trusts the name only for `ProGuard`, and content for all else.

mod bcsymbolmap;
mod dart;
pub(crate) mod elf;
mod il2cpp;
mod name_map;
mod objects;
mod proguard;
mod split_dwarf;
mod uuidmap;
mod wasm;

use symdepot_types::child_protocol::{Detection, Hints, ObjectInfo};

pub(crate) use objects::{Read, chain, read_objects};

/// Says what a file is. `memory` is what one section of it may inflate to, in bytes.
pub fn detect(bytes: &[u8], hints: &Hints, memory: u64) -> Detection {
    match inspect(bytes, hints, memory) {
        Ok(objects) => Detection::Objects(objects),
        Err(reason) if is_something_else(bytes, hints) => Detection::SomethingElse(reason),
        Err(reason) => Detection::Rejected(reason),
    }
}

fn inspect(bytes: &[u8], hints: &Hints, memory: u64) -> Result<Vec<ObjectInfo>, String> {
    if let Some(mapping) = proguard::by_name(&hints.name) {
        return Ok(vec![mapping]);
    }
    if let Some(encoding) = encoding_of_breakpad(bytes) {
        return Err(format!(
            "Invalid debug information file: the Breakpad text {encoding}. Save it as UTF-8 without a byte order mark, and \
             upload it again."
        ));
    }
    match bytes {
        [] => Err("Invalid debug information file: the file is empty".to_owned()),
        [b'B', b'C', b'S', b'y', b'm', b'b', b'o', b'l', b'M', b'a', b'p', ..] => {
            bcsymbolmap::read(bytes, hints).map(|map| vec![map])
        }
        [b'<', b'?', b'x', b'm', b'l', ..] => uuidmap::read(bytes, hints).map(|map| vec![map]),
        [b'{', ..] => il2cpp::read(bytes, hints).map(|map| vec![map]),
        [b'[', ..] => dart::read(bytes, hints).map(|map| vec![map]),
        [b'P', b'K', 3, 4, ..] => {
            Err("Invalid debug information file: this is a zip file, and files inside a zip are read \
             only if they are not zips themselves. Unpack it, and upload the files that are in it."
                .to_owned())
        }
        _ => objects::read(bytes, hints, memory),
    }
}

/// What stands before the first record of Breakpad text that is not written in UTF-8, or has a byte order mark.
fn encoding_of_breakpad(bytes: &[u8]) -> Option<&'static str> {
    const MODULE: &str = "MODULE";
    let wide = |order: fn(u16) -> [u8; 2]| MODULE.encode_utf16().flat_map(order).collect::<Vec<_>>();
    let begins = |mark: &[u8], text: &[u8]| bytes.strip_prefix(mark).unwrap_or(bytes).starts_with(text);
    if bytes.strip_prefix(b"\xef\xbb\xbf").is_some_and(|text| text.starts_with(MODULE.as_bytes())) {
        Some("begins with a byte order mark (BOM)")
    } else if begins(b"\xff\xfe", &wide(u16::to_le_bytes)) {
        Some("is written in UTF-16 (little-endian)")
    } else if begins(b"\xfe\xff", &wide(u16::to_be_bytes)) {
        Some("is written in UTF-16 (big-endian)")
    } else {
        None
    }
}

/// Whether a file that is refused is none that anybody took for a debug file. Property lists and JSON are everywhere: one
/// is meant as a name map only if an id comes with it.
fn is_something_else(bytes: &[u8], hints: &Hints) -> bool {
    match bytes {
        [] => true,
        [b'B', b'C', b'S', b'y', b'm', b'b', b'o', b'l', b'M', b'a', b'p', ..] => false,
        [b'<', b'?', b'x', b'm', b'l', ..] | [b'{' | b'[', ..] => hints.debug_id.is_none(),
        // Packages of every kind are zips; only one that is called so was meant to be unpacked.
        [b'P', b'K', 3, 4, ..] => !hints.name.to_ascii_lowercase().ends_with(".zip"),
        _ if encoding_of_breakpad(bytes).is_some() => false,
        _ => objects::is_unknown(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "c8374b6d-6e96-34d8-ae38-efaa5fec424f";

    fn reason(bytes: &[u8], name: &str, debug_id: Option<&str>) -> String {
        let hints = Hints { name: name.to_owned(), debug_id: debug_id.map(str::to_owned) };
        let found = detect(bytes, &hints, 1 << 20);
        found.refusal().unwrap_or_else(|| panic!("{found:?}")).to_owned()
    }

    #[test]
    fn what_nobody_takes_for_a_debug_file_is_told_apart_from_what_is_broken() {
        let hints = |debug_id: Option<&str>| Hints { name: "a".to_owned(), debug_id: debug_id.map(str::to_owned) };
        let something_else =
            |bytes: &[u8], debug_id| matches!(detect(bytes, &hints(debug_id), 1 << 20), Detection::SomethingElse(_));
        for bytes in [&b""[..], b"just some text, longer than any magic", b"\x7fELF", b"MZ"] {
            assert!(something_else(bytes, None) && something_else(bytes, Some(ID)), "{bytes:?}");
        }
        for bytes in [&b"<?xml version"[..], b"{\"a\":", b"[1, 2]"] {
            assert!(something_else(bytes, None) && !something_else(bytes, Some(ID)), "{bytes:?}");
        }
        let broken_elf = [&b"\x7fELF\x02\x01\x01\0"[..], &[0xff; 64]].concat();
        for bytes in [&b"BCSymbolMap"[..], &broken_elf] {
            assert!(!something_else(bytes, None), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_debug_file_is_refused_with_the_known_sentences() {
        let garbage = "Invalid debug information file: unsupported object file format";
        assert_eq!(reason(b"", "a", None), "Invalid debug information file: the file is empty");
        assert_eq!(reason(b"just some text, longer than any magic", "a", None), garbage);
        for magic in
            [&b"\x7fELF"[..], b"MZ", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe", b"\0asm", b"MODULE ", b"SYSB", b"BSJB"]
        {
            assert_eq!(reason(magic, "a", None), garbage, "{magic:?}");
        }
        assert_eq!(reason(b"BCSymbolMap", "a", None), "Missing debug_id for BCSymbolMap");
        assert_eq!(
            reason(b"BCSymbolMap Version: 3.0\n", "a", Some(ID)),
            "Invalid BCSymbolMap: no valid BCSymbolMap header was found"
        );
        assert_eq!(reason(b"{", "a", None), "Missing debug_id for il2cpp");
        assert_eq!(reason(b"[", "a", None), "Missing debug_id for dartsymbolmap");
        assert_eq!(
            reason(br#"["a","b","c"]"#, "a", Some(ID)),
            "dartsymbolmap array must have an even number of elements"
        );
        assert!(reason(b"{\"a\":", "a", Some(ID)).starts_with("Invalid il2cpp: "));
        assert!(reason(b"[1, 2]", "a", Some(ID)).starts_with("Invalid dartsymbolmap: "));
        assert!(reason(b"[1] 2", "a", Some(ID)).starts_with("Invalid dartsymbolmap: "));
        assert_eq!(reason(b"<?xml", "calc.plist", None), "Invalid UuidMap: invalid debug identifier");
        assert!(reason(b"<?xml", "a", Some(ID)).starts_with("Invalid UuidMap: Invalid XML"));
        assert!(reason(b"{}", "a", Some("no id")).starts_with("Invalid debug_id for il2cpp: "));
    }

    #[test]
    fn breakpad_text_of_another_encoding_is_refused_by_its_name() {
        let utf_16 = |order: fn(u16) -> [u8; 2]| "MODULE Linux".encode_utf16().flat_map(order).collect::<Vec<_>>();
        for (bytes, named) in [
            (b"\xef\xbb\xbfMODULE Linux x86_64 ".to_vec(), "BOM"),
            ([b"\xff\xfe".as_slice(), &utf_16(u16::to_le_bytes)].concat(), "UTF-16 (little-endian)"),
            ([b"\xfe\xff".as_slice(), &utf_16(u16::to_be_bytes)].concat(), "UTF-16 (big-endian)"),
            (utf_16(u16::to_le_bytes), "UTF-16 (little-endian)"),
        ] {
            assert!(reason(&bytes, "a.sym", None).contains(named), "{named}");
            let hints = Hints { name: "a.sym".to_owned(), debug_id: None };
            assert!(matches!(detect(&bytes, &hints, 1 << 20), Detection::Rejected(_)), "{named}");
        }
        let garbage = "Invalid debug information file: unsupported object file format";
        assert_eq!(reason(b"\xef\xbb\xbfjust some text, longer than any magic", "a", None), garbage);
    }

    #[test]
    fn a_zip_is_named_and_refused_if_it_was_meant_to_be_unpacked() {
        let hints = |name: &str| Hints { name: name.to_owned(), debug_id: None };
        let zip = b"PK\x03\x04 and the rest of it";
        assert!(reason(zip, "symbols.zip", None).contains("this is a zip file"));
        assert!(matches!(detect(zip, &hints("a/Symbols.ZIP"), 1 << 20), Detection::Rejected(_)));
        assert!(matches!(detect(zip, &hints("app.jar"), 1 << 20), Detection::SomethingElse(_)));
    }

    #[test]
    fn name_maps_take_the_id_of_the_request_and_normalize_it() {
        let hints = Hints { name: "x".to_owned(), debug_id: Some(ID.to_uppercase().replace('-', "")) };
        for bytes in [&b"BCSymbolMap Version: 2.0\nmain\n"[..], b"{}", b"[]", br#"["a","b"]"#] {
            let Detection::Objects(objects) = detect(bytes, &hints, 1 << 20) else { panic!("{bytes:?} is refused") };
            assert_eq!(objects.len(), 1);
            assert_eq!(objects[0].debug_id.as_str(), ID);
        }
    }
}
