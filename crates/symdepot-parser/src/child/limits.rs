//! The limits that the child sets for itself before it looks at a byte of what was uploaded. They are never taken back.

use std::fs::{self, File};
use std::io;
use std::thread;

use memmap2::{Mmap, MmapOptions};
use rustix::fs::Mode;
use rustix::process::{Pid, Resource, Rlimit, Signal};

use symdepot_types::child_protocol::Task;

/// Proof that the limits are in force, without which no file is mapped.
pub(super) struct Limits {
    /// Bytes of files that may still be mapped.
    mappable: u64,
}

impl Limits {
    /// Sets the limits of this process, with address space for these files.
    pub(super) fn set<'a>(task: &Task, files: impl IntoIterator<Item = &'a File>) -> io::Result<Self> {
        // Dies with the server; is first to go when memory is short; leaves the processor to requests.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        if rustix::process::getppid().map(Pid::as_raw_pid) != i32::try_from(task.server).ok() {
            // It ended before the signal was set, which therefore never comes.
            return Err(io::Error::other("the server that started this process is gone"));
        }
        let _ = fs::write("/proc/self/oom_score_adj", "1000");
        let _ = rustix::process::nice(5);
        rustix::process::umask(Mode::RWXG | Mode::RWXO);
        let mut mapped = 0_u64;
        for file in files {
            mapped = mapped.saturating_add(size(file)?);
        }
        let space = own_size().saturating_add(mapped).saturating_add(task.memory);
        // Of all threads together.
        let threads = thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
        let seconds = (task.timeout.as_secs() + 1).saturating_mul(threads);
        limit(Resource::As, space, space)?;
        let output = task.most_output();
        limit(Resource::Fsize, output, output)?;
        limit(Resource::Cpu, seconds, seconds + 2)?;
        limit(Resource::Core, 0, 0)?;
        Ok(Self { mappable: mapped })
    }

    /// Maps a file of those that the limits were set for.
    #[expect(unsafe_code, reason = "a mapped file must not shrink, and nothing else writes to these temp files")]
    pub(super) fn map(&mut self, file: &File) -> io::Result<Mmap> {
        let length = size(file)?;
        self.mappable = self.mappable.checked_sub(length).ok_or_else(|| io::Error::other("a file grew"))?;
        let length = usize::try_from(length).map_err(io::Error::other)?;
        // SAFETY: the files are nameless, made by the server for this one purpose, and only read from now on.
        unsafe { MmapOptions::new().len(length).map(file) }
    }
}

/// Gives up the right to open anything. Descriptors that are open stay.
pub(super) fn open_no_more() -> io::Result<()> {
    limit(Resource::Nofile, 0, 0)
}

fn size(file: &File) -> io::Result<u64> {
    Ok(u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0))
}

fn limit(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let standing = rustix::process::getrlimit(resource);
    // A limit from outside that is stricter stays.
    let least = |wanted: u64, standing: Option<u64>| Some(standing.map_or(wanted, |standing| standing.min(wanted)));
    let limit = Rlimit { current: least(soft, standing.maximum), maximum: least(hard, standing.maximum) };
    Ok(rustix::process::setrlimit(resource, limit)?)
}

/// The address space that this process has taken before it has read anything.
fn own_size() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map_or(256 << 20, |kib| kib << 10)
}
