//! The bytes of symcaches: small ones from memory, others as they stream from the store. It asks no row, and forgets
//! one only if its bytes turn out to be lost.

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
            self.forget_lost(ready, &error).await;
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
                this.forget_lost(&lost, &error).await;
                Err(error)
            }
        })
    }

    /// Takes the row away if its bytes are not what it says, so that the next who asks has them made anew.
    pub(super) async fn forget_lost(&self, ready: &Ready, error: &BlobError) {
        if error.key().is_none() {
            return;
        }
        tracing::warn!(symcache.id = ready.id, error = %error, "the bytes of a symcache were lost and will be made anew");
        let removed = async {
            let keys: Vec<_> =
                self.db.delete_symcache(ready.id).await?.as_deref().map(BlobKey::from_row).into_iter().collect();
            Ok::<_, super::StoreError>(self.blobs.delete(&keys).await?)
        };
        if let Err(error) = removed.await {
            tracing::error!(symcache.id = ready.id, error = %error, "a lost symcache could not be forgotten");
        }
    }
}
