//! A dSYM whose names are hidden, with the symbol map and the property list that give them back.

use super::desk::{Desk, at_every_desk};
use crate::support::fixtures;

const HIDDEN: &str = "4c4c44e1-5555-3144-a1c2-5b2a6556e497";
const ORIGINAL: &str = "c8374b6d-6e96-34d8-ae38-efaa5fec424f";

#[tokio::test]
async fn hidden_names_come_back_through_symbol_map_and_property_list() {
    at_every_desk(async |server, desk| {
        put_maps(&desk);
        let files = [fixtures::path("macho-arm64-hidden"), desk.path("app")];
        desk.upload(&["--wait"], &files).run().await.succeeds(
            "> Found 3 debug information files\n\
             > Warning: Found 1 symbol files with hidden symbols (need BCSymbolMaps)\n\
             > Prepared debug information files for upload\n> Uploaded 3 missing debug information files\n\
             > File processing complete:\n\n\
             \x20 OK 4c4c44e1-5555-3144-a1c2-5b2a6556e497 (4c4c44e1-5555-3144-a1c2-5b2a6556e497.plist; any file)\n\
             \x20 OK 4c4c44e1-5555-3144-a1c2-5b2a6556e497 (calc; arm64 debug companion)\n\
             \x20 OK c8374b6d-6e96-34d8-ae38-efaa5fec424f (c8374b6d-6e96-34d8-ae38-efaa5fec424f.bcsymbolmap; any file)",
        );
        let found = desk.files(&server.http).await;
        let mut formats: Vec<_> = found.iter().map(|file| file["symbolType"].as_str().unwrap()).collect();
        formats.sort_unstable();
        assert_eq!(formats, ["bcsymbolmap", "macho", "uuidmap"]);
        assert_eq!(
            desk.frames(&server.http, HIDDEN, 0x3b8).await,
            [
                "square @ /src/fixture/calc.c:6",
                "sum_of_squares @ /src/fixture/calc.c:10",
                "fixture_calc_run @ /src/fixture/calc.c:21"
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn hidden_names_come_back_when_the_maps_arrive_later() {
    at_every_desk(async |server, desk| {
        desk.upload(&["--wait"], &[fixtures::path("macho-arm64-hidden")]).run().await.succeeds(
            "> Found 1 debug information file\n\
             > Warning: Found 1 symbol files with hidden symbols (need BCSymbolMaps)\n\
             > Prepared debug information file for upload\n> Uploaded 1 missing debug information file\n\
             > File processing complete:\n\n\
             \x20 OK 4c4c44e1-5555-3144-a1c2-5b2a6556e497 (calc; arm64 debug companion)",
        );
        let hidden = desk.frames(&server.http, HIDDEN, 0x390).await;
        assert_eq!(hidden, ["__hidden#1_ @ __hidden#4_/__hidden#5_:16"]);

        put_maps(&desk);
        desk.upload(&["--wait"], &[desk.path("app")]).run().await.took(&[
            "4c4c44e1-5555-3144-a1c2-5b2a6556e497 (4c4c44e1-5555-3144-a1c2-5b2a6556e497.plist; any file)",
            "c8374b6d-6e96-34d8-ae38-efaa5fec424f (c8374b6d-6e96-34d8-ae38-efaa5fec424f.bcsymbolmap; any file)",
        ]);
        let open = desk.frames(&server.http, HIDDEN, 0x390).await;
        assert_eq!(open, ["fixture_crash_here @ /src/fixture/calc.c:16"]);
    })
    .await;
}

/// Lays the symbol map and the property list that leads to it into the folder `app`.
fn put_maps(desk: &Desk) {
    let plist = fixtures::read("bcsymbolmap/2d10c42f-591d-3265-b147-78ba0868073f.plist");
    desk.put(&format!("app/{HIDDEN}.plist"), plist);
    let map = fixtures::read("bcsymbolmap/c8374b6d-6e96-34d8-ae38-efaa5fec424f.bcsymbolmap");
    desk.put(&format!("app/{ORIGINAL}.bcsymbolmap"), map);
}
