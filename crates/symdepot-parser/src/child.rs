//! The child process: limits itself, reads the debug file on its standard input, reports in the last line of its
//! standard error and writes a symcache to its standard output. It opens nothing else but the name maps it is told.

use std::any::Any;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use memmap2::Mmap;
use rustix::fd::AsFd as _;
use rustix::process::{Resource, Rlimit, Signal};

use symdepot_types::Sha1;
use symdepot_types::child_protocol::{Report, Task, Work};

use crate::archive::{uncab, unzip};
use crate::breakpad_text::{Others, dump};
use crate::convert::{Failure, Made, Means, NameMaps, convert};
use crate::detect::detect;
use crate::source_bundle::source;

/// What the hidden verb does. The argument after it is the task.
pub fn child_main() -> ExitCode {
    let task = std::env::args_os().nth(2).and_then(|arg| serde_json::from_str::<Task>(arg.to_str()?).ok());
    let Some(task) = task else {
        // Standard error may be anything here; nobody is left to tell if it is closed.
        let _ = writeln!(io::stderr(), "This verb is for the server's own use: it starts its converter with it.");
        return ExitCode::from(2);
    };
    // The report tells of a panic; the default message would show paths of the machine that built this.
    panic::set_hook(Box::new(|_| {}));
    let report = match panic::catch_unwind(AssertUnwindSafe(|| work(&task))) {
        Ok(Ok(report)) => report,
        Ok(Err(error)) if error.kind() == io::ErrorKind::StorageFull => Report::Full,
        Ok(Err(error)) => Report::Failed(error.to_string()),
        Err(payload) => task.refused(&format!("the converter stopped with {:?}", first_line(&*payload))),
    };
    let line = serde_json::to_string(&report).expect("a report holds plain values");
    match writeln!(io::stderr(), "\n{line}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn work(task: &Task) -> io::Result<Report> {
    let input = io::stdin();
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    match &task.work {
        Work::Detect(hints) => {
            let mut files = Files::limit(task, [])?;
            misbehave(&task.fault);
            Ok(Report::Detected(detect(&files.map(&input)?, hints, task.memory)))
        }
        Work::Convert { debug_id, bcsymbolmap, il2cpp, supplementary, threads } => {
            let open = |path: &Option<PathBuf>| path.as_ref().map(File::open).transpose();
            let (bcsymbolmap, il2cpp, supplementary) = (open(bcsymbolmap)?, open(il2cpp)?, open(supplementary)?);
            let mut files = Files::limit(task, [&bcsymbolmap, &il2cpp, &supplementary])?;
            misbehave(&task.fault);
            let bytes = files.map(&input)?;
            let bcsymbolmap = bcsymbolmap.map(|file| files.map(&file)).transpose()?;
            let il2cpp = il2cpp.map(|file| files.map(&file)).transpose()?;
            let supplementary = supplementary.map(|file| files.map(&file)).transpose()?;
            let maps = NameMaps {
                bcsymbolmap: bcsymbolmap.as_deref(),
                il2cpp: il2cpp.as_deref(),
                supplementary: supplementary.as_deref(),
            };
            let means = Means { memory: task.memory, threads: *threads };
            made(task, convert(&bytes, debug_id, maps, means, output))
        }
        Work::Dump(order) => {
            let open = |path: &Option<PathBuf>| path.as_ref().map(File::open).transpose();
            let (unwinding, bcsymbolmap) = (open(&order.unwinding)?, open(&order.bcsymbolmap)?);
            let mut files = Files::limit(task, [&unwinding, &bcsymbolmap])?;
            misbehave(&task.fault);
            let bytes = files.map(&input)?;
            let unwinding = unwinding.map(|file| files.map(&file)).transpose()?;
            let bcsymbolmap = bcsymbolmap.map(|file| files.map(&file)).transpose()?;
            let others = Others { unwinding: unwinding.as_deref(), bcsymbolmap: bcsymbolmap.as_deref() };
            let dumped = dump(&bytes, &order.text, others, task.memory, output);
            made(task, dumped.map(|(size, sha1)| Made { size, sha1, statistics: None }))
        }
        Work::Source { path } => {
            let mut files = Files::limit(task, [])?;
            misbehave(&task.fault);
            match source(&files.map(&input)?, path) {
                Ok(Some(text)) => {
                    (&output).write_all(text.as_bytes())?;
                    let (size, sha1) = (text.len() as u64, Sha1::of(text.as_bytes()));
                    Ok(Report::Made { size, sha1, statistics: None })
                }
                Ok(None) => Ok(Report::Absent),
                Err(reason) => Ok(task.refused(&reason)),
            }
        }
        Work::Unzip { max_size } => {
            let mut files = Files::limit(task, [])?;
            misbehave(&task.fault);
            let mut output = io::BufWriter::with_capacity(256 << 10, output);
            match unzip(&files.map(&input)?, &mut output, *max_size) {
                Ok(entries) => {
                    serde_json::to_writer(&mut output, &entries)?;
                    output.flush()?;
                    Ok(Report::Unzipped { list_at: entries.iter().map(|entry| entry.size).sum() })
                }
                Err(reason) => Ok(Report::Refused(reason)),
            }
        }
        Work::Uncab { max_size } => {
            let mut files = Files::limit(task, [])?;
            misbehave(&task.fault);
            match uncab(&files.map(&input)?, output, *max_size) {
                Ok((size, sha1)) => Ok(Report::Made { size, sha1, statistics: None }),
                Err(reason) => Ok(Report::Refused(reason)),
            }
        }
    }
}

/// The report on what was made, or why it was not.
fn made(task: &Task, result: Result<Made, Failure>) -> io::Result<Report> {
    match result {
        Ok(Made { size, sha1, statistics }) => Ok(Report::Made { size, sha1, statistics }),
        Err(Failure::Input(reason)) => Ok(task.refused(&reason)),
        Err(Failure::Output(error)) => Err(error),
    }
}

/// Proof that the limits are in force, without which no file is mapped.
struct Files;

impl Files {
    /// Sets the limits of this process, with room for its input and these files.
    fn limit<const N: usize>(task: &Task, more: [&Option<File>; N]) -> io::Result<Self> {
        // Dies with the server; is first to go when memory is short; leaves the processor to requests.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        let _ = fs::write("/proc/self/oom_score_adj", "1000");
        let _ = rustix::process::nice(5);
        let mut mapped = rustix::fs::fstat(io::stdin())?.st_size;
        for file in more.into_iter().flatten() {
            mapped += rustix::fs::fstat(file)?.st_size;
        }
        let mapped = u64::try_from(mapped).unwrap_or(0);
        let space = own_size().saturating_add(mapped).saturating_add(task.memory);
        let seconds = task.timeout.as_secs() + 1;
        limit(Resource::As, space, space)?;
        let output = task.most_output();
        limit(Resource::Fsize, output, output)?;
        limit(Resource::Cpu, seconds, seconds + 2)?;
        limit(Resource::Core, 0, 0)?;
        Ok(Self)
    }

    #[expect(unsafe_code, reason = "a mapped file must not shrink, and nobody else writes to these temp files")]
    fn map(&mut self, file: &impl rustix::fd::AsRawFd) -> io::Result<Mmap> {
        // SAFETY: the files are nameless or named after chance, in the server's own folder, and only read from now on.
        unsafe { Mmap::map(file) }
    }
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

/// The first line of what a panic said.
fn first_line(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

/// For tests: goes wrong in the way that was asked for.
fn misbehave(fault: &str) {
    match fault {
        "panic" => panic!("a fault for a test\nwith a second line"),
        "memory" => loop {
            std::mem::forget(Vec::<u8>::with_capacity(1 << 20));
        },
        "deep" => {
            std::hint::black_box(descend(1));
        }
        "hang" => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        "abort" => rustix::process::kill_process(rustix::process::getpid(), Signal::ABORT).expect("nothing forbids it"),
        _ => {}
    }
}

#[expect(unconditional_recursion, reason = "it is there to overflow the stack")]
fn descend(depth: u64) -> u64 {
    std::hint::black_box(descend(std::hint::black_box(depth + 1))) + depth
}
