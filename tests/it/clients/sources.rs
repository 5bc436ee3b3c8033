//! Sources beside debug files: bundles that were made before, bundles that the client makes, and line mappings that it
//! computes from sources.

use super::desk::at_every_desk;
use crate::support::fixtures;

const ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";

#[tokio::test]
async fn a_source_bundle_is_taken() {
    at_every_desk(async |server, desk| {
        let files = ["sourcebundle/calc.src.zip"].map(fixtures::path);
        desk.upload(&["--wait", "--type", "sourcebundle"], &files).run().await.succeeds(
            "> Found 1 debug information file (1 with embedded sources)\n\
             > Prepared debug information file for upload\n> Uploaded 1 missing debug information file\n\
             > File processing complete:\n\n  \
             OK 4ec932a9-e89a-f8cd-96b5-496a980e4efe (calc.src.zip; x86_64 sources)",
        );
        let found = desk.files(&server.http).await;
        assert_eq!((found.len(), &found[0]["symbolType"]), (1, &"sourcebundle".into()));
    })
    .await;
}

#[tokio::test]
async fn sources_go_along_with_the_debug_file() {
    at_every_desk(async |server, desk| {
        let source = desk.put("src/game.cpp", "int tick() {\n    return 1;\n}\n");
        let symbols = format!(
            "MODULE Linux x86_64 {}0 game\nFILE 0 {}\nFUNC 1000 10 0 tick()\n1000 10 2 0\n",
            ID.replace('-', "").to_uppercase(),
            source.display()
        );
        let file = desk.put("out/game.sym", symbols);
        desk.upload(&["--wait", "--include-sources"], &[file]).run().await.succeeds(
            "> Found 1 debug information file\n> Resolved source code for 1 debug information file\n\
             > Prepared debug information files for upload\n> Uploaded 2 missing debug information files\n\
             > File processing complete:\n\n\
             \x20 OK 4ec932a9-e89a-f8cd-96b5-496a980e4efe (game; x86_64 debug companion)\n\
             \x20 OK 4ec932a9-e89a-f8cd-96b5-496a980e4efe (game.sym; x86_64 sources)",
        );
        let found = desk.files(&server.http).await;
        let mut formats: Vec<_> = found.iter().map(|file| file["symbolType"].as_str().unwrap()).collect();
        formats.sort_unstable();
        assert_eq!(formats, ["breakpad", "sourcebundle"]);
    })
    .await;
}

#[tokio::test]
async fn a_line_mapping_leads_back_to_the_lines_people_wrote() {
    at_every_desk(async |server, desk| {
        let generated = "//<source_info:Assets/Game.cs:42>\nint tick() {\n    return 1;\n}\n";
        let source = desk.put("src/game.cpp", generated);
        let symbols = format!(
            "MODULE Linux x86_64 {}0 game\nFILE 0 {}\nFUNC 1000 10 0 tick()\n1000 10 2 0\n",
            ID.replace('-', "").to_uppercase(),
            source.display()
        );
        let file = desk.put("out/game.sym", symbols);
        desk.upload(&["--wait", "--il2cpp-mapping"], &[file]).run().await.succeeds(
            "> Found 1 debug information file\n> Resolved il2cpp mappings for 1 debug information file\n\
             > Prepared debug information files for upload\n> Uploaded 2 missing debug information files\n\
             > File processing complete:\n\n\
             \x20 OK 4ec932a9-e89a-f8cd-96b5-496a980e4efe (game; x86_64 debug companion)\n\
             \x20 OK 4ec932a9-e89a-f8cd-96b5-496a980e4efe (game.sym; any file)",
        );
        assert_eq!(desk.frames(&server.http, ID, 0x1000).await, ["tick() @ Assets/Game.cs:42"]);
    })
    .await;
}
