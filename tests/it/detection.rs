//! What files are: every fixture is known for what it is, and nothing that is sent ever kills or confuses the server.

use std::collections::HashSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use symdepot::symcaches::sandbox::{Conversion, Detection, Hints, MappingFiles, ObjectInfo, Sandbox};

use crate::support::fixtures::{self, KnownObject, file_of, sandbox};

const GARBAGE: &str = "Invalid debug information file: unsupported object file format";

async fn detect(sandbox: &Sandbox, bytes: &[u8], hints: &Hints) -> Detection {
    sandbox.detect(&file_of(bytes), hints).await.expect("a file is never the reason for an error")
}

async fn rejection(bytes: &[u8], hints: &Hints) -> String {
    let found = detect(&sandbox(), bytes, hints).await;
    found.refusal().unwrap_or_else(|| panic!("{found:?}")).to_owned()
}

fn named(name: &str) -> Hints {
    Hints { name: name.to_owned(), debug_id: None }
}

/// What was found, in the form of what is known, without look-ups.
fn as_known(info: ObjectInfo) -> KnownObject {
    KnownObject {
        format: info.format,
        kind: info.kind,
        arch: info.cpu_name,
        debug_id: info.debug_id,
        debug_id_alias: info.debug_id_alias,
        code_id: info.code_id,
        features: info.features.words().into_iter().map(str::to_owned).collect(),
        object_name: info.object_name,
        note: info.note.is_some(),
        lookups: Default::default(),
    }
}

#[tokio::test]
async fn every_fixture_is_known_for_what_it_is() {
    let sandbox = sandbox();
    for (path, known) in fixtures::known() {
        let found = sandbox.detect(&fixtures::open(&path), &known.hints(&path)).await.expect(&path);
        match (found, known.refused) {
            (Detection::Objects(objects), None) => {
                let objects: Vec<_> = objects.into_iter().map(as_known).collect();
                let expected = known.objects.into_iter().map(|o| KnownObject { lookups: Default::default(), ..o });
                assert_eq!(objects, expected.collect::<Vec<_>>(), "{path}");
            }
            (found, expected) => assert_eq!(found.refusal(), expected.as_deref(), "{path}: {found:?}"),
        }
    }
}

#[tokio::test]
async fn a_request_may_add_the_age_of_an_id_and_nothing_else() {
    let sandbox = sandbox();
    let own = "4c4c442c-5555-3144-a176-e1e20aa6f22d";
    for (asked, expected) in [
        (format!("{own}-2a"), format!("{own}-2a")),
        (format!("{}2A", own.replace('-', "").to_uppercase()), format!("{own}-2a")),
        ("c8374b6d-6e96-34d8-ae38-efaa5fec424f".to_owned(), own.to_owned()),
        ("no id at all".to_owned(), own.to_owned()),
    ] {
        let hints = Hints { name: "calc".to_owned(), debug_id: Some(asked.clone()) };
        let file = fixtures::open("macho-arm64-llvm19/calc");
        let Detection::Objects(objects) = sandbox.detect(&file, &hints).await.expect("it is read") else {
            panic!("{asked} makes it refused")
        };
        assert_eq!(objects.iter().map(|o| o.debug_id.as_str()).collect::<Vec<_>>(), [expected], "{asked}");
    }
}

