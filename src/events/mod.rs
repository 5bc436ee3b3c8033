//! Events of clients: accepted into a spool, digested into rows, grouped into issues.
//!
//! What is acknowledged is durable. An event has one outcome, and every count is written in its transaction. Nothing here
//! answers a client or knows a route.

pub mod assign;
mod counting;
pub mod digest;
mod moves;
mod native;
mod occurrences;
mod prepare;
mod rates;
mod record;
mod reprocess;
mod retention;
mod sampling;
mod settings;
pub mod spool;
mod symbolicate;
pub mod treatment;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

pub use moves::Unmerge;
pub use occurrences::{NewOccurrence, PutOccurrence};
pub use prepare::{Outcome, decompressed};
pub use record::{BadRecord, NewAttachment, Record, RecordedOutcome, UserReport};
pub use reprocess::{Reprocess, Reprocessed};
pub use retention::{ExpiredEvents, Mode as ExpireMode, RetentionError};
pub use settings::{EventRule, check_settings};
pub use spool::{Spool, SpoolError};
pub use treatment::{Treatment, Treatments};

use crate::admission::WorkLimiter;
use crate::blobs::BlobStore;
use crate::clock::Clock;
use crate::config::{self, Config, or_cores};
use crate::db::{Db, DbError};
use crate::symbolication::Symbolication;
use crate::types::ProjectKey;
use rates::Rates;

/// The handles of events. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Events {
    db: Db,
    blobs: Arc<dyn BlobStore>,
    clock: Clock,
    /// The settings.
    pub settings: config::Events,
    /// Settings of projects and keys.
    pub treatments: Treatments,
    symbolication: Symbolication,
    spool: Spool,
    rates: Rates,
    threads: usize,
    temp_dir: PathBuf,
    /// When the oldest event that is being digested was received, in seconds since 1970; 0 if there is none.
    oldest: Arc<AtomicI64>,
    /// Large bodies that arrive at a time.
    pub large: WorkLimiter,
    /// Rung when rows of the spool were written in this process.
    pub wake: Arc<Notify>,
}

/// Bodies above a megabyte that arrive at a time; of one organization half as many.
const LARGE: usize = 32;
/// Further ones that wait, and for how long.
const LARGE_QUEUE: usize = 256;
const LARGE_WAIT: Duration = Duration::from_secs(30);

/// An undigested event that is older says that something is wrong.
const LAG: i64 = 60;

impl Events {
    /// Events over these handles.
    pub fn new(
        config: &Config,
        (db, blobs): (&Db, &Arc<dyn BlobStore>),
        clock: &Clock,
        symbolication: &Symbolication,
    ) -> io::Result<Self> {
        let wake = Arc::new(Notify::new());
        Ok(Self {
            db: db.clone(),
            blobs: Arc::clone(blobs),
            clock: clock.clone(),
            settings: config.events.clone(),
            treatments: Treatments::new(db),
            symbolication: symbolication.clone(),
            spool: Spool::open(config, db, clock, &wake)?,
            rates: Rates::default(),
            threads: or_cores(0),
            temp_dir: config.temp_dir(),
            oldest: Arc::default(),
            large: WorkLimiter::with_share(LARGE, LARGE / 2, LARGE_QUEUE, LARGE_WAIT),
            wake,
        })
    }

    /// Who a key of a project is; `None` for one that is unknown, revoked, or of another project.
    pub async fn sender(&self, project: &str, key: &str) -> Result<Option<(Arc<ProjectKey>, Arc<Treatment>)>, DbError> {
        let is_key = key.len() == 32 && key.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let project: Option<i64> = project.parse().ok().filter(|id: &i64| id.to_string() == project);
        let (true, Some(project)) = (is_key, project) else { return Ok(None) };
        let key = self.treatments.key(key).await?.filter(|key| key.project_id == project);
        let Some(key) = key else { return Ok(None) };
        let treatment = self.treatments.of(project).await?;
        Ok(Some((key, treatment)))
    }

    /// Lets an event of a sender pass, or says after how many seconds the next one may.
    pub fn admit(&self, key: &ProjectKey, treatment: &Treatment, now: DateTime<Utc>) -> Result<(), u64> {
        self.rates.admit((0, key.project_id), treatment.settings.event_rate, now)?;
        self.rates.admit((1, key.id), key.rate, now)
    }

    /// Makes a record durable. It is digested whatever happens to this process afterwards.
    pub async fn accept(&self, record: &Record) -> Result<(), SpoolError> {
        self.spool.append(record.encode(), record.organization_id).await?;
        if let Spool::Disk(writer) = &self.spool {
            writer.appended().notify_one();
        }
        Ok(())
    }

    /// Notes the oldest event that is being digested; none once it is.
    pub fn note_oldest(&self, received_at: Option<DateTime<Utc>>) {
        self.oldest.store(received_at.map_or(0, |at| at.timestamp()), Ordering::Relaxed);
    }

    /// Whether events have waited longer than they should.
    pub fn lags(&self) -> bool {
        let oldest = self.oldest.load(Ordering::Relaxed);
        oldest > 0 && self.clock.now().timestamp() - oldest > LAG
    }

    /// The spool.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The store of bytes.
    pub fn blobs(&self) -> &Arc<dyn BlobStore> {
        &self.blobs
    }

    /// A fresh id.
    pub fn fresh_id(&self) -> uuid::Uuid {
        self.clock.fresh_id()
    }
}
