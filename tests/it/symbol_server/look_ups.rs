//! Look-ups of whole stacks in the shape of Eliot and samply: every credential that opens a base, whole answers for every
//! format, the same as look-ups in the symcache, and a sentence for whatever cannot be meant.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use insta::assert_json_snapshot;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use symbolic::symcache::SymCache;
use symdepot::blobs::{BlobKey, Fault};
use symdepot::types::Scope;
use wholesym::{FrameDebugInfo, LookupAddress, SymbolManager, SymbolManagerConfig};

use super::key;
use crate::support::converter::WatchedConverter;
use crate::support::fixtures::{self, Known};
use crate::support::server::TestServer;
use crate::support::until;
use crate::support::uploads::Upload;

const PATH: &str = "/symbols/default/default/symbolicate/v5";

const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.full";
const CALC_ID: &str = "4EC932A9E89AF8CD96B5496A980E4EFE0";
const SHAPES: &str = "rust-inlines/shapes.debug";
const DSYM: &str = "macho-arm64-llvm19/calc.dSYM/Contents/Resources/DWARF/calc";
const PDB: &str = "pe-x86_64-llvm19/calc.pdb";
const WASM: &str = "wasm-llvm19-dwarf5/calc.wasm";
const SYM: &str = "breakpad/calc-macho-arm64.sym";

async fn upload(server: &TestServer, fixture: &str) {
    let known: BTreeMap<String, Known> = fixtures::known();
    let hints = known[fixture].hints(fixture);
    server.upload_ok(&Upload::fixture(fixture).name(&hints.name)).await;
}

/// Asks with the default token.
async fn ask(server: &TestServer, question: &Value) -> Response {
    server.post(PATH).json(question).send().await.unwrap()
}

/// The answer to a question that must be answered.
async fn answer(server: &TestServer, question: &Value) -> Value {
    let response = ask(server, question).await;
    assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    response.json().await.unwrap()
}

/// Debug id of a fixture's first object as Breakpad writes it.
fn id_of(fixture: &str) -> String {
    fixtures::known()[fixture].objects[0].debug_id.breakpad()
}

/// The addresses that are known of a fixture's first object.
fn known_addresses(fixture: &str) -> Vec<u64> {
    // What is known of the code of a program is written beside its debug companion.
    let lookups = &fixtures::known()[&fixture.replace(".full", ".debug")].objects[0].lookups;
    lookups.keys().map(|address| u64::from_str_radix(address.trim_start_matches("0x"), 16).unwrap()).collect()
}

/// One job with one stack of these addresses of one module.
fn one_stack(name: &str, id: &str, addresses: &[u64]) -> Value {
    let stack: Vec<_> = addresses.iter().map(|address| json!([0, address])).collect();
    json!({ "memoryMap": [[name, id]], "stacks": [stack] })
}

#[tokio::test]
async fn frames_of_every_format_are_answered_with_their_inlines() {
    let server = TestServer::start().await;
    let mut answers = BTreeMap::new();
    for fixture in [CALC, SHAPES, DSYM, PDB, WASM] {
        upload(&server, fixture).await;
        let addresses = known_addresses(fixture);
        answers.insert(fixture, answer(&server, &one_stack("module", &id_of(fixture), &addresses)).await);
    }
    assert_json_snapshot!(answers);
}

#[tokio::test]
async fn each_module_of_many_jobs_fails_for_itself() {
    let server = TestServer::start().await;
    upload(&server, CALC).await;
    server.upload_ok(&Upload::fixture("elf-x86_64-gcc-dwarf5-none/calc")).await;
    let stripped = id_of("elf-x86_64-gcc-dwarf5-none/calc");
    let modules = json!([
        ["calc", CALC_ID],
        ["calc", CALC_ID.to_lowercase()],
        ["nobody.so", "00112233445566778899AABBCCDDEEFF0"],
        ["no id", "nonsense"],
        ["nil", "000000000000000000000000000000000"],
        ["", ""],
        ["stripped", stripped],
        ["not asked", "FF112233445566778899AABBCCDDEEFF0"],
    ]);
    let job = json!({
        "memoryMap": modules,
        "stacks": [[[0, 0x1158], [1, 0x1158], [2, 16], [3, 16], [4, 16], [5, 16], [6, 16]], [], [[-1, 66], [0, -1], [-1, -1]]],
    });
    let outside =
        json!({ "memoryMap": [["calc", CALC_ID]], "stacks": [[[0, 0], [0, 0x1_0000_1158u64], [0, i64::MAX]]] });
    let answer = answer(&server, &json!({ "jobs": [job, outside], "version": 5, "unknown": null })).await;
    assert_json_snapshot!(answer);
}

