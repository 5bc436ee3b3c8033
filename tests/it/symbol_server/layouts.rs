//! The layouts that name one file in each path: every one for every format, in every casing, and nothing for any other
//! path.

use reqwest::{Method, Response};
use symdepot::types::{Features, Format, Kind, Scope};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{BUILD_ID, key};
use crate::support::fixtures;
use crate::support::queries::Queries;
use crate::support::records::Record;
use crate::support::server::{Account, TestServer};
use crate::support::uploads::Upload;

const BASE: &str = "/symbols/default/default/";

const ELF: &str = "elf-x86_64-gcc-dwarf4/calc";
const ELF_DEBUG: &str = "elf-x86_64-gcc-dwarf4/calc.debug";
const ELF_SYM: &str = "breakpad/calc-elf.sym";
const SOURCES: &str = "sourcebundle/calc.src.zip";
const IL2CPP: &str = "il2cpp/calc.json";
const PE: &str = "pe-x86_64-llvm19/calc.exe";
const PDB: &str = "pe-x86_64-llvm19/calc.pdb";
const PE_SYM: &str = "breakpad/calc-pe.sym";
const DOTNET: &str = "ppdb-mono/calc.exe";
const PORTABLE_PDB: &str = "ppdb-mono/calc.pdb";
const MACHO: &str = "macho-arm64-llvm19/calc";
const DSYM: &str = "macho-arm64-llvm19/calc.dSYM/Contents/Resources/DWARF/calc";
const MACHO_SYM: &str = "breakpad/calc-macho-arm64.sym";
const WASM: &str = "wasm-llvm19-dwarf5/calc.wasm";
const UUID_MAP: &str = "bcsymbolmap/2d10c42f-591d-3265-b147-78ba0868073f.plist";
const BC_SYMBOL_MAP: &str = "bcsymbolmap/c8374b6d-6e96-34d8-ae38-efaa5fec424f.bcsymbolmap";
const PROGUARD: &str = "proguard/mapping.txt";

/// Paths and the files they mean, by layout.
const SSQP: [(&str, &str); 9] = [
    ("calc.exe/D344B6704000/calc.exe", PE),
    ("calc.pdb/5433B924E30A5F8D4C4C44205044422E1/calc.pdb", PDB),
    ("calc.exe/000000008000/calc.exe", DOTNET),
    ("calc.pdb/0F1E2D3C4B5A69788796A5B4C3D2E1F0ffffffff/calc.pdb", PORTABLE_PDB),
    ("calc.pdb/0F1E2D3C4B5A69788796A5B4C3D2E1F00/calc.pdb", PORTABLE_PDB),
    ("calc/elf-buildid-a932c94e9ae8cdf896b5496a980e4efee5dad2fc/calc", ELF),
    ("_.debug/elf-buildid-sym-a932c94e9ae8cdf896b5496a980e4efee5dad2fc/_.debug", ELF_DEBUG),
    ("calc/mach-uuid-4c4c442c55553144a176e1e20aa6f22d/calc", MACHO),
    ("_.dwarf/mach-uuid-sym-4c4c442c55553144a176e1e20aa6f22d/_.dwarf", DSYM),
];
const BREAKPAD: [(&str, &str); 4] = [
    ("calc/4EC932A9E89AF8CD96B5496A980E4EFE0/calc.sym", ELF_SYM),
    ("calc.pdb/5433B924E30A5F8D4C4C44205044422E1/calc.sym", PE_SYM),
    ("calc/4C4C442C55553144A176E1E20AA6F22D0/calc.sym", MACHO_SYM),
    ("calc/4EC932A9E89AF8CD96B5496A980E4EFE0/calc.src.zip", SOURCES),
];
const UNIFIED: [(&str, &str); 18] = [
    ("54/33b924e30a5f8d4c4c44205044422e1/executable", PE),
    ("54/33b924e30a5f8d4c4c44205044422e1/debuginfo", PDB),
    ("54/33b924e30a5f8d4c4c44205044422e1/breakpad", PE_SYM),
    ("0f/1e2d3c4b5a69788796a5b4c3d2e1f00/executable", DOTNET),
    ("0f/1e2d3c4b5a69788796a5b4c3d2e1f00/debuginfo", PORTABLE_PDB),
    ("a9/32c94e9ae8cdf896b5496a980e4efee5dad2fc/executable", ELF),
    ("a9/32c94e9ae8cdf896b5496a980e4efee5dad2fc/debuginfo", ELF_DEBUG),
    ("a9/32c94e9ae8cdf896b5496a980e4efee5dad2fc/breakpad", ELF_SYM),
    ("a9/32c94e9ae8cdf896b5496a980e4efee5dad2fc/sourcebundle", SOURCES),
    ("a9/32c94e9ae8cdf896b5496a980e4efee5dad2fc/il2cpp", IL2CPP),
    ("4c/4c442c55553144a176e1e20aa6f22d/executable", MACHO),
    ("4c/4c442c55553144a176e1e20aa6f22d/debuginfo", DSYM),
    ("4c/4c442c55553144a176e1e20aa6f22d/breakpad", MACHO_SYM),
    ("14/096e44287195204c521ae1e8f1c26c6d3dac55ed/executable", WASM),
    ("14/096e44287195204c521ae1e8f1c26c/debuginfo", WASM),
    ("2d/10c42f591d3265b14778ba0868073f/uuidmap", UUID_MAP),
    ("c8/374b6d6e9634d8ae38efaa5fec424f/bcsymbolmap", BC_SYMBOL_MAP),
    ("9d/08930927e95967969ac02c8ea5d81f/proguard", PROGUARD),
];
const NATIVE: [(&str, &str); 7] = [
    ("a9/32c94e9ae8cdf896b5496a980e4efee5dad2fc", ELF),
    ("a9/32c94e9ae8cdf896b5496a980e4efee5dad2fc.debug", ELF_DEBUG),
    ("a9/32c94e9ae8cdf896b5496a980e4efee5dad2fc.src.zip", SOURCES),
    ("14/096e44287195204c521ae1e8f1c26c.debug", WASM),
    ("4C4C/442C/5555/3144/A176/E1E20AA6F22D.app", MACHO),
    ("4C4C/442C/5555/3144/A176/E1E20AA6F22D", DSYM),
    ("09/6E44287195204C521AE1E8F1C26C6D.debug", WASM),
];

pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    SSQP.into_iter().chain(BREAKPAD).chain(UNIFIED).chain(NATIVE)
}

/// A server that has every file of the tables, uploaded as a pipeline does.
pub async fn with_everything() -> TestServer {
    let server = TestServer::builder().settings(|config| config.symbols.key_rate = 0).start().await;
    let known = fixtures::known();
    let mut files: Vec<_> = all().map(|(_, fixture)| fixture).collect();
    files.sort_unstable();
    files.dedup();
    for fixture in files {
        let hints = known[fixture].hints(fixture);
        let upload = Upload::fixture(fixture).name(&hints.name);
        server.upload_ok(&Upload { debug_id: hints.debug_id, ..upload }).await;
    }
    server
}

/// Asks for a path below the base of the default project.
async fn ask(server: &TestServer, path: &str) -> Response {
    server.get(&format!("{BASE}{path}")).send().await.unwrap()
}

/// The status of the answer to a path as it is, which no client has brought into order.
async fn status_of(server: &TestServer, path: &str) -> u16 {
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap();
    let token = &server.account.token;
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: depot\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{path}: {answer}"))
}

#[tokio::test]
async fn every_file_is_found_in_every_layout_that_has_it_in_every_casing() {
    let server = with_everything().await;
    for (path, fixture) in all() {
        let content = fixtures::read(fixture);
        for path in [path.to_owned(), path.to_lowercase(), path.to_uppercase()] {
            let answer = ask(&server, &path).await;
            assert_eq!(answer.status(), 200, "{path}");
            assert_eq!(answer.content_length(), Some(content.len() as u64), "{path}");
            assert_eq!(answer.headers()["content-type"], "application/octet-stream", "{path}");
            assert!(answer.bytes().await.unwrap() == content, "{path} is {fixture}");
        }
    }
}

#[tokio::test]
async fn a_file_of_a_layout_has_validators_and_ranges() {
    let server = with_everything().await;
    let (path, fixture) = SSQP[1];
    let path = format!("{BASE}{path}");
    let content = fixtures::read(fixture);
    let head = server.head(&path).send().await.unwrap();
    assert_eq!((head.status().as_u16(), &head.headers()["content-length"]), (200, &content.len().into()));
    let etag = head.headers()["etag"].clone();
    let same = server.get(&path).header("if-none-match", etag).send().await.unwrap();
    assert_eq!(same.status(), 304);
    let part = server.get(&path).header("range", "bytes=100-199").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert!(part.bytes().await.unwrap() == content[100..200]);
    let post = server.post(&path).send().await.unwrap();
    assert_eq!(post.status(), 405);
}

