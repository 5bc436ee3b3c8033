//! [`Listing`]: what is in a store, held against rows in the order of keys. A store is asked once for a thousand blobs,
//! where a look at each of them would take days in a large bucket.

use std::collections::VecDeque;

use crate::blobs::{BlobError, BlobKey, BlobStore, Listed};

/// Blobs listed at once: as many as S3 gives with one answer.
pub(super) const AT_ONCE: usize = 1000;

/// The blobs of a store, one after the other in the order of their keys.
pub(super) struct Listing<'a> {
    store: &'a dyn BlobStore,
    page: VecDeque<Listed>,
    after: Option<BlobKey>,
    ended: bool,
}

impl<'a> Listing<'a> {
    /// From its first blob on.
    pub(super) fn of(store: &'a dyn BlobStore) -> Self {
        Self { store, page: VecDeque::new(), after: None, ended: false }
    }

    /// The blob at which it is, if it has not ended.
    pub(super) async fn peek(&mut self) -> Result<Option<&Listed>, BlobError> {
        if self.page.is_empty() && !self.ended {
            self.page = self.store.list(self.after.as_ref(), AT_ONCE).await?.into();
            self.ended = self.page.is_empty();
            self.after = self.page.back().map(|last| last.key.clone());
        }
        Ok(self.page.front())
    }

    /// Goes on to the next blob.
    pub(super) fn next(&mut self) {
        self.page.pop_front();
    }

    /// Size of the blob `key`, if it is there. Keys are asked for in their order.
    pub(super) async fn find(&mut self, key: &str) -> Result<Option<u64>, BlobError> {
        while let Some(listed) = self.peek().await? {
            match listed.key.as_str().cmp(key) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Ok(Some(listed.stored_size)),
                std::cmp::Ordering::Greater => return Ok(None),
            }
            self.next();
        }
        Ok(None)
    }
}
