//! How the child gets its task and its files, and how its report leaves it. It opens no path.
//!
//! Standard input is the task. Standard output is a socket: the open files come in by it, and the report goes out by it.
//! Standard error is left to the allocator and the guard of the stack, which say why they end the process.

use std::fs::File;
use std::io::{self, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;

use rustix::fs::FileType;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use symdepot_types::child_protocol::{MOST_FILES, Report, Task};

/// The files that belong to a task, in the order that the protocol gives them.
#[derive(Debug)]
pub(super) struct Files(std::vec::IntoIter<File>);

/// The task and its files, or an error where no server started this process.
pub(super) fn receive() -> io::Result<(Task, Files)> {
    let stdout = io::stdout();
    if FileType::from_raw_mode(rustix::fs::fstat(&stdout)?.st_mode) != FileType::Socket {
        return Err(io::Error::other("standard output is no socket"));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FILES))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut mark = [0];
    recvmsg(&stdout, &mut [IoSliceMut::new(&mut mark)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut files = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            files.extend(descriptors.map(File::from));
        }
    }
    let mut text = Vec::new();
    io::stdin().lock().read_to_end(&mut text)?;
    Ok((serde_json::from_slice(&text)?, Files(files.into_iter())))
}

/// Sends the report. Whatever a library may have printed before stands on other lines.
pub(super) fn send(report: &Report) -> io::Result<()> {
    let line = serde_json::to_string(report)?;
    let mut stdout = io::stdout().lock();
    write!(stdout, "\n{line}\n")?;
    stdout.flush()
}

impl Files {
    /// The next file, which the task says is there.
    pub(super) fn next(&mut self) -> io::Result<File> {
        self.0.next().ok_or_else(|| io::Error::other("a file of the task was not handed over"))
    }

    /// The next file, if the task has it.
    pub(super) fn next_if(&mut self, given: bool) -> io::Result<Option<File>> {
        if given { self.next().map(Some) } else { Ok(None) }
    }
}
