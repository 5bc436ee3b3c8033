//! [`Cluster`]: several real processes, servers and workers, over one PostgreSQL, one S3 and one Redis, to be killed,
//! frozen and started again one by one.

use std::fs::File;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use rustix::process::Signal;
use symdepot::app::App;
use symdepot::clock::Clock;
use symdepot::config::Config;
use symdepot::types::{Organization, Project};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::client::{Account, Client};
use super::form::{Place, environment};
use super::fsck::{fsck, losses};
use super::process::{program, signal};
use super::until;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `serve --no-workers`.
    Server,
    /// `worker`.
    Worker,
    /// `serve` with its workers: all of an embedded installation.
    Whole,
}

/// Processes of one installation, which are killed when this is dropped.
pub struct Cluster {
    /// The processes, in the order in which they were added.
    pub members: Vec<Member>,
    /// The token of the first start.
    pub token: String,
    settings: Config,
    extra: Vec<(String, String)>,
    _place: Option<Place>,
}

/// One process, with a folder of its own as on a machine of its own.
pub struct Member {
    /// What it does.
    pub role: Role,
    /// Where it listens now, if it is a server; without a slash at the end.
    pub url: String,
    child: Option<Child>,
    said: Arc<Mutex<Vec<String>>>,
    address: String,
    folder: TempDir,
    environment: Vec<(String, String)>,
}

impl Cluster {
    /// Nobody yet, on an empty database, with settings of one's choice as environment variables.
    pub async fn empty(extra: &[(&str, &str)]) -> Self {
        let place = Place::empty().await;
        let mut settings = Config::default();
        place.settings(&mut settings);
        let mut cluster = Self::on(settings, extra);
        cluster._place = Some(place);
        cluster
    }

    /// Nobody yet, on what the settings name.
    pub fn on(settings: Config, extra: &[(&str, &str)]) -> Self {
        let extra = extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { members: Vec::new(), token: String::new(), settings, extra, _place: None }
    }

    /// Adds processes, all at once: the first to come finds an empty database and so do the others.
    pub async fn add(&mut self, roles: &[Role]) {
        let mut environment = environment(&self.settings);
        environment.extend(self.extra.clone());
        let mut members: Vec<_> = roles.iter().map(|role| Member::new(*role, &environment)).collect();
        futures_util::future::join_all(members.iter_mut().map(Member::start)).await;
        self.members.append(&mut members);
        if self.token.is_empty() && self.members.iter().any(|member| member.role != Role::Worker) {
            let token = async || self.members.iter().find_map(Member::token);
            self.token = until("the first start is told of", token).await;
        }
    }

    /// Where the servers listen that run.
    pub fn urls(&self) -> Vec<String> {
        let running = |member: &&Member| member.role != Role::Worker && member.child.is_some();
        self.members.iter().filter(running).map(|member| member.url.clone()).collect()
    }

    /// The account of the first start.
    pub fn account(&self) -> Account {
        let (created_at, slug) = (DateTime::<Utc>::UNIX_EPOCH, "default".to_owned());
        let organization = Organization { id: 1, slug: slug.clone(), created_at };
        let project = Project { id: 1, organization_id: 1, slug, public_symbols: false, created_at };
        Account { organization, project, token: self.token.clone() }
    }

    /// Asks whoever listens at `url` with the token of the first start.
    pub fn client_of(&self, url: &str) -> Client {
        Client::of(url, self.account())
    }

    /// The rows and the bytes, to look behind the front door.
    pub async fn behind(&self) -> App {
        let mut settings = self.settings.clone();
        settings.data_dir = self.members[0].folder.path().to_owned();
        App::build(settings, Clock::System).await.unwrap()
    }

    /// What differs between rows and bytes; empty is right.
    pub async fn fsck(&self) -> Vec<String> {
        let behind = self.behind().await;
        let differences = fsck(&behind.db, behind.blobs.as_ref()).await;
        behind.db.close().await;
        differences
    }

    /// The same, but for bytes that a process which was killed had written and not yet spoken of; cleaning up takes them.
    pub async fn lost(&self) -> Vec<String> {
        losses(self.fsck().await)
    }
}

impl Member {
    fn new(role: Role, environment: &[(String, String)]) -> Self {
        let folder = TempDir::new().unwrap();
        let (url, said, environment) = (String::new(), Arc::default(), environment.to_vec());
        Self { role, url, child: None, said, address: own_address(), folder, environment }
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let mut command = self.command();
        match self.role {
            Role::Server => command.args(["serve", "--no-workers", "--listen", &self.address]),
            Role::Worker => command.arg("worker"),
            Role::Whole => command.args(["serve", "--listen", &self.address]),
        };
        command.stdout(Stdio::piped()).stderr(self.log_file()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next_line().await.unwrap();
        let first = first.unwrap_or_else(|| panic!("it ended and logged {}", self.log()));
        self.child = Some(child);
        match first.strip_prefix("listening on ") {
            Some(url) => url.clone_into(&mut self.url),
            None => assert_eq!(first, "working", "{}", self.log()),
        }
        let said = Arc::clone(&self.said);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                said.lock().unwrap().push(line);
            }
        });
    }

    /// The token that it made, if it was the first.
    fn token(&self) -> Option<String> {
        let said = self.said.lock().unwrap();
        said.iter().find_map(|line| line.strip_prefix("export SENTRY_AUTH_TOKEN=")).map(str::to_owned)
    }

    /// Kills it as a power cut would.
    pub async fn kill(&mut self) {
        self.child.take().expect("it runs").kill().await.unwrap();
    }

    /// Asks it to end softly and waits for that; returns its exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.child.take().expect("it runs").wait().await.unwrap().code()
    }

    /// Sends it a signal.
    pub fn signal(&self, what: Signal) {
        signal(self.child.as_ref().expect("it runs"), what);
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The binary with its settings, for another verb.
    pub fn command(&self) -> Command {
        let mut command = program();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.arg("--data-dir").arg(self.folder.path()).current_dir(self.folder.path());
        command
    }

    fn log_file(&self) -> File {
        File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap()
    }
}

/// A loopback address that no other process of the tests listens at, so that nobody takes the port of a dead server and
/// answers in its place.
fn own_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    format!("127.77.{high}.{low}:0")
}
