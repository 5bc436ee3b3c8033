//! [`SectionCache`]: the content of large compressed sections, decompressed once into nameless temp files that all
//! requests share while it grows. It never takes more of the disk than its budget, and never holds a section in memory.
//!
//! A section that has no place on the disk is decompressed for its request alone. Of those only a few are open at a time,
//! because each holds a decoder for as long as its client reads. All decoders share as many threads as there are
//! cores: many large sections cost other requests no more than that.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::fill_section::{Fill, SEGMENT, State, fill};
use super::unpack_section::{Steps, unpack};
use super::{OpenFile, Section, find_section};
use crate::blobs::{BlobError, BlobReader};
use crate::cache::ByRoom;

/// Sections with less content are decompressed each time, which takes a few milliseconds.
const SMALL: u64 = 1 << 20;

/// Bytes of content that are kept after the last request for them has ended.
const KEPT: u64 = 1 << 30;

/// How long they are kept if they are not requested again.
const IDLE: Duration = Duration::from_secs(600);

/// Bytes on the disk at any time, in MiB: what is kept, and what is still read.
const BUDGET_MIB: usize = 4 << 10;

/// Sections that are written to the disk at a time.
const MAX_FILLS: usize = 32;

/// Large sections that are decompressed for one request each at a time.
const MAX_STREAMS: usize = 16;

/// Searches for sections at a time. Each holds up to 2 MiB of headers and names.
const MAX_SEARCHES: usize = 32;

/// Searches that may wait for others, and how long.
const MAX_WAITING: usize = 256;
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Segments that are brought into memory before they are sent.
const AHEAD: usize = 2;

/// Decompressed sections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SectionCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    temp_dir: PathBuf,
    entries: ByRoom<Entry>,
    budget: Arc<Semaphore>,
    fills: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    steps: Steps,
    searches: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// A slot in the queue, given back however the waiting ends.
struct QueueSlot<'a>(&'a AtomicUsize);

/// The content of a section on the disk, as far as it is there.
#[derive(Clone)]
struct Entry {
    size: u64,
    state: watch::Receiver<State>,
    _on_disk: Arc<OwnedSemaphorePermit>,
}

/// Why a section is not on the disk.
#[derive(Debug)]
enum NoEntry {
    /// There is no space, or too many are being written.
    Full,
    /// The temp file cannot be used.
    Io(io::Error),
}

