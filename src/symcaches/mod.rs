//! Fast look-up tables made from debug files: found, made once, remembered with the reason if they cannot be made.
//!
//! Nothing here parses untrusted bytes in this process.

mod child;
mod convert;
mod explain;
mod flights;
mod lookup;
mod mappings;
mod precheck;
mod read;
mod register;
pub mod sandbox;
mod sources;
mod store;
mod take_in;
mod unzipped;
mod verdict;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

pub use explain::{Explained, Explanation};
pub use flights::Flights;
pub use lookup::{Lookup, LookupError, Ready};
pub use register::{Outcome, RegisterError, Verified};
pub use sources::{Source, SourceError};
pub use store::StoreError;
pub use take_in::{TakeInError, TakenIn};
pub use unzipped::Unzipped;

use crate::blobs::BlobStore;
use crate::cache::{Recent, SmallBlobs};
use crate::clock::Clock;
use crate::db::{Db, SymcacheKey};
use crate::types::{DebugFile, DebugId};
use lookup::Landing;
use sandbox::{FORMAT_VERSION, Sandbox};

/// How long a look-up is answered from memory: what another process deleted is served no longer than this.
const MOMENT: Duration = Duration::from_secs(1);

/// The handles that symcaches need. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Symcaches {
    /// The rows.
    pub db: Db,
    /// The bytes.
    pub blobs: Arc<dyn BlobStore>,
    /// The parser of untrusted bytes.
    pub sandbox: Sandbox,
    /// The time.
    pub clock: Clock,
    /// Where temp files are made.
    pub temp_dir: PathBuf,
    /// Names the converter in use.
    pub converter_version: String,
    recent: Recent<(i64, DebugId), Lookup>,
    small: SmallBlobs,
    flights: Flights<SymcacheKey, Landing>,
    source_turns: Arc<Semaphore>,
    tracker: TaskTracker,
}

impl Symcaches {
    /// Symcaches over these handles. Builds that outlive their asker run on `tracker`.
    pub fn new(
        db: Db,
        blobs: Arc<dyn BlobStore>,
        sandbox: Sandbox,
        clock: Clock,
        temp_dir: PathBuf,
        converter_version: String,
        tracker: TaskTracker,
    ) -> Self {
        let recent = Recent::new(MOMENT, 100_000);
        let (small, flights) = (SmallBlobs::default(), Flights::default());
        let source_turns = Arc::new(Semaphore::new(sources::AT_A_TIME));
        Self { db, blobs, sandbox, clock, temp_dir, converter_version, recent, small, flights, source_turns, tracker }
    }

    /// The key of the symcache that is wanted now of a debug file with these name maps.
    fn key(&self, debug_file_id: i64, mappings: String) -> SymcacheKey {
        SymcacheKey {
            debug_file_id,
            format_version: FORMAT_VERSION,
            converter_version: self.converter_version.clone(),
            mappings,
        }
    }

    /// Forgets what was looked up under the ids of `file`: it came, went or changed.
    pub async fn forget(&self, file: &DebugFile) {
        for id in [Some(&file.debug_id), file.debug_id_alias.as_ref()].into_iter().flatten() {
            self.recent.forget(&(file.project_id, id.clone())).await;
        }
    }
}
