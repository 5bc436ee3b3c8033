//! The child process: takes its task and its open files, gives up every right but to compute, then reads what was
//! uploaded and reports. It never opens a path, and it never reads an uploaded byte before it has limited itself.

mod handover;
mod isolation;
mod limits;
#[cfg(feature = "testing")]
mod misbehave;
mod probe;

use std::any::Any;
use std::fs::File;
use std::io::{self, Write as _};
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use memmap2::Mmap;

use symdepot_types::Sha1;
use symdepot_types::child_protocol::{Report, Task, Work};

use crate::apple_report;
use crate::archive::{uncab, unzip};
use crate::breakpad_text::{Others, dump};
use crate::cfi;
use crate::convert::{Counted, Failure, Made, Means, NameMaps, convert};
use crate::detect::detect;
use crate::minidump;
use crate::proguard_map;
use crate::source_bundle::{source, source_lines};

use handover::Files;
use limits::Limits;

/// What the hidden verb does.
pub fn child_main() -> ExitCode {
    let Ok((task, files)) = handover::receive() else {
        // Standard error may be anything here; if it is closed, there is no one left to say it to.
        let _ = writeln!(io::stderr(), "This verb is for the server's own use: it starts its converter with it.");
        return ExitCode::from(2);
    };
    // The report names a panic; the default message would show paths of the machine that built this.
    panic::set_hook(Box::new(|_| {}));
    let report = match panic::catch_unwind(AssertUnwindSafe(|| work(&task, files))) {
        Ok(Ok(report)) => report,
        Ok(Err(error)) if error.kind() == io::ErrorKind::StorageFull => Report::Full,
        Ok(Err(error)) => Report::Failed(error.to_string()),
        Err(payload) => task.refused(&format!("the converter stopped with {:?}", first_line(&*payload))),
    };
    match handover::send(&report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The files of a task in memory, and where its result goes.
struct Mapped {
    input: Option<Mmap>,
    output: Option<File>,
    /// In the order of the task, with gaps where it has none.
    others: Vec<Option<Mmap>>,
}

fn work(task: &Task, files: Files) -> io::Result<Report> {
    let mapped = mapped(task, files)?;
    let mut isolation = isolation::enter()?;
    #[cfg(feature = "testing")]
    misbehave::misbehave(&task.fault);
    if let Work::Probe = task.work {
        isolation.escapes = probe::escapes(task.server);
        return Ok(Report::Isolated(isolation));
    }
    read(task, mapped)
}

/// Sets the limits and maps the files, which are closed then.
fn mapped(task: &Task, mut files: Files) -> io::Result<Mapped> {
    let work = &task.work;
    let input = files.next_if(work.reads())?;
    let output = files.next_if(work.writes())?;
    let others = work.others().into_iter().map(|given| files.next_if(given)).collect::<io::Result<Vec<_>>>()?;
    let mut limits = Limits::set(task, others.iter().chain([&input]).flatten())?;
    let mut map = |file: Option<File>| file.map(|file| limits.map(&file)).transpose();
    let input = map(input)?;
    let others = others.into_iter().map(map).collect::<io::Result<_>>()?;
    Ok(Mapped { input, output, others })
}

/// What came of a table that was written.
fn counted(task: &Task, table: Result<io::Result<()>, String>, writer: Counted) -> io::Result<Report> {
    match table {
        Ok(written) => {
            written?;
            let (size, sha1) = writer.finish()?;
            Ok(Report::Made { size, sha1, statistics: None })
        }
        Err(reason) => Ok(task.refused(&reason)),
    }
}

/// Writes a value as JSON.
fn json(value: &impl serde::Serialize, mut output: File) -> io::Result<Report> {
    let text = serde_json::to_vec(value)?;
    output.write_all(&text)?;
    Ok(Report::Made { size: text.len() as u64, sha1: Sha1::of(&text), statistics: None })
}

/// Does what the task says. Everything here reads what was uploaded.
fn read(task: &Task, mapped: Mapped) -> io::Result<Report> {
    let Mapped { input, output, others } = mapped;
    let bytes = input.as_deref().unwrap_or_default();
    let mut others = others.iter().map(Option::as_deref);
    let mut other = || others.next().flatten();
    let output = || output.ok_or_else(|| io::Error::other("the task has no file for its result"));
    match &task.work {
        Work::Probe => Ok(Report::Absent),
        Work::Detect(hints) => Ok(Report::Detected(detect(bytes, hints, task.memory))),
        Work::Convert { debug_id, threads, .. } => {
            let maps = NameMaps { bcsymbolmap: other(), il2cpp: other(), supplementary: other() };
            let means = Means { memory: task.memory, threads: *threads };
            made(task, convert(bytes, debug_id, maps, means, output()?))
        }
        Work::Dump(order) => {
            let others = Others { unwinding: other(), bcsymbolmap: other(), supplementary: other() };
            let dumped = dump(bytes, &order.text, others, task.memory, output()?);
            made(task, dumped.map(|(size, sha1)| Made { size, sha1, statistics: None }))
        }
        Work::Source { path } => match source(bytes, path) {
            Ok(Some(text)) => {
                output()?.write_all(text.as_bytes())?;
                let (size, sha1) = (text.len() as u64, Sha1::of(text.as_bytes()));
                Ok(Report::Made { size, sha1, statistics: None })
            }
            Ok(None) => Ok(Report::Absent),
            Err(reason) => Ok(task.refused(&reason)),
        },
        Work::SourceLines(wants) => match source_lines(bytes, wants) {
            Ok(lines) => json(&lines, output()?),
            Err(reason) => Ok(task.refused(&reason)),
        },
        Work::Proguard => {
            let mut writer = Counted::new(output()?);
            let table = proguard_map::table(bytes, &mut writer);
            counted(task, table, writer)
        }
        Work::Cfi { debug_id } => {
            let mut writer = Counted::new(output()?);
            let table = cfi::build(bytes, debug_id, task.memory, &mut writer);
            counted(task, table, writer)
        }
        Work::Survey => match minidump::survey(bytes) {
            Ok(survey) => json(&survey, output()?),
            Err(reason) => Ok(task.refused(&reason)),
        },
        Work::Walk(modules) => {
            let tables: Vec<_> = others.flatten().collect();
            match minidump::walk(bytes, modules, &tables) {
                Ok(walked) => json(&walked, output()?),
                Err(reason) => Ok(task.refused(&reason)),
            }
        }
        Work::AppleReport => match apple_report::read(bytes) {
            Ok(report) => json(&report, output()?),
            Err(reason) => Ok(task.refused(&reason)),
        },
        Work::Unzip { max_size } => {
            let mut output = io::BufWriter::with_capacity(256 << 10, output()?);
            match unzip(bytes, &mut output, *max_size) {
                Ok(entries) => {
                    serde_json::to_writer(&mut output, &entries)?;
                    output.flush()?;
                    Ok(Report::Unzipped { list_at: entries.iter().map(|entry| entry.size).sum() })
                }
                Err(reason) => Ok(Report::Refused(reason)),
            }
        }
        Work::Uncab { max_size } => match uncab(bytes, output()?, *max_size) {
            Ok((size, sha1)) => Ok(Report::Made { size, sha1, statistics: None }),
            Err(reason) => Ok(Report::Refused(reason)),
        },
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

/// The first line of what a panic said.
fn first_line(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}
