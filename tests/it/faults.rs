//! What breaks: the converter, the disk, the chunks, the process. Whatever it is, every upload ends in `ok` or in an
//! error that says what happened, and rows and bytes agree.

mod converter;
mod full_disk;
mod kill;
mod left_over;
mod losers;
mod s3;
mod storage;
mod takeover;

use symdepot::blobs::BlobKey;
use symdepot::types::Sha1;

use crate::support::server::TestServer;

/// A file with debug information that everything is known of.
const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.debug";
const CALC_ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";

/// Key of the bytes of a chunk of the default organization.
async fn key_of(server: &TestServer, sha1: Sha1) -> BlobKey {
    let owned = server.app.db.owned_chunks(server.account.organization.id, &[sha1]).await.unwrap();
    BlobKey::from_row(&owned[&sha1].chunk.blob.key)
}
