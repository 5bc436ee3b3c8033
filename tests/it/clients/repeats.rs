//! Uploads that do not wait, that come twice, that ask for certain ids, that are large in number: what the client says
//! and that the server has everything in the end.

use std::fmt::Write as _;

use super::desk::at_every_desk;
use super::screen::{prepared, uploaded};
use crate::support::fixtures;

const CALC: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";

#[tokio::test]
async fn an_upload_that_does_not_wait_is_finished_all_the_same_and_then_nothing_is_left_to_do() {
    at_every_desk(async |server, desk| {
        let files = ["elf-x86_64-gcc-dwarf4/calc", "elf-x86_64-gcc-dwarf4/calc.debug"].map(fixtures::path);
        let word = if desk.version == "2.14.2" { "PENDING" } else { "UPLOADED" };
        desk.upload(&[], &files).run().await.succeeds(
            &[
                prepared(2),
                uploaded(2),
                "> File upload complete:\n\n".to_owned(),
                format!("  {word} {CALC} (calc; x86_64 library)\n"),
                format!("  {word} {CALC} (calc.debug; x86_64 debug companion)\n"),
            ]
            .concat(),
        );
        let found = desk.files_at_last(&server.http, 2).await;
        assert!(found.iter().all(|file| file["debugId"] == CALC), "{found:?}");
        assert_eq!(desk.frames(&server.http, CALC, 0x1129).await, ["main @ /src/fixture/main.c:3"]);

        for options in [&[][..], &["--wait"]] {
            desk.upload(options, &files).run().await.had_nothing_to_upload(2);
        }
        assert_eq!(desk.files(&server.http).await, found);
    })
    .await;
}

#[tokio::test]
async fn two_builds_of_one_id_both_end_well() {
    at_every_desk(async |server, desk| {
        let files = ["elf-x86_64-gcc-dwarf5-none", "elf-x86_64-gcc-dwarf5-zstd"]
            .map(|build| fixtures::path(&format!("{build}/calc.debug")));
        let id = "3bc1fd80-a4cd-0bae-9a75-ff95a9d11d06";
        let file = "3bc1fd80-a4cd-0bae-9a75-ff95a9d11d06 (calc.debug; x86_64 debug companion)";
        desk.upload(&["--wait"], &files).run().await.took(&[file, file]);
        assert_eq!(desk.frames(&server.http, id, 0x1129).await, ["main @ /src/fixture/main.c:3"]);
        for file in files {
            desk.upload(&["--wait"], &[file]).run().await.had_nothing_to_upload(1);
        }
    })
    .await;
}

#[tokio::test]
async fn all_ids_that_are_required_are_found() {
    at_every_desk(async |_, desk| {
        let files = ["breakpad"].map(fixtures::path);
        let options = ["--wait", "--require-all", "--id", CALC];
        desk.upload(&options, &files)
            .run()
            .await
            .took(&["4ec932a9-e89a-f8cd-96b5-496a980e4efe (calc-elf; x86_64 debug companion)"]);
        let options = ["--wait", "--require-all", "--id", "deadbeef-0000-0000-0000-000000000001"];
        desk.upload(&options, &files).run().await.says(
            1,
            "> Found 0 debug information files\n> No debug information files found\n  \
             deadbeef-0000-0000-0000-000000000001\n\nError: Some symbols could not be found!\n\
             The following symbols are still missing:",
        );
    })
    .await;
}

#[tokio::test]
async fn three_hundred_files_go_in_one_run() {
    at_every_desk(async |server, desk| {
        let count = if desk.is_new() { 300 } else { 100 };
        for number in 1..=count {
            desk.put(&format!("many/lib{number}.sym"), breakpad(number));
        }
        let files: Vec<_> =
            (1..=count).map(|number| format!("{} (lib{number}; x86_64 debug companion)", id(number))).collect();
        let files: Vec<_> = files.iter().map(String::as_str).collect();
        desk.upload(&["--wait"], &[desk.path("many")]).run().await.took(&files);
        for number in [1, count] {
            let frames = desk.frames(&server.http, &id(number), 0x1000).await;
            assert_eq!(frames, [format!("work_{number} @ /src/many.c:{number}")]);
        }
        desk.upload(&["--wait"], &[desk.path("many")]).run().await.had_nothing_to_upload(count);
    })
    .await;
}

/// A Breakpad file with one function, different for every number.
fn breakpad(number: usize) -> String {
    let mut text = format!("MODULE Linux x86_64 {}0 lib{number}\n", id(number).replace('-', "").to_uppercase());
    writeln!(text, "FILE 0 /src/many.c\nFUNC 1000 10 0 work_{number}\n1000 10 {number} 0").unwrap();
    text
}

fn id(number: usize) -> String {
    format!("00000000-0000-0000-0000-{number:012x}")
}
