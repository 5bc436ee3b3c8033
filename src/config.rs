//! Every setting: its meaning, its default and its environment name. Read once at the start, never changed after.
//!
//! Order, later wins: defaults, `symdepot.toml` (or `--config`), environment `SYMDEPOT_*` (`__` nests), flags.

use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use serde::{Deserialize, Serialize};

/// All settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address to listen on; port 0 takes a free one. `SYMDEPOT_LISTEN`
    pub listen: String,
    /// Address that clients are told; empty means `http://<listen>`. `SYMDEPOT_PUBLIC_URL`
    pub public_url: String,
    /// Folder of database, blobs and temp files. `SYMDEPOT_DATA_DIR`
    pub data_dir: PathBuf,
    /// What is logged, in the syntax of `RUST_LOG`. `SYMDEPOT_LOG`
    pub log: String,
    /// `text` or `json`. `SYMDEPOT_LOG_FORMAT`
    pub log_format: LogFormat,
    /// Where rows live.
    pub database: Database,
    /// Where bytes live.
    pub blobs: Blobs,
    /// Where states of assemblies are remembered.
    pub status: Status,
    /// Limits of uploads.
    pub uploads: Uploads,
    /// Limits of the process that parses what was uploaded.
    pub converter: Converter,
    /// Background work.
    pub jobs: Jobs,
    /// What is cleaned up and when.
    pub gc: Gc,
    /// What debuggers fetch.
    pub symbols: Symbols,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Where rows live.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `sqlite://<path>` or `postgres://…`; empty means `sqlite://<data_dir>/symdepot.db`. `SYMDEPOT_DATABASE__URL`
    pub url: String,
}

/// Where bytes live.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Blobs {
    /// `file://<path>` or `memory`; empty means `file://<data_dir>/blobs`. `SYMDEPOT_BLOBS__URL`
    pub url: String,
    /// How chunks stand at rest when that saves more than a tenth. `SYMDEPOT_BLOBS__COMPRESSION`
    pub compression: Compression,
}

/// How chunks stand at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// One zstd frame per chunk where that saves more than a tenth.
    Zstd,
    /// As they are.
    None,
}

/// Where states of assemblies are remembered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Status {
    /// `memory`. `SYMDEPOT_STATUS__URL`
    pub url: String,
    /// How long a state is remembered. `SYMDEPOT_STATUS__TTL`
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
}

/// Limits of uploads.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Uploads {
    /// Largest chunk in bytes, after inflating; a power of two for old clients. `SYMDEPOT_UPLOADS__CHUNK_SIZE`
    pub chunk_size: u64,
    /// Most chunks in one request. `SYMDEPOT_UPLOADS__CHUNKS_PER_REQUEST`
    pub chunks_per_request: u64,
    /// Most bytes in one request, after inflating. `SYMDEPOT_UPLOADS__MAX_REQUEST_SIZE`
    pub max_request_size: u64,
    /// Largest whole file in bytes. `SYMDEPOT_UPLOADS__MAX_FILE_SIZE`
    pub max_file_size: u64,
    /// Parallel uploads that each client is told to make. `SYMDEPOT_UPLOADS__CONCURRENCY`
    pub concurrency: u8,
    /// Longest time a client is told to wait for an assembly. `SYMDEPOT_UPLOADS__MAX_WAIT`
    #[serde(with = "humantime_serde")]
    pub max_wait: Duration,
    /// How long a chunk that nobody uses is kept. `SYMDEPOT_UPLOADS__CHUNK_GRACE`
    #[serde(with = "humantime_serde")]
    pub chunk_grace: Duration,
    /// Upload requests worked on at a time. `SYMDEPOT_UPLOADS__PARALLEL`
    pub parallel: usize,
    /// Upload requests that may wait for a turn; further ones get 503. `SYMDEPOT_UPLOADS__QUEUE`
    pub queue: usize,
    /// Longest wait for a turn, then 503. `SYMDEPOT_UPLOADS__QUEUE_WAIT`
    #[serde(with = "humantime_serde")]
    pub queue_wait: Duration,
}

