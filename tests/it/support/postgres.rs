//! A throw-away `PostgreSQL`: one cluster per test process, one database per test.
//!
//! With `TEST_POSTGRES_URL` the databases are made in that server instead. Nothing here is ever skipped: without
//! `PostgreSQL` the tests fail and say what to install.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use symdepot::clock::Clock;
use symdepot::db::Db;
use symdepot::types::Sha1;
use tokio::sync::OnceCell;

/// Makes a cluster in a fresh folder and takes it away when its input ends, which is when the test process does.
const CLUSTER: &str = include_str!("postgres.sh");

/// A database of one test.
pub struct PostgresDatabase {
    /// Where it is.
    pub url: String,
    name: String,
}

impl PostgresDatabase {
    /// A database with nothing in it.
    pub async fn empty() -> Self {
        Self::create("template0").await
    }

    /// A database with today's schema.
    pub async fn migrated() -> Self {
        static TEMPLATE: OnceCell<String> = OnceCell::const_new();
        Self::create(TEMPLATE.get_or_init(template).await).await
    }

    async fn create(template: &str) -> Self {
        let name = format!("symdepot_test_{}", Clock::System.fresh_id().simple());
        let mut server = server().await;
        run(&mut server, format!("create database {name} template {template}")).await;
        Self { url: url_of(&name), name }
    }
}

impl Drop for PostgresDatabase {
    /// In a server that stays, databases are taken away; a cluster of ours goes as a whole.
    fn drop(&mut self) {
        if shared_server().is_none() {
            return;
        }
        let drop = format!("drop database if exists {} with (force)", self.name);
        // A thread of its own, because the runtime of the test may be ending.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move { run(&mut server().await, drop).await });
        });
        thread.join().ok();
    }
}

/// The name of a database with today's schema, made by whoever comes first; processes may share it.
async fn template() -> String {
    let name = format!("symdepot_template_{}", Sha1::of(&migrations()));
    let mut server = server().await;
    run(&mut server, "select pg_advisory_lock(20250101)".to_owned()).await;
    let there: bool = sqlx::query_scalar("select exists (select 1 from pg_database where datname = $1)")
        .bind(&name)
        .fetch_one(&mut server)
        .await
        .unwrap();
    if !there {
        // Under another name until it is whole.
        let draft = format!("symdepot_draft_{}", Clock::System.fresh_id().simple());
        run(&mut server, format!("create database {draft} template template0")).await;
        let db = Db::connect(&url_of(&draft)).await.unwrap();
        db.migrate().await.unwrap();
        db.close().await;
        run(&mut server, format!("alter database {draft} rename to {name}")).await;
    }
    server.close().await.unwrap();
    name
}

/// The text of all migrations.
fn migrations() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/postgres");
    let mut files: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| std::fs::read(file).unwrap()).collect()
}

async fn server() -> PgConnection {
    let url = url_of("postgres");
    PgConnection::connect(&url).await.unwrap_or_else(|error| panic!("PostgreSQL of the tests at {url}: {error}"))
}

async fn run(server: &mut PgConnection, statement: String) {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(server).await.unwrap();
}

/// The address of a database in the server of the tests.
fn url_of(database: &str) -> String {
    match shared_server() {
        Some(url) => {
            let (server, parameters) = url.split_once('?').unwrap_or((url, ""));
            let authority = server.find("://").map_or(0, |at| at + 3);
            let end = server[authority..].find('/').map_or(server.len(), |at| authority + at);
            format!("{}/{database}?{parameters}", &server[..end])
        }
        None => format!("postgres://postgres@localhost/{database}?host={}", cluster().display()),
    }
}

/// A server that somebody else takes care of.
#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the program")]
fn shared_server() -> Option<&'static str> {
    static URL: OnceLock<Option<String>> = OnceLock::new();
    URL.get_or_init(|| std::env::var("TEST_POSTGRES_URL").ok()).as_deref()
}

/// The folder of this process's own cluster, in which its socket is.
fn cluster() -> &'static Path {
    static CLUSTER: OnceLock<(PathBuf, Child)> = OnceLock::new();
    &CLUSTER.get_or_init(start_cluster).0
}

fn start_cluster() -> (PathBuf, Child) {
    let mut child = spawn("");
    let folder = said(&mut BufReader::new(child.stdout.as_mut().unwrap()));
    (PathBuf::from(folder.unwrap_or_else(|| panic!("PostgreSQL cannot be started: {}", complaint(&mut child)))), child)
}

/// A whole server of one test, which may stop it at any moment as a power cut would. What it answered is durable.
pub struct OwnPostgres {
    folder: PathBuf,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    child: Child,
}

impl OwnPostgres {
    /// A fresh server with so many connections at most.
    pub fn start(max_connections: usize) -> Self {
        let mut child = spawn(&format!("-c max_connections={max_connections}"));
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let folder =
            said(&mut answers).unwrap_or_else(|| panic!("PostgreSQL cannot be started: {}", complaint(&mut child)));
        Self { folder: folder.into(), orders: child.stdin.take(), answers, child }
    }

    /// What the setting `database.url` takes.
    pub fn url(&self) -> String {
        format!("postgres://postgres@localhost/postgres?host={}", self.folder.display())
    }

    /// Stops it at once; what was under way is lost.
    pub fn stop(&mut self) {
        self.order("stop");
    }

    /// Starts it again on what it had.
    pub fn start_again(&mut self) {
        self.order("start");
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
        assert_eq!(said(&mut self.answers).as_deref(), Some(order), "{}", complaint(&mut self.child));
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        drop(self.orders.take());
        self.child.wait().ok();
    }
}

fn said(lines: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    Some(line.trim_end().to_owned()).filter(|line| !line.is_empty())
}

fn complaint(child: &mut Child) -> String {
    let mut reason = String::new();
    child.stderr.as_mut().unwrap().read_to_string(&mut reason).unwrap();
    reason
}

fn spawn(options: &str) -> Child {
    let binaries = binaries().expect(
        "PostgreSQL is not installed: install the Debian package `postgresql`, or set TEST_POSTGRES_URL to a server \
         in which databases may be made",
    );
    // PostgreSQL refuses to run as root.
    let mut command = match rustix::process::geteuid().is_root() {
        true => {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--", "sh"]);
            command
        }
        false => Command::new("sh"),
    };
    command.args(["-c", CLUSTER, "sh"]).arg(binaries).arg(std::env::temp_dir()).arg(options);
    // Not in the group of the tests, so that what kills them does not keep it from cleaning up.
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("a shell can be started")
}

/// Where the server's programs are: the newest of Debian's, or what `pg_config` says.
pub fn binaries() -> Option<PathBuf> {
    let version = |folder: &PathBuf| folder.file_name()?.to_str()?.parse::<u32>().ok();
    let versions = Path::new("/usr/lib/postgresql").read_dir().into_iter().flatten().flatten();
    let mut versions: Vec<PathBuf> =
        versions.map(|entry| entry.path()).filter(|path| version(path).is_some()).collect();
    versions.sort_by_key(version);
    let debian = versions.into_iter().rev().map(|path| path.join("bin"));

    let told = Command::new("pg_config").arg("--bindir").output().ok();
    let told = told.and_then(|output| String::from_utf8(output.stdout).ok()).map(|text| PathBuf::from(text.trim_end()));
    debian.chain(told).find(|folder| folder.join("initdb").is_file())
}
