//! Garbage collection. Rows go first and only if they are still not wanted at that moment; their bytes follow. A
//! process that dies in between leaves bytes without a row, which the next collection finds.
//!
//! Everything goes in small batches, any number of collections may run at once, and uploads and polls go on meanwhile.

use chrono::{DateTime, TimeDelta, Utc};

use super::dry_run::DryRun;
use super::{Expired, PAGE, Upkeep, UpkeepError};
use crate::blobs::{BlobKey, Listed, SweepMode};
use crate::db::OldChunk;

/// How long a file that newer ones made redundant still answers pollers.
const RETIRED_KEPT: TimeDelta = TimeDelta::hours(1);
/// How long the reason of a failed assembly is kept.
const ERRORS_KEPT: TimeDelta = TimeDelta::days(7);
/// How long what was looked for in vain is remembered.
const MISSES_KEPT: TimeDelta = TimeDelta::days(90);
/// How long after its back-off an upstream's answer is kept, for the next back-off to go by.
const UPSTREAM_ANSWERS_KEPT: TimeDelta = TimeDelta::days(7);
/// How long it is remembered which files expired.
const EXPIRED_KEPT: TimeDelta = TimeDelta::days(90);
/// How long a derived file is kept that nobody asks for. It is made anew when somebody does.
const DERIVED_KEPT: TimeDelta = TimeDelta::days(30);
/// Age from which symcaches of another version go. Younger ones may be those of a newer process beside this one.
const OTHER_SYMCACHES_KEPT: TimeDelta = TimeDelta::days(1);
/// Rows handled in one transaction.
pub(super) const BATCH: i64 = PAGE as i64;
/// Bytes without a row that are looked at a second time together.
const MOST_STRAYS: usize = 20_000;

/// Whether anything is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// What is counted is removed.
    Remove,
    /// It is only counted.
    DryRun,
}

/// So many things, and the bytes that they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// How many.
    pub count: u64,
    /// Bytes at rest.
    pub bytes: u64,
}

/// What a collection removed, or would remove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Files that a rule of their project took away.
    pub expired: Vec<Expired>,
    /// Symcaches of other versions that are served no more.
    pub old_symcaches: Freed,
    /// Derived files that nobody asked for.
    pub unused_derived: Freed,
    /// Chunks that are part of no file and were not wanted within the grace.
    pub chunks: Freed,
    /// Bytes that no row speaks of.
    pub strays: Freed,
    /// Files that newer ones made redundant.
    pub retired_files: u64,
    /// Reasons of assemblies that failed long ago.
    pub old_errors: u64,
    /// Temp files of dead processes.
    pub temp_files: u64,
}

impl Freed {
    pub(super) fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

impl Swept {
    /// Whether there was nothing to remove.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Upkeep {
    /// Collects once, and looks through the whole store: for bytes that no row speaks of, and for chunks that are said to
    /// be in use and are not.
    pub async fn gc(&self, mode: Mode) -> Result<Swept, UpkeepError> {
        let mut swept = match mode {
            Mode::Remove => {
                self.db.release_chunks().await?;
                self.remove_of_rows().await?
            }
            Mode::DryRun => {
                let mut dry = DryRun::begin(&self.db, self.clock.now() - self.chunk_grace).await?;
                dry.count_unreleased(&self.db).await?;
                self.count_of_rows(dry).await?
            }
        };
        swept.strays = self.collect_strays(mode, self.clock.now() - self.temp_grace).await?;
        Ok(swept)
    }

    /// Collects once what rows tell of. It costs what there is to remove, however much there is to keep.
    pub async fn gc_of_rows(&self, mode: Mode) -> Result<Swept, UpkeepError> {
        match mode {
            Mode::Remove => self.remove_of_rows().await,
            Mode::DryRun => {
                self.count_of_rows(DryRun::begin(&self.db, self.clock.now() - self.chunk_grace).await?).await
            }
        }
    }

