//! Fast look-up tables made from debug files: found, made once, remembered with the reason if they cannot be made.
//!
//! Nothing here parses untrusted bytes in this process.

mod breakpad;
mod build;
mod cabinet;
mod cfi_table;
mod derived;
mod explain;
mod flights;
mod frames;
mod locations;
mod lookup;
mod mappings;
mod modules;
mod name_table;
mod permits;
mod queue;
mod read;
mod rebuild;
mod register;
pub mod sandbox;
mod sources;
mod start;
mod store;
mod table;
mod take_in;
mod unzipped;
mod verdict;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, broadcast};
use tokio_util::task::TaskTracker;

pub use build::{BuildError, Built};
pub use derived::{Derived, Making};
pub use explain::{Explained, Explanation};
pub use flights::Flights;
pub use frames::{Frame, Frames, Inline, Place};
pub use locations::{Location, Locations};
pub use lookup::{Lookup, LookupError, Ready, candidate};
pub use modules::{Absence, Tables};
pub use name_table::NameTable;
pub use queue::BuildTask;
pub use rebuild::RebuildPage;
pub use register::{ConversionTime, Outcome, RegisterError, Verified};
pub use sources::{Source, SourceError};
pub use store::StoreError;
pub use table::Table;
pub use take_in::{LocalFile, TakeInError, TakenIn, hints_of};
pub use unzipped::Unzipped;

use crate::blobs::BlobStore;
use crate::cache::{ByRoom, Recent, SmallBlobs};
use crate::clock::Clock;
use crate::config::Compression;
use crate::db::{Db, SymcacheKey};
use crate::debug_files::{Misses, Uses};
use crate::types::{DebugFile, DebugId};
use sandbox::{BREAKPAD_VERSION, FORMAT_VERSION, Sandbox};

/// How long a look-up is answered from memory: what another process deleted is served no longer than this.
const MOMENT: Duration = Duration::from_secs(1);

/// How long damaged bytes are remembered by those who do not wait for the job that makes them again.
const LOST_REMEMBERED: Duration = Duration::from_secs(30);

/// Steps of jobs that a slow waiter may miss before it looks at its row instead.
const STEPS_TOLD: usize = 256;

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
    /// Names what makes Breakpad text.
    pub breakpad_version: String,
    /// Jobs that an organization may have.
    pub most_open: i64,
    /// Rung when a job was queued in this process.
    pub wake: Arc<Notify>,
    /// How derived files are kept.
    pub compression: Compression,
    /// Which debug files are used.
    pub uses: Uses,
    /// What is missing.
    pub misses: Misses,
    recent: Recent<(i64, DebugId), Lookup>,
    /// Keys of bytes that were found damaged while they were read: their rows are as good as none until a job replaces them.
    lost: Recent<String, ()>,
    small: SmallBlobs,
    tables: ByRoom<Table>,
    name_tables: ByRoom<NameTable>,
    ends: broadcast::Sender<i64>,
    waiting: Arc<Semaphore>,
    look_up_turns: Arc<Semaphore>,
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
        let (uses, misses) = (Uses::new(&db, &clock), Misses::new(&db, &clock));
        Self {
            db,
            blobs,
            sandbox,
            clock,
            temp_dir,
            converter_version,
            breakpad_version: BREAKPAD_VERSION.to_owned(),
            most_open: queue::MOST_OPEN,
            wake: Arc::new(Notify::new()),
            uses,
            misses,
            compression: Compression::Zstd,
            recent: Recent::new(MOMENT, 100_000),
            lost: Recent::new(LOST_REMEMBERED, 10_000),
            small: SmallBlobs::default(),
            tables: ByRoom::new(table::ROOM, Table::takes),
            name_tables: ByRoom::new(name_table::ROOM, NameTable::takes),
            ends: broadcast::Sender::new(STEPS_TOLD),
            waiting: Arc::new(Semaphore::new(queue::MOST_WAITING)),
            look_up_turns: Arc::new(Semaphore::new(frames::AT_A_TIME)),
            tracker,
        }
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
