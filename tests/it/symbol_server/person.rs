//! [`Person`]: somebody with a debugger, who knows of one symbol server. It sees the environment given here and no other.

use std::process::{Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;

use super::key;
use crate::support::server::TestServer;

/// How long a client may take before it is taken for hung.
const PATIENCE: Duration = Duration::from_secs(180);

/// Somebody with a debugger, who knows of one server and has a folder for what comes from there.
pub struct Person {
    /// What stands in `DEBUGINFOD_URLS`.
    pub urls: String,
    /// Home, current folder and cache.
    pub folder: TempDir,
}

impl Person {
    /// Somebody who knows of these servers.
    pub fn at(urls: &str) -> Self {
        Self { urls: urls.to_owned(), folder: TempDir::new().unwrap() }
    }

    /// Somebody with a symbol key of the default project.
    pub async fn with_key(server: &TestServer) -> Self {
        let key = key(server, &server.account).await;
        Self::at(&format!("{}/symbols/default/default/key/{key}", server.url))
    }

    /// Writes a file into this person's folder.
    pub fn put(&self, name: &str, content: &[u8]) {
        std::fs::write(self.folder.path().join(name), content).unwrap();
    }

    /// A client about to be started.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.folder.path()).env("LC_ALL", "C.UTF-8");
        command.env("DEBUGINFOD_URLS", &self.urls).env("DEBUGINFOD_CACHE_PATH", self.folder.path().join("cache"));
        command.env("DEBUGINFOD_HEADERS_FILE", self.folder.path().join("headers"));
        command.current_dir(self.folder.path()).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs a client to its end.
    pub async fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.finish(program, self.command(program).args(arguments)).await
    }

    /// Runs a client that was set up to its end.
    pub async fn finish(&self, program: &str, command: &mut Command) -> Output {
        match tokio::time::timeout(PATIENCE, command.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => panic!("{program} cannot be run: {error}. Run `tests/setup.sh`, which installs it."),
            Err(_) => panic!("{program} did not end"),
        }
    }

    /// What `debuginfod-find` brings, or what it says.
    pub async fn find(&self, arguments: &[&str]) -> Result<Vec<u8>, String> {
        let output = self.run("debuginfod-find", arguments).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        match output.status.success() {
            true => Ok(std::fs::read(text(&output.stdout)).unwrap()),
            false => Err(text(&output.stderr)),
        }
    }

    /// What gdb says of a program in this person's folder to these commands.
    pub async fn gdb(&self, program: &str, commands: &[&str]) -> String {
        let mut arguments = vec!["-nx", "-batch", "-iex", "set debuginfod enabled on"];
        for command in commands {
            arguments.extend(["-ex", command]);
        }
        arguments.push(program);
        said(&self.run("gdb", &arguments).await)
    }
}

/// Everything that a client wrote.
pub fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
