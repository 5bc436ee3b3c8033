//! A hostile or busy neighbour beside an honest client: one file for each kind of attack. What an attack may cost is
//! asserted in work done, never in time.

mod assemble_bodies;
mod builds;
mod jobs;
mod section_headers;
mod short_tasks;
mod versions;

use symdepot::app::App;
use symdepot::blobs::BlobKey;
use symdepot::types::DebugFile;

use crate::support::until;

/// A file with debug information that everything is known of.
const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.debug";
const CALC_ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";

/// Takes the symcaches of these debug files away, row and bytes, as if they had never been made.
async fn forget_symcaches(app: &App, files: &[DebugFile]) {
    let ids: Vec<_> = files.iter().map(|file| file.id).collect();
    for row in app.db.symcaches_of(&ids).await.unwrap() {
        if let Some(key) = app.db.delete_symcache(row.id).await.unwrap() {
            app.blobs.delete(&[BlobKey::from_row(&key)]).await.unwrap();
        }
    }
    for file in files {
        app.symcaches.forget(file).await;
    }
}

/// Waits until an organization has no job any more.
async fn no_job_is_left(app: &App, organization_id: i64) {
    let none = || async { (app.db.open_jobs(organization_id, 1).await.unwrap() == 0).then_some(()) };
    until("no job is left", none).await;
}
