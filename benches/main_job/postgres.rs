//! A throw-away PostgreSQL for the bench, over the script that the tests use. It keeps what a real one keeps for others
//! to read, and syncs nothing: what is compared is the same server with few rows and with many.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};

const CLUSTER: &str = include_str!("../../tests/it/support/postgres.sh");

/// A running cluster, taken away when dropped.
pub struct Postgres {
    child: Child,
    /// Address of a database with nothing in it.
    pub url: String,
}

impl Postgres {
    /// Starts one.
    pub fn start() -> Result<Self> {
        let folders = std::fs::read_dir("/usr/lib/postgresql").context("PostgreSQL is not installed")?;
        let newest = folders.flatten().map(|folder| folder.path().join("bin")).max();
        let newest = newest.context("PostgreSQL is not installed")?;
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--", "sh"]);
            command
        } else {
            Command::new("sh")
        };
        command.args(["-c", CLUSTER, "sh"]).arg(newest).arg(std::env::temp_dir());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut folder = String::new();
        BufReader::new(child.stdout.as_mut().context("standard output is piped")?).read_line(&mut folder)?;
        if folder.is_empty() {
            bail!("PostgreSQL cannot be started");
        }
        let url = format!("postgres://postgres@localhost/postgres?host={}", folder.trim_end());
        Ok(Self { child, url })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It is gone in any case once this process is.
        let _ = self.child.wait();
    }
}
