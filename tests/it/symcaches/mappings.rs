//! Maps of names are applied whichever arrives first, the dSYM or the maps.

use super::{CALC, CALC_ID};
use crate::support::server::{Account, TestServer};
use crate::support::symcaches::frames;
use crate::support::until;
use crate::support::uploads::Upload;

const HIDDEN: &str = "macho-arm64-hidden/calc.dSYM/Contents/Resources/DWARF/calc";
const HIDDEN_ID: &str = "4c4c44e1-5555-3144-a1c2-5b2a6556e497";
const SYMBOL_MAP: &str = "bcsymbolmap/c8374b6d-6e96-34d8-ae38-efaa5fec424f.bcsymbolmap";
const ORIGINAL_ID: &str = "c8374b6d-6e96-34d8-ae38-efaa5fec424f";
const UUID_MAP: &str = "bcsymbolmap/2d10c42f-591d-3265-b147-78ba0868073f.plist";

/// Waits until the symcache of a debug id says this of an address.
async fn comes_to_say(server: &TestServer, project: &Account, debug_id: &str, address: u64, wanted: &[&str]) {
    until("the symcache says what is wanted", || async {
        let said = frames(&server.symcache_bytes(project, debug_id).await, address);
        (said == wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_symbol_map_of_the_same_id_is_applied_in_either_order() {
    let server = TestServer::start().await;
    let parts = [Upload::fixture(HIDDEN), Upload::fixture(SYMBOL_MAP).debug_id(HIDDEN_ID)];
    for (order, first) in [(0, 0), (1, 1)] {
        let project = server.add_project(&format!("order-{order}")).await;
        for part in [&parts[first], &parts[1 - first]] {
            let end = server.upload_to(&project, part).await;
            assert_eq!(end["state"], "ok", "{end}");
        }
        comes_to_say(&server, &project, HIDDEN_ID, 0x390, &["fixture_crash_here @ /src/fixture/calc.c:16"]).await;
    }
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_symbol_map_of_the_original_id_is_applied_in_every_order_with_its_uuid_map() {
    let server = TestServer::start().await;
    let parts = [
        Upload::fixture(HIDDEN),
        Upload::fixture(SYMBOL_MAP).debug_id(ORIGINAL_ID),
        Upload::fixture(UUID_MAP).debug_id(HIDDEN_ID),
    ];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let project = server.add_project(&format!("order-{}-{}-{}", order[0], order[1], order[2])).await;
        for part in order {
            let end = server.upload_to(&project, &parts[part]).await;
            assert_eq!(end["state"], "ok", "{order:?} {end}");
        }
        comes_to_say(&server, &project, HIDDEN_ID, 0x390, &["fixture_crash_here @ /src/fixture/calc.c:16"]).await;
    }
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn names_are_hidden_again_when_their_map_is_deleted() {
    let server = TestServer::start().await;
    let map = server.upload_ok(&Upload::fixture(SYMBOL_MAP).debug_id(HIDDEN_ID)).await;
    server.upload_ok(&Upload::fixture(HIDDEN)).await;
    let shown = frames(&server.symcache_bytes(&server.account, HIDDEN_ID).await, 0x390);
    assert_eq!(shown, ["fixture_crash_here @ /src/fixture/calc.c:16"]);
    server.delete_file(map["id"].as_str().unwrap()).await;
    let hidden = frames(&server.symcache_bytes(&server.account, HIDDEN_ID).await, 0x390);
    assert_ne!(hidden, shown);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn lines_of_generated_code_become_those_of_the_source_in_either_order() {
    let server = TestServer::start().await;
    let parts = [Upload::fixture(CALC), Upload::fixture("il2cpp/calc.json").debug_id(CALC_ID)];
    for (order, first) in [(0, 0), (1, 1)] {
        let project = server.add_project(&format!("order-{order}")).await;
        for part in [&parts[first], &parts[1 - first]] {
            let end = server.upload_to(&project, part).await;
            assert_eq!(end["state"], "ok", "{end}");
        }
        let wanted =
            ["square @ Assets/Calc.cs:105", "sum_of_squares @ Assets/Calc.cs:109", "calc_run @ Assets/Calc.cs:120"];
        comes_to_say(&server, &project, CALC_ID, 0x1158, &wanted).await;
    }
    assert_eq!(server.fsck().await, [""; 0]);
}
