//! Names that others gave never reach a terminal as they are: every verb shows control characters as codes.

use std::process::Output;

use crate::support::fixtures;
use crate::support::process::TestProcess;
use crate::support::raw::Raw;

/// A name that clears the screen, renames the window and paints the rest red, in both spellings of a terminal.
const NAME: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}calc\u{9b}31m\u{202e}";

/// How it is shown.
const SHOWN: &str = "\\u{1b}[2J\\u{1b}]0;owned\\u{7}calc\\u{9b}31m\\u{202e}";

/// What a verb said, which has no control character in it but those that lines are made of.
fn harmless(output: &Output) -> String {
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let said = String::from_utf8(said).unwrap();
    let moves = |c: char| c.is_control() && !matches!(c, '\n' | '\t') || c == '\u{202e}';
    assert!(!said.contains(moves), "{said:?}");
    said
}

#[tokio::test]
async fn a_name_full_of_escape_sequences_is_shown_as_codes_by_every_verb() {
    let server = TestProcess::start().await;
    let run = async |line: &[&str]| harmless(&server.run(line).await);
    run(&["token", "create", "--org", "default", "--name", NAME]).await;
    assert!(run(&["token", "list", "--org", "default"]).await.contains(SHOWN));
    run(&["symbol-key", "create", "--project", "default/default", "--name", NAME]).await;
    assert!(run(&["symbol-key", "list", "--project", "default/default"]).await.contains(SHOWN));
    let nowhere = format!("default/{NAME}");
    assert!(run(&["symbol-key", "list", "--project", &nowhere]).await.contains(SHOWN), "in a message too");

    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("calc"), fixtures::read("elf-x86_64-gcc-dwarf4/calc.debug")).unwrap();
    std::fs::write(folder.path().join(NAME), b"PK\x03\x04 and no zip").unwrap();
    let path = folder.path().to_str().unwrap();
    let said = run(&["import", path, "--project", "default/default"]).await;
    assert!(said.contains(SHOWN) && said.contains("1 imported") && said.contains("1 failed"), "{said}");

    // As earlier versions stored them.
    let mut raw = Raw::open(&server.behind().await.config.database_url()).await;
    assert_eq!(raw.run(&format!("update debug_files set object_name = '{NAME}'")).await, 1);
    let address = format!("http://localhost/{NAME}");
    let columns = "project_id, kind, url, created_at";
    raw.run(&format!("insert into upstreams ({columns}) values (1, 'ssqp', '{address}', '2026-01-01T00:00:00Z')"))
        .await;
    let listed = run(&["files", "delete", "--project", "default/default", "--name", "*", "--dry-run"]).await;
    assert!(listed.contains(SHOWN), "{listed}");
    run(&["upstream", "list", "--project", "default/default"]).await;
    raw.run("update chunks set blob_key = 'chunks/00/nowhere' where id = (select max(id) from chunks)").await;
    assert!(run(&["fsck"]).await.contains(SHOWN));
}

#[tokio::test]
async fn a_name_or_an_address_that_no_row_holds_is_refused_with_a_message() {
    let server = TestProcess::start().await;
    let run = async |line: &[&str]| harmless(&server.run(line).await);
    let long = "n".repeat(201);
    let too_long = "symdepot: the name has 201 bytes: use 200 at most\n";
    assert_eq!(run(&["token", "create", "--org", "default", "--name", &long]).await, too_long);
    assert_eq!(run(&["symbol-key", "create", "--project", "default/default", "--name", &long]).await, too_long);
    let address = format!("https://symbols.example.com/{}", "p".repeat(1024));
    let said = run(&["upstream", "add", "--project", "default/default", "--kind", "ssqp", &address]).await;
    assert_eq!(said, "symdepot: this cannot be the address of an upstream: it has 1053 bytes; at most 1024 are kept\n");
    assert!(run(&["org", "create", &"o".repeat(51)]).await.contains("cannot be a slug"));
}
