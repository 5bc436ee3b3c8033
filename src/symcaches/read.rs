//! The bytes of symcaches: small ones from memory, others as they stream from the store. It asks no row and
//! deletes none; lost bytes are queued to be made again.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt as _};

use super::{Ready, Symcaches};
use crate::blobs::{BlobError, BlobKey, read_pieces};
use crate::types::{Encoding, Sha1};

/// Largest symcache that is kept in memory.
const SMALL: u64 = 1 << 20;

impl Symcaches {
    /// Whether a symcache is small enough to be read at once.
    pub fn is_small(&self, ready: &Ready) -> bool {
        ready.blob.size <= SMALL
    }

    /// A URL at which a large symcache can be fetched, if it stands somewhere as it is.
    pub async fn elsewhere(&self, ready: &Ready) -> Result<Option<String>, BlobError> {
        match ready.blob.encoding {
            Encoding::Raw if !self.is_small(ready) => self.blobs.elsewhere(&BlobKey::from_row(&ready.blob.key)).await,
            _ => Ok(None),
        }
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
        if Sha1::of(&bytes) != ready.sha1 {
            let reason = "its content does not have its checksum".to_owned();
            let error = BlobError::Damaged { key: ready.blob.key.clone(), reason };
            self.report_lost(ready, &error).await;
            return Err(error);
        }
        self.small.set(&ready.blob.key, &bytes).await;
        Ok(bytes)
    }

    /// The bytes `range` of a symcache.
    pub fn read(
        &self,
        ready: &Ready,
        range: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static + use<> {
        let (this, lost) = (self.clone(), ready.clone());
        read_pieces(Arc::clone(&self.blobs), vec![ready.blob.clone()], range).or_else(move |error| {
            let (this, lost) = (this.clone(), lost.clone());
            async move {
                this.report_lost(&lost, &error).await;
                Err(error)
            }
        })
    }

    /// Has a symcache made again whose bytes are not what its row says. The row stays until the job replaces it.
    pub(super) async fn report_lost(&self, ready: &Ready, error: &BlobError) {
        if error.key().is_none() {
            return;
        }
        tracing::warn!(symcache.id = ready.id, error = %error, "the bytes of a symcache were lost and will be made again");
        self.lost.set(ready.blob.key.clone(), ()).await;
        if let Err(error) = self.rebuild(ready).await {
            tracing::error!(symcache.id = ready.id, error = %error, "a lost symcache could not be queued");
        }
    }
}
