//! The two forms of an installation. Tests run on the embedded one, SQLite and files and memory, and a second time on
//! PostgreSQL, S3 and Redis when `SYMDEPOT_TEST_FORM` is `cluster`: see `make test-cluster`.

use std::path::{Path, PathBuf};

use serde_json::Value;
use symdepot::config::Config;
use tempfile::TempDir;

use super::postgres::PostgresDatabase;
use super::redis;
use super::s3::S3Bucket;

/// Whether this is the second pass.
#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the program")]
pub fn is_cluster() -> bool {
    match std::env::var("SYMDEPOT_TEST_FORM").as_deref() {
        Ok("cluster") => true,
        Ok("" | "embedded") | Err(_) => false,
        Ok(other) => panic!("SYMDEPOT_TEST_FORM is {other:?}; it can be `embedded` or `cluster`"),
    }
}

/// A database, a bucket and keys in Redis of one installation, gone when this is dropped.
pub struct Place {
    database: PostgresDatabase,
    bucket: S3Bucket,
    prefix: String,
}

impl Place {
    /// A fresh one, with nothing in it.
    pub async fn empty() -> Self {
        Self::on(PostgresDatabase::empty().await).await
    }

    /// A fresh one, with today's schema.
    pub async fn migrated() -> Self {
        Self::on(PostgresDatabase::migrated().await).await
    }

    async fn on(database: PostgresDatabase) -> Self {
        Self { database, bucket: S3Bucket::fresh(), prefix: redis::fresh_prefix() }
    }

    /// Points settings here, except those that point elsewhere already.
    pub fn settings(&self, config: &mut Config) {
        if config.database.url.is_empty() {
            config.database.url.clone_from(&self.database.url);
            // Hundreds of servers share one PostgreSQL.
            config.database.max_connections = 6;
        }
        if config.blobs.url.is_empty() {
            self.bucket.settings(config);
        }
        if config.status.url == "memory" {
            config.status.url = redis::shared().url();
            config.status.prefix.clone_from(&self.prefix);
        }
    }
}

/// The folder of a server, and what belongs to it in the form of the pass. Goes when this is dropped.
pub struct Home {
    /// The folder.
    pub folder: TempDir,
    place: Option<Place>,
}

impl Home {
    /// An empty one. In the second pass [`Home::furnish`] makes the rest.
    pub fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), place: None }
    }

    /// Points settings at what the form of the pass has, which is made if need be.
    pub async fn furnish(&mut self, config: &mut Config) {
        if is_cluster() && self.place.is_none() {
            self.place = Some(Place::migrated().await);
        }
        if let Some(place) = &self.place {
            place.settings(config);
        }
    }

    /// Points settings at what was furnished.
    pub fn settings(&self, config: &mut Config) {
        if let Some(place) = &self.place {
            place.settings(config);
        }
    }
}

/// The files that were left in a folder for temp files, whatever folders the stores of a form have in it.
pub fn left_over(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { left_over(&path) } else { vec![path] }).collect()
}

/// The settings that differ from the defaults, as environment variables for a process of its own.
pub fn environment(config: &Config) -> Vec<(String, String)> {
    let json = |config: &Config| serde_json::to_value(config).unwrap();
    let mut variables = Vec::new();
    differences("SYMDEPOT", &json(&Config::default()), &json(config), &mut variables);
    variables
}

fn differences(name: &str, before: &Value, after: &Value, variables: &mut Vec<(String, String)>) {
    match after {
        Value::Object(fields) => {
            for (key, value) in fields {
                let separator = if name == "SYMDEPOT" { "_" } else { "__" };
                let name = format!("{name}{separator}{}", key.to_uppercase());
                differences(&name, &before[key], value, variables);
            }
        }
        value if value == before => {}
        Value::String(text) => variables.push((name.to_owned(), text.clone())),
        other => variables.push((name.to_owned(), other.to_string())),
    }
}