/// Limits of the process that parses what was uploaded.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Converter {
    /// Address space in bytes beyond the mapped file. `SYMDEPOT_CONVERTER__MEMORY`
    pub memory: u64,
    /// Longest time for one file. `SYMDEPOT_CONVERTER__TIMEOUT`
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Conversions at a time; 0 means the number of cores. `SYMDEPOT_CONVERTER__CONCURRENCY`
    pub concurrency: usize,
    /// Executable to run; empty means this one. `SYMDEPOT_CONVERTER__PROGRAM`
    pub program: PathBuf,
    /// For tests: makes every conversion `panic`, `memory`, `hang` or `abort`. `SYMDEPOT_CONVERTER__TEST_FAULT`
    pub test_fault: String,
}

/// Background work.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jobs {
    /// How long a worker holds a job without a sign of life. `SYMDEPOT_JOBS__LEASE`
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// Jobs at a time; 0 means the number of cores. `SYMDEPOT_JOBS__CONCURRENCY`
    pub concurrency: usize,
    /// Wait before a failed job is tried again; doubles with each attempt. `SYMDEPOT_JOBS__BACK_OFF`
    #[serde(with = "humantime_serde")]
    pub back_off: Duration,
}

/// What is cleaned up and when.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gc {
    /// Time between two clean-ups. `SYMDEPOT_GC__INTERVAL`
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// Age from which temp files and bytes without a row are taken for left over. `SYMDEPOT_GC__TEMP_GRACE`
    #[serde(with = "humantime_serde")]
    pub temp_grace: Duration,
}

/// What debuggers fetch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Symbols {
    /// Requests a second of each symbol key, on average; further ones wait. 0 means any number.
    /// `SYMDEPOT_SYMBOLS__KEY_RATE`
    pub key_rate: u32,
}

const MIB: u64 = 1 << 20;

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8000".to_owned(),
            public_url: String::new(),
            data_dir: PathBuf::from("./symdepot-data"),
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            database: Database::default(),
            blobs: Blobs::default(),
            status: Status::default(),
            uploads: Uploads::default(),
            converter: Converter::default(),
            jobs: Jobs::default(),
            gc: Gc::default(),
            symbols: Symbols::default(),
        }
    }
}

impl Default for Blobs {
    fn default() -> Self {
        Self { url: String::new(), compression: Compression::Zstd }
    }
}

impl Default for Status {
    fn default() -> Self {
        Self { url: "memory".to_owned(), ttl: Duration::from_secs(300) }
    }
}

impl Default for Uploads {
    fn default() -> Self {
        Self {
            chunk_size: 8 * MIB,
            chunks_per_request: 64,
            max_request_size: 32 * MIB,
            max_file_size: 4096 * MIB,
            concurrency: 8,
            max_wait: Duration::from_secs(300),
            chunk_grace: Duration::from_secs(24 * 3600),
            parallel: 16,
            queue: 256,
            queue_wait: Duration::from_secs(30),
        }
    }
}

impl Default for Converter {
    fn default() -> Self {
        Self {
            memory: 4096 * MIB,
            timeout: Duration::from_secs(300),
            concurrency: 0,
            program: PathBuf::new(),
            test_fault: String::new(),
        }
    }
}

impl Default for Jobs {
    fn default() -> Self {
        Self { lease: Duration::from_secs(30), concurrency: 0, back_off: Duration::from_secs(1) }
    }
}

impl Default for Gc {
    fn default() -> Self {
        Self { interval: Duration::from_secs(3600), temp_grace: Duration::from_secs(3600) }
    }
}

impl Default for Symbols {
    fn default() -> Self {
        Self { key_rate: 100 }
    }
}

/// A setting that cannot be used. Names the key, the value and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A source could not be read or has a value of the wrong form.
    #[error("{}", sentence(.0))]
    Unreadable(Box<figment::Error>),
    /// A value is of the right form and yet not allowed.
    #[error("setting `{key}` is {value:?}; allowed: {allowed}")]
    NotAllowed {
        /// The key as in the file.
        key: &'static str,
        /// The value found.
        value: String,
        /// What would do.
        allowed: &'static str,
    },
}