#[tokio::test]
async fn more_jobs_than_eliot_takes_are_answered_in_order() {
    let server = TestServer::start().await;
    upload(&server, CALC).await;
    let jobs: Vec<_> = (0..50u64).map(|number| one_stack("calc", CALC_ID, &[0x1129 + number])).collect();
    let together = answer(&server, &json!({ "jobs": jobs })).await;
    let results = together["results"].as_array().unwrap();
    assert_eq!(results.len(), jobs.len());
    for (number, result) in results.iter().enumerate() {
        let offset = format!("{:#x}", 0x1129 + number);
        assert_eq!(result["stacks"][0][0]["module_offset"], offset);
        assert_eq!(result["found_modules"], json!({ format!("calc/{CALC_ID}"): true }));
    }
    assert_eq!(answer(&server, &jobs[7]).await["results"][0], results[7], "a bare job is a job");
    assert_eq!(answer(&server, &json!({ "jobs": [] })).await, json!({ "results": [] }));
}

#[tokio::test]
async fn every_address_is_answered_as_the_symcache_does() {
    let server = TestServer::start().await;
    for fixture in [CALC, SHAPES, DSYM, PDB, SYM] {
        if fixture == SYM {
            // Of the same id as the dSYM, and newer.
            server.upload_ok(&Upload::fixture(SYM).name("calc.sym")).await;
        } else {
            upload(&server, fixture).await;
        }
        let id = fixtures::known()[fixture].objects[0].debug_id.clone();
        let bytes = server.symcache_bytes(&server.account, id.as_str()).await;
        let symcache = SymCache::parse(&bytes).unwrap();
        let known = known_addresses(fixture);
        let around = *known.iter().min().unwrap() & !0xff;
        let addresses: Vec<_> = (around..around + 4096).chain([0, 1, u64::from(u32::MAX), 1 << 40]).collect();
        let answer = answer(&server, &one_stack("m", &id.breakpad(), &addresses)).await;
        let frames = answer["results"][0]["stacks"][0].as_array().unwrap();
        assert_eq!(frames.len(), addresses.len());
        for (frame, address) in frames.iter().zip(&addresses) {
            let locations: Vec<_> = symcache.lookup(*address).collect();
            let place = |location: &symbolic::symcache::SourceLocation<'_, '_>| {
                let file = location.file().map(|file| file.full_path()).filter(|file| !file.is_empty());
                let line = Some(location.line()).filter(|line| *line > 0 && file.is_some());
                (json!(file), json!(line))
            };
            let Some((outermost, inlines)) = locations.split_last() else {
                assert_eq!(frame.get("function"), None, "{fixture} {address:#x}");
                continue;
            };
            assert_eq!((frame["file"].clone(), frame["line"].clone()), place(outermost), "{fixture} {address:#x}");
            let entry = u64::from(outermost.function().entry_pc());
            assert_eq!(frame["function_offset"], format!("{:#x}", address - entry), "{fixture} {address:#x}");
            let answered = frame["inlines"].as_array().cloned().unwrap_or_default();
            assert_eq!(answered.len(), inlines.len(), "{fixture} {address:#x}");
            for (answered, inline) in answered.iter().zip(inlines) {
                assert_eq!((answered["file"].clone(), answered["line"].clone()), place(inline));
            }
            if let Some(size) = frame.get("function_size") {
                let size = u64::from_str_radix(size.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
                let entry_at =
                    |address: u64| symcache.lookup(address).last().map(|l| u64::from(l.function().entry_pc()));
                assert_eq!(entry_at(entry + size - 1), Some(entry), "{fixture} {address:#x}: the last byte");
                assert_ne!(entry_at(entry + size), Some(entry), "{fixture} {address:#x}: behind the last byte");
            }
        }
    }
}

#[tokio::test]
async fn samply_says_the_same_of_the_same_file() {
    for fixture in [CALC, "rust-inlines/shapes.full"] {
        let server = TestServer::start().await;
        server.upload_ok(&Upload::fixture(fixture)).await;
        let samply = SymbolManager::with_config(SymbolManagerConfig::default());
        let samply = samply.load_symbol_map_for_binary_at_path(&fixtures::path(fixture), None).await.unwrap();
        let addresses = known_addresses(fixture);
        let id = id_of(&fixture.replace(".full", ".debug"));
        let answer = answer(&server, &one_stack("m", &id, &addresses)).await;
        for (frame, address) in answer["results"][0]["stacks"][0].as_array().unwrap().iter().zip(addresses) {
            let address = address as u32;
            let said = samply.lookup(LookupAddress::Relative(address)).await.unwrap();
            let mut frames = said.frames.unwrap();
            let outermost = frames.pop().unwrap();
            let inlines: Vec<_> = frames
                .iter()
                .map(|frame| json!({ "function": frame.function, "file": path_of(frame), "line": frame.line_number }))
                .collect();
            let mut expected = json!({
                "frame": frame["frame"],
                "module": "m",
                "module_offset": format!("{address:#x}"),
                "function": said.symbol.name,
                "function_offset": format!("{:#x}", address - said.symbol.address),
                "function_size": format!("{:#x}", said.symbol.size.unwrap()),
                "file": path_of(&outermost),
                "line": outermost.line_number,
            });
            if !inlines.is_empty() {
                expected["inlines"] = inlines.into();
            }
            assert_eq!(*frame, expected, "{fixture} {address:#x}");
        }
    }
}

fn path_of(frame: &FrameDebugInfo) -> Option<String> {
    frame.file_path.as_ref().map(|path| path.raw_path().to_owned())
}

#[tokio::test]
async fn an_answer_that_would_be_too_long_is_refused() {
    let server = TestServer::start().await;
    let name = "x".repeat(4096);
    let question = json!({ "memoryMap": [[name, CALC_ID]], "stacks": [vec![json!([0, 1]); 50_000]] });
    let refused = ask(&server, &question).await;
    assert_eq!(refused.status(), 400);
    let sentence = "The answer would be too long. Ask for fewer frames at a time.";
    assert_eq!(refused.json::<Value>().await.unwrap(), json!({ "detail": sentence }));
}

#[tokio::test]
async fn whoever_may_read_symbols_may_ask_and_nobody_else() {
    let server = TestServer::start().await;
    upload(&server, CALC).await;
    let account = &server.account;
    let question = one_stack("calc", CALC_ID, &[0x1158]);
    let expected = answer(&server, &question).await;
    assert_eq!(expected["results"][0]["stacks"][0][0]["function"], "calc_run");

    let reader = server.add_token(&account.organization, &[Scope::SymbolsRead], &[]).await;
    let key = key(&server, account).await;
    let post = |path: &str| server.request(Method::POST, path).json(&question);
    let organization = "/symbols/default/symbolicate/v5";
    for (what, request) in [
        ("a token", post(PATH).bearer_auth(&reader)),
        ("a token as password", post(PATH).basic_auth("anybody", Some(&reader))),
        ("a key", post(&format!("/symbols/default/default/key/{key}/symbolicate/v5"))),
        ("an organization", post(organization).bearer_auth(&reader)),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{what}");
        assert_eq!(response.json::<Value>().await.unwrap(), expected, "{what}");
    }
    let stranger = server.add_account("other", "app").await;
    let weak = server
        .add_token(&account.organization, &[Scope::SymbolsRead], &[&server.add_project("web").await.project])
        .await;
    for (what, request) in [
        ("nobody", post(PATH)),
        ("nobody of the organization", post(organization)),
        ("a stranger", post(PATH).bearer_auth(&stranger.token)),
        ("a token of another project", post(PATH).bearer_auth(&weak)),
        ("a wrong key", post("/symbols/default/default/key/sdkey_wrong/symbolicate/v5")),
        ("no such project", post("/symbols/default/none/symbolicate/v5").bearer_auth(&stranger.token)),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 404, "{what}");
        assert_eq!(response.headers()["access-control-allow-origin"], "*", "{what}");
    }
    let elsewhere = server.post("/symbols/default/web/symbolicate/v5").json(&question).send().await.unwrap();
    let elsewhere: Value = elsewhere.json().await.unwrap();
    assert_eq!(elsewhere["results"][0]["found_modules"], json!({ format!("calc/{CALC_ID}"): false }));
    server.app.db.set_public_symbols(account.project.id, true).await.unwrap();
    symdepot_moment(&server, &question).await;
}

