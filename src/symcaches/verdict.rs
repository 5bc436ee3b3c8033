//! What the end of a child means: its report, the fault of the file, or a surprise. It never looks at the file.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use super::sandbox::SandboxError;
use crate::types::child_protocol::{Report, Task};

/// How a child ended and what it said last.
#[derive(Debug)]
pub(super) struct Death {
    /// `None` if its time was over.
    pub status: Option<ExitStatus>,
    /// The end of its standard error.
    pub said: Vec<u8>,
}

/// The child's report, or what its death says of the file, or why neither is known.
pub(super) fn judge(death: &Death, task: &Task) -> Result<Report, SandboxError> {
    let Some(status) = death.status else { return Ok(task.refused(&too_slow(task))) };
    let said = String::from_utf8_lossy(&death.said);
    if let Some(signal) = status.signal() {
        let memory = task.memory >> 20;
        let reason = match signal {
            // From the keyboard, a service manager, or a kernel that ran out of memory: not this file's fault.
            1 | 2 | 3 | 9 | 15 => return Err(SandboxError::Ended(signal_name(signal))),
            24 => too_slow(task),
            25 => format!("the result would be larger than {memory} MiB (setting `converter.memory`)"),
            6 if said.contains("memory allocation of ") => {
                format!("it needs more than {memory} MiB of memory (setting `converter.memory`)")
            }
            6 | 11 if said.contains("has overflowed its stack") => "it is nested too deeply".to_owned(),
            _ => format!("the converter crashed (signal {})", signal_name(signal)),
        };
        return Ok(task.refused(&reason));
    }
    let report = said.lines().rev().find(|line| !line.is_empty()).map(serde_json::from_str::<Report>);
    match report {
        Some(Ok(Report::Full)) => Err(io::Error::from(io::ErrorKind::StorageFull).into()),
        Some(Ok(Report::Failed(reason))) => Err(io::Error::other(reason).into()),
        Some(Ok(report)) => Ok(report),
        Some(Err(_)) | None => {
            let said: String = said.chars().take(200).collect();
            Err(io::Error::other(format!("{status}, no report but {said:?}")).into())
        }
    }
}

fn too_slow(task: &Task) -> String {
    format!("it took longer than {:?} (setting `converter.timeout`)", task.timeout)
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        31 => "SIGSYS",
        other => return other.to_string(),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::child_protocol::{Hints, Work};
    use std::time::Duration;

    fn task() -> Task {
        let work = Work::Detect(Hints::default());
        Task { memory: 64 << 20, timeout: Duration::from_secs(2), fault: String::new(), work }
    }

    fn end(raw: i32, said: &str) -> Result<String, String> {
        let death = Death { status: Some(ExitStatus::from_raw(raw)), said: said.as_bytes().to_vec() };
        match judge(&death, &task()) {
            Ok(Report::Refused(reason)) => Ok(reason),
            Ok(report) => panic!("{report:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn every_death_has_its_sentence() {
        let refused = |reason: &str| Ok(format!("The file cannot be read: {reason}."));
        assert_eq!(
            end(6, "memory allocation of 9 bytes failed\n"),
            refused("it needs more than 64 MiB of memory (setting `converter.memory`)")
        );
        assert_eq!(end(6, "thread 'main' has overflowed its stack\n"), refused("it is nested too deeply"));
        assert_eq!(end(6, ""), refused("the converter crashed (signal SIGABRT)"));
        assert_eq!(end(11, ""), refused("the converter crashed (signal SIGSEGV)"));
        assert_eq!(end(24, ""), refused("it took longer than 2s (setting `converter.timeout`)"));
        assert_eq!(end(25, ""), refused("the result would be larger than 64 MiB (setting `converter.memory`)"));
        assert_eq!(end(0, "noise\n{\"Refused\":\"no\"}\n"), Ok("no".to_owned()));
    }

    #[test]
    fn what_is_not_the_files_fault_is_an_error() {
        assert_eq!(end(9, ""), Err("the converter was ended from outside: SIGKILL".to_owned()));
        assert_eq!(end(15, ""), Err("the converter was ended from outside: SIGTERM".to_owned()));
        assert_eq!(end(0, "{\"Failed\":\"disk full\"}"), Err("the converter cannot be run: disk full".to_owned()));
        assert_eq!(end(0, "\"Full\""), Err("the converter cannot be run: no storage space".to_owned()));
        assert!(end(127 << 8, "what?").is_err_and(|error| error.contains("127") && error.contains("what?")));
        assert!(end(0, "").is_err());
    }
}
