//! [`DryRun`]: what a collection would have removed by now, so that each step counts what the real one would meet. It
//! changes nothing.
//!
//! It remembers the ids of files that would be gone, and of chunks only those that some of these files share with others.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::gc::{BATCH, Freed};
use crate::db::{Db, DbError, Leaving};

/// From so many files on [`Db::weigh_files`] does not tell how many have a chunk.
const COUNTED_UP_TO: u64 = 1000;

/// What would be gone. A real run has an empty one.
#[derive(Debug, Default)]
pub(super) struct DryRun {
    /// Debug files that would be gone.
    pub(super) files: HashSet<i64>,
    /// Chunks that would go.
    pub(super) chunks: Freed,
    /// How many files that stay have a chunk, of those that files have that would be gone.
    shared: HashMap<i64, u64>,
    /// Old chunks that an assembly waits for.
    awaited: HashSet<i64>,
    chunks_before: DateTime<Utc>,
}

impl DryRun {
    /// Nothing is gone yet. Chunks are old that were last wanted before `chunks_before`.
    pub(super) async fn begin(db: &Db, chunks_before: DateTime<Utc>) -> Result<Self, DbError> {
        let mut awaited = HashSet::new();
        let mut after = 0;
        loop {
            let page = db.awaited_chunks(after, BATCH).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (_, sha1s) in &page {
                awaited.extend(db.old_awaited_chunks(sha1s, chunks_before).await?);
            }
        }
        Ok(Self { awaited, chunks_before, ..Self::default() })
    }

    /// Counts chunks that are wrongly marked as in use, which a search through the whole store finds.
    pub(super) async fn count_unreleased(&mut self, db: &Db) -> Result<(), DbError> {
        let unreleased = db.unreleased_chunks(self.chunks_before).await?;
        self.add_chunks(unreleased);
        Ok(())
    }

    /// Counts the files that newer ones made redundant before `before`.
    pub(super) async fn count_retired(&mut self, db: &Db, before: DateTime<Utc>) -> Result<u64, DbError> {
        let (mut count, mut after) = (0, None);
        loop {
            let page = db.retired_files(before, after, BATCH).await?;
            after = page.last().copied();
            if after.is_none() {
                return Ok(count);
            }
            count += page.len() as u64;
            self.delete(db, page.iter().map(|(_, id)| *id).collect()).await?;
        }
    }

    /// Counts a batch of expired files of a project, and what is deleted with them.
    pub(super) async fn count_expired(
        &mut self,
        db: &Db,
        project_id: i64,
        batch: &[Leaving],
        freed: &mut Freed,
    ) -> Result<(), DbError> {
        let ids: Vec<_> = batch.iter().map(|file| file.id).collect();
        freed.count += ids.len() as u64;
        freed.bytes += self.delete(db, ids.clone()).await?;
        let traces = db.traces_of_files(project_id, &ids).await?;
        self.delete(db, traces).await?;
        Ok(())
    }

    /// Counts the old chunks that no file has.
    pub(super) async fn count_idle(&mut self, db: &Db) -> Result<(), DbError> {
        let mut after = None;
        loop {
            let page = db.old_chunks(self.chunks_before, after.as_ref(), BATCH).await?;
            after = page.last().cloned();
            if after.is_none() {
                return Ok(());
            }
            self.add_chunks(page.iter().filter(|chunk| chunk.idle).map(|chunk| (chunk.id, chunk.stored_size)));
        }
    }

    /// Counts these files as gone, if they are not yet. Returns the bytes at rest that nothing needs without them.
    async fn delete(&mut self, db: &Db, mut ids: Vec<i64>) -> Result<u64, DbError> {
        ids.retain(|id| self.files.insert(*id));
        if ids.is_empty() {
            return Ok(0);
        }
        let weight = db.weigh_files(&ids).await?;
        let uncounted = weight.chunks.iter().filter(|chunk| chunk.everywhere > COUNTED_UP_TO).map(|chunk| chunk.id);
        let uncounted: Vec<_> = uncounted.filter(|id| !self.shared.contains_key(id)).collect();
        let counted = db.count_files_of_chunks(&uncounted).await?;
        let (mut bytes, mut free) = (weight.made, Vec::new());
        for chunk in &weight.chunks {
            let everywhere = counted.get(&chunk.id).copied().unwrap_or(chunk.everywhere);
            if self.last_of(chunk.id, chunk.here, everywhere) {
                bytes += chunk.stored_size;
                free.push(chunk.id);
            }
        }
        let old = db.old_among(&free, self.chunks_before).await?;
        self.add_chunks(old);
        Ok(bytes)
    }

    /// Whether no file has the chunk any more once `here` files of it are gone too, of `everywhere` at the beginning.
    fn last_of(&mut self, chunk: i64, here: u64, everywhere: u64) -> bool {
        let left = self.shared.remove(&chunk).unwrap_or(everywhere).saturating_sub(here);
        if left > 0 {
            self.shared.insert(chunk, left);
        }
        left == 0
    }

    fn add_chunks(&mut self, chunks: impl IntoIterator<Item = (i64, u64)>) {
        for (id, stored_size) in chunks {
            if !self.awaited.contains(&id) {
                self.chunks.add(stored_size);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_counts_with_the_last_of_its_files() {
        let mut dry = DryRun::default();
        let mut last_of = |chunks: &[(i64, u64, u64)]| {
            chunks.iter().filter(|(id, here, everywhere)| dry.last_of(*id, *here, *everywhere)).count()
        };
        assert_eq!(last_of(&[(1, 2, 2), (2, 1, 3), (3, 1, 2)]), 1);
        assert_eq!(last_of(&[(2, 1, 3), (3, 1, 2)]), 1);
        assert_eq!(last_of(&[(2, 1, 3)]), 1);
    }
}
