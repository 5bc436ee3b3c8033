//! The writer of a spool on disk: one thread that appends what has arrived with one write and one sync, and then tells all who
//! wait. It never reads a segment and answers nothing before the bytes are durable.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, oneshot};

use super::{SpoolError, frame};
use crate::clock::Clock;

/// A segment that is this large gets no further record.
const SEGMENT_SIZE: u64 = 64 << 20;
/// One that is this old neither.
const SEGMENT_AGE: Duration = Duration::from_secs(60);
/// Bytes that are written together at most, unless one record alone has more.
const WRITE: usize = 8 << 20;
/// Requests that wait for the writer.
const QUEUE: usize = 1024;
/// How often the size of the folder is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A request to append.
struct Append {
    record: Vec<u8>,
    organization_id: i64,
    done: oneshot::Sender<Result<(), SpoolError>>,
}

/// Appends records. Cheap to clone; the thread ends with the last one.
#[derive(Clone, Debug)]
pub struct Writer {
    requests: mpsc::Sender<Append>,
    appended: Arc<Notify>,
}

impl Writer {
    /// Writes into a folder, which is there, as long as less than `max` bytes wait in it.
    pub fn start(folder: &Path, max: u64, clock: Clock) -> io::Result<Self> {
        let (requests, received) = mpsc::channel(QUEUE);
        let appended = Arc::new(Notify::new());
        let thread = Thread {
            folder: folder.to_owned(),
            max,
            clock,
            segment: None,
            used: 0,
            looked: None,
            appended: Arc::clone(&appended),
        };
        std::thread::Builder::new().name("spool".to_owned()).spawn(move || thread.run(received))?;
        Ok(Self { requests, appended })
    }

    /// Appends a record. It is durable when this returns.
    pub async fn append(&self, record: Vec<u8>, organization_id: i64) -> Result<(), SpoolError> {
        if record.len() as u64 > u64::from(frame::LARGEST) {
            return Err(SpoolError::TooLarge);
        }
        let (done, result) = oneshot::channel();
        let ended = |_| SpoolError::Io(io::Error::other("the writer of the spool has ended"));
        self.requests.send(Append { record, organization_id, done }).await.map_err(|_| ended(()))?;
        result.await.map_err(|_| ended(()))?
    }

    /// Rung when records were appended.
    pub fn appended(&self) -> &Arc<Notify> {
        &self.appended
    }
}

struct Thread {
    folder: PathBuf,
    max: u64,
    clock: Clock,
    segment: Option<Open>,
    /// Bytes in the folder when it was looked at last, and those appended since.
    used: u64,
    looked: Option<Instant>,
    appended: Arc<Notify>,
}

/// The segment that records are appended to. Its lock tells other processes that it is in use.
struct Open {
    file: File,
    seed: u32,
    size: u64,
    since: Instant,
}

impl Thread {
    fn run(mut self, mut requests: mpsc::Receiver<Append>) {
        while let Some(first) = requests.blocking_recv() {
            let mut together = vec![first];
            let mut bytes = together[0].record.len();
            while bytes < WRITE {
                let Ok(next) = requests.try_recv() else { break };
                bytes += next.record.len();
                together.push(next);
            }
            let result = self.append(&together, bytes);
            if result.is_ok() {
                self.appended.notify_one();
            } else {
                // The next records go to a segment of their own, whatever stands at the end of this one.
                self.segment = None;
            }
            for append in together {
                // One who does not wait any more hears nothing.
                let _gone = append.done.send(result.as_ref().copied().map_err(SpoolError::again));
            }
        }
    }

    fn append(&mut self, together: &[Append], bytes: usize) -> Result<(), SpoolError> {
        self.check_room(bytes as u64)?;
        let segment = self.open()?;
        let mut frames = Vec::with_capacity(bytes + together.len() * frame::HEAD);
        for append in together {
            frame::write(&append.record, append.organization_id, segment.seed, &mut frames);
        }
        let before = segment.size;
        let written = segment.file.write_all(&frames).and_then(|()| segment.file.sync_data());
        if let Err(error) = written {
            // Nobody was told that these bytes are here. A tail that stays is not read as a record: its frame is not whole, or
            // it is, and then the record is an event that its sender sends again under the same id.
            let _best_effort = segment.file.set_len(before);
            return Err(SpoolError::from(error));
        }
        segment.size += frames.len() as u64;
        self.used += frames.len() as u64;
        Ok(())
    }

    /// The segment to append to: the open one, or a new one.
    fn open(&mut self) -> Result<&mut Open, SpoolError> {
        let full = |open: &Open| open.size >= SEGMENT_SIZE || open.since.elapsed() >= SEGMENT_AGE;
        if self.segment.as_ref().is_some_and(full) {
            self.segment = None;
        }
        match &mut self.segment {
            Some(open) => Ok(open),
            empty => Ok(empty.insert(create(&self.folder, &self.clock)?)),
        }
    }

    fn check_room(&mut self, more: u64) -> Result<(), SpoolError> {
        if self.looked.is_none_or(|at| at.elapsed() >= LOOK) {
            self.used = used(&self.folder)?;
            self.looked = Some(Instant::now());
        }
        if self.used + more > self.max { Err(SpoolError::Full) } else { Ok(()) }
    }
}

/// A fresh segment, which is found after a crash of the machine.
fn create(folder: &Path, clock: &Clock) -> io::Result<Open> {
    let name = format!("{}.{}", clock.fresh_id().simple(), super::SEGMENT);
    let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(folder.join(&name))?;
    // Nothing else knows the file yet; a volume without locks has one process on it.
    let _unlocked = file.try_lock();
    File::open(folder)?.sync_all()?;
    Ok(Open { file, seed: frame::seed(&name), size: 0, since: Instant::now() })
}

fn used(folder: &Path) -> io::Result<u64> {
    let mut used = 0;
    for entry in fs::read_dir(folder)? {
        match entry?.metadata() {
            Ok(metadata) => used += metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(used)
}
