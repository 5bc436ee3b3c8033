//! [`App`]: the handles that everything shares, made once from the settings. It holds no state of its own.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::blobs::BlobStore;
use crate::cache::StatusCache;
use crate::clock::Clock;
use crate::config::Config;
use crate::db::Db;
use crate::symcaches::Symcaches;
use crate::uploads::Requests;

/// Cheap handles; a clone is the same app.
#[derive(Clone, Debug)]
pub struct App {
    /// The settings.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Clock,
    /// The rows.
    pub db: Db,
    /// The bytes.
    pub blobs: Arc<dyn BlobStore>,
    /// Remembered states of assemblies.
    pub status: StatusCache,
    /// Finding, making and registering symcaches.
    pub symcaches: Symcaches,
    /// Rung when a job was queued in this process.
    pub wake: Arc<Notify>,
    /// Address that clients are told, known once the server listens.
    pub public_url: String,
}

impl App {
    /// The handles that answering assemble requests needs.
    pub fn requests(&self) -> Requests {
        Requests {
            db: self.db.clone(),
            status: self.status.clone(),
            clock: self.clock.clone(),
            wake: self.wake.clone(),
            status_ttl: self.config.status.ttl,
            converter_version: self.symcaches.converter_version.clone(),
        }
    }
}
