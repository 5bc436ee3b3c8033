//! What the kernel says of processes: CPU seconds and memory. Linux only; it changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Clock ticks per second in `/proc/PID/stat`; the same on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// CPU seconds of a process.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    /// User and system time of the process itself.
    pub own: f64,
    /// User and system time of its children that have ended.
    pub children: f64,
}

/// CPU seconds so far.
pub fn cpu(pid: u32) -> Result<Cpu> {
    let fields = stat(pid).context("no such process")?;
    let seconds = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default() / TICKS;
    // Counted from the state, which is field 3 of the manual.
    Ok(Cpu { own: seconds(11) + seconds(12), children: seconds(13) + seconds(14) })
}

/// A line of `/proc/PID/status` in MB (decimal), such as `VmHWM`.
pub fn memory(pid: u32, line: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let found = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':'))?;
    found.split_whitespace().next()?.parse::<f64>().ok().map(|kib| kib * 1024.0 / 1e6)
}

/// Share of all cores that stood idle so far, as (idle, all) ticks.
pub fn machine() -> (f64, f64) {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<f64> =
        text.lines().next().unwrap_or_default().split(' ').filter_map(|tick| tick.parse().ok()).collect();
    (ticks.get(3).copied().unwrap_or_default(), ticks.iter().sum())
}

/// Fields of `/proc/PID/stat` from the state on.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}

/// Watches the peak memory of the children of a process while it lives.
pub struct ChildWatch {
    stop: Arc<AtomicBool>,
    peak_kb: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl ChildWatch {
    /// Begins to watch the children of `parent`.
    pub fn begin(parent: u32) -> Self {
        let (stop, peak_kb) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, peak) = (stop.clone(), peak_kb.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for child in children(parent) {
                    let kb = memory(child, "VmHWM").unwrap_or_default() * 1e3;
                    peak.fetch_max(kb as u64, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self { stop, peak_kb, thread: Some(thread) }
    }

    /// The highest peak of one child in MB. The last look may lie 5 ms before the child's end.
    pub fn end(mut self) -> f64 {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that only reads files does not panic; if it did, the peak so far is still true.
            let _ = thread.join();
        }
        self.peak_kb.load(Ordering::Relaxed) as f64 / 1e3
    }
}

fn children(parent: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{parent}/task")) else { return Vec::new() };
    let lists = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}
