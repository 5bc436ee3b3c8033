//! Rows held against bytes: whether what a row speaks of is there, of its size and, if asked, of its checksum.
//!
//! Rows are walked in the order of their keys beside a listing of the store. What the listing tells otherwise than the
//! row is looked at by itself before it counts, since both change while a check runs.
//!
//! A repair makes up no bytes. What was lost is asked for again by the next upload or made anew; bytes without a row go.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt as _;
use sha1::Digest as _;

use super::listing::Listing;
use super::{PAGE, Upkeep, UpkeepError};
use crate::blobs::{BlobError, BlobKey, Listed, read_pieces};
use crate::db::SymcacheBytes;
use crate::types::{BlobRef, Chunk, DebugFile, Sha1};

/// How closely bytes are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Whether they are there and as many as they should be.
    Sizes,
    /// They are read, decoded and hashed as well.
    Content,
}

/// Whether what is found is mended as far as it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Nothing is changed.
    No,
    /// Lost chunks are asked for again, lost symcaches made anew, bytes without a row removed.
    Yes,
}

/// What is wrong with bytes that a row speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// They are not there.
    Missing,
    /// They are more or fewer than they should be.
    Size {
        /// How many bytes there are.
        found: u64,
        /// How many there should be.
        wanted: u64,
    },
    /// They were found lost before and have not been uploaded again; so many are left of them.
    Known {
        /// How many bytes there are.
        left: u64,
    },
    /// They cannot be decoded, or come to another checksum; the words say which.
    Content(String),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A chunk has lost its bytes.
    Chunk {
        /// Its checksum.
        sha1: Sha1,
        /// Key of the bytes.
        key: String,
        /// What is wrong with them.
        loss: Loss,
        /// Debug files that are not whole without it.
        files: Vec<DebugFile>,
    },
    /// A symcache has lost its bytes.
    Symcache {
        /// Key of the bytes.
        key: String,
        /// What is wrong with them.
        loss: Loss,
    },
    /// Something else that was made from a debug file has lost its bytes.
    Derived {
        /// Key of the bytes.
        key: String,
        /// What is wrong with them.
        loss: Loss,
    },
    /// Bytes that no row speaks of.
    Stray {
        /// Their key.
        key: String,
        /// How many.
        size: u64,
    },
}

/// How much was looked at, and what was wrong.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Chunks looked at.
    pub chunks: u64,
    /// Symcaches looked at.
    pub symcaches: u64,
    /// Other files made from debug files looked at.
    pub derived: u64,
    /// What was wrong.
    pub findings: Vec<Finding>,
    /// Files marked as damaged before that turned out to be whole again; only a repair looks for them.
    pub mended_files: u64,
}

impl Checked {
    /// The debug files that are not whole, each once, by row id.
    pub fn damaged_files(&self) -> BTreeMap<i64, &DebugFile> {
        let files = self.findings.iter().filter_map(|finding| match finding {
            Finding::Chunk { files, .. } => Some(files),
            Finding::Symcache { .. } | Finding::Derived { .. } | Finding::Stray { .. } => None,
        });
        files.flatten().map(|file| (file.id, file)).collect()
    }
}

/// How far a check has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Rows looked at.
    pub done: u64,
    /// Rows there were at the beginning.
    pub total: u64,
}

/// Whose bytes a row speaks of, in the order of their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Derived,
    Chunk,
    Symcache,
}

/// A row with bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    id: i64,
    sha1: Sha1,
    blob: BlobRef,
    /// Whether it says by itself that its bytes are lost.
    lost: bool,
}

impl Upkeep {
    /// Checks everything. `progress` hears after each page how far it has come.
    pub async fn fsck(
        &self,
        depth: Depth,
        repair: Repair,
        mut progress: impl FnMut(Progress),
    ) -> Result<Checked, UpkeepError> {
        let mut checked = Checked::default();
        let total = self.db.count_stored().await?;
        let mut listing = Listing::of(&*self.blobs);
        for sort in [Sort::Derived, Sort::Chunk, Sort::Symcache] {
            let mut after = String::new();
            loop {
                let page = self.page(sort, &after).await?;
                let Some(last) = page.last() else { break };
                after.clone_from(&last.blob.key);
                for row in &page {
                    let listed = listing.find(&row.blob.key).await?;
                    self.check(sort, row, listed, depth, repair, &mut checked).await?;
                }
                progress(Progress { done: checked.chunks + checked.symcaches + checked.derived, total });
            }
        }
        self.check_strays(repair, &mut checked).await?;
        if repair == Repair::Yes {
            checked.mended_files = self.db.mend_files().await?;
        }
        Ok(checked)
    }

    /// The next rows of a sort, by the key of their bytes after `after`.
    async fn page(&self, sort: Sort, after: &str) -> Result<Vec<Row>, UpkeepError> {
        Ok(match sort {
            Sort::Chunk => {
                let page = self.db.chunks_after(after, PAGE as i64).await?;
                page.into_iter().map(|Chunk { id, sha1, blob, lost }| Row { id, sha1, blob, lost }).collect()
            }
            Sort::Symcache => {
                let page = self.db.symcache_bytes_after(after, PAGE as i64).await?;
                let row = |SymcacheBytes { id, sha1, blob }| Row { id, sha1, blob, lost: false };
                page.into_iter().map(row).collect()
            }
            Sort::Derived => {
                let page = self.db.derived_bytes_after(after, PAGE as i64).await?;
                page.into_iter().map(|(id, sha1, blob)| Row { id, sha1, blob, lost: false }).collect()
            }
        })
    }