#[tokio::test]
async fn a_code_id_leads_to_the_symbols_under_the_debug_id() {
    let server = with_everything().await;
    let key = key(&server, &server.account).await;
    let cases = [
        ("calc.exe/D344B6704000/calc.sym", "../../calc.pdb/5433B924E30A5F8D4C4C44205044422E1/calc.sym", PE_SYM),
        (
            "calc/A932C94E9AE8CDF896B5496A980E4EFEE5DAD2FC/calc.sym",
            "../../calc/4EC932A9E89AF8CD96B5496A980E4EFE0/calc.sym",
            ELF_SYM,
        ),
        (
            "calc/4c4c442c55553144a176e1e20aa6f22d/calc.sym",
            "../../calc/4C4C442C55553144A176E1E20AA6F22D0/calc.sym",
            MACHO_SYM,
        ),
    ];
    for base in [BASE.to_owned(), format!("{BASE}key/{key}/")] {
        for (path, location, fixture) in cases {
            let url = reqwest::Url::parse(&format!("{}{base}{path}?code_file=x&code_id=y", server.url)).unwrap();
            let token = &server.account.token;
            let answer = server.http.get(url.clone()).bearer_auth(token).send().await.unwrap();
            assert_eq!(answer.status(), 302, "{path}");
            assert_eq!(answer.headers()["location"], location, "{path}");
            let symbols = server.http.get(url.join(location).unwrap()).bearer_auth(token).send().await.unwrap();
            assert!(symbols.bytes().await.unwrap() == fixtures::read(fixture), "{path}");
        }
    }
    assert_eq!(ask(&server, "calc.exe/D344B6705000/calc.sym").await.status(), 404);
    // The debug id is worth knowing although there are no symbols here: another server may have them.
    let without = ask(&server, "calc.exe/000000008000/calc.sym").await;
    assert_eq!(without.headers()["location"], "../../calc.pdb/0F1E2D3C4B5A69788796A5B4C3D2E1F00/calc.sym");
}

#[tokio::test]
async fn a_portable_pdb_is_found_whatever_its_time_stamp() {
    let server = TestServer::start().await;
    let portable = Record {
        format: Format::PortablePdb,
        ..Record::new("app.pdb", "3249d99d-0c40-4931-8610-f4e4fb0b6936-deadbeef")
    };
    server.put_file(&server.account, portable).await;
    for id in [
        "3249d99d0c4049318610f4e4fb0b6936FFFFFFFF",
        "3249D99D0C4049318610F4E4FB0B6936ffffffff",
        "3249d99d0c4049318610f4e4fb0b6936deadbeef",
        "3249d99d0c4049318610f4e4fb0b69360",
        "3249d99d0c4049318610f4e4fb0b69361",
        "3249d99d0c4049318610f4e4fb0b69365f3e1a2b",
    ] {
        assert_eq!(ask(&server, &format!("app.pdb/{id}/app.pdb")).await.text().await.unwrap(), "app.pdb", "{id}");
        let unified = format!("{}/{}/debuginfo", &id[..2], &id[2..]);
        assert_eq!(ask(&server, &unified).await.text().await.unwrap(), "app.pdb", "{unified}");
    }
    let bare = ask(&server, "32/49d99d0c4049318610f4e4fb0b6936/debuginfo").await;
    assert_eq!(bare.text().await.unwrap(), "app.pdb");
    for other in ["3249d99d0c4049318610f4e4fb0b69370", "3249d99d0c4049318610f4e4fb0b6937ffffffff"] {
        assert_eq!(ask(&server, &format!("app.pdb/{other}/app.pdb")).await.status(), 404, "{other}");
        assert_eq!(ask(&server, &format!("{}/{}/debuginfo", &other[..2], &other[2..])).await.status(), 404, "{other}");
    }
}

#[tokio::test]
async fn a_native_pdb_is_found_by_its_own_age_alone() {
    let server = TestServer::start().await;
    let native = Record { format: Format::Pdb, ..Record::new("app.pdb", "3249d99d-0c40-4931-8610-f4e4fb0b6936-2") };
    server.put_file(&server.account, native).await;
    for (age, status) in [("2", 200), ("1", 404), ("0", 404), ("5f3e1a2b", 404)] {
        let id = format!("3249d99d0c4049318610f4e4fb0b6936{age}");
        assert_eq!(ask(&server, &format!("app.pdb/{id}/app.pdb")).await.status(), status, "{age}");
        assert_eq!(ask(&server, &format!("32/{}/debuginfo", &id[2..])).await.status(), status, "{age}");
    }
}