impl Config {
    /// Reads all sources; `file` is what `--config` named, `flags` what the command line set.
    pub fn load(file: Option<&Path>, flags: &[(&str, String)]) -> Result<Self, ConfigError> {
        let toml = match file {
            Some(path) => Toml::file_exact(path),
            None => Toml::file("symdepot.toml"),
        };
        let mut sources = Figment::from(Serialized::defaults(Self::default()))
            .merge(toml)
            .merge(Env::prefixed("SYMDEPOT_").split("__"));
        for (key, value) in flags {
            sources = sources.merge(Serialized::default(key, value));
        }
        let config: Self = sources.extract().map_err(|error| ConfigError::Unreadable(Box::new(error)))?;
        config.check()?;
        Ok(config)
    }

    /// Refuses values that would make clients loop, overflow or wait for ever.
    pub fn check(&self) -> Result<(), ConfigError> {
        let refuse = |key, value: String, allowed| Err(ConfigError::NotAllowed { key, value, allowed });
        let uploads = &self.uploads;
        if !uploads.chunk_size.is_power_of_two() || uploads.chunk_size > 1 << 30 {
            return refuse("uploads.chunk_size", uploads.chunk_size.to_string(), "a power of two up to 1 GiB");
        }
        if uploads.chunks_per_request == 0 {
            return refuse("uploads.chunks_per_request", "0".to_owned(), "at least 1");
        }
        if uploads.max_request_size < uploads.chunk_size {
            return refuse("uploads.max_request_size", uploads.max_request_size.to_string(), "at least one chunk");
        }
        if uploads.concurrency == 0 || uploads.concurrency > 16 {
            return refuse("uploads.concurrency", uploads.concurrency.to_string(), "1 to 16");
        }
        if uploads.parallel == 0 {
            return refuse("uploads.parallel", "0".to_owned(), "at least 1");
        }
        if self.status.url != "memory" {
            return refuse("status.url", self.status.url.clone(), "`memory`");
        }
        if self.jobs.lease < Duration::from_millis(100) {
            return refuse("jobs.lease", format!("{:?}", self.jobs.lease), "at least 100ms");
        }
        let database = self.database_url();
        if !database.starts_with("sqlite:")
            && !database.starts_with("postgres:")
            && !database.starts_with("postgresql:")
        {
            return refuse("database.url", mask_url(&database), "`sqlite://<path>` or `postgres://…`");
        }
        let blobs = self.blobs_url();
        if blobs != "memory" && !blobs.starts_with("file://") {
            return refuse("blobs.url", blobs, "`file://<path>` or `memory`");
        }
        Ok(())
    }

    /// The database's URL with the default filled in.
    pub fn database_url(&self) -> String {
        match self.database.url.as_str() {
            "" => format!("sqlite://{}", self.data_dir.join("symdepot.db").display()),
            url => url.to_owned(),
        }
    }

    /// The blob store's URL with the default filled in.
    pub fn blobs_url(&self) -> String {
        match self.blobs.url.as_str() {
            "" => format!("file://{}", self.data_dir.join("blobs").display()),
            url => url.to_owned(),
        }
    }

    /// Folder for temp files of this installation, on the data volume.
    pub fn temp_dir(&self) -> PathBuf {
        self.data_dir.join("tmp")
    }

    /// The settings in force as TOML-like lines, with secrets masked.
    pub fn masked(&self) -> Self {
        let mut masked = self.clone();
        masked.database.url = mask_url(&self.database_url());
        masked.blobs.url = self.blobs_url();
        if masked.public_url.is_empty() {
            masked.public_url = format!("http://{}", self.listen);
        }
        masked
    }
}

/// Which setting cannot be read, where it stands, and what is wrong with it.
fn sentence(error: &figment::Error) -> String {
    let place = error.metadata.as_ref().map_or_else(String::new, |metadata| match &metadata.source {
        Some(source) => format!(" ({source})"),
        None => format!(" ({})", metadata.name),
    });
    match error.path.join(".").to_lowercase().as_str() {
        "" => format!("the settings{place} cannot be read: {}", error.kind),
        key => format!("setting `{key}`{place} cannot be read: {}", error.kind),
    }
}

/// The URL with its password replaced.
fn mask_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    match rest.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split_once(':').map_or(user, |(name, _)| name);
            format!("{scheme}://{user}:***@{host}")
        }
        None => url.to_owned(),
    }
}

/// `configured`, or the number of cores if it is 0.
pub fn or_cores(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        some => some,
    }
}
