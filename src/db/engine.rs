//! [`Db`]: opening, migrating and the forwarding macro.

/// A database of one of two engines. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Db {
    /// One file, one writer at a time.
    Sqlite(SqliteDb),
    /// A server.
    Postgres(sqlx::PgPool),
}

/// `SQLite` wants one writer and may have many readers.
#[derive(Clone, Debug)]
pub struct SqliteDb {
    /// Many connections, for reading only.
    pub(super) read: sqlx::SqlitePool,
    /// One connection, for transactions that begin immediate.
    pub(super) write: sqlx::SqlitePool,
}

/// What went wrong with rows.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The engine said so.
    #[error("database: {0}")]
    Sqlx(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("database schema: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A row says what no code of ours writes.
    #[error("a row of {table} cannot be read: {reason}")]
    BadRow {
        /// Which table.
        table: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl Db {
    /// Opens `url` (`sqlite://<path>` or `postgres://…`), creating the file and its folder if need be.
    pub async fn connect(url: &str) -> Result<Self, DbError> {
        let _ = url;
        todo!()
    }

    /// Brings the schema up to date. Safe when several processes do it at once.
    pub async fn migrate(&self) -> Result<(), DbError> {
        todo!()
    }

    /// Asks the database for a sign of life.
    pub async fn ping(&self) -> Result<(), DbError> {
        todo!()
    }

    /// `sqlite` or `postgres`.
    pub fn engine(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}