#[tokio::test]
async fn a_short_build_id_is_found_filled_up_with_zeros() {
    let server = TestServer::start().await;
    let md5 = "180a373d6afbabf0eb1f09be1bc45b00";
    for (name, code_id, number, kind) in [
        ("short.so", md5, 1, Kind::Library),
        ("short.so.debug", md5, 1, Kind::Debug),
        ("fast.so", "180a373d6afbabf1", 2, Kind::Library),
        ("long.so", "280a373d6afbabf0eb1f09be1bc45bd700000000", 3, Kind::Library),
    ] {
        let id = format!("3249d99d-0c40-4931-8610-{number:012}");
        let record = Record { code_id: Some(code_id.to_owned()), kind, ..Record::new(name, &id) };
        server.put_file(&server.account, record).await;
    }
    for (path, name) in [
        ("short.so/elf-buildid-180a373d6afbabf0eb1f09be1bc45b0000000000/short.so", "short.so"),
        ("short.so/elf-buildid-180a373d6afbabf0eb1f09be1bc45b00/short.so", "short.so"),
        ("_.debug/elf-buildid-sym-180A373D6AFBABF0EB1F09BE1BC45B0000000000/_.debug", "short.so.debug"),
        ("fast.so/elf-buildid-180a373d6afbabf1000000000000000000000000/fast.so", "fast.so"),
        ("long.so/elf-buildid-280a373d6afbabf0eb1f09be1bc45bd700000000/long.so", "long.so"),
    ] {
        assert_eq!(ask(&server, path).await.text().await.unwrap(), name, "{path}");
    }
    for nobody in ["180a373d6afbabf0eb1f09be1bc45b0100000000", "0000000000000000000000000000000000000000"] {
        assert_eq!(ask(&server, &format!("a/elf-buildid-{nobody}/a")).await.status(), 404, "{nobody}");
    }
}

#[tokio::test]
async fn of_files_with_one_time_stamp_and_size_the_name_decides() {
    let server = TestServer::start().await;
    let record = |name: &str, number: u32| Record {
        code_id: Some("000000008000".to_owned()),
        format: Format::Pe,
        kind: Kind::Library,
        features: Features::SYMTAB,
        ..Record::new(name, &format!("3249d99d-0c40-4931-8610-{number:012}"))
    };
    for (number, name) in ["one.dll", "two.dll", "three.dll"].into_iter().enumerate() {
        server.put_file(&server.account, record(name, number as u32)).await;
    }
    for (asked, found) in [("ONE.dll", "one.dll"), ("two.dll", "two.dll"), ("renamed.dll", "three.dll")] {
        assert_eq!(ask(&server, &format!("{asked}/000000008000/{asked}")).await.text().await.unwrap(), found);
        let symbols = ask(&server, &format!("{asked}/000000008000/{asked}.sym")).await;
        let id = match found {
            "one.dll" => 0,
            "two.dll" => 1,
            _ => 2,
        };
        let location = symbols.headers()["location"].to_str().unwrap();
        assert!(location.contains(&format!("/3249D99D0C4049318610{id:012}0/")), "{asked}: {location}");
    }
}

#[tokio::test]
async fn what_a_store_of_files_has_beside_files_is_answered_without_a_look() {
    let server = TestServer::start().await;
    let questions = Queries::listen();
    ask(&server, "calc.pdb/5433B924E30A5F8D4C4C44205044422E1/calc.pdb").await;
    assert!(questions.take().iter().any(|asked| asked.starts_with("db.debug_files")), "a file is looked for");
    for (path, status) in [
        ("pingme.txt", 200),
        ("index2.txt", 404),
        ("000Admin/lastid.txt", 404),
        ("calc.pdb/5433B924E30A5F8D4C4C44205044422E1/file.ptr", 404),
        ("calc.exe/D344B6704000/file.ptr", 404),
        ("calc.pdb/5433B924E30A5F8D4C4C44205044422E1/calc.pd_", 404),
        ("calc.exe/D344B6704000/calc.ex_", 404),
        ("calc.pdb/000000000000000000000000000000000/calc.sym", 404),
    ] {
        assert_eq!(ask(&server, path).await.status(), status, "{path}");
        let asked = questions.take();
        assert!(!asked.iter().any(|asked| asked.starts_with("db.debug_files")), "{path}: {asked:?}");
    }
}

