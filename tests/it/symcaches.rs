//! From an uploaded file to its symcache: made once, kept, made anew when it must be, and a reason where there is none.

mod building;
mod malformed;
mod mappings;
mod rebuilding;
mod rivals;
mod supplements;

use symdepot::blobs::BlobKey;

use crate::support::server::TestServer;

/// A file with debug information that everything is known of.
const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.debug";
const CALC_ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";

/// Takes the symcaches of a debug file away, row and bytes, as if they had never been made.
pub(crate) async fn forget_symcaches(server: &TestServer, dif: &serde_json::Value) {
    let id = dif["id"].as_str().unwrap().parse().unwrap();
    for row in server.app.db.symcaches_of(&[id]).await.unwrap() {
        if let Some(key) = server.app.db.delete_symcache(row.id).await.unwrap() {
            server.app.blobs.delete(&[BlobKey::from_row(&key)]).await.unwrap();
        }
    }
    let file = server.app.db.debug_file(server.account.project.id, id).await.unwrap().unwrap();
    server.app.symcaches.forget(&file).await;
}
