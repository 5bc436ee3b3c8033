//! The server under test: the release executable on a free port with a fresh data folder, ended when dropped.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::wire::Connection;

/// The executable that cargo built for this bench.
const PROGRAM: &str = env!("CARGO_BIN_EXE_symdepot");

/// A running server and everything that a client needs of it.
pub struct Server {
    child: Child,
    /// `host:port`.
    pub address: String,
    /// A token that may upload.
    pub token: String,
    settings: Vec<(String, String)>,
    data: TempDir,
}

impl Server {
    /// Starts a server with these settings from the environment.
    pub fn start(settings: &[(&str, &str)]) -> Result<Self> {
        let data = TempDir::new_in(crate::files::folder()?)?;
        let log = std::fs::File::create(crate::files::folder()?.join("server.log"))?;
        let mut command = Command::new(PROGRAM);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data.path());
        command.envs(settings.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().with_context(|| format!("start {PROGRAM}"))?;
        let output = child.stdout.take().context("standard output is piped")?;
        let mut lines = BufReader::new(output).lines();
        let address = lines.find_map(|line| line.ok()?.strip_prefix("listening on http://").map(str::to_owned));
        // What else the server prints must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let Some(address) = address else {
            let _ = child.kill();
            bail!("the server ended before it listened; see target/bench-data/server.log");
        };
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut server = Self { child, address, token: String::new(), settings, data };
        server.token = server.verb(&["token", "create", "--org", "default"])?.trim().to_owned();
        Ok(server)
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Runs a verb beside the server, with the same settings; returns what it printed.
    pub fn verb(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).env("SYMDEPOT_DATA_DIR", self.data()).env("SYMDEPOT_LOG", "error");
        let output = command.envs(self.settings.iter().cloned()).output()?;
        if !output.status.success() {
            bail!("{}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// A fresh connection.
    pub fn connect(&self) -> Result<Connection> {
        Connection::open(&self.address, &self.token)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
