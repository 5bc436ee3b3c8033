//! Every format of debug file: taken by the real clients with its id, name, processor and kind on the screen, and a
//! known address then gives the known function, file, line and inlined callers.

use std::path::PathBuf;

use super::desk::at_every_desk;
use crate::support::fixtures;

const CALC: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";

fn paths<const N: usize>(names: [&str; N]) -> [PathBuf; N] {
    names.map(fixtures::path)
}

#[tokio::test]
async fn an_elf_file_and_its_debug_companion_are_taken_and_looked_up() {
    at_every_desk(async |server, desk| {
        let files = paths(["elf-x86_64-gcc-dwarf4/calc", "elf-x86_64-gcc-dwarf4/calc.debug"]);
        desk.upload(&["--wait"], &files).run().await.took(&[
            "4ec932a9-e89a-f8cd-96b5-496a980e4efe (calc; x86_64 library)",
            "4ec932a9-e89a-f8cd-96b5-496a980e4efe (calc.debug; x86_64 debug companion)",
        ]);
        assert_eq!(
            desk.frames(&server.http, CALC, 0x1158).await,
            [
                "square @ /src/fixture/calc.c:6",
                "sum_of_squares @ /src/fixture/calc.c:10",
                "calc_run @ /src/fixture/calc.c:21"
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn elf_files_of_every_processor_are_taken() {
    at_every_desk(async |server, desk| {
        let files = paths([
            "elf-aarch64-clang-dwarf5/calc.full",
            "elf-armv7-clang-dwarf4/calc.full",
            "elf-i386-clang-dwarf4/calc.full",
            "elf-riscv64-clang-dwarf4/calc.full",
            "elf-x86_64-gcc-dwarf5-zlib/calc.full",
            "elf-x86_64-nobuildid/calc.full",
            "rust-inlines/shapes.full",
        ]);
        desk.upload(&["--wait"], &files).run().await.took(&[
            "ad11933a-b584-4f45-cd89-b51cd4f57fdd (calc.full; arm64 executable)",
            "163e197d-8a2f-450d-786f-90e0f99734f8 (calc.full; arm executable)",
            "056e7063-327d-04c7-2033-cec802cc34b6 (calc.full; x86 executable)",
            "29af1c9b-9967-386f-9dfb-2a76fb7c848a (calc.full; unknown executable)",
            "d5159a6c-5f98-4c22-d888-14c1e97a7865 (calc.full; x86_64 library)",
            "8a49394a-1c24-f3ae-24ef-670493f79e8d (calc.full; x86_64 library)",
            "bab2f018-629e-65b2-016a-de2dc65f8fea (shapes.full; x86_64 library)",
        ]);
        let rust = desk.frames(&server.http, "bab2f018-629e-65b2-016a-de2dc65f8fea", 0x19d0).await;
        assert_eq!(
            rust[1..],
            [
                "_RNvCs6mEINUzFH5k_6shapes4area @ /src/fixture/shapes.rs:5",
                "_RNvCs6mEINUzFH5k_6shapes6volume @ /src/fixture/shapes.rs:10",
                "_RNvCs6mEINUzFH5k_6shapes5boxes @ /src/fixture/shapes.rs:18"
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn a_thin_mach_o_executable_and_its_dsym_are_taken_and_looked_up() {
    at_every_desk(async |server, desk| {
        let files = paths(["macho-arm64-llvm19"]);
        desk.upload(&["--wait"], &files).run().await.took(&[
            "4c4c442c-5555-3144-a176-e1e20aa6f22d (calc; arm64 executable)",
            "4c4c442c-5555-3144-a176-e1e20aa6f22d (calc; arm64 debug companion)",
        ]);
        assert_eq!(
            desk.frames(&server.http, "4c4c442c-5555-3144-a176-e1e20aa6f22d", 0x3b8).await,
            [
                "square @ /src/fixture/calc.c:6",
                "sum_of_squares @ /src/fixture/calc.c:10",
                "calc_run @ /src/fixture/calc.c:21"
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn each_processor_of_a_fat_dsym_is_taken_for_itself() {
    at_every_desk(async |server, desk| {
        let files = paths(["macho-universal-llvm19"]);
        desk.upload(&["--wait"], &files).run().await.took(&[
            "4c4c442c-5555-3144-a176-e1e20aa6f22d (calc; arm64 executable)",
            "4c4c442c-5555-3144-a176-e1e20aa6f22d (calc; arm64 debug companion)",
            "4c4c44ce-5555-3144-a175-2259c838dfd4 (calc; x86_64 executable)",
            "4c4c44ce-5555-3144-a175-2259c838dfd4 (calc; x86_64 debug companion)",
        ]);
        assert_eq!(
            desk.frames(&server.http, "4c4c442c-5555-3144-a176-e1e20aa6f22d", 0x398).await,
            ["crash_here @ /src/fixture/calc.c:17"]
        );
        assert_eq!(
            desk.frames(&server.http, "4c4c44ce-5555-3144-a175-2259c838dfd4", 0x3b8).await,
            ["sum_of_squares @ /src/fixture/calc.c:11", "calc_run @ /src/fixture/calc.c:21"]
        );
    })
    .await;
}

#[tokio::test]
async fn a_windows_library_and_its_pdb_are_taken_and_looked_up() {
    at_every_desk(async |server, desk| {
        let files = paths(["pe-x86_64-exports-llvm19"]);
        desk.upload(&["--wait"], &files).run().await.took(&[
            "12890ce9-223e-73bb-4c4c-44205044422e-1 (calc.dll; x86_64 library)",
            "12890ce9-223e-73bb-4c4c-44205044422e-1 (calc.pdb; x86_64 debug companion)",
        ]);
        assert_eq!(
            desk.frames(&server.http, "12890ce9-223e-73bb-4c4c-44205044422e-1", 0x1040).await,
            [
                r"square(int) @ C:\src\fixture\calc.c:6",
                r"sum_of_squares(int, int) @ C:\src\fixture\calc.c:10",
                r"calc_run(int) @ C:\src\fixture\calc.c:21"
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn pdbs_of_executables_that_hold_nothing_are_taken_alone() {
    at_every_desk(async |server, desk| {
        // The clients see nothing of use in these executables and leave them out.
        let files = paths(["pe-x86_64-llvm19", "pe-i686-llvm19"]);
        desk.upload(&["--wait"], &files).run().await.took(&[
            "5433b924-e30a-5f8d-4c4c-44205044422e-1 (calc.pdb; x86_64 debug companion)",
            "8531b2de-843f-52d8-4c4c-44205044422e-1 (calc.pdb; x86 debug companion)",
        ]);
        assert_eq!(
            desk.frames(&server.http, "5433b924-e30a-5f8d-4c4c-44205044422e-1", 0x1020).await,
            [r"crash_here(int*) @ C:\src\fixture\calc.c:16"]
        );
        assert_eq!(
            desk.frames(&server.http, "8531b2de-843f-52d8-4c4c-44205044422e-1", 0x1020).await,
            [r"crash_here(int*) @ C:\src\fixture\calc.c:16"]
        );
    })
    .await;
}

#[tokio::test]
async fn portable_pdbs_are_taken_on_their_own_and_out_of_an_executable() {
    at_every_desk(async |server, desk| {
        let id = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
        let embedded = desk.upload(&["--wait"], &paths(["ppdb-embedded-mono"])).run().await;
        embedded.took(&["0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0 (calc.pdb; unknown debug companion)"]);
        // The same bytes again.
        desk.upload(&["--wait"], &paths(["ppdb-mono"])).run().await.had_nothing_to_upload(1);
        let found = desk.files(&server.http).await;
        assert_eq!((found.len(), &found[0]["symbolType"]), (1, &"portablepdb".into()));
        assert_eq!(found[0]["debugId"], id);
    })
    .await;
}

#[tokio::test]
async fn a_web_assembly_module_is_taken_and_looked_up() {
    at_every_desk(async |server, desk| {
        let files = paths(["wasm-llvm19-dwarf5"]);
        desk.upload(&["--wait"], &files)
            .run()
            .await
            .took(&["14096e44-2871-9520-4c52-1ae1e8f1c26c (calc.wasm; wasm32 library)"]);
        let expected = [
            "square @ /src/fixture/calc.c:6",
            "sum_of_squares @ /src/fixture/calc.c:11",
            "calc_run @ /src/fixture/calc.c:21",
        ];
        // Both ways of reading the module's id lead to it.
        for id in ["14096e44-2871-9520-4c52-1ae1e8f1c26c", "096e4428-7195-204c-521a-e1e8f1c26c6d"] {
            assert_eq!(desk.frames(&server.http, id, 0x90).await, expected, "{id}");
        }
    })
    .await;
}

#[tokio::test]
async fn breakpad_files_are_taken_and_looked_up() {
    at_every_desk(async |server, desk| {
        let files = paths(["breakpad"]);
        desk.upload(&["--wait"], &files).run().await.took(&[
            "4ec932a9-e89a-f8cd-96b5-496a980e4efe (calc-elf; x86_64 debug companion)",
            "4c4c442c-5555-3144-a176-e1e20aa6f22d (calc-macho-arm64; arm64 debug companion)",
            "5433b924-e30a-5f8d-4c4c-44205044422e-1 (calc-pe; x86_64 debug companion)",
        ]);
        assert_eq!(
            desk.frames(&server.http, CALC, 0x1158).await,
            [
                "square @ /src/fixture/calc.c:6",
                "sum_of_squares @ /src/fixture/calc.c:10",
                "calc_run @ /src/fixture/calc.c:21"
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn names_stay_as_people_wrote_them() {
    at_every_desk(async |_, desk| {
        let content = fixtures::read("elf-x86_64-gcc-dwarf4/calc.debug");
        let file = desk.put("r\u{e4}chner \"a\\b\" \u{2713} <c>.debug", content);
        let expected =
            "4ec932a9-e89a-f8cd-96b5-496a980e4efe (r\u{e4}chner \"a\\b\" \u{2713} <c>.debug; x86_64 debug companion)";
        desk.upload(&["--wait"], &[file]).run().await.took(&[expected]);
    })
    .await;
}