    /// Looks at one row, whose blob the listing has with `listed` bytes.
    async fn check(
        &self,
        sort: Sort,
        row: &Row,
        listed: Option<u64>,
        depth: Depth,
        repair: Repair,
        checked: &mut Checked,
    ) -> Result<(), UpkeepError> {
        match sort {
            Sort::Chunk => checked.chunks += 1,
            Sort::Symcache => checked.symcaches += 1,
            Sort::Derived => checked.derived += 1,
        }
        let as_listed = !row.lost && listed == Some(row.blob.stored_size);
        if as_listed && (depth == Depth::Sizes || self.read_through(&row.blob, row.sha1).await?.is_none()) {
            return Ok(());
        }
        let Some(loss) = self.look_at(row, depth).await? else { return Ok(()) };
        // The row may have gone meanwhile, and its bytes after it, or it has others by now.
        let key = &row.blob.key;
        if !self.db.known_blob_keys(std::slice::from_ref(key)).await?.contains(key) {
            return Ok(());
        }
        let finding = match sort {
            Sort::Chunk => self.lost_chunk(row, loss, repair).await?,
            Sort::Symcache | Sort::Derived => Some(self.lost_made(sort, row, loss, repair).await?),
        };
        checked.findings.extend(finding);
        Ok(())
    }

    /// A chunk that has lost its bytes is asked for again by the next upload, which replaces what is left of them. Where no
    /// file has the chunk nothing is asked for, so that what is left goes.
    async fn lost_chunk(&self, row: &Row, loss: Loss, repair: Repair) -> Result<Option<Finding>, UpkeepError> {
        let marked = repair == Repair::Yes && self.db.lose_chunk(row.id, &row.blob.key, self.clock.now()).await?;
        let files = self.db.files_of_chunk(row.id).await?;
        // A chunk of no file that was marked before and of which nothing is left is no damage.
        if row.lost && files.is_empty() && loss == Loss::Missing {
            return Ok(None);
        }
        if marked && files.is_empty() {
            self.delete(std::slice::from_ref(&row.blob.key)).await?;
        }
        Ok(Some(Finding::Chunk { sha1: row.sha1, key: row.blob.key.clone(), loss, files }))
    }

    /// What was made from a debug file and has lost its bytes is made anew when it is asked for next.
    async fn lost_made(&self, sort: Sort, row: &Row, loss: Loss, repair: Repair) -> Result<Finding, UpkeepError> {
        if repair == Repair::Yes {
            let key = match sort {
                Sort::Derived => self.db.delete_derived_file(row.id).await?,
                Sort::Chunk | Sort::Symcache => self.db.delete_symcache(row.id).await?,
            };
            self.delete(&key.into_iter().collect::<Vec<_>>()).await?;
        }
        let key = row.blob.key.clone();
        Ok(if sort == Sort::Derived { Finding::Derived { key, loss } } else { Finding::Symcache { key, loss } })
    }

    async fn check_strays(&self, repair: Repair, checked: &mut Checked) -> Result<(), UpkeepError> {
        let before = self.clock.now() - self.temp_grace;
        let (mut after, mut found) = (None, Vec::new());
        while let Some((strays, last)) = self.strays(after.as_ref(), before).await? {
            found.extend(strays);
            after = Some(last);
        }
        for strays in self.still_strays(found).await?.chunks(PAGE) {
            if repair == Repair::Yes {
                let keys: Vec<_> = strays.iter().map(|stray| stray.key.clone()).collect();
                self.blobs.delete(&keys).await?;
            }
            let finding = |stray: &Listed| Finding::Stray { key: stray.key.to_string(), size: stray.stored_size };
            checked.findings.extend(strays.iter().map(finding));
        }
        Ok(())
    }

    /// What is wrong with bytes, if anything is.
    async fn look_at(&self, row: &Row, depth: Depth) -> Result<Option<Loss>, UpkeepError> {
        let Row { sha1, blob, .. } = row;
        let loss = match self.blobs.stored_size(&BlobKey::from_row(&blob.key)).await? {
            None => Some(Loss::Missing),
            Some(left) if row.lost => Some(Loss::Known { left }),
            Some(found) if found != blob.stored_size => Some(Loss::Size { found, wanted: blob.stored_size }),
            Some(_) if depth == Depth::Content => self.read_through(blob, *sha1).await?,
            Some(_) => None,
        };
        Ok(loss)
    }

    async fn read_through(&self, blob: &BlobRef, sha1: Sha1) -> Result<Option<Loss>, UpkeepError> {
        let content = read_pieces(Arc::clone(&self.blobs), vec![blob.clone()], 0..blob.size);
        let mut content = std::pin::pin!(content);
        let mut hash = sha1::Sha1::new();
        while let Some(read) = content.next().await {
            match read {
                Ok(bytes) => hash.update(&bytes),
                Err(BlobError::Missing(_)) => return Ok(Some(Loss::Missing)),
                Err(BlobError::Damaged { reason, .. }) => return Ok(Some(Loss::Content(reason))),
                Err(error) => return Err(error.into()),
            }
        }
        let found = Sha1::from_bytes(hash.finalize().into());
        Ok((found != sha1).then(|| Loss::Content(format!("its checksum is {found} and not {sha1}"))))
    }
}