#[tokio::test]
async fn a_note_of_another_owner_is_no_build_id() {
    // Two kernels whose first note, that of Xen, is the same: each has the id of its GNU note.
    let sandbox = sandbox();
    let kernel = fixtures::read("elf-x86_64-xen-note/vmlinux");
    let gnu = hex::decode("f29fc012760ad4c069cb5d3d40283b071713116e").expect("a build id");
    let at = kernel.windows(20).position(|bytes| bytes == gnu).expect("the note is there");
    let mut other = kernel.clone();
    other[at] = 0;
    let mut without = kernel.clone();
    without[at - 4..at].copy_from_slice(b"XYZ\0");
    let mut ids = Vec::new();
    for bytes in [&kernel, &other, &without] {
        match detect(&sandbox, bytes, &named("vmlinux")).await {
            Detection::Objects(objects) => ids.push((objects[0].debug_id.clone(), objects[0].code_id.clone())),
            refused => panic!("{refused:?}"),
        }
    }
    let text = |index: usize| (ids[index].0.as_str().to_owned(), ids[index].1.as_ref().map(|id| id.to_string()));
    assert_eq!(
        text(0),
        (
            "12c09ff2-0a76-c0d4-69cb-5d3d40283b07".to_owned(),
            Some("f29fc012760ad4c069cb5d3d40283b071713116e".to_owned())
        )
    );
    assert_eq!(
        text(1),
        (
            "12c09f00-0a76-c0d4-69cb-5d3d40283b07".to_owned(),
            Some("009fc012760ad4c069cb5d3d40283b071713116e".to_owned())
        )
    );
    assert_eq!(text(2).1, None, "without a GNU note there is no code id");
    assert_ne!(ids[2].0.as_str(), "80000000-ffff-ffff-0000-000000000000", "and the note of Xen is not taken for one");
}

#[tokio::test]
async fn a_fat_file_has_as_many_objects_as_slices() {
    let universal = fixtures::read("macho-universal-llvm19/calc");
    let sandbox = sandbox();
    for slices in 0..=2 {
        let mut fat = universal.clone();
        fat[7] = slices;
        match detect(&sandbox, &fat, &named("calc")).await {
            Detection::Objects(objects) => assert_eq!(objects.len(), usize::from(slices)),
            refused => panic!("{slices}: {refused:?}"),
        }
    }
    let mut fat = universal.clone();
    fat[7] = 3;
    assert!(rejection(&fat, &named("calc")).await.starts_with("Invalid debug information file: "));
}

#[tokio::test]
async fn every_magic_alone_is_refused_with_a_sentence() {
    for magic in [
        &b"\x7fELF"[..],
        b"\xca\xfe\xba\xbe",
        b"\xcf\xfa\xed\xfe",
        b"\xce\xfa\xed\xfe",
        b"\xfe\xed\xfa\xcf",
        b"MZ",
        b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0",
        b"BSJB",
        b"\0asm",
        b"MODULE ",
        b"SYSB",
        b"PK\x03\x04",
        b"BCSymbolMap",
        b"<?xml",
        b"{",
        b"[",
    ] {
        for padding in [0, 8, 64, 4096] {
            let bytes = [magic, &vec![0; padding]].concat();
            if bytes.len() >= 16 && magic == b"\xca\xfe\xba\xbe" {
                // This one says that it has no slices, and that is the truth.
                assert_eq!(detect(&sandbox(), &bytes, &named("file")).await, Detection::Objects(Vec::new()));
                continue;
            }
            let reason = rejection(&bytes, &named("file")).await;
            assert!(!reason.contains("internal") && reason.len() > 10, "{magic:?} + {padding}: {reason}");
        }
        let reason = rejection(magic, &named("file")).await;
        if magic == b"PK\x03\x04" {
            assert!(reason.contains("this is a zip file"), "{reason}");
        } else if magic.len() < 11 && !magic.starts_with(b"<") && !magic.starts_with(b"{") && !magic.starts_with(b"[") {
            assert_eq!(reason, GARBAGE, "{magic:?}");
        }
    }
    assert_eq!(rejection(b"", &named("file")).await, "Invalid debug information file: the file is empty");
}

