//! The child's own test of its isolation: it tries what a taken-over parser would try, and reports what worked. It does no
//! harm where it gets through.

use std::fs::File;
use std::io;
use std::process::Command;

use rustix::net::{AddressFamily, SocketType};
use rustix::process::Pid;

/// What got through, in words for the log.
pub(super) fn escapes(server: u32) -> Vec<String> {
    let attempts = [
        ("open a path", File::open("/").is_ok()),
        ("look at a path", std::fs::metadata("/").is_ok()),
        ("list its descriptors", std::fs::read_dir("/proc/self/fd").is_ok()),
        ("make a network socket", socket(AddressFamily::INET) || socket(AddressFamily::INET6)),
        ("make a local socket", socket(AddressFamily::UNIX)),
        ("start a process", starts_a_process()),
        ("signal the server", signals(server)),
    ];
    attempts.into_iter().filter(|(_, got_through)| *got_through).map(|(attempt, _)| attempt.to_owned()).collect()
}

fn socket(family: AddressFamily) -> bool {
    rustix::net::socket(family, SocketType::STREAM, None).is_ok()
}

/// Only a process that was started finds out that there is no such program.
fn starts_a_process() -> bool {
    Command::new("/no/such/program").spawn().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Signal 0 only asks whether one may be sent.
fn signals(process: u32) -> bool {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    process.is_some_and(|process| rustix::process::test_kill_process(process).is_ok())
}
