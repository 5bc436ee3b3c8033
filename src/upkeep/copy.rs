//! Moving house: everything that one installation has into another, which has nothing yet.
//!
//! Bytes come first, and then all rows in one transaction, so that the target has either no row or every row with its
//! bytes. It changes nothing at the source, and nothing that stands at the target. Broken off, it goes on where it was.

use std::sync::Arc;

use futures_util::{TryStreamExt as _, stream};

use super::listing::Listing;
use super::{PAGE, Upkeep, UpkeepError};
use crate::blobs::{BlobError, BlobKey, BlobStore, Listed, spool_stream};
use crate::db::{Db, DbError, Likeness};

/// Blobs copied at a time.
const AT_A_TIME: usize = 4;

/// Where everything is to go.
#[derive(Clone, Debug)]
pub struct Target {
    /// Rows, of today's schema.
    pub db: Db,
    /// Bytes; `None` if they stay where they are.
    pub blobs: Option<Arc<dyn BlobStore>>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many bytes are to be copied.
    Begun(u64),
    /// So many more were.
    Bytes(u64),
    /// So many rows were copied by now.
    Rows(u64),
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Blobs that were not there yet.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows; none if all were there already.
    pub rows: u64,
}

/// Why nothing, or not everything, was copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Rows or bytes.
    #[error(transparent)]
    Upkeep(#[from] UpkeepError),
    /// The database there is in use.
    #[error("the target database holds something else, as its table `{0}` shows. Name an empty one")]
    ForeignRows(&'static str),
    /// The store there is in use.
    #[error("the target store holds something else, such as {0}. Name an empty folder or another prefix")]
    ForeignBytes(String),
    /// The source is not whole.
    #[error("{0} blobs of the source are lost, such as {1}. Run `symdepot fsck --repair` there and begin again")]
    Lost(u64, String),
}

impl From<DbError> for CopyError {
    fn from(error: DbError) -> Self {
        Self::Upkeep(error.into())
    }
}

impl From<BlobError> for CopyError {
    fn from(error: BlobError) -> Self {
        Self::Upkeep(error.into())
    }
}

impl Upkeep {
    /// Copies everything to `target`. `progress` hears how far it is.
    pub async fn copy_to(&self, target: &Target, progress: &(dyn Fn(Step) + Sync)) -> Result<Copied, CopyError> {
        let known = self.db.likeness(&target.db).await?;
        if let Likeness::Other(table) = known {
            return Err(CopyError::ForeignRows(table));
        }
        let mut copied = Copied::default();
        if let Some(there) = &target.blobs {
            copied = self.copy_blobs(there, progress).await?;
        }
        if known == Likeness::Empty {
            let rows = |rows| progress(Step::Rows(rows));
            copied.rows = self.db.copy_rows(&target.db, rows, || self.bytes_are_there(target)).await?;
        }
        Ok(copied)
    }

    async fn copy_blobs(
        &self,
        there: &Arc<dyn BlobStore>,
        progress: &(dyn Fn(Step) + Sync),
    ) -> Result<Copied, CopyError> {
        // Looked through before anything is written, for what does not belong there.
        let mut copied = Copied::default();
        let (mut from, mut to) = (Listing::of(&*self.blobs), Listing::of(&**there));
        while let Some(absent) = next_absent(&mut from, &mut to).await? {
            copied.blobs += 1;
            copied.bytes += absent.stored_size;
        }
        progress(Step::Begun(copied.bytes));
        let listings = (Listing::of(&*self.blobs), Listing::of(&**there));
        let absent = stream::try_unfold(listings, |(mut from, mut to)| async move {
            Ok::<_, CopyError>(next_absent(&mut from, &mut to).await?.map(|absent| (absent, (from, to))))
        });
        let copies = absent.map_ok(|absent| async move {
            copy_blob(&*self.blobs, &**there, &absent.key, absent.stored_size).await?;
            progress(Step::Bytes(absent.stored_size));
            Ok(())
        });
        copies.try_buffer_unordered(AT_A_TIME).try_collect::<Vec<()>>().await?;
        Ok(copied)
    }

    /// Makes sure that every row's bytes are at the target, before the rows are. What came meanwhile is copied.
    async fn bytes_are_there(&self, target: &Target) -> Result<(), CopyError> {
        let there = target.blobs.as_deref().unwrap_or(&*self.blobs);
        let (mut lost, mut after) = ((0, String::new()), String::new());
        let mut listing = Listing::of(there);
        loop {
            let page = self.db.blob_rows(&after, PAGE as i64).await?;
            let Some((last, _)) = page.last() else { break };
            after.clone_from(last);
            for (key, size) in page {
                // What was found lost before has no size, and is asked for by the next upload.
                if size == 0 || listing.find(&key).await? == Some(size) {
                    continue;
                }
                let key = BlobKey::from_row(&key);
                match (self.blobs.stored_size(&key).await?, &target.blobs) {
                    (Some(found), Some(there)) if found == size && there.stored_size(&key).await?.is_none() => {
                        copy_blob(&*self.blobs, &**there, &key, size).await?;
                    }
                    _ => lost = (lost.0 + 1, key.to_string()),
                }
            }
        }
        match lost {
            (0, _) => Ok(()),
            (count, key) => Err(CopyError::Lost(count, key)),
        }
    }
}

async fn copy_blob(from: &dyn BlobStore, to: &dyn BlobStore, key: &BlobKey, size: u64) -> Result<(), CopyError> {
    let reader = match from.open(key, None).await {
        // Collected meanwhile: no row speaks of it.
        Err(BlobError::Missing(_)) => return Ok(()),
        reader => reader?,
    };
    let spool = spool_stream(to, reader).await?;
    if spool.size()? != size {
        let reason = format!("{} bytes were read and it has {size}", spool.size()?);
        return Err(BlobError::Damaged { key: key.to_string(), reason }.into());
    }
    Ok(to.put(key, spool).await?)
}

/// The next blob that `to` lacks. Both are in the order of their keys.
async fn next_absent(from: &mut Listing<'_>, to: &mut Listing<'_>) -> Result<Option<Listed>, CopyError> {
    loop {
        let (here, there) = (from.peek().await?.cloned(), to.peek().await?.cloned());
        match (here, there) {
            (None, None) => return Ok(None),
            (Some(here), Some(there)) if here.key == there.key => {
                if here.stored_size != there.stored_size {
                    return Err(CopyError::ForeignBytes(there.key.to_string()));
                }
                from.next();
                to.next();
            }
            (Some(here), there) if there.as_ref().is_none_or(|there| here.key < there.key) => {
                from.next();
                return Ok(Some(here));
            }
            (_, Some(there)) => return Err(CopyError::ForeignBytes(there.key.to_string())),
            (Some(_), None) => return Ok(None),
        }
    }
}
