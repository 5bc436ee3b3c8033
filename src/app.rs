//! [`App`]: the handles that everything shares, made once from the settings. It holds no state of its own.

use std::ops::{Deref, DerefMut};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use crate::accounts::Quotas;
use crate::admission::WorkLimiter;
use crate::blobs::{self, BlobError, BlobStore};
use crate::cache::{CallerCache, ResultCache, StatusCache, StatusError};
use crate::clock::Clock;
use crate::config::{Config, is_every_address, or_cores};
use crate::db::{Db, DbError};
use crate::debug_files::{Misses, SectionCache, Shelf, Uses};
use crate::events::Events;
use crate::symbolication::Symbolication;
use crate::symcaches::Symcaches;
use crate::symcaches::sandbox::{CONVERTER_VERSION, FORMAT_VERSION, Sandbox, SandboxSettings};
use crate::upkeep::{CurrentSymcache, Upkeep};
use crate::uploads::{ChunkReceiver, ChunkStorage, LocalFiles, Requests, UploadLimits};
use crate::upstreams::Upstreams;

/// Large assemble requests that are worked on at a time.
const LARGE_ASSEMBLES: usize = 2;
/// Requests to `symbolicate/v5` in hand: each has up to 8 MiB of body in memory.
const SYMBOLICATE: usize = 20;
/// Of them, those of one organization; others always find some left.
const SYMBOLICATE_SHARE: usize = 16;
/// Further ones that wait.
const SYMBOLICATE_QUEUE: usize = 256;
/// For so long.
const SYMBOLICATE_WAIT: Duration = Duration::from_secs(30);

/// A clone is the same app and costs next to nothing: every request makes several.
#[derive(Clone, Debug)]
pub struct App(Arc<Handles>);

/// What an [`App`] is made of.
#[derive(Clone, Debug)]
pub struct Handles {
    /// The settings.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Clock,
    /// The rows.
    pub db: Db,
    /// The bytes.
    pub blobs: Arc<dyn BlobStore>,
    /// Remembered states of assemblies.
    pub status: StatusCache,
    /// Who called within the last second.
    pub callers: CallerCache,
    /// What was looked for in vain.
    pub misses: Misses,
    /// Debug files as debuggers ask for them.
    pub shelf: Shelf,
    /// Large sections of debug files, decompressed.
    pub sections: SectionCache,
    /// Which debug files are used.
    pub uses: Uses,
    /// How much organizations and projects may have.
    pub quotas: Quotas,
    /// How many upload requests are worked on at a time.
    pub upload_limits: UploadLimits,
    /// How many requests to `symbolicate/v5` are in hand.
    pub symbolicate_limit: WorkLimiter,
    /// Naming the frames of stacks.
    pub symbolication: Symbolication,
    /// Events of clients.
    pub events: Events,
    /// How many large assemble requests are received at a time.
    pub assemble_bodies: WorkLimiter,
    /// How many of them are worked on at a time: each may take tens of megabytes.
    pub assemble_work: WorkLimiter,
    /// Finding, making and registering symcaches.
    pub symcaches: Symcaches,
    /// Asking other symbol servers for what a project does not have.
    pub upstreams: Upstreams,
    /// Rung when a job was queued in this process.
    pub wake: Arc<Notify>,
    /// Tasks that outlive the request that began them. Whoever ends the process waits for them first.
    pub tasks: TaskTracker,
    /// Address that tokens name: the setting `public_url`, or else what a server on this data folder last came to listen on.
    /// Empty if that is every address of the machine, which leads no other machine here.
    pub public_url: String,
}

/// Why there is no app with these settings.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A folder cannot be used.
    #[error("the folder {path} cannot be used: {source}. Set `data_dir` to one that this user may write to")]
    Folder {
        /// Which one.
        path: PathBuf,
        /// What the machine said.
        source: std::io::Error,
    },
    /// The database does not open.
    #[error("the database `{url}` cannot be used: {source}")]
    Database {
        /// Its URL, without its password.
        url: String,
        /// What it said.
        source: DbError,
    },
    /// The blob store does not open.
    #[error("the blob store `{url}` cannot be used: {source}")]
    Blobs {
        /// Its URL.
        url: String,
        /// What it said.
        source: BlobError,
    },
    /// The status cache cannot be one. One that does not answer can.
    #[error("the status cache `{url}` cannot be used: {source}")]
    Status {
        /// Its URL, without its password.
        url: String,
        /// What is wrong with it.
        source: StatusError,
    },
    /// The spool of events does not open.
    #[error("the spool of events in `data_dir` cannot be used: {0}")]
    Spool(std::io::Error),
    /// There is no executable to parse files with.
    #[error("the path of this executable is unknown: {0}. Set `converter.program`")]
    Program(std::io::Error),
}