    async fn remove_of_rows(&self) -> Result<Swept, UpkeepError> {
        let now = self.clock.now();
        let mut swept = Swept {
            temp_files: self.sweep_temp(SweepMode::Remove).await?,
            retired_files: self.purge_retired(now - RETIRED_KEPT).await?,
            old_errors: self.forget_errors(now - ERRORS_KEPT).await?,
            ..Swept::default()
        };
        self.db.forget_misses(now - MISSES_KEPT).await?;
        self.db.forget_upstream_answers(now - UPSTREAM_ANSWERS_KEPT).await?;
        while self.db.forget_expired_files(now - EXPIRED_KEPT, BATCH).await? > 0 {}
        let mut nothing = DryRun::default();
        swept.expired = self.expire(Mode::Remove, &mut nothing, now).await?;
        swept.old_symcaches = self.collect_symcaches(Mode::Remove, &nothing, now - OTHER_SYMCACHES_KEPT).await?;
        swept.unused_derived = self.collect_derived(Mode::Remove, &nothing, now - DERIVED_KEPT).await?;
        swept.chunks = self.collect_chunks(now).await?;
        Ok(swept)
    }

    /// The same steps in the same order, each as if those before had removed what they counted.
    async fn count_of_rows(&self, mut dry: DryRun) -> Result<Swept, UpkeepError> {
        let now = self.clock.now();
        let mut swept = Swept {
            temp_files: self.sweep_temp(SweepMode::Count).await?,
            retired_files: dry.count_retired(&self.db, now - RETIRED_KEPT).await?,
            old_errors: self.db.count_failed_assemblies(now - ERRORS_KEPT).await?,
            ..Swept::default()
        };
        swept.expired = self.expire(Mode::DryRun, &mut dry, now).await?;
        swept.old_symcaches = self.collect_symcaches(Mode::DryRun, &dry, now - OTHER_SYMCACHES_KEPT).await?;
        swept.unused_derived = self.collect_derived(Mode::DryRun, &dry, now - DERIVED_KEPT).await?;
        dry.count_idle(&self.db).await?;
        swept.chunks = dry.chunks;
        Ok(swept)
    }

    async fn purge_retired(&self, before: DateTime<Utc>) -> Result<u64, UpkeepError> {
        let mut purged = 0;
        loop {
            let (keys, files) = self.db.purge_retired(before, BATCH).await?;
            self.delete(&keys).await?;
            purged += files;
            if files < BATCH.unsigned_abs() {
                return Ok(purged);
            }
        }
    }

    async fn forget_errors(&self, before: DateTime<Utc>) -> Result<u64, UpkeepError> {
        let mut forgotten = 0;
        loop {
            let rows = self.db.forget_failed_assemblies(before, BATCH).await?;
            forgotten += rows;
            if rows < BATCH.unsigned_abs() {
                return Ok(forgotten);
            }
        }
    }

    /// Symcaches of other versions than today's that are served no more.
    async fn collect_symcaches(&self, mode: Mode, dry: &DryRun, before: DateTime<Utc>) -> Result<Freed, UpkeepError> {
        let mut freed = Freed::default();
        for (format, converter) in self.db.symcache_versions().await? {
            let current = (self.symcache.format, self.symcache.converter.as_str());
            if (format, converter.as_str()) == current {
                continue;
            }
            let mut after = 0;
            loop {
                let page = self.db.symcaches_of_version((format, &converter), current, before, after, BATCH).await?;
                let Some((last, _)) = page.last() else { break };
                after = *last;
                let ids: Vec<_> = page.iter().map(|(id, _)| *id).collect();
                if mode == Mode::DryRun {
                    let left = self.db.symcaches_of_others(&ids, &dry.files).await?;
                    page.iter().filter(|(id, _)| left.contains(id)).for_each(|(_, stored)| freed.add(*stored));
                    continue;
                }
                let deleted = self.db.delete_symcaches(&ids).await?;
                deleted.iter().for_each(|(_, stored)| freed.add(*stored));
                let keys: Vec<_> = deleted.into_iter().filter_map(|(key, _)| key).collect();
                self.delete(&keys).await?;
            }
        }
        Ok(freed)
    }

