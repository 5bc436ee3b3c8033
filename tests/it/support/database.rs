//! A fresh database of either engine for one test, gone after it.

use std::path::Path;

use symdepot::db::Db;
use tempfile::TempDir;

use super::postgres::PostgresDatabase;

/// The engines that every promise about rows holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// One file.
    Sqlite,
    /// A server.
    Postgres,
}

/// A database that goes when this is dropped.
pub struct TestDatabase {
    /// What the setting `database.url` takes.
    pub url: String,
    _place: Place,
}

/// What goes with the database.
enum Place {
    Folder(#[expect(dead_code, reason = "kept for its drop")] TempDir),
    Server(#[expect(dead_code, reason = "kept for its drop")] PostgresDatabase),
}

impl TestDatabase {
    /// A database with nothing in it.
    pub async fn empty(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => Self::in_folder(),
            Engine::Postgres => Self::on_server(PostgresDatabase::empty().await),
        }
    }

    /// A database with today's schema.
    pub async fn migrated(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => {
                let database = Self::in_folder();
                let db = database.connect().await;
                db.migrate().await.unwrap();
                db.close().await;
                database
            }
            Engine::Postgres => Self::on_server(PostgresDatabase::migrated().await),
        }
    }

    /// Opens it.
    pub async fn connect(&self) -> Db {
        Db::connect(&self.url).await.unwrap()
    }

    fn in_folder() -> Self {
        let folder = TempDir::new().unwrap();
        let url = sqlite_url(&folder.path().join("symdepot.db"));
        Self { url, _place: Place::Folder(folder) }
    }

    fn on_server(database: PostgresDatabase) -> Self {
        Self { url: database.url.clone(), _place: Place::Server(database) }
    }
}

/// The setting for a file.
pub fn sqlite_url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}
