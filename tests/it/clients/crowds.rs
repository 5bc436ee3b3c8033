//! Many chunks, many clients at once, a server that sends them away for a while, and the other database engine: the
//! client notices nothing of it.

use std::fmt::Write as _;

use futures_util::future::join_all;

use super::desk::{Desk, VERSIONS, at_every_desk_of};
use super::door::Door;
use super::screen::{prepared, processed, uploaded};
use crate::support::database::{Engine, TestDatabase};
use crate::support::fixtures;
use crate::support::server::TestServer;
use crate::support::until;

const CALC: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";
const CALC_DEBUG: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe (calc.debug; x86_64 debug companion)";
const MAIN: &str = "main @ /src/fixture/main.c:3";

#[tokio::test]
async fn a_file_in_many_chunks_and_requests_comes_together_again() {
    let small = TestServer::builder().settings(|config| {
        config.uploads.chunk_size = 256;
        config.uploads.chunks_per_request = 5;
        config.uploads.max_request_size = 1024;
    });
    let server = small.start().await;
    at_every_desk_of(&server, async |server, desk| {
        let files = ["elf-x86_64-gcc-dwarf4/calc.debug", "elf-x86_64-gcc-dwarf4/calc"].map(fixtures::path);
        let screen = desk.upload(&["--wait"], &files).run().await;
        screen.took(&[CALC_DEBUG, "4ec932a9-e89a-f8cd-96b5-496a980e4efe (calc; x86_64 library)"]);
        assert_eq!(desk.frames(&server.http, CALC, 0x1129).await, [MAIN]);
    })
    .await;
    assert_eq!(server.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_file_of_several_full_chunks_comes_together_again() {
    let server = TestServer::start().await;
    at_every_desk_of(&server, async |server, desk| {
        let mut symbols = "MODULE Linux x86_64 4EC932A9E89AF8CD96B5496A980E4EFE0 large\nFILE 0 /src/large.c\n\
                           FUNC 1000 10 0 large\n1000 10 7 0\n"
            .to_owned();
        // Unwinding information is left out of symcaches, however much there is.
        for address in (0x1_0000..).step_by(16) {
            writeln!(symbols, "STACK CFI INIT {address:x} 10 .cfa: $rsp 8 + .ra: .cfa -8 + ^").unwrap();
            if symbols.len() > 20 << 20 {
                break;
            }
        }
        let file = desk.put("large.sym", symbols);
        let screen = desk.upload(&["--wait"], &[file]).run().await;
        screen.took(&["4ec932a9-e89a-f8cd-96b5-496a980e4efe (large; x86_64 debug companion)"]);
        assert_eq!(desk.frames(&server.http, CALC, 0x1000).await, ["large @ /src/large.c:7"]);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_is_sent_away_comes_again_by_itself() {
    let busy = TestServer::builder().settings(|config| {
        config.uploads.parallel = 1;
        config.uploads.queue = 0;
    });
    let door = Door::new().await;
    let url = door.url.clone();
    let server = busy.settings(|config| config.public_url = url).start().await;
    let desks = [Desk::new(VERSIONS[0], &door.url, server.account.clone())];
    let keeper = door.lead_to(&server.url);

    // Somebody else's upload takes the only turn until the client has knocked twice.
    let turn = server.app.upload_limits.begin(server.account.organization.id).await.unwrap();
    let other_upload = async {
        until("the client comes again", || async { (keeper.count("POST", "/chunk-upload/") >= 2).then_some(()) }).await;
        drop(turn);
    };
    let files = ["elf-x86_64-gcc-dwarf4/calc.debug"].map(fixtures::path);
    let (screen, ()) = tokio::join!(desks[0].upload(&["--wait"], &files).run(), other_upload);
    screen.took(&[CALC_DEBUG]);
}

#[tokio::test]
async fn clients_that_bring_the_same_files_to_one_project_at_once_all_end_well() {
    let server = TestServer::start().await;
    let desks: Vec<_> = VERSIONS
        .iter()
        .cycle()
        .take(9)
        .map(|version| Desk::new(version, &server.url, server.account.clone()))
        .collect();
    let files = ["elf-x86_64-gcc-dwarf4/calc.debug"].map(fixtures::path);
    let screens = join_all(desks.iter().map(|desk| desk.upload(&["--wait"], &files).run())).await;
    // How much is left to do for each of them is a matter of luck. That it ends well is not.
    for screen in screens {
        screen.is_one_of(&[
            prepared(1) + &uploaded(1) + &processed([format!("OK {CALC_DEBUG}")]),
            prepared(1) + &processed([format!("OK {CALC_DEBUG}")]),
            prepared(1) + "> Nothing to upload, all files are on the server",
        ]);
    }
    assert_eq!(desks[0].files_at_last(&server.http, 1).await.len(), 1);
    assert_eq!(desks[0].frames(&server.http, CALC, 0x1129).await, [MAIN]);
    assert_eq!(server.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn another_project_needs_no_second_upload_and_has_the_file_all_the_same() {
    let server = TestServer::start().await;
    at_every_desk_of(&server, async |server, desk| {
        let files = ["elf-x86_64-gcc-dwarf4/calc.debug"].map(fixtures::path);
        desk.upload(&["--wait"], &files).run().await.took(&[CALC_DEBUG]);

        let organization = desk.account.organization.clone();
        let other = server.app.db.create_project(organization.id, "other", server.app.clock.now()).await.unwrap();
        let other = desk.at_project(other);
        other.upload(&["--wait"], &files).run().await.had_nothing_to_upload(1);
        other.files_at_last(&server.http, 1).await;
        assert_eq!(other.frames(&server.http, CALC, 0x1129).await, [MAIN]);
    })
    .await;
}

#[tokio::test]
async fn clients_notice_no_difference_on_postgresql() {
    let database = TestDatabase::empty(Engine::Postgres).await;
    let server = TestServer::builder().settings(|config| config.database.url = database.url.clone()).start().await;
    at_every_desk_of(&server, async |server, desk| {
        let files = ["elf-x86_64-gcc-dwarf4", "hostile/elf-zlib-chsize-huge.debug"].map(fixtures::path);
        let ends = processed([
            "OK 4ec932a9-e89a-f8cd-96b5-496a980e4efe (calc; x86_64 library)",
            "OK 4ec932a9-e89a-f8cd-96b5-496a980e4efe (calc.debug; x86_64 debug companion)",
            "OK 4ec932a9-e89a-f8cd-96b5-496a980e4efe (calc.full; x86_64 library)",
            "ERROR elf-zlib-chsize-huge.debug\n        The file cannot be converted: its section .debug_info says that \
             it inflates to 36028797018963968 bytes, which 360 compressed bytes cannot.",
        ]);
        let failed = "\nError: some symbols did not process correctly";
        let screen = desk.upload(&["--wait"], &files).run().await;
        screen.says(1, &(prepared(4) + &uploaded(4) + &ends + failed));
        assert_eq!(desk.frames(&server.http, CALC, 0x1129).await, [MAIN]);
        desk.upload(&["--wait"], &files[..1]).run().await.had_nothing_to_upload(3);
    })
    .await;
    assert_eq!(server.fsck().await, Vec::<String>::new());
}
