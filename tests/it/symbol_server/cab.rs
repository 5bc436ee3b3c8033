//! Files of Windows in cabinets, for debuggers that ask for compressed names: off until somebody wants it, complete, and
//! the same each time.

use std::io::{Cursor, Read as _};

use symdepot::blobs::BlobKey;
use symdepot::symcaches::sandbox::Hints;
use symdepot::types::{Features, Format, Kind, Sha1};
use tempfile::TempDir;

use crate::support::fixtures;
use crate::support::queries::Queries;
use crate::support::records::Record;
use crate::support::server::{Builder, TestServer};
use crate::support::uploads::Upload;

const BASE: &str = "/symbols/default/default/";
const PE: &str = "pe-x86_64-llvm19/calc.exe";
const PDB: &str = "pe-x86_64-llvm19/calc.pdb";

/// Compressed names, the name of the file inside, and the file.
const CABINETS: [(&str, &str, &str); 3] = [
    ("calc.exe/D344B6704000/calc.ex_", "calc.exe", PE),
    ("calc.pdb/5433B924E30A5F8D4C4C44205044422E1/calc.pd_", "calc.pdb", PDB),
    ("CALC.PDB/5433b924e30a5f8d4c4c44205044422e1/CALC.PD_", "calc.pdb", PDB),
];

fn with_cabinets() -> Builder {
    TestServer::builder().settings(|config| config.symbols.cab = true)
}

async fn upload(server: &TestServer, fixture: &str) {
    let Hints { name, .. } = fixtures::known()[fixture].hints(fixture);
    server.upload_ok(&Upload::fixture(fixture).name(&name)).await;
}

async fn cabinet(server: &TestServer, path: &str) -> Vec<u8> {
    let answer = server.get(&format!("{BASE}{path}")).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    answer.bytes().await.unwrap().to_vec()
}

/// The only file of a cabinet: its name and content.
fn unpack(bytes: &[u8]) -> (String, Vec<u8>) {
    let mut cabinet = cab::Cabinet::new(Cursor::new(bytes)).unwrap();
    let names: Vec<_> =
        cabinet.folder_entries().flat_map(cab::FolderEntry::file_entries).map(|file| file.name().to_owned()).collect();
    assert_eq!(names.len(), 1);
    let mut content = Vec::new();
    cabinet.read_file(&names[0]).unwrap().read_to_end(&mut content).unwrap();
    (names[0].clone(), content)
}

#[tokio::test]
async fn a_compressed_name_is_answered_with_the_file_in_a_cabinet() {
    let server = with_cabinets().start().await;
    upload(&server, PE).await;
    upload(&server, PDB).await;
    for (path, name, fixture) in CABINETS {
        let bytes = cabinet(&server, path).await;
        let content = fixtures::read(fixture);
        let (inside, unpacked) = unpack(&bytes);
        assert_eq!(inside, name, "{path}");
        assert!(unpacked == content, "{path}");
        assert!(bytes.len() < content.len(), "{path} is compressed");
    }
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_tool_of_the_system_unpacks_a_cabinet() {
    let server = with_cabinets().start().await;
    upload(&server, PDB).await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("calc.pd_");
    std::fs::write(&path, cabinet(&server, CABINETS[1].0).await).unwrap();
    let output = tokio::process::Command::new("cabextract").arg("-d").arg(folder.path()).arg(&path).output().await;
    let output = output.expect("cabextract is installed by tests/setup.sh");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(std::fs::read(folder.path().join("calc.pdb")).unwrap() == fixtures::read(PDB));
}

#[tokio::test]
async fn a_cabinet_has_validators_and_ranges_and_is_made_once() {
    let server = with_cabinets().start().await;
    upload(&server, PDB).await;
    let bytes = cabinet(&server, CABINETS[1].0).await;
    let path = format!("{BASE}{}", CABINETS[1].0);
    let head = server.head(&path).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], bytes.len().to_string());
    assert_eq!(head.headers()["etag"], format!("\"{}\"", Sha1::of(&bytes)));
    let part = server.get(&path).header("range", "bytes=-100").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert!(part.bytes().await.unwrap() == bytes[bytes.len() - 100..]);
    let rows = server.app.db.blob_rows("", 10_000).await.unwrap();
    let cabinets: Vec<_> = rows.into_iter().map(|(key, _)| key).filter(|key| key.starts_with("cab/")).collect();
    assert_eq!(cabinets.len(), 1);

    // Its bytes are lost: it is made anew, and is the same.
    server.app.blobs.delete(&[BlobKey::from_row(&cabinets[0])]).await.unwrap();
    assert!(cabinet(&server, CABINETS[1].0).await == bytes);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn without_the_setting_a_compressed_name_is_answered_without_a_look() {
    let server = TestServer::start().await;
    upload(&server, PDB).await;
    let questions = Queries::listen();
    for (path, ..) in CABINETS {
        assert_eq!(server.get(&format!("{BASE}{path}")).send().await.unwrap().status(), 404, "{path}");
        let asked = questions.take();
        assert!(!asked.iter().any(|asked| asked.starts_with("db.d")), "{path}: {asked:?}");
    }
}

#[tokio::test]
async fn only_files_of_windows_come_in_cabinets() {
    let server = with_cabinets().start().await;
    upload(&server, "elf-x86_64-gcc-dwarf4/calc").await;
    upload(&server, PDB).await;
    for path in [
        "calc.so/elf-buildid-a932c94e9ae8cdf896b5496a980e4efee5dad2fc/calc.s_",
        "calc.pdb/5433B924E30A5F8D4C4C44205044422E2/calc.pd_",
        "calc.pdb/5433B924E30A5F8D4C4C44205044422E1/other.pd_",
        "calc.pdb/5433B924E30A5F8D4C4C44205044422E1/file.ptr",
        "../5433B924E30A5F8D4C4C44205044422E1/.._",
    ] {
        assert_eq!(server.get(&format!("{BASE}{path}")).send().await.unwrap().status(), 404, "{path}");
    }
}

#[tokio::test]
async fn a_hostile_name_does_not_get_into_a_cabinet() {
    let server = with_cabinets().start().await;
    let record = Record {
        content: b"what was uploaded".to_vec(),
        code_id: Some("542d574232000".to_owned()),
        format: Format::Pe,
        kind: Kind::Library,
        features: Features::SYMTAB,
        ..Record::new("..\\..\\evil\n.dll", "3249d99d-0c40-4931-8610-f4e4fb0b6936-1")
    };
    server.put_file(&server.account, record).await;
    let bytes = cabinet(&server, "evil.dll/542D574232000/evil.dl_").await;
    assert_eq!(unpack(&bytes), (".._.._evil_.dll".to_owned(), b"what was uploaded".to_vec()));
}
