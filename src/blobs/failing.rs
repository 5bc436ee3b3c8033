//! [`Failing`]: a store that breaks on purpose, so that tests can see what the house does then.
//!
//! It breaks only what it was told to, and never the bytes of the store that it wraps.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::BytesMut;
use futures_util::{StreamExt as _, stream};
use tokio::sync::watch;

use super::{BlobError, BlobKey, BlobReader, BlobStore, Listed, Spool, TempSweep};

/// A decorator that injects faults. A clone is the same store with the same faults.
#[derive(Clone, Debug)]
pub struct Failing {
    inner: Arc<dyn BlobStore>,
    faults: Arc<Mutex<Faults>>,
    held: watch::Sender<bool>,
}

/// What to break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The next so many calls of `put` find the volume full.
    Full(u32),
    /// The next so many calls of `put` fail for no reason that can be acted on.
    PutBroken(u32),
    /// The next so many calls of `open` fail for no reason that can be acted on.
    OpenBroken(u32),
    /// The blob is gone until it is healed.
    Lost(BlobKey),
    /// Every byte that is read of the blob has its lowest bit flipped.
    Flipped(BlobKey),
    /// Reading the blob ends before the last byte.
    Shortened(BlobKey),
    /// Opening the blob panics.
    Panics(BlobKey),
}

#[derive(Debug, Default)]
struct Faults {
    full: u32,
    put_broken: u32,
    open_broken: u32,
    blobs: HashMap<BlobKey, Fault>,
}

impl Failing {
    /// A store that does what `inner` does, as long as it is not told otherwise.
    pub fn wrap(inner: Arc<dyn BlobStore>) -> Self {
        Self { inner, faults: Arc::default(), held: watch::Sender::new(false) }
    }

    /// Breaks something.
    pub fn inject(&self, fault: Fault) {
        let mut faults = self.faults();
        match fault {
            Fault::Full(times) => faults.full = times,
            Fault::PutBroken(times) => faults.put_broken = times,
            Fault::OpenBroken(times) => faults.open_broken = times,
            Fault::Lost(ref key) | Fault::Flipped(ref key) | Fault::Shortened(ref key) | Fault::Panics(ref key) => {
                faults.blobs.insert(key.clone(), fault);
            }
        }
    }

    /// Breaks nothing any more, and lets go of what was held.
    pub fn heal(&self) {
        *self.faults() = Faults::default();
        self.held.send_replace(false);
    }

    /// Makes every `put` wait until [`Failing::heal`].
    pub fn hold_puts(&self) {
        self.held.send_replace(true);
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault_of(&self, key: &BlobKey) -> Option<Fault> {
        self.faults().blobs.get(key).cloned()
    }
}

#[async_trait]
impl BlobStore for Failing {
    async fn spool(&self) -> Result<Spool, BlobError> {
        self.inner.spool().await
    }

    async fn put(&self, key: &BlobKey, spool: Spool) -> Result<(), BlobError> {
        let _ = self.held.subscribe().wait_for(|held| !held).await;
        {
            let mut faults = self.faults();
            if due(&mut faults.full) {
                return Err(BlobError::Full("blobs"));
            }
            if due(&mut faults.put_broken) {
                return Err(broken("store", key));
            }
        }
        self.inner.put(key, spool).await
    }

    async fn open(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<BlobReader, BlobError> {
        if due(&mut self.faults().open_broken) {
            return Err(broken("open", key));
        }
        let fault = self.fault_of(key);
        if let Some(Fault::Lost(_)) = fault {
            return Err(BlobError::Missing(key.to_string()));
        }
        assert!(!matches!(fault, Some(Fault::Panics(_))), "a test wants this to panic");
        let reader = self.inner.open(key, range).await?;
        Ok(match fault {
            Some(Fault::Flipped(_)) => flipped(reader),
            Some(Fault::Shortened(_)) => shortened(reader),
            _ => reader,
        })
    }

    async fn elsewhere(&self, key: &BlobKey) -> Result<Option<String>, BlobError> {
        self.inner.elsewhere(key).await
    }

    async fn stored_size(&self, key: &BlobKey) -> Result<Option<u64>, BlobError> {
        match self.fault_of(key) {
            Some(Fault::Lost(_)) => Ok(None),
            Some(Fault::Shortened(_)) => Ok(self.inner.stored_size(key).await?.map(|size| size.saturating_sub(1))),
            _ => self.inner.stored_size(key).await,
        }
    }

    async fn delete(&self, keys: &[BlobKey]) -> Result<(), BlobError> {
        self.inner.delete(keys).await
    }

    async fn list(&self, after: Option<&BlobKey>, limit: usize) -> Result<Vec<Listed>, BlobError> {
        self.inner.list(after, limit).await
    }

    async fn sweep_temp(&self, sweep: &TempSweep) -> Result<u64, BlobError> {
        self.inner.sweep_temp(sweep).await
    }
}

/// Whether a fault that is due `times` more times is due now.
fn due(times: &mut u32) -> bool {
    let due = *times > 0;
    *times = times.saturating_sub(1);
    due
}

fn broken(verb: &str, key: &BlobKey) -> BlobError {
    BlobError::io(format!("{verb} blob {key}"), std::io::Error::other("broken on purpose"))
}

fn flipped(reader: BlobReader) -> BlobReader {
    let flip = |bytes| {
        let mut bytes = BytesMut::from(bytes);
        bytes.iter_mut().for_each(|byte| *byte ^= 1);
        bytes.freeze()
    };
    reader.map(move |read| read.map(flip)).boxed()
}

/// Holds every buffer back until the next one came, so that the last one can be cut.
fn shortened(reader: BlobReader) -> BlobReader {
    let buffers = stream::unfold((reader, None), |(mut reader, held)| async move {
        let held = match held {
            Some(held) => held,
            None => reader.next().await?,
        };
        match (held, reader.next().await) {
            (held, Some(next)) => Some((held, (reader, Some(next)))),
            (Ok(last), None) => Some((Ok(last.slice(..last.len().saturating_sub(1))), (stream::empty().boxed(), None))),
            (Err(error), None) => Some((Err(error), (stream::empty().boxed(), None))),
        }
    });
    buffers.boxed()
}
