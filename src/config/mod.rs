//! Every setting: its meaning, its default and its environment name. Read once at the start, never changed after.
//!
//! Order, later wins: defaults, `symdepot.toml` (or `--config`), environment `SYMDEPOT_*` (`__` nests), flags.

mod blobs;
mod converter;
mod database;
mod environment;
mod error;
mod events;
mod gc;
mod http;
mod jobs;
mod s3;
mod status;
mod symbolication;
mod symbols;
mod uploads;
mod upstreams;

use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Format as _, Serialized, Toml};
use serde::{Deserialize, Serialize};

pub use blobs::{Blobs, Compression};
pub use converter::Converter;
pub use database::Database;
pub use error::ConfigError;
pub use events::{Events, SpoolKind};
pub use gc::Gc;
pub use http::Http;
pub use jobs::Jobs;
pub use s3::{PARTS_AT_A_TIME, S3};
pub use status::Status;
pub use symbolication::Symbolication;
pub use symbols::Symbols;
pub use uploads::Uploads;
pub use upstreams::Upstreams;

use crate::types::mask_url;
use error::refuse;

/// All settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address to listen on; port 0 takes a free one. `SYMDEPOT_LISTEN`
    pub listen: String,
    /// Address that clients are told; empty means the one by which a client came, and in tokens `http://<listen>` unless that
    /// is every address of the machine. `SYMDEPOT_PUBLIC_URL`
    pub public_url: String,
    /// Folder of database, blobs and temp files. `SYMDEPOT_DATA_DIR`
    pub data_dir: PathBuf,
    /// What is logged, in the syntax of `RUST_LOG`. `SYMDEPOT_LOG`
    pub log: String,
    /// `text` or `json`. `SYMDEPOT_LOG_FORMAT`
    pub log_format: LogFormat,
    /// Connections, and how slowly a client may send.
    pub http: Http,
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
    /// Naming the frames of stacks, dumps and reports.
    pub symbolication: Symbolication,
    /// How other symbol servers are asked.
    pub upstreams: Upstreams,
    /// What clients send of crashes and errors.
    pub events: Events,
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

const MIB: u64 = 1 << 20;

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8000".to_owned(),
            public_url: String::new(),
            data_dir: PathBuf::from("./symdepot-data"),
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            http: Http::default(),
            database: Database::default(),
            blobs: Blobs::default(),
            status: Status::default(),
            uploads: Uploads::default(),
            converter: Converter::default(),
            jobs: Jobs::default(),
            gc: Gc::default(),
            symbols: Symbols::default(),
            symbolication: Symbolication::default(),
            upstreams: Upstreams::default(),
            events: Events::default(),
        }
    }
}

impl Config {
    /// Reads all sources; `file` is what `--config` named, `flags` what the command line set.
    pub fn load(file: Option<&Path>, flags: &[(&str, String)]) -> Result<Self, ConfigError> {
        let toml = match file {
            Some(path) => Toml::file_exact(path),
            None => Toml::file("symdepot.toml"),
        };
        let mut sources =
            Figment::from(Serialized::defaults(Self::default())).merge(toml).merge(environment::settings());
        for (key, value) in flags {
            sources = sources.merge(Serialized::default(key, value));
        }
        let config: Self = sources.extract().map_err(|error| ConfigError::Unreadable(Box::new(error)))?;
        config.check()?;
        Ok(config)
    }

    /// Refuses values that would make clients loop, overflow or wait for ever.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_public_url()?;
        self.http.check()?;
        self.uploads.check()?;
        self.status.check()?;
        self.database.check()?;
        self.converter.check()?;
        self.jobs.check()?;
        self.upstreams.check()?;
        self.symbolication.check()?;
        self.events.check()?;
        let database = self.database_url();
        if !database.starts_with("sqlite:")
            && !database.starts_with("postgres:")
            && !database.starts_with("postgresql:")
        {
            return refuse("database.url", database, "`sqlite://<path>` or `postgres://…`");
        }
        self.blobs.check(&self.blobs_url())
    }

    /// Clients put their paths behind the address, and `sentry-cli` refuses one that has a path itself.
    fn check_public_url(&self) -> Result<(), ConfigError> {
        let url = self.public_url.trim_end_matches('/');
        let authority = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let is_base = authority.is_some_and(|authority| {
            let strange = |c: char| matches!(c, '/' | '?' | '#' | '@' | '\\') || c.is_whitespace() || c.is_control();
            !authority.is_empty() && !authority.contains(strange)
        });
        if url.is_empty() || is_base {
            return Ok(());
        }
        let allowed = "`http://HOST` or `https://HOST`, with a port if need be and without a path";
        refuse("public_url", mask_url(&self.public_url), allowed)
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

    /// The file in which a server notes the address and port that it listens on.
    pub fn listener_note(&self) -> PathBuf {
        self.data_dir.join("listener")
    }

    /// Folder for temp files of this installation, on the data volume.
    pub fn temp_dir(&self) -> PathBuf {
        self.data_dir.join("tmp")
    }

    /// The longest time for which one piece of work may need a temp file or an unfinished upload to the store.
    pub fn longest_operation(&self) -> Duration {
        let local = self.converter.timeout.max(self.upstreams.total_timeout);
        match self.blobs_url().starts_with("s3://") {
            true => local.max(self.blobs.s3.longest_put(self.uploads.max_file_size)),
            false => local,
        }
    }

    /// The settings in force as TOML-like lines, with secrets masked.
    pub fn masked(&self) -> Self {
        let mut masked = self.clone();
        masked.database.url = mask_url(&self.database_url());
        masked.blobs.url = mask_url(&self.blobs_url());
        masked.blobs.s3 = self.blobs.s3.masked();
        masked.status.url = mask_url(&self.status.url);
        masked.public_url = mask_url(&self.public_url);
        if masked.public_url.is_empty() && !is_every_address(&self.listen) {
            masked.public_url = format!("http://{}", self.listen);
        }
        masked
    }
}

/// Whether an address to listen on means every address of the machine, so that it leads no other machine here.
pub fn is_every_address(listen: &str) -> bool {
    let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.is_empty() || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_unspecified())
}

/// `configured`, or the number of cores if it is 0.
pub fn or_cores(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        some => some,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_addresses_mean_every_one_of_the_machine() {
        for listen in ["0.0.0.0:8000", "0.0.0.0:0", "[::]:8000", "[::0]:1", ":8000"] {
            assert!(is_every_address(listen), "{listen}");
        }
        for listen in ["127.0.0.1:8000", "[::1]:8000", "10.0.0.1:80", "depot.example:8000", "localhost:1"] {
            assert!(!is_every_address(listen), "{listen}");
        }
    }
}
