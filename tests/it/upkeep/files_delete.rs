//! Many files deleted at once: only what was listed, only after somebody agreed, and never what is uploaded meanwhile.

use chrono::TimeDelta;
use serde_json::{Value, json};
use symdepot::debug_files::{BulkDeleted, BulkFilter, announce, delete_many, find_many};
use symdepot::types::Format;

use super::server;
use crate::support::process::TestProcess;
use crate::support::records::Record;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

const FIRST: &str = "00000000-0000-0000-0000-000000000001";
const SECOND: &str = "00000000-0000-0000-0000-000000000002";
const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.debug";

async fn delete(server: &TestServer, filter: BulkFilter) -> BulkDeleted {
    let (app, project) = (&server.app, server.account.project.id);
    let now = announce(&app.db, &app.clock, project).await.unwrap();
    let found = find_many(&app.db, project, &filter, now, |_, _| {}).await.unwrap();
    delete_many(&app.db, app.blobs.as_ref(), &app.status, &app.clock, project, &found).await.unwrap()
}

async fn names(server: &TestServer) -> Vec<String> {
    let listed = server.listed(&server.account).await;
    listed.iter().map(|dif| dif["objectName"].as_str().unwrap().to_owned()).collect()
}

fn named(name: &str) -> BulkFilter {
    BulkFilter { name: Some(name.to_owned()), ..BulkFilter::default() }
}

#[tokio::test]
async fn each_filter_narrows_and_only_what_meets_all_of_them_goes() {
    let server = server().await;
    for (name, id) in [("liba.so", FIRST), ("libb.so", SECOND), ("100%", FIRST), ("x", SECOND)] {
        server.put_file(&server.account, Record { format: Format::Elf, ..Record::new(name, id) }).await;
        server.app.clock.advance(TimeDelta::days(1));
    }
    let rival = server.add_account("rival", "app").await;
    server.put_file(&rival, Record::new("libc.so", FIRST)).await;
    server.app.clock.advance(TimeDelta::days(1));
    let now = server.app.clock.now();
    let both = BulkFilter { debug_id: Some(FIRST.parse().unwrap()), ..named("lib*") };
    assert_eq!(delete(&server, both).await, BulkDeleted { files: 1, freed: 7 });
    assert_eq!(names(&server).await, ["x", "100%", "libb.so"]);
    assert_eq!(delete(&server, named("[1-9]00%")).await.files, 1);
    let old = |days| BulkFilter { uploaded_before: Some(now - TimeDelta::days(days)), ..BulkFilter::default() };
    assert_eq!(delete(&server, old(4)).await.files, 0);
    assert_eq!(delete(&server, old(3)).await.files, 1);
    assert_eq!(names(&server).await, ["x"]);
    assert_eq!(server.listed(&rival).await.len(), 1);
    let path = format!("/api/v1/projects/default/default/explain?debug_id={FIRST}");
    let told: Value = server.get(&path).send().await.unwrap().json().await.unwrap();
    assert!(told["reason"].as_str().unwrap().contains("was deleted on"), "{told}");
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn a_file_that_is_asked_for_after_the_deletion_began_stays() {
    let server = server().await;
    let (app, project) = (&server.app, server.account.project.id);
    let asked = server.put_file(&server.account, Record::new("asked", FIRST)).await;
    let other = server.put_file(&server.account, Record::new("other", SECOND)).await;
    app.clock.advance(TimeDelta::seconds(1));
    let now = announce(&app.db, &app.clock, project).await.unwrap();
    let found = find_many(&app.db, project, &named("*"), now, |_, _| {}).await.unwrap();
    assert_eq!(found.len(), 2);
    // Just uploaded, and yet renewed by the question.
    assert_eq!(server.ask(&server.account, &Upload::new("asked", "asked")).await["state"], "ok");
    let deleted = delete_many(&app.db, app.blobs.as_ref(), &app.status, &app.clock, project, &found).await.unwrap();
    assert_eq!((deleted.files, names(&server).await), (1, vec!["asked".to_owned()]), "{} {}", asked.id, other.id);
    let gone = server.ask(&server.account, &Upload::new("other", "other")).await;
    assert_ne!(gone["state"], json!("ok"));
}

#[tokio::test]
async fn the_verb_lists_and_asks_and_without_a_terminal_wants_a_yes() {
    let process = TestProcess::start().await;
    let client = process.client();
    client.upload_ok(&Upload::fixture(CALC)).await;
    let base = ["files", "delete", "--project", "default/default"];
    let run = async |more: &[&str]| {
        let output = process.run(&[&base[..], more].concat()).await;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr), output.status.code().unwrap())
    };
    let (_, said, code) = run(&["--yes"]).await;
    assert!(said.contains("say which files: --older-than, --debug-id, --name") && code == 1, "{said}");
    let (_, said, code) = run(&["--name", "*"]).await;
    assert!(said.contains("nobody can be asked here: add --yes") && code == 1, "{said}");
    let (listed, _, code) = run(&["--name", "calc.*", "--dry-run"]).await;
    assert!(listed.starts_with("1\t4ec932a9-e89a-f8cd-96b5-496a980e4efe\tcalc.debug\t"), "{listed}");
    assert!(listed.ends_with("\nNothing was deleted: this was a dry run.\n") && code == 0, "{listed}");
    let (none, _, code) = run(&["--older-than", "1d", "--yes"]).await;
    assert_eq!((none.as_str(), code), ("0 debug files of default/default, 0 B\nNothing was deleted.\n", 0));

    let verb = "files delete --project default/default --name 'calc*'";
    assert!(process.run_at_terminal(verb, "n\n").await.contains("Nothing was deleted."));
    assert_eq!(client.listed(&client.account).await.len(), 1);
    let screen = process.run_at_terminal(verb, "y\n").await;
    assert!(screen.contains("Delete these 1 debug files of default/default? [y/N]"), "{screen}");
    assert!(screen.contains("1 debug files deleted, "), "{screen}");
    assert_eq!(client.listed(&client.account).await.len(), 0);
    client.upload_ok(&Upload::fixture(CALC)).await;
}
