//! Keeping house: what nobody can want any more goes ([`gc`](Upkeep::gc)), and rows and bytes are held against each
//! other ([`fsck`](Upkeep::fsck)).
//!
//! It never removes what somebody wanted within the grace, and never touches the bytes of a row that stands.

mod copy;
mod dry_run;
mod expire;
mod fsck;
mod gc;
mod listing;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::blobs::{BlobError, BlobKey, BlobStore, Listed, SweepMode, TempSweep, sweep_folder};
use crate::clock::Clock;
use crate::config::Config;
use crate::db::{Db, DbError};

pub use copy::{Copied, CopyError, Step, Target};
pub use expire::Expired;
pub use fsck::{Checked, Depth, Finding, Loss, Progress, Repair};
pub use gc::{Freed, Mode, Swept};

/// Rows looked at with one question.
const PAGE: usize = 500;

/// Between two looks at bytes without a row, before they go: longer than any row takes to be written.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// The handles that keeping house needs.
#[derive(Clone, Debug)]
pub struct Upkeep {
    db: Db,
    blobs: Arc<dyn BlobStore>,
    clock: Clock,
    temp_dir: PathBuf,
    chunk_grace: TimeDelta,
    temp_grace: TimeDelta,
    longest_operation: TimeDelta,
    symcache: CurrentSymcache,
}

/// The versions of symcaches that are made and asked for today.
#[derive(Clone, Debug)]
pub struct CurrentSymcache {
    /// Version of the format.
    pub format: i64,
    /// Version of the converter.
    pub converter: String,
}

/// Why keeping house was broken off. It can be begun anew at any time.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// Rows.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Bytes.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl Upkeep {
    /// Over these rows and bytes, with the times of grace that the settings say.
    pub fn new(db: &Db, blobs: &Arc<dyn BlobStore>, clock: &Clock, config: &Config, symcache: CurrentSymcache) -> Self {
        let grace = |time| TimeDelta::from_std(time).unwrap_or(TimeDelta::days(36_500));
        Self {
            db: db.clone(),
            blobs: Arc::clone(blobs),
            clock: clock.clone(),
            temp_dir: config.temp_dir(),
            chunk_grace: grace(config.uploads.chunk_grace),
            temp_grace: grace(config.gc.temp_grace),
            longest_operation: grace(config.longest_operation()),
            symcache,
        }
    }

    /// Removes the temp files that dead processes left in the folders of this process. A running one keeps its own, however
    /// long it needs them. It looks at this machine alone, not at the store, and can be done at any time.
    pub async fn sweep_own_temp(&self) -> Result<u64, UpkeepError> {
        let sweep = TempSweep { uploads: false, ..self.temp_sweep(SweepMode::Remove) };
        Ok(self.blobs.sweep_temp(&sweep).await? + sweep_folder(&self.temp_dir, &sweep).await?)
    }

    /// The same, and gives up the uploads to the store that dead processes left unfinished.
    async fn sweep_temp(&self, mode: SweepMode) -> Result<u64, UpkeepError> {
        let sweep = self.temp_sweep(mode);
        Ok(self.blobs.sweep_temp(&sweep).await? + sweep_folder(&self.temp_dir, &sweep).await?)
    }

    fn temp_sweep(&self, mode: SweepMode) -> TempSweep {
        let now = self.clock.now();
        TempSweep {
            mode,
            unused_before: now - self.temp_grace,
            any_before: now - self.temp_grace.max(self.longest_operation * 2),
            uploads: true,
        }
    }

    /// The next page of blobs that no row speaks of, of those that were stored before `before`, and where it ended;
    /// `None` behind the last one.
    async fn strays(
        &self,
        after: Option<&BlobKey>,
        before: DateTime<Utc>,
    ) -> Result<Option<(Vec<Listed>, BlobKey)>, UpkeepError> {
        let page = self.blobs.list(after, listing::AT_ONCE).await?;
        let Some(last) = page.last().map(|listed| listed.key.clone()) else { return Ok(None) };
        let old: Vec<_> = page.into_iter().filter(|listed| listed.modified < before_of(&listed.key, before)).collect();
        let keys: Vec<_> = old.iter().map(|listed| listed.key.as_str().to_owned()).collect();
        let known = self.db.known_blob_keys(&keys).await?;
        let strays = old.into_iter().filter(|listed| !known.contains(listed.key.as_str())).collect();
        Ok(Some((strays, last)))
    }

    /// Those of `found` that no row speaks of after a while either. Where the clock jumped ahead, bytes that were stored
    /// this moment look old, and their row is about to be written.
    async fn still_strays(&self, found: Vec<Listed>) -> Result<Vec<Listed>, UpkeepError> {
        if found.is_empty() {
            return Ok(found);
        }
        tokio::time::sleep(SECOND_LOOK).await;
        let mut still = Vec::with_capacity(found.len());
        for page in found.chunks(PAGE) {
            let keys: Vec<_> = page.iter().map(|listed| listed.key.as_str().to_owned()).collect();
            let known = self.db.known_blob_keys(&keys).await?;
            still.extend(page.iter().filter(|listed| !known.contains(listed.key.as_str())).cloned());
        }
        Ok(still)
    }
}

/// Since when bytes without a row are strays. Those of an attachment are referred to by an event that may wait in a spool while
/// its machine is off.
fn before_of(key: &BlobKey, before: DateTime<Utc>) -> DateTime<Utc> {
    match key.as_str().starts_with("attachments/") {
        true => before - TimeDelta::days(30),
        false => before,
    }
}
