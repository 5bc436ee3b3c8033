//! Whether rows and bytes agree: every row's bytes are there, all bytes have a row.

use std::collections::{BTreeMap, BTreeSet};

use symdepot::blobs::{BlobKey, BlobStore};
use symdepot::db::Db;

/// Everything that differs, one sentence each. Empty is what a test wants.
pub async fn fsck(db: &Db, blobs: &dyn BlobStore) -> Vec<String> {
    let rows = rows(db).await;
    let stored = stored(blobs).await;
    let mut differences = Vec::new();
    for (key, size) in &rows {
        match stored.get(key) {
            None => differences.push(format!("a row speaks of {key}, whose bytes are not there")),
            Some(found) if found != size => differences.push(format!("{key} has {found} bytes and not {size}")),
            Some(_) => {}
        }
    }
    let known: BTreeSet<_> = rows.keys().collect();
    differences.extend(stored.keys().filter(|key| !known.contains(key)).map(|key| format!("no row speaks of {key}")));
    differences
}

/// Those of the differences by which something is lost: not bytes that no row speaks of yet, or any more, which are left for
/// the next clean-up.
pub fn losses(differences: Vec<String>) -> Vec<String> {
    differences.into_iter().filter(|text| !text.starts_with("no row speaks of")).collect()
}

async fn rows(db: &Db) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    loop {
        let after = all.last_key_value().map_or_else(String::new, |(key, _): (&String, _)| key.clone());
        let page = db.blob_rows(&after, 500).await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

async fn stored(blobs: &dyn BlobStore) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    let mut after: Option<BlobKey> = None;
    loop {
        let page = blobs.list(after.as_ref(), 500).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = Some(last.key.clone());
        all.extend(page.into_iter().map(|listed| (listed.key.as_str().to_owned(), listed.stored_size)));
    }
}
