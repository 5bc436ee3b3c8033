//! [`TestServer`]: the whole server in this process, on a port and in a folder of its own.

use std::ops::Deref;
use std::sync::Arc;

use reqwest::Method;
use symdepot::accounts::{TokenOrder, issue_token, set_up};
use symdepot::app::App;
use symdepot::blobs::{self, Failing};
use symdepot::clock::Clock;
use symdepot::config::Config;
use symdepot::jobs;
use symdepot::server::Server;
use symdepot::types::{Organization, Project, Scope, Scopes};
use tokio::task::JoinHandle;

pub use super::client::Account;
use super::client::Client;
use super::form::{Home, environment};
use super::fsck::fsck;

/// A server that ends when this is dropped.
pub struct TestServer {
    /// Everything the server has, to look behind the front door.
    pub app: App,
    /// Breaks the blob store on purpose.
    pub faults: Failing,
    client: Client,
    shutdown: jobs::Shutdown,
    running: Vec<JoinHandle<()>>,
    home: Home,
}

/// How a server is to be started.
pub struct Builder {
    config: Config,
    clock: Clock,
    workers: bool,
    tweak: Box<dyn FnOnce(&mut App) + Send>,
    home: Home,
}

impl Builder {
    /// Changes settings.
    pub fn settings(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Uses another clock, such as one that a test moves.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Leaves the background work undone.
    pub fn without_workers(mut self) -> Self {
        self.workers = false;
        self
    }

    /// Starts on what a stopped server left, with a fresh token.
    pub fn home(mut self, home: Home) -> Self {
        self.config.data_dir = home.folder.path().join("data");
        self.home = home;
        self
    }

    /// Changes the handles before anything runs.
    pub fn tweak(mut self, tweak: impl FnOnce(&mut App) + Send + 'static) -> Self {
        self.tweak = Box::new(tweak);
        self
    }

    /// Starts the server.
    pub async fn start(mut self) -> TestServer {
        self.home.furnish(&mut self.config).await;
        std::fs::create_dir_all(self.config.temp_dir()).unwrap();
        let store = blobs::open_store(&self.config).await.unwrap();
        let faults = Failing::wrap(store);
        let server = Server::bind(&self.config.listen).await.unwrap();
        let url = server.url().to_owned();
        let app = App::build_on(self.config, self.clock, Arc::new(faults.clone())).await.unwrap();
        let mut app = app.listening_on(&url);
        (self.tweak)(&mut app);
        let account = default_account(&app).await;
        let shutdown = jobs::Shutdown::default();
        let (stop, cancel) = (shutdown.stop.clone(), shutdown.cancel.clone());
        let serving = server.run(app.clone(), stop, cancel);
        let mut running = vec![tokio::spawn(async move { serving.await.unwrap() })];
        if self.workers {
            running.push(tokio::spawn(jobs::run(app.clone(), shutdown.clone())));
        }
        TestServer { app, faults, client: Client::of(&url, account), shutdown, running, home: self.home }
    }
}

impl TestServer {
    /// A server as `serve` starts it, with workers, on files in a temp folder.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// A server to be changed before it starts.
    pub fn builder() -> Builder {
        Self::builder_at(Home::new())
    }

    fn builder_at(home: Home) -> Builder {
        let folder = &home.folder;
        let mut config =
            Config { listen: "127.0.0.1:0".to_owned(), data_dir: folder.path().join("data"), ..Config::default() };
        config.converter.program = env!("CARGO_BIN_EXE_symdepot").into();
        Builder { config, clock: Clock::System, workers: true, tweak: Box::new(|_| {}), home }
    }

    /// A second server on the same rows and bytes, to be changed before it starts.
    pub fn beside(&self) -> Builder {
        let (config, tweak) = ((*self.app.config).clone(), Box::new(|_: &mut App| {}));
        Builder { config, clock: self.app.clock.clone(), workers: true, tweak, home: Home::new() }
    }

