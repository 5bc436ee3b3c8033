//! Opening a database: how each engine is set up, how long it is waited for, how long it may take. It knows no table.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqlitePool};

use super::engine::SqliteDb;
use super::{Db, DbError};
use crate::config::Database;

/// How long `SQLite` waits for another process to finish writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections of this process that read `SQLite` at a time.
const READERS: u32 = 8;

/// Prepared statements kept per connection; more than there are queries in this room.
const STATEMENTS: usize = 256;

/// How long a connection to a server may idle before it is asked whether it still stands.
const STALE: Duration = Duration::from_secs(5);

/// Wait between two looks for a server that is not up.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How long one try to reach a server may take.
const ONE_TRY: Duration = Duration::from_secs(10);

impl Db {
    /// Opens `url` (`sqlite://<path>` or `postgres://…`), creating the file and its folder if need be. A server must be
    /// up.
    pub async fn connect(url: &str) -> Result<Self, DbError> {
        Self::connect_within(url, &Database { connect_timeout: Duration::ZERO, ..Database::default() }).await
    }

    /// The same within the limits of the settings, waiting for a server that comes up.
    pub async fn connect_within(url: &str, limits: &Database) -> Result<Self, DbError> {
        match url.strip_prefix("sqlite:") {
            Some(path) => connect_sqlite(Path::new(path.strip_prefix("//").unwrap_or(path))).await,
            None => connect_postgres(url, limits).await,
        }
    }
}

async fn connect_sqlite(path: &Path) -> Result<Db, DbError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        tokio::fs::create_dir_all(folder).await.map_err(sqlx::Error::Io)?;
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .synchronous(SqliteSynchronous::Full)
        .statement_cache_capacity(STATEMENTS)
        .pragma("journal_size_limit", "67108864")
        .disable_statement_logging();
    let pool = SqlitePoolOptions::new()
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(BUSY_TIMEOUT * 2);

    let writer = options.clone().create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    let one_writer = pool.clone().max_connections(1).before_acquire(|connection, _| {
        Box::pin(async move {
            // On a full volume the engine takes a transaction back by itself, and the connection goes on to count it as
            // open: it would never begin another one. What is only still being taken back is waited for.
            if connection.is_in_transaction() {
                connection.ping().await?;
            }
            Ok(!connection.is_in_transaction())
        })
    });
    let write = patiently(|| one_writer.clone().connect_with(writer.clone())).await?;
    let read = pool.max_connections(READERS).connect_lazy_with(options.pragma("query_only", "on"));
    Ok(Db::Sqlite(SqliteDb { read, write }))
}

/// Tries again while another process opens the same fresh file: `SQLite` does not wait for a change of its journal mode.
async fn patiently<F>(connect: impl Fn() -> F) -> Result<SqlitePool, sqlx::Error>
where
    F: Future<Output = Result<SqlitePool, sqlx::Error>>,
{
    let begun = Instant::now();
    loop {
        match connect().await {
            Err(sqlx::Error::Database(error))
                if error.message().contains("locked") && begun.elapsed() < BUSY_TIMEOUT =>
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return other,
        }
    }
}

async fn connect_postgres(url: &str, limits: &Database) -> Result<Db, DbError> {
    let options: PgConnectOptions = url.parse()?;
    let millis = |limit: Duration| limit.as_millis().to_string();
    let options =
        options.application_name("symdepot").statement_cache_capacity(STATEMENTS).disable_statement_logging().options(
            [
                ("statement_timeout", millis(limits.statement_timeout)),
                ("lock_timeout", millis(limits.lock_timeout)),
                ("idle_in_transaction_session_timeout", millis(limits.idle_timeout)),
            ],
        );
    wait_for(&options, limits.connect_timeout).await?;
    let pool = PgPoolOptions::new()
        .max_connections(limits.max_connections)
        .acquire_timeout(limits.acquire_timeout)
        .idle_timeout((!limits.idle_timeout.is_zero()).then_some(limits.idle_timeout))
        // Asking before every query would double the round trips.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > STALE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options);
    Ok(Db::Postgres(pool))
}

/// The same server for a connection that brings the schema up to date and may take all the time it wants.
pub(super) fn without_limits(options: &PgConnectOptions) -> PgConnectOptions {
    // What is said last counts.
    options.clone().options([
        ("statement_timeout", "0"),
        ("lock_timeout", "0"),
        ("idle_in_transaction_session_timeout", "0"),
        // That a table is there already is no news.
        ("client_min_messages", "warning"),
    ])
}

/// Waits until the server lets somebody in. What will not change by waiting, such as a wrong password, ends it at once.
/// A pool would not say that nobody answers before its own time is up.
async fn wait_for(options: &PgConnectOptions, limit: Duration) -> Result<(), DbError> {
    let begun = Instant::now();
    let mut said = false;
    loop {
        let error = match tokio::time::timeout(ONE_TRY, options.connect()).await {
            Ok(Ok(connection)) => return Ok(connection.close().await?),
            Ok(Err(error)) => error,
            Err(_) => sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()),
        };
        let comes_up = match &error {
            sqlx::Error::Io(_) => true,
            sqlx::Error::Database(error) => error.is_transient_in_connect_phase(),
            _ => false,
        };
        if !comes_up || begun.elapsed() >= limit {
            return Err(error.into());
        }
        if !said {
            tracing::warn!(%error, "the database is not up; it is waited for, for up to {limit:?}");
            said = true;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
