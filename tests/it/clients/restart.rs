//! The server dies between the upload and the end, as in a power cut, and comes back: the client, which only polls,
//! ends well.

use futures_util::future::join_all;

use super::desk::{Desk, VERSIONS, first_account};
use super::door::Door;
use crate::support::fixtures;
use crate::support::process::TestProcess;

const CALC: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";

#[tokio::test]
async fn a_server_killed_after_the_upload_still_has_every_chunk() {
    // The first request asks what is missing, the second is the first after the chunks.
    join_all(VERSIONS.map(|version| killed_before_assemble(2, version))).await;
}

#[tokio::test]
async fn a_server_killed_while_it_works_on_a_file_finishes_it_when_it_is_back() {
    join_all(VERSIONS.map(|version| killed_before_assemble(3, version))).await;
}

/// Kills the server while the client's `nth` request to assemble is under way, and starts it again.
async fn killed_before_assemble(nth: usize, version: &'static str) {
    let door = Door::new().await;
    let settings = [
        ("SYMDEPOT_PUBLIC_URL", door.url.as_str()),
        ("SYMDEPOT_JOBS__LEASE", "1s"),
        // The first server never finishes a conversion.
        ("SYMDEPOT_CONVERTER__TEST_FAULT", "hang"),
    ];
    let mut server = TestProcess::start_with(&settings).await;
    let desk = Desk::new(version, &door.url, first_account(&server.token));
    let keeper = door.hold("/files/difs/assemble/", nth, &server.url);

    let files = ["elf-x86_64-gcc-dwarf4/calc.debug", "rust-inlines/shapes.debug"].map(fixtures::path);
    let client = desk.upload(&["--wait"], &files).run();
    let power_cut = async {
        keeper.held().await;
        server.kill().await;
        server.set("SYMDEPOT_CONVERTER__TEST_FAULT", "");
        server.restart().await;
        keeper.let_in(&server.url);
    };
    let (screen, ()) = tokio::join!(client, power_cut);

    screen.took(&[
        "4ec932a9-e89a-f8cd-96b5-496a980e4efe (calc.debug; x86_64 debug companion)",
        "bab2f018-629e-65b2-016a-de2dc65f8fea (shapes.debug; x86_64 debug companion)",
    ]);
    let frames = desk.frames(&crate::support::client::http(), CALC, 0x1129).await;
    assert_eq!(frames, ["main @ /src/fixture/main.c:3"]);
}
