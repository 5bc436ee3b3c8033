//! One store and every client: what `sentry-cli` uploaded is found by debuggers, by `minidump-stackwalk` and by
//! Symbolicator, each by its own protocol, and by none of them without a credential.

use super::person::Person;
use super::stackwalk::{FRAMES, LIBRARY, walked};
use super::symbolicator::Source;
use crate::clients::desk::{Desk, VERSIONS};
use crate::support::fixtures;
use crate::support::server::TestServer;

const PROGRAM: &str = "minidump/boom";
const COMPANION: &str = "minidump/boom.debug";
const BUILD_ID: &str = "0a87fe2a9dacaa2467c114ded173a23d331d03b4";
const DEBUG_ID: &str = "2afe870a-ac9d-24aa-67c1-14ded173a23d";

#[tokio::test]
async fn what_sentry_cli_uploaded_is_found_by_every_client() {
    let server = TestServer::start().await;
    let desk = Desk::new(VERSIONS[0], &server.url, server.account.clone());
    let files = [PROGRAM, COMPANION, LIBRARY].map(fixtures::path);
    desk.upload(&["--wait"], &files).run().await.took(&[
        "2afe870a-ac9d-24aa-67c1-14ded173a23d (boom; x86_64 library)",
        "2afe870a-ac9d-24aa-67c1-14ded173a23d (boom.debug; x86_64 debug companion)",
        "9e6a915b-22e8-d028-bc59-0242c5fa542b (libboom.so; x86_64 library)",
    ]);

    let person = Person::with_key(&server).await;
    for (artifact, fixture) in [("debuginfo", COMPANION), ("executable", PROGRAM)] {
        let found = person.find(&[artifact, BUILD_ID]).await;
        assert!(found == Ok(fixtures::read(fixture)), "debuginfod-find {artifact}: {:?}", found.err());
    }
    person.put("boom", &fixtures::read(PROGRAM));
    let said = person.gdb("boom", &["info line calc_boom"]).await;
    assert!(said.contains("Line 18 of \"boom.c\""), "gdb: {said}");
    assert_eq!(walked(&person).await, FRAMES, "minidump-stackwalk");

    let source = Source::of(&server);
    let listed = source.look_up(Some(DEBUG_ID), Some(BUILD_ID)).await.unwrap();
    let mut contents = Vec::new();
    for (id, word) in listed {
        assert_eq!(word, "elf");
        contents.push(source.download(&id).await.unwrap().content);
    }
    let expected = [COMPANION, PROGRAM].map(fixtures::read);
    assert!(contents.len() == 2 && expected.iter().all(|one| contents.contains(one)), "Symbolicator");

    let stranger = Person::at(&format!("{}/symbols/default/default", server.url));
    assert!(stranger.find(&["debuginfo", BUILD_ID]).await.is_err());
    assert!(walked(&stranger).await.iter().all(|frame| frame.contains("? ?:null")));
}