/// Asks without a credential until the project is known to be public.
async fn symdepot_moment(server: &TestServer, question: &Value) {
    until("everybody may ask", || async {
        let response = server.request(Method::POST, PATH).json(question).send().await.unwrap();
        (response.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn pages_of_other_sites_may_ask() {
    let server = TestServer::start().await;
    let preflight = server.request(Method::OPTIONS, PATH).header("origin", "https://profiler.example");
    let preflight = preflight.header("access-control-request-method", "POST").send().await.unwrap();
    assert_eq!(preflight.status(), 204);
    for (header, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "POST, OPTIONS"),
        ("access-control-allow-headers", "authorization, content-type"),
    ] {
        assert_eq!(preflight.headers()[header], value);
    }
    for path in ["/symbols/default/default/buildid/ab/debuginfo", "/symbols/default/default/symbolicate/v4"] {
        for method in [Method::OPTIONS, Method::POST] {
            assert_eq!(server.request(method, path).send().await.unwrap().status(), 405, "{path}");
        }
    }
    assert_eq!(server.get(PATH).send().await.unwrap().status(), 404, "there is no such file");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_a_sentence() {
    let server = TestServer::start().await;
    let mut answers = Vec::new();
    for body in [
        "".to_owned(),
        "{\"jobs\": [{\"memoryMap\": []}]}".to_owned(),
        "{\"jobs\": 7}".to_owned(),
        "{}".to_owned(),
        one_stack("calc", CALC_ID, &[u64::MAX]).to_string(),
        json!({ "memoryMap": [], "stacks": [[[0, 0]]] }).to_string(),
        json!({ "memoryMap": [], "stacks": [[[-1, -2]]] }).to_string(),
        format!("{{\"memoryMap\":[],\"stacks\":[[{}[-1,0]]]}}", "[-1,0],".repeat(100_000)),
        "[".repeat(1 << 20),
    ] {
        let response = server.post(PATH).body(body).send().await.unwrap();
        answers.push((response.status().as_u16(), response.json::<Value>().await.unwrap()));
    }
    assert_json_snapshot!(answers);
    let too_large = server.post(PATH).body(vec![b' '; (8 << 20) + 1]).send().await.unwrap();
    assert_eq!(too_large.status(), 413);
}

#[tokio::test]
async fn a_symcache_that_is_not_there_is_built_once_for_all_who_ask() {
    let converter = WatchedConverter::new();
    let program = converter.program();
    let server = TestServer::builder().settings(|config| config.converter.program = program).start().await;
    upload(&server, CALC).await;
    for symcache in server.app.db.symcache_bytes_after("", 10).await.unwrap() {
        server.app.db.delete_symcache(symcache.id).await.unwrap();
    }
    let before = converter.conversions();
    let question = one_stack("calc", CALC_ID, &[0x1158]);
    let answers = join_all((0..8).map(|_| answer(&server, &question))).await;
    assert!(answers.iter().all(|answer| answer["results"][0]["stacks"][0][0]["function"] == "calc_run"));
    assert_eq!(converter.conversions() - before, 1);
}

#[tokio::test]
async fn a_symcache_whose_bytes_are_lost_is_had_again() {
    let server = TestServer::start().await;
    upload(&server, CALC).await;
    let question = one_stack("calc", CALC_ID, &[0x1158]);
    let key = async || BlobKey::from_row(&server.app.db.symcache_bytes_after("", 10).await.unwrap()[0].blob.key);
    server.app.blobs.delete(&[key().await]).await.unwrap();
    let found = answer(&server, &question).await;
    assert_eq!(found["results"][0]["stacks"][0][0]["function"], "calc_run");
    // What is open needs no bytes any more, and what cannot be opened is made anew for the next who asks.
    server.faults.inject(Fault::Flipped(key().await));
    assert_eq!(answer(&server, &question).await, found);
    let server = server.restart(|builder| builder).await;
    server.faults.inject(Fault::Flipped(BlobKey::from_row(
        &server.app.db.symcache_bytes_after("", 10).await.unwrap()[0].blob.key,
    )));
    let damaged = answer(&server, &question).await;
    assert_eq!(damaged["results"][0]["module_errors"][format!("calc/{CALC_ID}")][0]["name"], "NotYet");
    until("it is made anew", || async {
        let again = answer(&server, &question).await;
        (again == found).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_module_that_is_missed_is_on_the_list() {
    let server = TestServer::start().await;
    answer(&server, &one_stack("lib.so", "00112233445566778899AABBCCDDEEFF0", &[1])).await;
    let missing = server.get("/api/v1/projects/default/default/missing").send().await.unwrap();
    let missing: Value = missing.json().await.unwrap();
    let text = missing.to_string();
    assert!(text.contains("lib.so") && text.contains("symbolicate"), "{text}");
}