#[tokio::test]
async fn no_other_path_means_a_file() {
    let server = with_everything().await;
    let long = "x".repeat(300);
    for path in [
        "",
        "/",
        "calc.exe",
        "calc.exe/D344B6704000",
        "calc.exe/D344B6704000/",
        "calc.exe/D344B6704000/other.exe",
        "calc.exe/D344B6704000/calc.exe/",
        "calc.exe//D344B6704000/calc.exe",
        "ca/calc.exe/D344B6704000/calc.exe",
        "calc.pdb/5433B924E30A5F8D4C4C44205044422E2/calc.pdb",
        "calc.pdb/5433B924E30A5F8D4C4C44205044422F1/calc.pdb",
        "calc.pdb/D344B6704000/calc.pdb",
        "calc.pdb/5433B924-E30A-5F8D-4C4C-44205044422E-1/calc.pdb",
        "calc.cs/sha1-a932c94e9ae8cdf896b5496a980e4efee5dad2fc/calc.cs",
        "a9/32c94e9ae8cdf896b5496a980e4efee5dad2fc/metadata",
        "a93/2c94e9ae8cdf896b5496a980e4efee5dad2fc/executable",
        "a932c94e9ae8cdf896b5496a980e4efee5dad2fc/executable",
        "4C4C442C/5555/3144/A176/E1E20AA6F22D",
        "../default/calc.exe/D344B6704000/calc.exe",
        "a/../calc.exe/D344B6704000/calc.exe",
        "%2e%2e/calc.exe/D344B6704000/calc.exe",
        "../D344B6704000/..",
        "..%2fcalc.exe/D344B6704000/..%2fcalc.exe",
        "x%2fcalc.exe/D344B6704000/x%2fcalc.exe",
        "..%5ccalc.exe/D344B6704000/..%5ccalc.exe",
        "calc.exe%00/D344B6704000/calc.exe%00",
        "calc%0a.exe/D344B6704000/calc%0a.exe",
        "calc%7f.exe/D344B6704000/calc%7f.exe",
        "%ff/D344B6704000/%ff",
        "%/D344B6704000/%",
        &format!("{long}/D344B6704000/{long}"),
        &format!("calc/4EC932A9E89AF8CD96B5496A980E4EFE0/{long}.sym"),
        &format!("calc/{}/calc.sym", "4EC932A9".repeat(30)),
        &"a/".repeat(1000),
        &"%2f".repeat(100),
    ] {
        assert_eq!(status_of(&server, &format!("{BASE}{path}")).await, 404, "{path:.80}");
    }
}

#[tokio::test]
async fn no_layout_tells_of_another_project() {
    let server = with_everything().await;
    let other = server.add_project("other").await;
    let foreign = server.add_account("foreign", "default").await;
    let only_other = server.add_token(&server.account.organization, &[Scope::SymbolsRead], &[&other.project]).await;
    let readable = server.add_token(&server.account.organization, &[Scope::SymbolsRead], &[]).await;
    let other_key = key(&server, &other).await;
    let base = |account: &Account| format!("/symbols/{}/{}/", account.organization.slug, account.project.slug);
    let paths = all().map(|(path, _)| path).chain(["calc.exe/D344B6704000/calc.sym"]);
    for path in paths {
        let status = async |token: &str, base: &str| {
            let answer = server.request_as(token, Method::GET, &format!("{base}{path}")).send().await.unwrap();
            answer.status().as_u16()
        };
        assert!(matches!(status(&readable, BASE).await, 200 | 302), "{path}");
        assert_eq!(status(&only_other, BASE).await, 404, "{path}: a token of another project");
        assert_eq!(status(&only_other, &base(&other)).await, 404, "{path}: in another project");
        assert_eq!(status(&readable, &base(&other)).await, 404, "{path}: in another project");
        assert_eq!(status(&foreign.token, &base(&foreign)).await, 404, "{path}: in another organization");
        assert_eq!(status(&foreign.token, BASE).await, 404, "{path}: by another organization");
        let by_key = server.request(Method::GET, &format!("{}key/{other_key}/{path}", base(&other)));
        assert_eq!(by_key.send().await.unwrap().status(), 404, "{path}: by a key of another project");
    }
}

#[tokio::test]
async fn an_organization_finds_the_file_of_any_of_its_projects() {
    let server = TestServer::start().await;
    let other = server.add_project("other").await;
    let id = "3249d99d-0c40-4931-8610-f4e4fb0b6936";
    let record = Record { code_id: Some(BUILD_ID.to_owned()), ..Record::new("calc.debug", id) };
    server.put_file(&other, record).await;
    let path = format!("/symbols/default/_.debug/elf-buildid-sym-{BUILD_ID}/_.debug");
    assert_eq!(server.get(&path).send().await.unwrap().text().await.unwrap(), "calc.debug");
}
