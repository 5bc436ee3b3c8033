//! Starts one child, hands it its task and its open files, and waits for its end. No path and no word of the task is in
//! its arguments, and it has no descriptor but those that its task names.

use std::fs::File;
use std::io::{self, IoSlice, Seek as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use rustix::fs::{MemfdFlags, Mode, OFlags};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use super::sandbox::{SandboxError, SandboxSettings};
use super::verdict::{Death, judge};
use crate::types::child_protocol::{MOST_FILES, Report, Task, VERB};

/// How much is kept of what the child reports.
const LONGEST_REPORT: usize = 1 << 20;

/// How much is kept of what its allocator or its stack says.
const LONGEST_COMPLAINT: usize = 64 << 10;

/// Does `task` in a child with `files`, in the order that the protocol gives them.
pub(super) async fn run(settings: &SandboxSettings, task: &Task, files: &[&File]) -> Result<Report, SandboxError> {
    let (ours, theirs) = UnixStream::pair()?;
    hand_over(&ours, files)?;
    // The death of the thread that spawns ends the child too, so this is never done on a thread that comes and goes.
    let mut child = Command::new(&settings.program)
        .arg(VERB)
        .env_clear()
        .current_dir("/")
        .stdin(written(task)?)
        .stdout(OwnedFd::from(theirs))
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stderr = child.stderr.take().ok_or_else(|| io::Error::other("the child has no standard error"))?;
    ours.set_nonblocking(true)?;
    let report = tokio::net::UnixStream::from_std(ours)?;
    let ended = async { tokio::try_join!(tail(report, LONGEST_REPORT), tail(stderr, LONGEST_COMPLAINT), child.wait()) };
    let death = match tokio::time::timeout(settings.timeout, ended).await {
        Ok(ended) => {
            let (report, said, status) = ended?;
            Death { status: Some(status), report, said }
        }
        Err(_) => {
            child.kill().await?;
            Death { status: None, report: Vec::new(), said: Vec::new() }
        }
    };
    judge(&death, task)
}

/// The task in a file that is only in memory.
fn written(task: &Task) -> io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create("task", MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(task)?)?;
    file.rewind()?;
    Ok(file)
}

/// Sends open files to the process at the other end, which need not be there yet.
fn hand_over(socket: &UnixStream, files: &[&File]) -> io::Result<()> {
    let descriptors: Vec<BorrowedFd<'_>> = files.iter().map(|file| file.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FILES))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("the task has too many files"));
    }
    sendmsg(socket, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The same file, open for nothing but reading, at a place of its own.
pub(super) fn read_only(file: &File) -> io::Result<File> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    match rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(file) => Ok(file.into()),
        // Without `/proc`, or where this user may not open it a second time.
        Err(_) => file.try_clone(),
    }
}

/// The end of what the child says; the rest is read and dropped, so that the child never waits.
async fn tail(mut stream: impl AsyncRead + Unpin, most: usize) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    loop {
        match stream.read_buf(&mut said).await {
            Ok(0) => return Ok(said),
            // It ended without a look at what was sent to it.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(said),
            Err(error) => return Err(error),
            Ok(_) if said.len() > 2 * most => drop(said.drain(..said.len() - most)),
            Ok(_) => {}
        }
    }
}
