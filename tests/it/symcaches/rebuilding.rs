//! `symcaches rebuild`: workers make old symcaches again, and the verb says how many.

use symdepot::blobs::BlobKey;

use super::{CALC, CALC_ID};
use crate::support::process::TestProcess;
use crate::support::uploads::Upload;

#[tokio::test]
async fn what_an_older_version_made_is_made_again_and_only_where_a_project_is_named() {
    let server = TestProcess::start().await;
    let client = server.client();
    client.upload_ok(&Upload::fixture(CALC)).await;
    let said = async |arguments: &[&str]| {
        let output = server.run(arguments).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(said(&["symcaches", "rebuild"]).await, "0 of 0 symcaches made again\n");

    let behind = server.behind().await;
    let files = behind.db.debug_files_by_id(client.account.project.id, &[CALC_ID.parse().unwrap()]).await.unwrap();
    for row in behind.db.symcaches_of(&[files[0].id]).await.unwrap() {
        if let Some(key) = behind.db.delete_symcache(row.id).await.unwrap() {
            behind.blobs.delete(&[BlobKey::from_row(&key)]).await.unwrap();
        }
    }
    assert_eq!(said(&["project", "create", "default/other"]).await, "other\n");
    let other = said(&["symcaches", "rebuild", "--project", "default/other"]).await;
    assert_eq!(other, "0 of 0 symcaches made again\n");
    let own = said(&["symcaches", "rebuild", "--project", "default/default"]).await;
    assert_eq!(own, "1 of 1 symcaches made again\n");
    assert_eq!(behind.db.symcaches_of(&[files[0].id]).await.unwrap().len(), 1);
    assert_eq!(said(&["symcaches", "rebuild"]).await, "0 of 0 symcaches made again\n");
}

#[tokio::test]
async fn a_project_that_is_not_there_is_named() {
    let server = TestProcess::start().await;
    let output = server.run(&["symcaches", "rebuild", "--project", "default/nope"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("default/nope"), "{output:?}");
}
