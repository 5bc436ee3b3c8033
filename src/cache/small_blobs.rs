//! [`SmallBlobs`]: the bytes of small blobs by their key. A key's bytes never change, so nothing here is ever wrong;
//! together they never take more than a fixed room.

use bytes::Bytes;
use moka::future::Cache;

/// Room for all of them, in bytes.
const ROOM: u64 = 32 << 20;

/// What an entry costs besides its bytes.
const OVERHEAD: usize = 256;

/// Bytes by key. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SmallBlobs(Cache<String, Bytes>);

impl Default for SmallBlobs {
    fn default() -> Self {
        let weigh = |_: &String, bytes: &Bytes| u32::try_from(bytes.len() + OVERHEAD).unwrap_or(u32::MAX);
        Self(Cache::builder().max_capacity(ROOM).weigher(weigh).build())
    }
}

impl SmallBlobs {
    /// The bytes of `key`, if they are remembered.
    pub async fn get(&self, key: &str) -> Option<Bytes> {
        self.0.get(key).await
    }

    /// Remembers the bytes of `key` as long as there is room.
    pub async fn set(&self, key: &str, bytes: &Bytes) {
        self.0.insert(key.to_owned(), bytes.clone()).await;
    }
}
