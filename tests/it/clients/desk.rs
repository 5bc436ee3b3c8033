//! [`Desk`]: somebody with one version of the client, an account of their own and a folder. It keeps no secrets of the
//! machine: a client sees the environment given here and no other.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::Value;
use symbolic::symcache::{SourceLocation, SymCache};
use symdepot::types::{Organization, Project};
use tempfile::TempDir;
use tokio::process::Command;

use super::screen::Screen;
use crate::support::server::{Account, TestServer};
use crate::support::until;

/// The versions that must keep working, newest first.
pub const VERSIONS: [&str; 3] = ["3.8.2", "2.58.6", "2.14.2"];

/// How long a client may take before it is taken for hung.
const PATIENCE: Duration = Duration::from_secs(180);

/// Somebody with one version of the client.
#[derive(Debug)]
pub struct Desk {
    /// Version of the client.
    pub version: &'static str,
    /// Organization, project and token.
    pub account: Account,
    url: String,
    folder: TempDir,
}

/// A client about to be started.
#[derive(Debug)]
pub struct Invocation<'a> {
    desk: &'a Desk,
    environment: BTreeMap<String, String>,
    arguments: Vec<OsString>,
}

/// Runs a story once per version, side by side, each at an account of its own on one server.
pub async fn at_every_desk(story: impl AsyncFn(&TestServer, Desk)) {
    let server = TestServer::start().await;
    at_every_desk_of(&server, story).await;
    assert_eq!(server.fsck().await, Vec::<String>::new());
}

/// The same on a server that was started already.
pub async fn at_every_desk_of(server: &TestServer, story: impl AsyncFn(&TestServer, Desk)) {
    let mut desks = Vec::new();
    for version in VERSIONS {
        let slug = format!("at-{}", version.replace('.', "-"));
        let account = server.add_account(&slug, "app").await;
        desks.push(Desk::new(version, &server.url, account));
    }
    join_all(desks.into_iter().map(|desk| story(server, desk))).await;
}

/// The account that a first start makes, reached by the token that it prints.
pub fn first_account(token: &str) -> Account {
    let (created_at, slug) = (DateTime::<Utc>::UNIX_EPOCH, "default".to_owned());
    Account {
        organization: Organization { id: 1, slug: slug.clone(), created_at },
        project: Project { id: 1, organization_id: 1, slug, public_symbols: false, created_at },
        token: token.to_owned(),
    }
}

impl Desk {
    /// A desk in front of the server at `url`.
    pub fn new(version: &'static str, url: &str, account: Account) -> Self {
        Self { version, account, url: url.to_owned(), folder: TempDir::new().unwrap() }
    }

    /// The same person with the same token at another project of the organization.
    pub fn at_project(&self, project: Project) -> Self {
        Self::new(self.version, &self.url, Account { project, ..self.account.clone() })
    }

    /// Whether this is a client of the 3.x line.
    pub fn is_new(&self) -> bool {
        self.version.starts_with('3')
    }

    /// A client with these arguments, which knows URL, organization, project and token from its environment.
    pub fn client<A: Into<OsString>>(&self, arguments: impl IntoIterator<Item = A>) -> Invocation<'_> {
        let account = &self.account;
        let environment = [
            ("HOME", self.folder.path().to_str().unwrap().to_owned()),
            ("SENTRY_DISABLE_UPDATE_CHECK", "1".to_owned()),
            ("SENTRY_URL", self.url.clone()),
            ("SENTRY_ORG", account.organization.slug.clone()),
            ("SENTRY_PROJECT", account.project.slug.clone()),
            ("SENTRY_AUTH_TOKEN", account.token.clone()),
        ];
        let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Invocation { desk: self, environment, arguments: arguments.into_iter().map(Into::into).collect() }
    }

    /// `debug-files upload` with these options of files and folders.
    pub fn upload(&self, options: &[&str], paths: &[PathBuf]) -> Invocation<'_> {
        let verb = ["debug-files", "upload"].iter().chain(options).map(OsString::from);
        self.client(verb.chain(paths.iter().map(OsString::from)))
    }

    /// Writes a file into this desk's folder, under folders as needed.
    pub fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Where a file of this desk's folder lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The debug files of the account's project, oldest first.
    pub async fn files(&self, http: &reqwest::Client) -> Vec<Value> {
        let url = format!("{}{}files/dsyms/?per_page=100", self.url, self.account.project_path());
        let answer = http.get(url).bearer_auth(&self.account.token).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let mut files: Vec<Value> = answer.json().await.unwrap();
        files.reverse();
        files
    }

    /// The symcache of a debug id, fetched as a symbolication worker does.
    pub async fn symcache(&self, http: &reqwest::Client, debug_id: &str) -> Vec<u8> {
        let url = format!("{}{}{debug_id}?wait=60", self.url, self.account.symcaches_path());
        let answer = http.get(url).bearer_auth(&self.account.token).send().await.unwrap();
        let status = answer.status();
        let bytes = answer.bytes().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{debug_id}: {}", String::from_utf8_lossy(&bytes));
        bytes.to_vec()
    }

    /// The frames at an address of the symcache, innermost first, as `function @ file:line`.
    pub async fn frames(&self, http: &reqwest::Client, debug_id: &str, address: u64) -> Vec<String> {
        let bytes = self.symcache(http, debug_id).await;
        let symcache = SymCache::parse(&bytes).unwrap();
        let frame = |location: SourceLocation<'_, '_>| {
            let file = location.file().map(|file| file.full_path()).unwrap_or_default();
            format!("{} @ {file}:{}", location.function().name(), location.line())
        };
        symcache.lookup(address).map(frame).collect()
    }

    /// Waits until the project has `count` debug files, without the client's help, and returns them.
    pub async fn files_at_last(&self, http: &reqwest::Client, count: usize) -> Vec<Value> {
        until("the debug files are there", || async {
            let files = self.files(http).await;
            (files.len() == count).then_some(files)
        })
        .await
    }

    fn program(&self) -> PathBuf {
        // The server's binary lies in `<target>/<profile>/`, the clients in `<target>/clients/`.
        let target = Path::new(env!("CARGO_BIN_EXE_symdepot")).ancestors().nth(2).unwrap();
        let program = target.join("clients").join(self.version).join("sentry-cli");
        assert!(
            program.is_file(),
            "sentry-cli {} is not installed at {}. Run `make test`, which installs it, or `tests/setup.sh` alone.",
            self.version,
            program.display()
        );
        program
    }
}

impl Invocation<'_> {
    /// Sets one variable of the environment.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Leaves one variable of the environment unset.
    pub fn without(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    /// Runs the client to its end.
    pub async fn run(self) -> Screen {
        let desk = self.desk;
        let mut command = Command::new(desk.program());
        command.env_clear().envs(&self.environment).args(&self.arguments).current_dir(desk.folder.path());
        command.stdin(Stdio::null()).kill_on_drop(true);
        let what = format!("sentry-cli {} {}", desk.version, self.arguments.join(" ".as_ref()).display());
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("{what} did not end")).unwrap();
        Screen::of(what, &output, &self.hidden())
    }

    /// What differs from run to run, and what stands for it on the screen.
    fn hidden(&self) -> Vec<(String, &'static str)> {
        let folder: &Path = self.desk.folder.path();
        vec![(folder.display().to_string(), "<desk>"), (self.desk.url.clone(), "<url>")]
    }
}
