//! What real toolchains leave out of their files, and what the uploader is told about it.

use serde_json::Value;

use crate::support::fixtures;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

const PE: &str = "pe-x86_64-llvm19/calc.exe";
const ELF: &str = "elf-x86_64-gcc-dwarf4/calc";
const BUILD_ID: &str = "a932c94e9ae8cdf896b5496a980e4efee5dad2fc";

/// The PE fixture without its debug directory, as a linker of this major version would have made it.
fn pe_without_id(linker: u8) -> Vec<u8> {
    let mut file = fixtures::read(PE);
    let header = u32::from_le_bytes(*file[0x3c..].first_chunk().unwrap()) as usize;
    file[header + 26] = linker;
    // The seventh directory of a 64-bit image.
    let directory = header + 24 + 112 + 6 * 8;
    file[directory..directory + 8].fill(0);
    file
}

/// The ELF fixture as a packer leaves it: without section headers.
fn without_section_headers(fixture: &str) -> Vec<u8> {
    let mut file = fixtures::read(fixture);
    file[0x28..0x30].fill(0);
    file[0x3a..0x40].fill(0);
    file
}

async fn detail(server: &TestServer, upload: &Upload) -> String {
    let entry = server.upload(upload).await;
    assert_eq!(entry["state"], "error", "{entry}");
    entry["detail"].as_str().unwrap_or_else(|| panic!("{entry}")).to_owned()
}

#[tokio::test]
async fn a_pe_file_without_an_id_gets_the_advice_of_its_toolchain() {
    let server = TestServer::start().await;
    for (linker, advice) in [(2, "-Wl,--build-id"), (3, "-linkmode=external"), (14, "/DEBUG")] {
        let said = detail(&server, &Upload::new("calc.exe", pe_without_id(linker))).await;
        assert!(said.contains("no debug id") && said.contains(advice), "{linker}: {said}");
        assert_eq!(said.contains("/DEBUG"), linker == 14, "{linker}: {said}");
    }
}

#[tokio::test]
async fn breakpad_text_of_another_encoding_and_a_zip_are_refused_by_their_names() {
    let server = TestServer::start().await;
    let text = fixtures::read("breakpad/calc-elf.sym");
    let marked = [b"\xef\xbb\xbf".as_slice(), &text].concat();
    let wide: Vec<u8> = text.iter().flat_map(|byte| [*byte, 0]).collect();
    for (upload, named) in [
        (Upload::new("calc.sym", marked), "byte order mark (BOM)"),
        (Upload::new("wide.sym", wide), "UTF-16"),
        (Upload::new("inner.zip", b"PK\x03\x04 and the rest of it".as_slice()), "Unpack it"),
    ] {
        let said = detail(&server, &upload).await;
        assert!(said.contains(named), "{said}");
    }
}

#[tokio::test]
async fn a_file_without_section_headers_is_an_executable_and_no_debug_information() {
    let server = TestServer::start().await;
    let file = without_section_headers(ELF);
    let dif = server.upload_ok(&Upload::new("calc", file.clone())).await;
    assert!(matches!(dif["data"]["type"].as_str(), Some("exe" | "lib")), "{dif}");
    let ask = async |kind: &str| {
        let path = format!("/symbols/default/default/buildid/{BUILD_ID}/{kind}");
        server.get(&path).send().await.unwrap()
    };
    let executable = ask("executable").await;
    assert_eq!(executable.status(), 200);
    assert!(executable.bytes().await.unwrap() == file);
    assert_eq!(ask("debuginfo").await.status(), 404);
    let missing = server.get("/api/v1/projects/default/default/missing").send().await.unwrap();
    let missing = missing.json::<Value>().await.unwrap();
    assert_eq!(missing["missing"][0]["codeId"], BUILD_ID, "{missing}");
}
