//! ProGuard mappings: in chunks from the newest client, in a zip from the older ones.

use std::ffi::OsString;

use super::desk::at_every_desk;
use crate::support::fixtures;

const ID: &str = "9d089309-27e9-5967-969a-c02c8ea5d81f";

#[tokio::test]
async fn a_mapping_is_taken_once() {
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
        assert_eq!((&found[0]["symbolType"], &found[0]["debugId"]), (&"proguard".into(), &ID.into()));
        upload().await.succeeds(match desk.is_new() {
            true => "> Nothing to upload, all files are on the server",
            false => "> compressing mappings\n> uploading mappings\n> Uploaded a total of 0 new mapping files",
        });
        assert_eq!(desk.files(&server.http).await, found);
    })
    .await;
}