impl Deref for App {
    type Target = Handles;

    fn deref(&self) -> &Handles {
        &self.0
    }
}

/// What is changed is this app alone, not the ones it was cloned from.
impl DerefMut for App {
    fn deref_mut(&mut self) -> &mut Handles {
        Arc::make_mut(&mut self.0)
    }
}

impl App {
    /// Opens everything that `config` names and brings the database to the newest schema.
    pub async fn build(config: Config, clock: Clock) -> Result<Self, BuildError> {
        make_folders(&config)?;
        let failed = |source| BuildError::Blobs { url: config.masked().blobs.url, source };
        let blobs = blobs::open_store(&config).await.map_err(failed)?;
        Self::build_on(config, clock, blobs).await
    }

    /// The same, over bytes that were opened already.
    pub async fn build_on(config: Config, clock: Clock, blobs: Arc<dyn BlobStore>) -> Result<Self, BuildError> {
        make_folders(&config)?;
        let db = open_database(&config).await?;
        let status = StatusCache::open(&config.status)
            .map_err(|source| BuildError::Status { url: config.masked().status.url, source })?;
        let tasks = TaskTracker::new();
        let mut symcaches = Symcaches::new(
            db.clone(),
            Arc::clone(&blobs),
            Sandbox::new(sandbox_settings(&config)?),
            clock.clone(),
            config.temp_dir(),
            CONVERTER_VERSION.to_owned(),
            tasks.clone(),
        );
        symcaches.compression = config.blobs.compression;
        let quotas = Quotas::new(&db);
        let results = ResultCache::new(
            config.symbolication.results_ttl,
            config.symbolication.results_memory,
            status.shared().cloned(),
        );
        let local = local_files(&config, &db, &blobs, &clock, &tasks, &quotas);
        let upstreams = Upstreams::new(&config.upstreams, &symcaches, local, &clock);
        let symbolication = Symbolication::new(&config.symbolication, &symcaches, &upstreams, results);
        let events = Events::new(&config, (&db, &blobs), &clock, &symbolication).map_err(BuildError::Spool)?;
        Ok(Self(Arc::new(Handles {
            symbolication,
            events,
            upstreams,
            misses: symcaches.misses.clone(),
            shelf: Shelf::new(&db),
            sections: SectionCache::new(&config.temp_dir()),
            quotas,
            uses: symcaches.uses.clone(),
            public_url: public_url(&config),
            clock,
            db,
            blobs,
            status,
            callers: CallerCache::new(config.symbols.key_rate, config.symbols.anonymous_rate),
            upload_limits: UploadLimits::new(&config.uploads),
            symbolicate_limit: WorkLimiter::with_share(
                SYMBOLICATE,
                SYMBOLICATE_SHARE,
                SYMBOLICATE_QUEUE,
                SYMBOLICATE_WAIT,
            ),
            assemble_bodies: WorkLimiter::new(config.uploads.parallel, config.uploads.queue, config.uploads.queue_wait),
            assemble_work: WorkLimiter::new(LARGE_ASSEMBLES, config.uploads.queue, config.uploads.queue_wait),
            wake: Arc::clone(&symcaches.wake),
            symcaches,
            tasks,
            config: Arc::new(config),
        })))
    }

    /// The same app, with tokens that name `url`, on which it listens, unless the settings say another one.
    #[must_use]
    pub fn listening_on(mut self, url: &str) -> Self {
        if self.config.public_url.is_empty() {
            self.public_url = unless_every_address(url.to_owned());
        }
        self
    }

    /// Notes for the verbs on the same data folder that a server listens on `url`, or what the settings say instead.
    pub fn note_url(&self, url: &str) -> std::io::Result<()> {
        let url = if self.config.public_url.is_empty() { url } else { &self.public_url };
        std::fs::write(url_note(&self.config), url)
    }

    /// Notes for `health` on the same data folder where this process listens.
    pub fn note_listener(&self, address: std::net::SocketAddr) -> std::io::Result<()> {
        std::fs::write(self.config.listener_note(), address.to_string())
    }

