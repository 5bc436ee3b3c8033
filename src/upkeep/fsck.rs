//! Rows held against bytes: whether what a row speaks of is there, of its size and, if asked, of its checksum.
//!
//! A repair makes up no bytes. What was lost is asked for again by the next upload or made anew; bytes without a row go.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt as _;
use sha1::Digest as _;

use super::{Upkeep, UpkeepError};
use crate::blobs::{BlobError, BlobKey, read_pieces};
use crate::types::{BlobRef, DebugFile, Sha1};

/// Rows looked at with one question.
const PAGE: i64 = super::PAGE as i64;

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

impl Upkeep {
    /// Checks everything. `progress` hears of each page how many rows were looked at by then.
    pub async fn fsck(
        &self,
        depth: Depth,
        repair: Repair,
        mut progress: impl FnMut(u64),
    ) -> Result<Checked, UpkeepError> {
        let mut checked = Checked::default();
        self.check_chunks(depth, repair, &mut checked, &mut progress).await?;
        self.check_symcaches(depth, repair, &mut checked, &mut progress).await?;
        self.check_derived(depth, repair, &mut checked, &mut progress).await?;
        self.check_strays(repair, &mut checked).await?;
        if repair == Repair::Yes {
            checked.mended_files = self.db.mend_files().await?;
        }
        Ok(checked)
    }

    async fn check_chunks(
        &self,
        depth: Depth,
        repair: Repair,
        checked: &mut Checked,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), UpkeepError> {
        let mut after = 0;
        loop {
            let page = self.db.chunks_after(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for chunk in &page {
                checked.chunks += 1;
                let Some(loss) = self.look_at(&chunk.blob, chunk.sha1, depth).await? else { continue };
                let files = self.db.files_of_chunk(chunk.id).await?;
                // A chunk of no file that was given up already has nothing left to be told.
                if chunk.blob.stored_size == 0 && chunk.blob.size > 0 && files.is_empty() {
                    continue;
                }
                if repair == Repair::Yes {
                    self.db.lose_chunk(chunk.id, &chunk.blob.key, self.clock.now()).await?;
                }
                checked.findings.push(Finding::Chunk { sha1: chunk.sha1, key: chunk.blob.key.clone(), loss, files });
            }
            progress(checked.chunks);
        }
    }

    async fn check_symcaches(
        &self,
        depth: Depth,
        repair: Repair,
        checked: &mut Checked,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), UpkeepError> {
        let mut after = 0;
        loop {
            let page = self.db.symcache_bytes_after(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for symcache in &page {
                checked.symcaches += 1;
                let Some(loss) = self.look_at(&symcache.blob, symcache.sha1, depth).await? else { continue };
                if repair == Repair::Yes {
                    // It is made anew when it is asked for.
                    let keys: Vec<_> = self.db.delete_symcache(symcache.id).await?.into_iter().collect();
                    let keys: Vec<_> = keys.iter().map(|key| BlobKey::from_row(key)).collect();
                    self.blobs.delete(&keys).await?;
                }
                checked.findings.push(Finding::Symcache { key: symcache.blob.key.clone(), loss });
            }
            progress(checked.chunks + checked.symcaches);
        }
    }

    async fn check_derived(
        &self,
        depth: Depth,
        repair: Repair,
        checked: &mut Checked,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), UpkeepError> {
        let mut after = 0;
        loop {
            let page = self.db.derived_bytes_after(after, PAGE).await?;
            let Some((last, ..)) = page.last() else { return Ok(()) };
            after = *last;
            for (id, sha1, blob) in &page {
                checked.derived += 1;
                let Some(loss) = self.look_at(blob, *sha1, depth).await? else { continue };
                if repair == Repair::Yes {
                    // It is made anew when it is asked for.
                    let key = self.db.delete_derived_file(*id).await?;
                    let keys: Vec<_> = key.as_deref().map(BlobKey::from_row).into_iter().collect();
                    self.blobs.delete(&keys).await?;
                }
                checked.findings.push(Finding::Derived { key: blob.key.clone(), loss });
            }
            progress(checked.chunks + checked.symcaches + checked.derived);
        }
    }

    async fn check_strays(&self, repair: Repair, checked: &mut Checked) -> Result<(), UpkeepError> {
        let before = self.clock.now() - self.temp_grace;
        let (mut after, mut found) = (None, Vec::new());
        while let Some((strays, last)) = self.strays(after.as_ref(), before).await? {
            found.extend(strays);
            after = Some(last);
        }
        for stray in self.still_strays(found).await? {
            if repair == Repair::Yes {
                self.blobs.delete(std::slice::from_ref(&stray.key)).await?;
            }
            checked.findings.push(Finding::Stray { key: stray.key.to_string(), size: stray.stored_size });
        }
        Ok(())
    }

    /// What is wrong with bytes, if anything is.
    async fn look_at(&self, blob: &BlobRef, sha1: Sha1, depth: Depth) -> Result<Option<Loss>, UpkeepError> {
        let loss = match self.blobs.stored_size(&BlobKey::from_row(&blob.key)).await? {
            None => Some(Loss::Missing),
            Some(found) if found != blob.stored_size => Some(Loss::Size { found, wanted: blob.stored_size }),
            Some(_) if depth == Depth::Content => self.read_through(blob, sha1).await?,
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
