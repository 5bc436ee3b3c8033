//! The bytes of symcaches: small ones from memory, others as they stream from the store. It never asks a row.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt as _};

use super::{Ready, Symcaches};
use crate::blobs::{BlobError, read_pieces};

/// Largest symcache that is kept in memory.
const SMALL: u64 = 1 << 20;

impl Symcaches {
    /// Whether a symcache is small enough to be read at once.
    pub fn is_small(&self, ready: &Ready) -> bool {
        ready.blob.size <= SMALL
    }

    /// All bytes of a small symcache. They never change under their key, so they are kept for as long as there is room.
    pub async fn small_bytes(&self, ready: &Ready) -> Result<Bytes, BlobError> {
        if let Some(bytes) = self.small.get(&ready.blob.key).await {
            return Ok(bytes);
        }
        let content = self.read(ready, 0..ready.blob.size);
        let whole: BytesMut = content
            .try_fold(BytesMut::new(), async |mut whole, piece| {
                whole.extend_from_slice(&piece);
                Ok(whole)
            })
            .await?;
        let bytes = whole.freeze();
        self.small.set(&ready.blob.key, &bytes).await;
        Ok(bytes)
    }

    /// The bytes `range` of a symcache.
    pub fn read(
        &self,
        ready: &Ready,
        range: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static + use<> {
        read_pieces(Arc::clone(&self.blobs), vec![ready.blob.clone()], range)
    }
}