    /// Derived files that nobody asked for since `before`.
    async fn collect_derived(&self, mode: Mode, dry: &DryRun, before: DateTime<Utc>) -> Result<Freed, UpkeepError> {
        let (mut freed, mut after) = (Freed::default(), None);
        loop {
            let page = self.db.unused_derived_files(before, after, BATCH).await?;
            after = page.last().copied();
            if after.is_none() {
                return Ok(freed);
            }
            let ids: Vec<_> = page.iter().map(|unused| unused.id).collect();
            if mode == Mode::DryRun {
                let left = self.db.derived_of_others(&ids, &dry.files).await?;
                page.iter().filter(|unused| left.contains(&unused.id)).for_each(|unused| freed.add(unused.stored_size));
                continue;
            }
            let deleted = self.db.delete_unused_derived_files(&ids, before).await?;
            deleted.iter().for_each(|(_, stored)| freed.add(*stored));
            let keys: Vec<_> = deleted.into_iter().filter_map(|(key, _)| key).collect();
            self.delete(&keys).await?;
        }
    }

    /// Chunks that nobody wanted since the grace began and that are part of no file.
    async fn collect_chunks(&self, now: DateTime<Utc>) -> Result<Freed, UpkeepError> {
        let before = now - self.chunk_grace;
        self.renew_awaited(before, now).await?;
        let (mut freed, mut after) = (Freed::default(), None);
        loop {
            let page = self.db.old_chunks(before, after.as_ref(), BATCH).await?;
            after = page.last().cloned();
            if after.is_none() {
                return Ok(freed);
            }
            let (idle, used): (Vec<_>, Vec<_>) = page.into_iter().partition(|chunk| chunk.idle);
            let ids = |chunks: &[OldChunk]| chunks.iter().map(|chunk| chunk.id).collect::<Vec<_>>();
            if !used.is_empty() {
                self.db.chunks_in_use(&ids(&used)).await?;
            }
            if idle.is_empty() {
                continue;
            }
            let ids = ids(&idle);
            let deleted = self.db.delete_idle_chunks(&ids, before).await?;
            deleted.iter().for_each(|(_, stored)| freed.add(*stored));
            let keys: Vec<_> = deleted.into_iter().map(|(key, _)| key).collect();
            self.delete(&keys).await?;
        }
    }

    /// What an assembly waits for is wanted, however long it has been waiting.
    async fn renew_awaited(&self, before: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), UpkeepError> {
        let mut after = 0;
        loop {
            let page = self.db.awaited_chunks(after, BATCH).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            for (_, sha1s) in &page {
                self.db.renew_awaited_chunks(sha1s, before, now).await?;
            }
        }
    }

    /// Bytes without a row, old enough not to be on their way to one.
    async fn collect_strays(&self, mode: Mode, before: DateTime<Utc>) -> Result<Freed, UpkeepError> {
        let (mut freed, mut after, mut found) = (Freed::default(), None, Vec::new());
        while let Some((strays, last)) = self.strays(after.as_ref(), before).await? {
            after = Some(last);
            found.extend(strays);
            if found.len() >= MOST_STRAYS {
                self.remove_strays(mode, std::mem::take(&mut found), &mut freed).await?;
            }
        }
        self.remove_strays(mode, found, &mut freed).await?;
        Ok(freed)
    }

    async fn remove_strays(&self, mode: Mode, found: Vec<Listed>, freed: &mut Freed) -> Result<(), UpkeepError> {
        for strays in self.still_strays(found).await?.chunks(PAGE) {
            if mode == Mode::Remove {
                let keys: Vec<_> = strays.iter().map(|stray| stray.key.clone()).collect();
                self.blobs.delete(&keys).await?;
            }
            strays.iter().for_each(|stray| freed.add(stray.stored_size));
        }
        Ok(())
    }

    /// Deletes bytes that no row speaks of any more.
    pub(super) async fn delete(&self, keys: &[String]) -> Result<(), UpkeepError> {
        let keys: Vec<_> = keys.iter().map(|key| BlobKey::from_row(key)).collect();
        Ok(self.blobs.delete(&keys).await?)
    }
}
