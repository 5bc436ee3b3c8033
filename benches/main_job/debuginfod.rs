//! Debian's `debuginfod` over a folder of files: the peer of the symbol server. It is ended when dropped.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::wire::Connection;

/// How long it may take to read the folder.
const LIMIT: Duration = Duration::from_secs(60);

/// A running `debuginfod`.
pub struct Debuginfod {
    child: Child,
    /// `host:port`.
    pub address: String,
}

impl Debuginfod {
    /// Starts it on a folder, and waits until it has a file of this build id, the largest.
    pub fn start(folder: &Path, build_id: &str) -> Result<Self> {
        // It takes no port 0, so a free one is found for it.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new("debuginfod");
        command.args(["-F", "-t", "0", "-g", "0", "-p", &port.to_string(), "-d"]).arg(folder.join("index.sqlite"));
        command
            .arg(folder)
            .env_remove("DEBUGINFOD_URLS")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().context("Debian's debuginfod cannot be run; install the package debuginfod")?;
        let peer = Self { child, address: format!("127.0.0.1:{port}") };
        let (begin, path) = (Instant::now(), format!("/buildid/{build_id}/debuginfo"));
        while Connection::open(&peer.address, "").and_then(|mut asked| asked.discard(&path)).is_err() {
            if begin.elapsed() > LIMIT {
                bail!("debuginfod did not find its files");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(peer)
    }
}

impl Drop for Debuginfod {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
