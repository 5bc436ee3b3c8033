//! Maps from short names to the ones people wrote: ProGuard mappings, in chunks from the newest client and in a zip
//! from the older ones, and Dart symbol maps.

use std::ffi::OsString;

use super::desk::{Desk, at_every_desk};
use super::screen::{processed, uploaded};
use crate::support::fixtures;
use crate::support::server::TestServer;

const PROGUARD: &str = "9d089309-27e9-5967-969a-c02c8ea5d81f";

#[tokio::test]
async fn a_proguard_mapping_is_taken_once() {
    at_every_desk(async |server, desk| {
        let mapping = fixtures::path("proguard/mapping.txt");
        let verb = if desk.is_new() { &["proguard", "upload"][..] } else { &["upload-proguard"] };
        let upload = || desk.client(verb.iter().map(OsString::from).chain([mapping.clone().into_os_string()])).run();
        upload().await.succeeds(match desk.is_new() {
            true => {
                "> Uploaded 1 missing debug information file\n> File upload complete:\n\n  \
                 UPLOADED 9d089309-27e9-5967-969a-c02c8ea5d81f (Proguard mapping)"
            }
            false => {
                "> compressing mappings\n> uploading mappings\n> Uploaded a total of 1 new mapping files\n\
                 Newly uploaded debug symbols:\n  9d089309-27e9-5967-969a-c02c8ea5d81f"
            }
        });
        let found = desk.files_at_last(&server.http, 1).await;
        assert_eq!((&found[0]["symbolType"], &found[0]["debugId"]), (&"proguard".into(), &PROGUARD.into()));
        upload().await.succeeds(match desk.is_new() {
            true => "> Nothing to upload, all files are on the server",
            false => "> compressing mappings\n> uploading mappings\n> Uploaded a total of 0 new mapping files",
        });
        assert_eq!(desk.files(&server.http).await, found);
    })
    .await;
}

#[tokio::test]
async fn a_proguard_mapping_is_taken_in_chunks_from_the_last_of_the_old_clients_too() {
    let server = TestServer::start().await;
    let desk = Desk::new("2.58.6", &server.url, server.account.clone());
    let arguments = [OsString::from("upload-proguard"), fixtures::path("proguard/mapping.txt").into_os_string()];
    let upload = desk.client(arguments).with("SENTRY_EXPERIMENTAL_PROGUARD_CHUNK_UPLOAD", "1");
    // Otherwise it says how new all this is to it.
    upload.with("SENTRY_LOG_LEVEL", "error").run().await.succeeds(
        &(uploaded(1) + &processed(["OK 9d089309-27e9-5967-969a-c02c8ea5d81f (proguard-mapping; any file)"])),
    );
    assert_eq!(desk.files(&server.http).await.len(), 1);
}

#[tokio::test]
async fn one_mapping_under_two_ids_is_two_files() {
    let server = TestServer::start().await;
    let desk = Desk::new("3.8.2", &server.url, server.account.clone());
    let mapping = fixtures::path("proguard/mapping.txt").into_os_string();
    let upload = async |id| {
        let arguments = ["proguard", "upload", "--uuid", id].map(OsString::from);
        desk.client(arguments.into_iter().chain([mapping.clone()])).run().await
    };
    let (first, second) = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222");
    let sent = "> File upload complete:\n\n  UPLOADED 11111111-1111-4111-8111-111111111111 (Proguard mapping)";
    upload(first).await.succeeds(&(uploaded(1) + sent));
    desk.files_at_last(&server.http, 1).await;
    upload(second).await.succeeds("> Nothing to upload, all files are on the server");
    let found = desk.files_at_last(&server.http, 2).await;
    assert_eq!((&found[0]["debugId"], &found[1]["debugId"]), (&first.into(), &second.into()));
    assert_eq!(found[0]["sha1"], found[1]["sha1"]);
}

#[tokio::test]
async fn a_dart_symbol_map_is_taken_for_its_debug_file() {
    at_every_desk(async |server, desk| {
        if desk.version == "2.14.2" {
            // It does not know them.
            return;
        }
        let files = ["dart/calc.json", "elf-x86_64-gcc-dwarf4/calc.debug"].map(fixtures::path);
        let verb = ["dart-symbol-map", "upload"].map(OsString::from);
        desk.client(verb.into_iter().chain(files.map(Into::into)))
            .run()
            .await
            .succeeds(&(uploaded(1) + &processed(["OK 4ec932a9-e89a-f8cd-96b5-496a980e4efe (calc.json; any file)"])));
        let found = desk.files(&server.http).await;
        assert_eq!((found.len(), &found[0]["symbolType"]), (1, &"dartsymbolmap".into()));
    })
    .await;
}
