//! The reader of a spool on disk: finds records that are not digested, takes batches of organizations in turn, and removes a
//! segment when nothing of it is left to digest. One process at a time reads a folder.
//!
//! It never removes a segment that a process still writes to, and what was digested is known from rows alone.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::frame::{self, Head};

/// Segments that are looked into before the first of them is digested.
const AHEAD: usize = 8;
/// Records that are known and not taken yet.
const MOST_KNOWN: usize = 200_000;
/// Bytes that are looked through at a time.
const STEP: usize = 8 << 20;

/// How far a segment is digested, by organization: the offset behind the last record.
pub type Digested = HashMap<i64, u64>;

/// Reads the folder. Blocks.
#[derive(Debug)]
pub struct DiskReader {
    folder: PathBuf,
    /// Held as long as this process reads.
    _lock: File,
    /// By name, which sorts by time.
    segments: BTreeMap<String, Segment>,
    /// Places of records by organization, oldest first.
    waiting: HashMap<i64, VecDeque<Place>>,
    /// Organizations with records, in the order of their turns.
    turns: VecDeque<i64>,
    known: usize,
}

#[derive(Debug)]
struct Segment {
    file: File,
    /// Where the next look begins.
    read_to: u64,
    /// Records found and not reported as digested.
    left: usize,
    digested: Digested,
    /// Nothing is appended any more.
    is_closed: bool,
}

#[derive(Clone, Debug)]
struct Place {
    segment: String,
    at: u64,
    length: u32,
}

/// A record that was taken for a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// In which segment it stands.
    pub segment: String,
    /// The offset behind it.
    pub end: u64,
    /// Of which organization it is.
    pub organization_id: i64,
    /// Its bytes.
    pub record: Bytes,
}