#[tokio::test]
async fn truncated_and_damaged_files_never_get_more_than_a_sentence() {
    let sandbox = sandbox();
    let mut random = StdRng::seed_from_u64(20_261_121);
    let mut seen = HashSet::new();
    for (path, known) in fixtures::known() {
        // One file of each sort is enough.
        if !seen.insert(known.objects.iter().map(|o| (o.format, o.kind, o.features.clone())).collect::<Vec<_>>()) {
            continue;
        }
        let hints = known.hints(&path);
        let whole = fixtures::read(&path);
        let mut cases: Vec<Vec<u8>> = [1, 2, 3].map(|quarter| whole[..whole.len() * quarter / 4].to_vec()).into();
        cases.push(whole[..random.random_range(1..whole.len())].to_vec());
        for flips in [1, 1, 16] {
            let mut damaged = whole.clone();
            for _ in 0..flips {
                // Headers matter most, so half of the damage is done there.
                let reach = if random.random() { whole.len() } else { whole.len().min(256) };
                damaged[random.random_range(0..reach)] ^= 1 << random.random_range(0..8);
            }
            cases.push(damaged);
        }
        for (index, bytes) in cases.iter().enumerate() {
            let file = file_of(bytes);
            match sandbox.detect(&file, &hints).await.unwrap_or_else(|error| panic!("{path} {index}: {error}")) {
                Detection::Rejected(reason) | Detection::SomethingElse(reason) => {
                    assert_sentence(&reason, &path, index);
                }
                Detection::Objects(objects) => {
                    for object in objects.iter().filter(|o| o.format.has_addresses()) {
                        let made = sandbox.convert(&file, &object.debug_id, &MappingFiles::default()).await;
                        match made.unwrap_or_else(|error| panic!("{path} {index}: {error}")) {
                            Conversion::Malformed(reason) => assert_sentence(&reason, &path, index),
                            Conversion::Made { .. } => {}
                        }
                    }
                }
            }
        }
    }
    let whole = sandbox.detect(&fixtures::open("elf-x86_64-gcc-dwarf4/calc"), &named("calc")).await;
    assert!(matches!(whole, Ok(Detection::Objects(_))), "the next file is read as ever");
}

fn assert_sentence(reason: &str, path: &str, case: usize) {
    let vague = reason.contains("internal") || reason.contains(".rs:") || reason.contains("/root") || reason.len() < 20;
    assert!(!vague && !reason.contains('\n'), "{path} {case}: {reason}");
}

#[tokio::test]
async fn objects_without_an_id_are_refused_and_told_what_to_do() {
    let mut elf = fixtures::read("elf-x86_64-gcc-dwarf4/calc")[..64].to_vec();
    elf[40..48].fill(0); // section headers
    elf[32..40].fill(0); // program headers
    elf[56] = 0;
    elf[60] = 0;
    elf[62] = 0;
    let reason = rejection(&elf, &named("calc")).await;
    assert_eq!(
        reason,
        "This elf file has no debug id, so that nothing could find it: link it with `-Wl,--build-id`, and upload it \
         again."
    );
    let mut macho = fixtures::read("macho-arm64-llvm19/calc");
    let uuid = hex::decode("4c4c442c55553144a176e1e20aa6f22d").expect("an id");
    let at = macho.windows(16).position(|bytes| bytes == uuid).expect("the id is there");
    macho[at..at + 16].fill(0);
    let reason = rejection(&macho, &named("calc")).await;
    assert!(reason.contains("link it without `-no_uuid`"), "{reason}");
}

#[tokio::test]
async fn a_file_that_kills_its_reader_is_refused_with_the_cause() {
    for (fault, cause) in [
        ("panic", "the converter stopped with \"a fault for a test\""),
        ("memory", "it needs more than 256 MiB of memory (setting `converter.memory`)"),
        ("deep", "it is nested too deeply"),
        ("abort", "the converter crashed (signal SIGABRT)"),
    ] {
        let mut settings = fixtures::settings();
        settings.test_fault = format!("detect-{fault}");
        let file = fixtures::open("elf-x86_64-gcc-dwarf4/calc");
        let found = Sandbox::new(settings).detect(&file, &named("calc")).await.expect("it is the file's fault");
        assert_eq!(found, Detection::Rejected(format!("The file cannot be read: {cause}.")));
    }
    let mut settings = fixtures::settings();
    settings.test_fault = "detect-hang".to_owned();
    settings.timeout = Duration::from_millis(300);
    let file = fixtures::open("elf-x86_64-gcc-dwarf4/calc");
    let found = Sandbox::new(settings).detect(&file, &named("calc")).await.expect("it is the file's fault");
    let reason = "The file cannot be read: it took longer than 300ms (setting `converter.timeout`).";
    assert_eq!(found, Detection::Rejected(reason.to_owned()));
}