    /// Says in the log that others of this machine may read the data folder. What a process creates in it is private, but not
    /// what older versions created.
    pub fn warn_of_open_folder(&self) {
        let path = &self.config.data_dir;
        let Ok(metadata) = std::fs::metadata(path) else { return };
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            tracing::warn!(
                path = %path.display(),
                mode = format!("{mode:03o}"),
                "other users of this machine may read the data folder, whose database holds secrets; run `chmod -R go= PATH`"
            );
        }
    }

    /// The handles that taking files in from this machine needs.
    pub fn local_files(&self) -> LocalFiles {
        local_files(&self.config, &self.db, &self.blobs, &self.clock, &self.tasks, &self.quotas)
    }

    /// Receives the chunks of one upload request of an organization.
    pub fn chunk_receiver(&self, organization_id: i64) -> ChunkReceiver {
        let storage = ChunkStorage {
            db: self.db.clone(),
            blobs: Arc::clone(&self.blobs),
            clock: self.clock.clone(),
            tasks: self.tasks.clone(),
            compression: self.config.blobs.compression,
        };
        let allowance = self.quotas.allowance(organization_id);
        ChunkReceiver::new(storage, &self.config.uploads, &self.upload_limits, allowance)
    }

    /// The handles that keeping house needs.
    pub fn upkeep(&self) -> Upkeep {
        let version = CurrentSymcache { format: FORMAT_VERSION, converter: self.symcaches.converter_version.clone() };
        Upkeep::new(&self.db, &self.blobs, &self.clock, &self.config, version)
    }

    /// The handles that answering assemble requests needs.
    pub fn requests(&self) -> Requests {
        Requests {
            db: self.db.clone(),
            quotas: self.quotas.clone(),
            status: self.status.clone(),
            clock: self.clock.clone(),
            wake: self.wake.clone(),
            status_ttl: self.config.status.ttl,
            chunk_grace: self.config.uploads.chunk_grace,
            max_file_size: self.config.uploads.max_file_size,
            converter_version: self.symcaches.converter_version.clone(),
        }
    }
}

fn local_files(
    config: &Config,
    db: &Db,
    blobs: &Arc<dyn BlobStore>,
    clock: &Clock,
    tasks: &TaskTracker,
    quotas: &Quotas,
) -> LocalFiles {
    LocalFiles {
        db: db.clone(),
        blobs: Arc::clone(blobs),
        clock: clock.clone(),
        compression: config.blobs.compression,
        chunk_size: config.uploads.chunk_size,
        tasks: tasks.clone(),
        quotas: quotas.clone(),
    }
}

fn url_note(config: &Config) -> PathBuf {
    config.data_dir.join("url")
}

fn public_url(config: &Config) -> String {
    let noted = || std::fs::read_to_string(url_note(config)).ok().filter(|url| !url.is_empty());
    match config.public_url.trim_end_matches('/') {
        "" => unless_every_address(noted().unwrap_or_else(|| format!("http://{}", config.listen))),
        url => url.to_owned(),
    }
}

/// The URL, or nothing if its host means every address of the machine.
fn unless_every_address(url: String) -> String {
    let every = url.strip_prefix("http://").is_some_and(is_every_address);
    if every { String::new() } else { url }
}

fn make_folders(config: &Config) -> Result<(), BuildError> {
    for path in [config.data_dir.clone(), config.temp_dir()] {
        std::fs::create_dir_all(&path).map_err(|source| BuildError::Folder { path, source })?;
    }
    Ok(())
}

async fn open_database(config: &Config) -> Result<Db, BuildError> {
    let failed = |source| BuildError::Database { url: config.masked().database.url, source };
    let db = Db::connect_within(&config.database_url(), &config.database).await.map_err(failed)?;
    db.migrate().await.map_err(failed)?;
    Ok(db)
}

fn sandbox_settings(config: &Config) -> Result<SandboxSettings, BuildError> {
    let converter = &config.converter;
    let program = match converter.program.as_os_str() {
        unset if unset.is_empty() => std::env::current_exe().map_err(BuildError::Program)?,
        program => program.into(),
    };
    Ok(SandboxSettings {
        program,
        temp_dir: config.temp_dir(),
        memory: converter.memory,
        timeout: converter.timeout,
        concurrency: converter.at_a_time(),
        threads: or_cores(converter.threads),
        short_concurrency: converter.short_at_a_time(),
        #[cfg(feature = "testing")]
        test_fault: converter.test_fault.clone(),
    })
}
