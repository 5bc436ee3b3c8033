//! [`App`]: the handles that everything shares, made once from the settings. It holds no state of its own.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::blobs::BlobStore;
use crate::cache::StatusCache;
use crate::clock::Clock;
use crate::config::Config;
use crate::db::Db;
use crate::symcaches::sandbox::Sandbox;

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
    /// The parser of untrusted bytes.
    pub sandbox: Sandbox,
    /// Rung when a job was queued in this process.
    pub wake: Arc<Notify>,
    /// Address that clients are told, known once the server listens.
    pub public_url: String,
}
