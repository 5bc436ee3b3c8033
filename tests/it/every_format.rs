//! Every fixture takes the whole way: chunks, assembly, answer, and the symcache that a known address is looked up in.

use serde_json::{Value, json};
use symbolic::symcache::SymCache;

use crate::support::fixtures::{self, Known, KnownObject};
use crate::support::server::{Account, TestServer};
use crate::support::uploads::Upload;

#[tokio::test]
async fn every_fixture_ends_as_what_it_is_or_with_the_reason_why_not() {
    let server = TestServer::start().await;
    for (number, (path, known)) in fixtures::known().into_iter().enumerate() {
        // A project each, because files of one id make each other redundant.
        let account = server.add_project(&format!("fixture-{number}")).await;
        let hints = known.hints(&path);
        let mut upload = Upload::new(&hints.name, fixtures::read(&path)).chunk_size(16 << 10);
        if let Some(debug_id) = &hints.debug_id {
            upload = upload.debug_id(debug_id);
        }
        let entry = server.upload_to(&account, &upload).await;
        match known.objects.as_slice() {
            [object] => {
                assert_eq!(entry["state"], "ok", "{path}: {entry}");
                assert_eq!(described(&entry["dif"]), expected(object), "{path}");
                assert_eq!(entry["detail"].is_string(), object.note, "{path}: {entry}");
                look_up(&server, &account, &path, object).await;
            }
            objects => {
                assert_eq!(entry["state"], "error", "{path}: {entry}");
                assert_eq!(entry["detail"], reason(&known, objects.len()), "{path}");
            }
        }
    }
    assert_eq!(server.fsck().await, Vec::<String>::new());
}

fn reason(known: &Known, objects: usize) -> String {
    let several = format!("Object contains {objects} architectures (1 expected)");
    known.refused.clone().unwrap_or(several)
}

/// What an answer says of a file, as far as the file itself decides it.
fn described(dif: &Value) -> Value {
    json!({
        "symbolType": dif["symbolType"],
        "debugId": dif["debugId"],
        "codeId": dif["codeId"],
        "cpuName": dif["cpuName"],
        "data": dif["data"],
    })
}

fn expected(object: &KnownObject) -> Value {
    json!({
        "symbolType": object.format,
        "debugId": object.debug_id,
        "codeId": object.code_id,
        "cpuName": object.arch,
        "data": { "type": object.kind, "features": object.features },
    })
}

/// Fetches the symcache by every id of the file and looks the known addresses up in it.
async fn look_up(server: &TestServer, account: &Account, path: &str, object: &KnownObject) {
    for id in [Some(&object.debug_id), object.debug_id_alias.as_ref()].into_iter().flatten() {
        let answer = server.get(&format!("{}{id}", account.symcaches_path())).send().await.unwrap();
        let has = |wanted: &str| object.features.iter().any(|feature| feature == wanted);
        let expected: &[u16] = match object.format.has_addresses() {
            true if has("debug") => &[200],
            // Names of its table of symbols, if one of them is in the code.
            true if has("symtab") => &[200, 422],
            _ => &[422],
        };
        assert!(expected.contains(&answer.status().as_u16()), "{path} by {id}: {}", answer.status());
        // A vector, because a symcache is read where it begins at a multiple of eight.
        let bytes = answer.bytes().await.unwrap().to_vec();
        for (address, frames) in &object.lookups {
            let address = u64::from_str_radix(address.trim_start_matches("0x"), 16).unwrap();
            assert_eq!(found(&bytes, address), *frames, "{path} at {address:#x}");
        }
    }
}

/// Frames at an address, innermost first, as in the known answers.
fn found(symcache: &[u8], address: u64) -> Vec<String> {
    let symcache = SymCache::parse(symcache).unwrap();
    let frames = symcache.lookup(address).map(|location| {
        let file = location.file().map(|file| file.full_path()).unwrap_or_default();
        format!("{} @ {file}:{}", location.function().name(), location.line())
    });
    frames.collect()
}