impl SectionCache {
    /// An empty cache, which keeps its temp files in `temp_dir`.
    pub fn new(temp_dir: &Path) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self(Arc::new(Inner {
            temp_dir: temp_dir.to_owned(),
            entries: ByRoom::idle(KEPT, |entry: &Entry| entry.size, IDLE),
            budget: semaphore(BUDGET_MIB),
            fills: semaphore(MAX_FILLS),
            streams: semaphore(MAX_STREAMS),
            steps: Steps::default(),
            searches: semaphore(MAX_SEARCHES),
            waiting: AtomicUsize::new(0),
        }))
    }

    /// The section `name` of `file`, as a search of its headers finds it. An error of the kind
    /// [`io::ErrorKind::ResourceBusy`] means that too many other searches are waiting.
    pub async fn find(&self, file: &OpenFile, name: &str, max_size: u64) -> Result<Option<Section>, BlobError> {
        let _permit = self.search_permit().await.ok_or_else(busy)?;
        find_section(file, name, max_size).await
    }

    async fn search_permit(&self) -> Option<OwnedSemaphorePermit> {
        let searches = &self.0.searches;
        if let Ok(permit) = Arc::clone(searches).try_acquire_owned() {
            return Some(permit);
        }
        let before = self.0.waiting.fetch_add(1, Ordering::Relaxed);
        let _slot = QueueSlot(&self.0.waiting);
        if before >= MAX_WAITING {
            return None;
        }
        tokio::time::timeout(MAX_WAIT, Arc::clone(searches).acquire_owned()).await.ok()?.ok()
    }

    /// The bytes `range` of the content of a compressed section of `file`. The first bytes wait for what is before them.
    pub(super) async fn read(
        &self,
        section: Section,
        file: OpenFile,
        range: Range<u64>,
    ) -> Result<BlobReader, BlobError> {
        let Section { size, compression, at } = section.clone();
        let steps = &self.0.steps;
        if size < SMALL {
            return Ok(unpack(file.read(at).boxed(), compression, size, range, steps.clone()).boxed());
        }
        // Rows may use an id again after a file was deleted, so the checksum belongs to the key.
        let key = format!("{} {} {}", file.file.sha1, file.file.id, at.start);
        let entry = self.0.entries.get(&key, async { self.begin(&section, &file).await }).await;
        match entry {
            Ok(entry) => Ok(self.content(key, entry, range)),
            Err(error) => {
                if let NoEntry::Io(error) = &*error {
                    tracing::warn!(%error, "failed to write a decompressed section to the disk; it is not kept");
                }
                let permit = Arc::clone(&self.0.streams).try_acquire_owned().map_err(|_| busy())?;
                let content = unpack(file.read(at).boxed(), compression, size, range, steps.clone());
                Ok(holding(content.boxed(), permit))
            }
        }
    }

    /// Begins to write a section to the disk.
    async fn begin(&self, section: &Section, file: &OpenFile) -> Result<Entry, NoEntry> {
        let mib = u32::try_from(section.size.div_ceil(1 << 20)).map_err(|_| NoEntry::Full)?;
        let filling = Arc::clone(&self.0.fills).try_acquire_owned().map_err(|_| NoEntry::Full)?;
        let on_disk = Arc::clone(&self.0.budget).try_acquire_many_owned(mib).map_err(|_| NoEntry::Full)?;
        let target = self.temp_file().await.map_err(NoEntry::Io)?;
        let work = Fill::new(section.compression, section.size, target).map_err(NoEntry::Io)?;
        let (sender, state) = watch::channel(State::default());
        let packed = file.clone().read(section.at.clone()).boxed();
        let steps = self.0.steps.clone();
        tokio::spawn(async move {
            let _filling = filling;
            fill(packed, work, sender, steps).await;
        });
        Ok(Entry { size: section.size, state, _on_disk: Arc::new(on_disk) })
    }

    async fn temp_file(&self) -> io::Result<File> {
        let temp_dir = self.0.temp_dir.clone();
        tokio::task::spawn_blocking(move || tempfile::tempfile_in(temp_dir)).await.map_err(io::Error::other)?
    }

    /// The bytes `range` of an entry. One whose section cannot be decompressed is removed, so that passing trouble is
    /// not remembered.
    fn content(&self, key: String, entry: Entry, range: Range<u64>) -> BlobReader {
        let range = range.start.min(entry.size)..range.end.min(entry.size);
        let this = self.clone();
        let (first, last) = (range.start / SEGMENT, range.end.div_ceil(SEGMENT));
        let segments = stream::iter(first..last.max(first)).map(move |number| {
            let entry = entry.clone();
            async move { Ok::<_, BlobError>((number * SEGMENT, entry.segment(number).await?)) }
        });
        let content = segments.buffered(AHEAD).map_ok(move |(begin, bytes): (u64, Bytes)| {
            let within = |at: u64| usize::try_from(at.saturating_sub(begin)).unwrap_or(usize::MAX).min(bytes.len());
            bytes.slice(within(range.start)..within(range.end))
        });
        let content = content.or_else(move |error| {
            let (this, key) = (this.clone(), key.clone());
            async move {
                this.0.entries.forget(&key).await;
                Err(error)
            }
        });
        content.boxed()
    }
}

impl Entry {
    /// The segment with this number, once it is there, in memory.
    async fn segment(mut self, number: u64) -> Result<Bytes, BlobError> {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let ended = |_| failed(io::Error::other("the decompression was interrupted"));
        let bytes = {
            let state = self.state.wait_for(|state| state.has(number)).await.map_err(ended)?;
            state.segment(number).map_err(failed)?
        };
        // A page that left memory is read again here and not on a thread that must not block.
        let touched = tokio::task::spawn_blocking(move || {
            std::hint::black_box(bytes.iter().step_by(4096).fold(0, |sum: u8, byte| sum.wrapping_add(*byte)));
            bytes
        });
        touched.await.map_err(|error| failed(io::Error::other(error)))
    }
}

impl Drop for QueueSlot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("size", &self.size).finish_non_exhaustive()
    }
}

fn failed(error: io::Error) -> BlobError {
    BlobError::io("decompress a section", error)
}

fn busy() -> BlobError {
    failed(io::ErrorKind::ResourceBusy.into())
}

/// The same content, which keeps `permit` until its end.
fn holding(content: BlobReader, permit: OwnedSemaphorePermit) -> BoxStream<'static, Result<Bytes, BlobError>> {
    content
        .inspect(move |_| {
            let _held = &permit;
        })
        .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn searches_wait_in_a_queue_that_has_an_end() {
        let cache = SectionCache::new(&std::env::temp_dir());
        let mut permits = Vec::new();
        for _search in 0..MAX_SEARCHES {
            permits.extend(cache.search_permit().await);
        }
        assert_eq!(permits.len(), MAX_SEARCHES);
        let waiting: Vec<_> = (0..MAX_WAITING)
            .map(|_| {
                let cache = cache.clone();
                tokio::spawn(async move { cache.search_permit().await.is_some() })
            })
            .collect();
        while cache.0.waiting.load(Ordering::Relaxed) < MAX_WAITING {
            tokio::task::yield_now().await;
        }
        assert!(cache.search_permit().await.is_none(), "the queue is full");
        drop(permits);
        for one in waiting {
            assert!(one.await.unwrap());
        }
        assert_eq!(cache.0.waiting.load(Ordering::Relaxed), 0);
    }
}
