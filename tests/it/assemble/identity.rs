//! What a file is taken for, and which file a question means.

use serde_json::json;

use super::{CALC, error};
use crate::support::fixtures;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

const CALC_ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";
const THIN: &str = "macho-x86_64-llvm19/calc.dSYM/Contents/Resources/DWARF/calc";
const UNIVERSAL: &str = "macho-universal-llvm19/calc.dSYM/Contents/Resources/DWARF/calc";

/// A fat Mach-O file with one slice, or none.
fn fat(slice: Option<&[u8]>) -> Vec<u8> {
    const AT: u32 = 4096;
    let mut words: Vec<u32> = vec![0xcafe_babe, u32::from(slice.is_some())];
    if let Some(slice) = slice {
        // Processor, subtype, place, size, alignment as a power of two.
        words.extend([0x0100_0007, 3, AT, u32::try_from(slice.len()).unwrap(), 12]);
    }
    let mut bytes: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
    bytes.resize(AT as usize, 0);
    bytes.extend(slice.unwrap_or_default());
    bytes
}

#[tokio::test]
async fn a_fat_file_is_taken_with_one_slice_only() {
    let server = TestServer::start().await;
    let none = server.upload(&Upload::new("none", fat(None))).await;
    assert_eq!(none, error("Object contains 0 architectures (1 expected)"));
    let two = server.upload(&Upload::fixture(UNIVERSAL)).await;
    assert_eq!(two, error("Object contains 2 architectures (1 expected)"));
    let dif = server.upload_ok(&Upload::new("one", fat(Some(&fixtures::read(THIN))))).await;
    assert_eq!(
        (&dif["debugId"], &dif["cpuName"], &dif["symbolType"]),
        (&json!("4c4c44ce-5555-3144-a175-2259c838dfd4"), &json!("x86_64"), &json!("macho"))
    );
    assert_eq!(server.listed(&server.account).await, [dif]);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_file_without_an_id_is_refused_with_what_to_do() {
    let server = TestServer::start().await;
    let nil = Upload::new("calc.sym", format!("MODULE Linux x86_64 {} calc\n", "0".repeat(33)));
    let advice = "This breakpad file has no debug id, so that nothing could find it: make it from a binary that has a \
                  build id, and upload it again.";
    assert_eq!(server.upload(&nil).await, error(advice));
    assert_eq!(server.upload(&nil.debug_id(CALC_ID)).await, error(advice), "an id from outside is not taken");
    let dwo = Upload::fixture("elf-x86_64-clang-dwarf5-splitdwarf/calc.dwo");
    let advice = "This is a .dwo or .dwp file of split DWARF: it has no id of its own and cannot be read here. Build \
                  without -gsplit-dwarf and upload the executable or library.";
    assert_eq!(server.upload(&dwo).await, error(advice));
    assert!(server.listed(&server.account).await.is_empty());
}

#[tokio::test]
async fn the_client_may_add_the_age_of_an_id_and_nothing_else() {
    let server = TestServer::start().await;
    let calc = Upload::fixture(CALC);
    let asked_and_taken = [
        ("4EC932A9E89AF8CD96B5496A980E4EFE7", "4ec932a9-e89a-f8cd-96b5-496a980e4efe-7"),
        ("4ec932a9-e89a-f8cd-96b5-496a980e4efe-a", "4ec932a9-e89a-f8cd-96b5-496a980e4efe-a"),
        ("4ec932a9-e89a-f8cd-96b5-496a980e4eff", CALC_ID),
        ("abc", CALC_ID),
        ("-", CALC_ID),
    ];
    for (number, (asked, taken)) in (0..).zip(asked_and_taken) {
        let project = server.add_project(&format!("project-{number}")).await;
        let entry = server.upload_to(&project, &calc.clone().debug_id(asked)).await;
        assert_eq!((&entry["state"], &entry["dif"]["debugId"]), (&json!("ok"), &json!(taken)), "{asked}");
        assert_eq!(entry["dif"]["uuid"], taken[..36], "{asked}");
    }
}

#[tokio::test]
async fn a_proguard_mapping_under_another_id_is_another_file() {
    let server = TestServer::start().await;
    let first_id = "9d089309-27e9-5967-969a-c02c8ea5d81f";
    let second_id = "11111111-27e9-5967-969a-c02c8ea5d81f";
    let named = |id: &str| Upload::fixture("proguard/mapping.txt").name(&format!("/proguard/{id}.txt"));
    let first = server.upload_ok(&named(first_id)).await;
    assert_eq!(
        (&first["debugId"], &first["symbolType"], &first["objectName"], &first["data"]["features"]),
        (&json!(first_id), &json!("proguard"), &json!("proguard-mapping"), &json!(["mapping"]))
    );
    let second = server.upload_ok(&named(second_id)).await;
    assert_eq!((&second["debugId"], &second["sha1"]), (&json!(second_id), &first["sha1"]));
    // From now on each name means its own file, whatever is asked first.
    for _ in 0..2 {
        assert_eq!(server.ask(&server.account, &named(first_id)).await["dif"], first);
        assert_eq!(server.ask(&server.account, &named(second_id)).await["dif"], second);
        assert_eq!(server.peek(&server.account, &named(second_id)).await["dif"], second);
    }
    assert_eq!(server.listed(&server.account).await, [second, first]);
}

#[tokio::test]
async fn the_content_of_a_mapping_under_a_plain_name_is_the_mapping_that_is_there() {
    let server = TestServer::start().await;
    let plain = Upload::fixture("proguard/mapping.txt");
    assert_eq!(server.upload(&plain).await["state"], "error");
    let id = "9d089309-27e9-5967-969a-c02c8ea5d81f";
    let dif = server.upload_ok(&plain.clone().name(&format!("/proguard/mapping-{id}.txt"))).await;
    assert_eq!(server.ask(&server.account, &plain).await["dif"], dif);
}

#[tokio::test]
async fn a_map_under_another_id_is_another_file() {
    let server = TestServer::start().await;
    let map = Upload::fixture("il2cpp/calc.json");
    let first = server.upload_ok(&map.clone().debug_id(CALC_ID)).await;
    let other = map.clone().debug_id("4EC932A9E89AF8CD96B5496A980E4EFF0");
    let second = server.upload_ok(&other).await;
    assert_eq!(
        (&first["debugId"], &second["debugId"]),
        (&json!(CALC_ID), &json!("4ec932a9-e89a-f8cd-96b5-496a980e4eff"))
    );
    assert_eq!(server.listed(&server.account).await, [second, first]);
}

#[tokio::test]
async fn split_dwarf_is_ok_with_a_remark() {
    let server = TestServer::start().await;
    let entry = server.upload(&Upload::fixture("elf-x86_64-clang-dwarf5-splitdwarf/calc")).await;
    let detail = "The debug information of this file was split off into .dwo files, which cannot be read here: only \
                  function names are known there, no source files, lines or inlined functions. Build without \
                  -gsplit-dwarf and upload the file again.";
    assert_eq!((&entry["state"], &entry["detail"]), (&json!("ok"), &json!(detail)));
}
