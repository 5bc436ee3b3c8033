//! The real clients of Debian, `debuginfod-find`, `gdb` and `valgrind`, as child processes against a running server. None
//! is skipped: one that is missing fails the test and says how to have it.

use symdepot::blobs::{BlobKey, Fault};

use super::person::{Person, said};
use super::{BUILD_ID, COMPANION, STRIPPED, key, with_calc};
use crate::support::fixtures;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

/// A token as it stands in a URL, where some of its letters mean something else.
fn escaped(token: &str) -> String {
    token.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

#[tokio::test]
async fn debuginfod_find_brings_the_very_bytes_by_every_way_in() {
    let server = with_calc().await;
    let account = &server.account;
    let host = server.url.trim_start_matches("http://");
    let token = escaped(&account.token);
    let key = key(&server, account).await;

    let by_key = Person::at(&format!("{}/symbols/default/default/key/{key}", server.url));
    let with_slash = Person::at(&format!("{}/symbols/default/default/key/{key}/", server.url));
    let by_password = Person::at(&format!("http://anything:{token}@{host}/symbols/default/default"));
    let by_user = Person::at(&format!("http://{token}:@{host}/symbols/default"));
    let by_header = Person::at(&format!("{}/symbols/default", server.url));
    let headers = format!("Authorization: Bearer {}\n", account.token);
    std::fs::write(by_header.folder.path().join("headers"), headers).unwrap();
    for person in [by_key, with_slash, by_password, by_user, by_header] {
        for (artifact, fixture) in [("debuginfo", COMPANION), ("executable", STRIPPED)] {
            let found = person.find(&[artifact, BUILD_ID]).await;
            assert!(found == Ok(fixtures::read(fixture)), "{} {artifact}: {:?}", person.urls, found.err());
        }
        let absent = person.find(&["debuginfo", &"0".repeat(40)]).await;
        assert!(absent.is_err_and(|said| said.contains("No such file or directory")));
    }
}

#[tokio::test]
async fn debuginfod_find_gets_nothing_without_a_credential() {
    let server = with_calc().await;
    for base in ["default/default", "default", "default/default/key/sdkey_made_up"] {
        let person = Person::at(&format!("{}/symbols/{base}", server.url));
        let said = person.find(&["debuginfo", BUILD_ID]).await.unwrap_err();
        assert!(said.contains("No such file or directory"), "{base}: {said}");
    }
}

#[tokio::test]
async fn debuginfod_find_forgets_trouble_and_heeds_its_own_limit() {
    let server = with_calc().await;
    let person = Person::with_key(&server).await;
    let mut limited = person.command("debuginfod-find");
    limited.env("DEBUGINFOD_MAXSIZE", "100").args(["debuginfo", BUILD_ID]);
    let limited = person.finish("debuginfod-find", &mut limited).await;
    assert!(String::from_utf8_lossy(&limited.stderr).contains("File too large"), "{limited:?}");

    let pieces = server.app.db.debug_file_pieces(companion_id(&server).await).await.unwrap();
    server.faults.inject(Fault::Lost(BlobKey::from_row(&pieces[0].key)));
    assert!(person.find(&["debuginfo", BUILD_ID]).await.is_err(), "the bytes cannot be read just now");
    server.faults.heal();
    let found = person.find(&["debuginfo", BUILD_ID]).await;
    assert!(found == Ok(fixtures::read(COMPANION)), "it asks again as soon as it is asked: {:?}", found.err());
}

/// Row id of the debug companion.
async fn companion_id(server: &TestServer) -> i64 {
    let files = server.listed(&server.account).await;
    let companion = files.iter().find(|file| file["objectName"] == "calc.debug").unwrap();
    companion["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn gdb_knows_functions_and_lines_of_a_stripped_program() {
    let server = with_calc().await;
    let person = Person::with_key(&server).await;
    // Away from its companion, which gdb would find beside it.
    person.put("calc", &fixtures::read(STRIPPED));
    let said = person.gdb("calc", &["info line calc_run", "info symbol 0x113c", "info address crash_here"]).await;
    assert!(said.contains("Line 20 of \"calc.c\""), "{said}");
    assert!(said.contains("crash_here"), "{said}");

    let alone = Person::at("");
    alone.put("calc", &fixtures::read(STRIPPED));
    let said = alone.gdb("calc", &["info line calc_run"]).await;
    assert!(!said.contains("calc.c"), "without the server gdb knows nothing: {said}");
}

#[tokio::test]
async fn debuginfod_find_and_gdb_bring_sections_and_sources() {
    let server = with_calc().await;
    server.upload_ok(&Upload::fixture("sourcebundle/calc.src.zip")).await;
    let person = Person::with_key(&server).await;
    let written = std::fs::read(fixtures::path("..").join("src/c/calc.c")).unwrap();
    assert_eq!(person.find(&["source", BUILD_ID, "/src/fixture/calc.c"]).await, Ok(written));
    let section = person.find(&["section", BUILD_ID, ".debug_line"]).await.unwrap();
    let companion = fixtures::read(COMPANION);
    assert!(companion.windows(section.len()).any(|part| part == section), "it is a part of the companion");
    assert!(person.find(&["section", BUILD_ID, ".nothing"]).await.is_err());

    person.put("calc", &fixtures::read(STRIPPED));
    let said = person.gdb("calc", &["list calc_run"]).await;
    assert!(said.contains("int r = sum_of_squares(argc, argc + 1);"), "{said}");
}

#[tokio::test]
async fn valgrind_knows_functions_and_lines_of_a_stripped_program() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture("minidump/boom.debug")).await;
    let person = Person::with_key(&server).await;
    for (person, knows) in [(person, true), (Person::at(""), false)] {
        person.put("boom", &fixtures::read("minidump/boom"));
        person.run("chmod", &["+x", "boom"]).await;
        let said = said(&person.run("valgrind", &["./boom"]).await);
        assert!(said.contains("Invalid write of size 4"), "{said}");
        for frame in ["crash_here (boom.c:8)", "middle (boom.c:14)", "calc_boom (boom.c:19)", "main (boom_main.c:5)"] {
            assert_eq!(said.contains(frame), knows, "{frame} in {said}");
        }
    }
}
