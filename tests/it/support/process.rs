//! [`TestProcess`]: the real binary as a process of its own, to be killed and started again on the same folder.

use std::fs::File;
use std::path::Path;
use std::process::{Output, Stdio};

use chrono::{DateTime, Utc};
use rustix::process::{Pid, Signal, kill_process};
use symdepot::app::App;
use symdepot::clock::Clock;
use symdepot::config::Config;
use symdepot::types::{Organization, Project};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::client::{Account, Client, decide_on_tls};
use super::form::{Home, environment};
use super::mounts;
use super::small_disk::SmallDisk;

/// `symdepot serve`, which is killed when this is dropped.
pub struct TestProcess {
    /// Where it listens now, without a slash at the end.
    pub url: String,
    /// What the first start printed, line by line.
    pub welcome: Vec<String>,
    /// The token of the first start.
    pub token: String,
    child: Option<Child>,
    home: Home,
    form: Vec<(String, String)>,
    settings: Vec<(String, String)>,
    workers: bool,
    listen: String,
    ground: Ground,
}

/// What a process stands on.
enum Ground {
    /// The machine as it is.
    Machine,
    /// A volume of its own with so many bytes.
    SmallDisk(u64),
    /// Names of hosts of its own.
    Hosts(String),
}

impl TestProcess {
    /// Starts `serve` on a free port and an empty folder.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same, with settings as environment variables.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::begin(settings, true, Ground::Machine, false).await
    }

    /// The same in the embedded form in either pass, with the reason for it.
    pub async fn start_embedded(_reason: &str, settings: &[(&str, &str)]) -> Self {
        Self::begin(settings, true, Ground::Machine, true).await
    }

    /// The same, on a volume of its own with so many bytes, which goes with the process.
    pub async fn start_on_small_disk(size: u64, settings: &[(&str, &str)]) -> Self {
        Self::begin(settings, true, Ground::SmallDisk(size), true).await
    }

    /// The same, where the names in `hosts` are known and no others.
    pub async fn start_with_hosts(hosts: &str, settings: &[(&str, &str)]) -> Self {
        Self::begin(settings, true, Ground::Hosts(hosts.to_owned()), true).await
    }

    /// The same, with the background work left to others, such as [`TestProcess::worker`].
    pub async fn start_without_workers(settings: &[(&str, &str)]) -> Self {
        Self::begin(settings, false, Ground::Machine, false).await
    }

    /// The same, listening on another address than that of this machine for itself.
    pub async fn start_listening_on(listen: &str, settings: &[(&str, &str)]) -> Self {
        Self::begin_on(listen, settings, true, Ground::Machine, false).await
    }

    async fn begin(settings: &[(&str, &str)], workers: bool, ground: Ground, embedded: bool) -> Self {
        Self::begin_on("127.0.0.1:0", settings, workers, ground, embedded).await
    }

    async fn begin_on(listen: &str, settings: &[(&str, &str)], workers: bool, ground: Ground, embedded: bool) -> Self {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (url, welcome, token) = (String::new(), Vec::new(), String::new());
        decide_on_tls();
        let (mut home, mut config) = (Home::new(), Config::default());
        // What is embedded, as all that stands on a small disk is, lives in its folder alone.
        if !embedded {
            home.furnish(&mut config).await;
        }
        let form = environment(&config);
        let listen = listen.to_owned();
        let mut process = Self { url, welcome, token, child: None, home, form, settings, workers, listen, ground };
        let mut lines = process.spawn().await;
        while let Some(line) = lines.next_line().await.unwrap() {
            process.welcome.push(line.clone());
            if let Some(token) = line.strip_prefix("export SENTRY_AUTH_TOKEN=") {
                token.clone_into(&mut process.token);
            }
            if line.starts_with("sentry-cli") {
                break;
            }
        }
        process.drain(lines);
        process
    }

    /// Changes a setting, from the next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// Starts again on the same folder, on another port. It must have ended before.
    pub async fn restart(&mut self) {
        assert!(self.child.is_none(), "the process still runs");
        let lines = self.spawn().await;
        self.drain(lines);
    }

    /// Kills it as a power cut would.
    pub async fn kill(&mut self) {
        let mut child = self.child.take().expect("the process runs");
        child.kill().await.unwrap();
    }

    /// A further process on the same folder that only works; it is killed when this is dropped.
    pub fn worker(&self) -> Child {
        let mut command = self.command();
        command.arg("worker").stdout(Stdio::null()).stderr(self.log_file()).kill_on_drop(true);
        command.spawn().unwrap()
    }

    /// Begins another verb on the same folder and settings; it is killed when this is dropped.
    pub fn start_verb(&self, arguments: &[&str]) -> Child {
        let mut command = self.command();
        command.args(arguments).stdout(Stdio::null()).stderr(self.log_file()).kill_on_drop(true);
        command.spawn().unwrap()
    }

    /// Asks it where it listens now, with the token of the first start.
    pub fn client(&self) -> Client {
        let (created_at, slug) = (DateTime::<Utc>::UNIX_EPOCH, "default".to_owned());
        let organization = Organization { id: 1, slug: slug.clone(), created_at };
        let project = Project { id: 1, organization_id: 1, slug, public_symbols: false, created_at };
        Client::of(&self.url, Account { organization, project, token: self.token.clone() })
    }

    /// What another process has to be told to work on the same rows and bytes.
    pub fn environment(&self) -> Vec<(String, String)> {
        self.form.clone()
    }

    /// The rows and the bytes, to look behind the front door.
    pub async fn behind(&self) -> App {
        let mut config = Config { data_dir: self.data_dir().to_owned(), ..Config::default() };
        self.home.settings(&mut config);
        App::build(config, Clock::System).await.unwrap()
    }

    /// Asks it to end and waits for that; returns its exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("the process runs");
        signal(&child, Signal::TERM);
        child.wait().await.unwrap().code()
    }

    /// What one sees who runs another verb on the same folder and settings at a terminal and types `typed`.
    pub async fn run_at_terminal(&self, verb: &str, typed: &str) -> String {
        let line = format!("{} --data-dir {} {verb}", env!("CARGO_BIN_EXE_symdepot"), self.data_dir().display());
        let mut script = unconfigured(Command::new("script"));
        script.envs(self.form.iter().map(|(name, value)| (name, value)));
        script.envs(self.settings.iter().map(|(name, value)| (name, value)));
        script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut script = script.spawn().unwrap();
        let mut keys = script.stdin.take().unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut keys, typed.as_bytes()).await.unwrap();
        let output = script.wait_with_output().await.unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs another verb on the same folder and settings.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().await.unwrap()
    }

    /// The folder of everything it keeps.
    pub fn data_dir(&self) -> &Path {
        self.home.folder.path()
    }

    /// The folder on its small volume, which only it and we can see, and only while it runs.
    pub fn small_disk(&self) -> SmallDisk {
        let id = self.child.as_ref().and_then(Child::id).expect("the process runs");
        let folder = self.data_dir().strip_prefix("/").expect("a temp folder has an absolute path");
        SmallDisk::new(Path::new("/proc").join(id.to_string()).join("root").join(folder))
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).expect("the process runs")
    }

    /// Asks it to end, without waiting.
    pub fn ask_to_end(&self) {
        signal(self.child.as_ref().expect("the process runs"), Signal::TERM);
    }

    /// The most memory that it ever had in use, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let id = self.child.as_ref().and_then(Child::id).expect("the process runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak.and_then(|peak| peak.trim().parse::<u64>().ok()).expect("the kernel says so") * 1024
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data_dir().join("log")).unwrap()
    }

    fn command(&self) -> Command {
        let mut command = match &self.ground {
            Ground::Machine => program(),
            Ground::SmallDisk(size) => SmallDisk::program(*size, self.data_dir()),
            Ground::Hosts(hosts) => mounts::with_hosts(hosts, self.data_dir()),
        };
        command.envs(self.form.iter().map(|(name, value)| (name, value)));
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.arg("--data-dir").arg(self.data_dir());
        command.current_dir(self.data_dir());
        command
    }

    async fn spawn(&mut self) -> Lines<BufReader<ChildStdout>> {
        let mut command = self.command();
        command.args(["serve", "--listen", &self.listen]).args((!self.workers).then_some("--no-workers"));
        command.stdout(Stdio::piped()).stderr(self.log_file()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next_line().await.unwrap();
        let url = first.as_deref().and_then(|line| line.strip_prefix("listening on "));
        url.unwrap_or_else(|| panic!("the server said {first:?} and logged {}", self.log())).clone_into(&mut self.url);
        self.child = Some(child);
        lines
    }

    fn log_file(&self) -> File {
        File::options().create(true).append(true).open(self.data_dir().join("log")).unwrap()
    }

    /// Goes on reading what it prints, so that it never waits for a reader.
    fn drain(&self, mut lines: Lines<BufReader<ChildStdout>>) {
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    }
}

/// Sends a signal to a process that runs.
pub fn signal(process: &Child, signal: Signal) {
    let id = i32::try_from(process.id().expect("the process runs")).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
}

/// The binary, in an environment that says nothing about it.
pub fn program() -> Command {
    unconfigured(Command::new(env!("CARGO_BIN_EXE_symdepot")))
}

/// A command in an environment that says nothing about the binary.
pub fn unconfigured(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if ["SYMDEPOT_", "AWS_"].iter().any(|beginning| name.to_string_lossy().starts_with(beginning)) {
            command.env_remove(name);
        }
    }
    command
}
