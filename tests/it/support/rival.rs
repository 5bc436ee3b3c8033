//! [`Rival`]: somebody who stores the same symcache as the server at the worst moment and takes it away again.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use symdepot::app::App;
use symdepot::blobs::{BlobError, BlobKey, BlobReader, BlobStore, Listed, Spool, TempSweep};
use symdepot::clock::Clock;
use symdepot::db::{Db, NewSymcache, SymcacheKey};
use symdepot::symcaches::sandbox::FORMAT_VERSION;

/// Its row comes with the server's bytes and goes with them. A clone is the same rival.
#[derive(Clone, Debug, Default)]
pub struct Rival {
    wanted: Arc<Mutex<Option<SymcacheKey>>>,
    rounds: Arc<AtomicUsize>,
}

/// How its rows are told from others.
const SIGNATURE: &str = "made by the rival";

impl Rival {
    /// Comes between a server and its blob store.
    pub fn watches(&self, app: &mut App) {
        let (inner, db, clock) = (Arc::clone(&app.blobs), app.db.clone(), app.clock.clone());
        let watched: Arc<dyn BlobStore> = Arc::new(Watched { inner, db, clock, rival: self.clone() });
        app.blobs = Arc::clone(&watched);
        app.symcaches.blobs = watched;
    }

    /// Is faster with the symcache of this debug file from now on, every time.
    pub fn fights_for(&self, app: &App, debug_file_id: i64) {
        *self.wanted.lock().unwrap() = Some(SymcacheKey {
            debug_file_id,
            format_version: FORMAT_VERSION,
            converter_version: app.symcaches.converter_version.clone(),
            mappings: String::new(),
        });
    }

    /// Lets the server have it.
    pub fn gives_up(&self) {
        *self.wanted.lock().unwrap() = None;
    }

    /// How often it was faster.
    pub fn rounds(&self) -> usize {
        self.rounds.load(Ordering::SeqCst)
    }

    fn wanted(&self) -> Option<SymcacheKey> {
        self.wanted.lock().unwrap().clone()
    }
}

/// A blob store under the eyes of a rival.
#[derive(Debug)]
struct Watched {
    inner: Arc<dyn BlobStore>,
    db: Db,
    clock: Clock,
    rival: Rival,
}

fn is_symcache(key: &BlobKey) -> bool {
    key.as_str().starts_with("symcaches/")
}

#[async_trait]
impl BlobStore for Watched {
    async fn spool(&self) -> Result<Spool, BlobError> {
        self.inner.spool().await
    }

    async fn put(&self, key: &BlobKey, spool: Spool) -> Result<(), BlobError> {
        self.inner.put(key, spool).await?;
        if let Some(wanted) = self.rival.wanted().filter(|_| is_symcache(key)) {
            let faster = NewSymcache { key: wanted, outcome: Err(SIGNATURE.to_owned()), statistics: None };
            self.db.insert_symcache(&faster, self.clock.now()).await.unwrap();
            self.rival.rounds.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }

    async fn delete(&self, keys: &[BlobKey]) -> Result<(), BlobError> {
        self.inner.delete(keys).await?;
        if let Some(wanted) = self.rival.wanted().filter(|_| keys.iter().any(is_symcache))
            && let Some(row) = self.db.symcache(&wanted).await.unwrap()
            && row.detail.as_deref() == Some(SIGNATURE)
        {
            self.db.delete_symcache(row.id).await.unwrap();
        }
        Ok(())
    }

    async fn open(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<BlobReader, BlobError> {
        self.inner.open(key, range).await
    }

    async fn stored_size(&self, key: &BlobKey) -> Result<Option<u64>, BlobError> {
        self.inner.stored_size(key).await
    }

    async fn list(&self, after: Option<&BlobKey>, limit: usize) -> Result<Vec<Listed>, BlobError> {
        self.inner.list(after, limit).await
    }

    async fn sweep_temp(&self, sweep: &TempSweep) -> Result<u64, BlobError> {
        self.inner.sweep_temp(sweep).await
    }
}