impl DiskReader {
    /// Reads the folder, unless another process does.
    pub fn open(folder: &Path) -> io::Result<Option<Self>> {
        fs::create_dir_all(folder)?;
        let path = folder.join("reader.lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(Some(Self {
            folder: folder.to_owned(),
            _lock: lock,
            segments: BTreeMap::new(),
            waiting: HashMap::new(),
            turns: VecDeque::new(),
            known: 0,
        }))
    }

    /// The segments in the folder that were not looked into yet.
    pub fn unknown(&self) -> io::Result<Vec<String>> {
        let mut names = self.names()?;
        names.retain(|name| !self.segments.contains_key(name));
        Ok(names)
    }

    /// Looks for new records. `digested` tells how far new segments are digested.
    pub fn look(&mut self, digested: &HashMap<String, Digested>) -> io::Result<()> {
        for name in self.unknown()? {
            if self.segments.len() >= AHEAD {
                break;
            }
            // One that appeared since is looked into next time.
            let Some(digested) = digested.get(&name).cloned() else { continue };
            let file = match File::open(self.folder.join(&name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            self.segments.insert(name, Segment { file, read_to: 0, left: 0, digested, is_closed: false });
        }
        let names: Vec<String> = self.segments.keys().cloned().collect();
        for name in names {
            self.look_into(&name)?;
        }
        Ok(())
    }

    /// The next records, of one organization after the other: at most `most`, and no more once `bytes` are reached.
    pub fn take(&mut self, most: usize, bytes: u64) -> io::Result<Vec<Taken>> {
        let (mut taken, mut size) = (Vec::new(), 0);
        while taken.len() < most && size < bytes {
            let Some(organization_id) = self.turns.pop_front() else { break };
            let Some(places) = self.waiting.get_mut(&organization_id) else { continue };
            let Some(place) = places.pop_front() else { continue };
            if places.is_empty() {
                self.waiting.remove(&organization_id);
            } else {
                self.turns.push_back(organization_id);
            }
            self.known -= 1;
            let Some(segment) = self.segments.get(&place.segment) else { continue };
            let mut record = vec![0; place.length as usize];
            segment.file.read_exact_at(&mut record, place.at + frame::HEAD as u64)?;
            size += u64::from(place.length);
            let end = place.at + frame::HEAD as u64 + u64::from(place.length);
            taken.push(Taken { segment: place.segment, end, organization_id, record: record.into() });
        }
        Ok(taken)
    }

    /// Puts records back whose batch failed, in their order.
    pub fn put_back(&mut self, taken: &[Taken]) {
        for taken in taken.iter().rev() {
            let length = u32::try_from(taken.record.len()).unwrap_or(u32::MAX);
            let at = taken.end - frame::HEAD as u64 - u64::from(length);
            let places = self.waiting.entry(taken.organization_id).or_default();
            if places.is_empty() {
                self.turns.push_back(taken.organization_id);
            }
            places.push_front(Place { segment: taken.segment.clone(), at, length });
            self.known += 1;
        }
    }

    /// Notes that records are digested, which their rows say already. Returns the segments of which nothing is left; they are
    /// removed from the folder.
    pub fn digested(&mut self, taken: &[Taken]) -> io::Result<Vec<String>> {
        for taken in taken {
            if let Some(segment) = self.segments.get_mut(&taken.segment) {
                segment.left = segment.left.saturating_sub(1);
            }
        }
        self.remove_done()
    }

    /// Removes segments of which nothing is left to digest and to which nothing is appended.
    pub fn remove_done(&mut self) -> io::Result<Vec<String>> {
        let done: Vec<String> = self
            .segments
            .iter()
            .filter(|(_, segment)| segment.is_closed && segment.left == 0)
            .map(|(name, _)| name.clone())
            .collect();
        for name in &done {
            match fs::remove_file(self.folder.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => _ = self.segments.remove(name),
            }
        }
        Ok(done)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if Path::new(&name).extension().is_some_and(|end| end == super::SEGMENT) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Finds the frames behind what was looked through before.
    fn look_into(&mut self, name: &str) -> io::Result<()> {
        let Some(segment) = self.segments.get_mut(name) else { return Ok(()) };
        if segment.is_closed {
            return Ok(());
        }
        // Asked before the last look: what is free now gets no further record.
        let is_closed = is_free(&segment.file);
        let mut buffer = Vec::new();
        loop {
            if self.known >= MOST_KNOWN {
                return Ok(());
            }
            read_some(&segment.file, segment.read_to, &mut buffer)?;
            let (found, used) = frames(&buffer, segment.read_to, name, is_closed);
            let more = buffer.len() >= STEP;
            for (organization_id, at, length) in found {
                let end = at + frame::HEAD as u64 + u64::from(length);
                if segment.digested.get(&organization_id).is_some_and(|digested| end <= *digested) {
                    continue;
                }
                let places = self.waiting.entry(organization_id).or_default();
                if places.is_empty() {
                    self.turns.push_back(organization_id);
                }
                places.push_back(Place { segment: name.to_owned(), at, length });
                segment.left += 1;
                self.known += 1;
            }
            segment.read_to += used as u64;
            if !more || used == 0 {
                break;
            }
        }
        segment.is_closed = is_closed;
        Ok(())
    }
}

/// Whether no process appends to the segment. A process that died has let go of it.
fn is_free(file: &File) -> bool {
    match file.try_lock() {
        Ok(()) => file.unlock().is_ok(),
        Err(_) => false,
    }
}

/// Bytes from `at` on: at least one whole frame if one begins there.
fn read_some(file: &File, at: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
    let read = |length: usize, buffer: &mut Vec<u8>| -> io::Result<()> {
        buffer.resize(length, 0);
        let mut filled = 0;
        while filled < length {
            match file.read_at(&mut buffer[filled..], at + filled as u64)? {
                0 => break,
                some => filled += some,
            }
        }
        buffer.truncate(filled);
        Ok(())
    };
    read(STEP, buffer)?;
    if let Head::Frame(frame) = frame::head(buffer)
        && frame.size() > buffer.len() as u64
        && buffer.len() == STEP
    {
        read(usize::try_from(frame.size()).unwrap_or(STEP), buffer)?;
    }
    Ok(())
}

/// The records that stand whole in `bytes`, by organization, offset and length, and how many bytes were looked through.
/// Bytes that are no record are passed over up to the next marker; at the end of a segment that grows they may become one.
fn frames(bytes: &[u8], begins_at: u64, segment: &str, is_closed: bool) -> (Vec<(i64, u64, u32)>, usize) {
    let (mut found, mut at, mut lost) = (Vec::new(), 0, 0);
    let seed = frame::seed(segment);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let is_cut = match frame::head(rest) {
            Head::Frame(frame) => match rest.get(frame::HEAD..frame::HEAD + frame.length as usize) {
                Some(record) if frame.holds(record, seed) => {
                    found.push((frame.organization_id, begins_at + at as u64, frame.length));
                    at += frame::HEAD + frame.length as usize;
                    continue;
                }
                record => record.is_none(),
            },
            Head::Short => true,
            Head::Other => false,
        };
        // It goes on behind these bytes, which are read again from here.
        if is_cut && (at > 0 || !is_closed) {
            break;
        }
        match memchr::memmem::find(&rest[1..], &frame::MARKER) {
            Some(next) => {
                lost += next + 1;
                at += next + 1;
            }
            // The beginning of a marker may stand at the end.
            None if is_closed && bytes.len() == STEP => at = bytes.len() - frame::MARKER.len(),
            None if is_closed => at = bytes.len(),
            None => break,
        }
    }
    if lost > 0 {
        tracing::error!(segment, bytes = lost, "bytes of the spool are damaged, and the events in them are lost");
    }
    (found, at)
}