    /// Ends softly and starts again on the same folder, changed as told. What was only in memory is gone.
    pub async fn restart(self, change: impl FnOnce(Builder) -> Builder) -> Self {
        let app = self.app.clone();
        let home = self.stop().await;
        app.db.close().await;
        let (config, tweak) = ((*app.config).clone(), Box::new(|_: &mut App| {}));
        change(Builder { config, clock: app.clock.clone(), workers: true, tweak, home }).start().await
    }

    /// A further organization with a project and a token of scope `org:ci`.
    pub async fn add_account(&self, organization: &str, project: &str) -> Account {
        let now = self.app.clock.now();
        let organization = self.app.db.create_organization(organization, now).await.unwrap();
        let project = self.app.db.create_project(organization.id, project, now).await.unwrap();
        let token = self.add_token(&organization, &[Scope::OrgCi], &[]).await;
        Account { organization, project, token }
    }

    /// A further project of the default organization, under the default token.
    pub async fn add_project(&self, slug: &str) -> Account {
        let organization = self.account.organization.clone();
        let project = self.app.db.create_project(organization.id, slug, self.app.clock.now()).await.unwrap();
        Account { organization, project, token: self.account.token.clone() }
    }

    /// A further token; without projects it reaches all of the organization.
    pub async fn add_token(&self, organization: &Organization, scopes: &[Scope], projects: &[&Project]) -> String {
        let order = TokenOrder {
            name: "a test's".to_owned(),
            scopes: Scopes(scopes.to_vec()),
            project_ids: projects.iter().map(|project| project.id).collect(),
            expires_at: None,
        };
        let app = &self.app;
        issue_token(&app.db, &app.clock, &app.public_url, organization, order).await.unwrap().text
    }

    /// Deletes a debug file of the default project.
    pub async fn delete_file(&self, id: &str) {
        let token = self.add_token(&self.account.organization, &[Scope::ProjectAdmin], &[]).await;
        let path = format!("{}files/dsyms/?id={id}", self.account.project_path());
        let response = self.request_as(&token, Method::DELETE, &path).send().await.unwrap();
        assert_eq!(response.status(), 204);
    }

    /// The same once every job has ended: the bytes of what a job makes are there before their row.
    pub async fn fsck_when_idle(&self) -> Vec<String> {
        let owner = self.account.organization.id;
        super::until("no job is left", || async {
            (self.app.db.open_jobs(owner, 1).await.unwrap() == 0).then_some(())
        })
        .await;
        self.fsck().await
    }

    /// What differs between rows and bytes; empty is right.
    pub async fn fsck(&self) -> Vec<String> {
        fsck(&self.app.db, self.app.blobs.as_ref()).await
    }

    /// The folder of everything this server keeps.
    pub fn data_dir(&self) -> &std::path::Path {
        &self.app.config.data_dir
    }

    /// What a process of its own has to be told to work on the same rows and bytes.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut config = Config { data_dir: self.data_dir().to_owned(), ..Config::default() };
        self.home.settings(&mut config);
        environment(&config)
    }

    /// Ends softly and waits for it. Returns all that it keeps, to start another server on it.
    pub async fn stop(mut self) -> Home {
        self.shutdown.stop.cancel();
        // Idle connections of the client must not hold the server up.
        self.client.http = crate::support::client::http();
        for task in std::mem::take(&mut self.running) {
            task.await.unwrap();
        }
        std::mem::replace(&mut self.home, Home::new())
    }
}

/// The organization, project and token of the first start; a new token if that lies behind.
async fn default_account(app: &App) -> Account {
    if let Some(first) = set_up(&app.db, &app.clock, &app.public_url).await.unwrap() {
        return Account { organization: first.organization, project: first.project, token: first.token.text };
    }
    let organization = app.db.organization("default").await.unwrap().unwrap();
    let project = app.db.project(organization.id, "default").await.unwrap().unwrap();
    let order = TokenOrder {
        name: "another start".to_owned(),
        scopes: Scopes(vec![Scope::OrgCi]),
        project_ids: Vec::new(),
        expires_at: None,
    };
    let token = issue_token(&app.db, &app.clock, &app.public_url, &organization, order).await.unwrap().text;
    Account { organization, project, token }
}

/// What a client can ask of it.
impl Deref for TestServer {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.shutdown.stop.cancel();
        self.shutdown.cancel.cancel();
    }
}
