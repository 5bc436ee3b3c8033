//! [`Db`]: opening and migrating a database, and [`Tx`], the transaction that never leaves the room.
//!
//! It knows no table.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, PgPool, Postgres, Sqlite, SqlitePool, Transaction};

static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// How long `SQLite` waits for another process to finish writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections of this process that read `SQLite` at a time, and all of them to `PostgreSQL`.
const READERS: u32 = 8;
const CONNECTIONS: u32 = 16;

/// Prepared statements kept per connection; more than there are queries in this room.
const STATEMENTS: usize = 256;

/// How long a connection to a server may idle before it is asked whether it still stands.
const STALE: Duration = Duration::from_secs(5);

/// A database of one of two engines. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Db {
    /// One file, one writer at a time.
    Sqlite(SqliteDb),
    /// A server.
    Postgres(PgPool),
}

/// `SQLite` wants one writer and may have many readers.
#[derive(Clone, Debug)]
pub struct SqliteDb {
    /// Many connections, for reading only.
    pub(super) read: SqlitePool,
    /// One connection, for transactions that begin immediate.
    pub(super) write: SqlitePool,
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

impl DbError {
    /// Whether the volume of the database has no space left.
    pub fn is_full(&self) -> bool {
        let Self::Sqlx(sqlx::Error::Database(error)) = self else { return false };
        // `SQLite` for its files and for the memory that its connections share, `PostgreSQL` for its own.
        matches!(error.code().as_deref(), Some("13" | "4874" | "53100"))
    }
}

impl Db {
    /// Opens `url` (`sqlite://<path>` or `postgres://…`), creating the file and its folder if need be.
    pub async fn connect(url: &str) -> Result<Self, DbError> {
        match url.strip_prefix("sqlite:") {
            Some(path) => connect_sqlite(Path::new(path.strip_prefix("//").unwrap_or(path))).await,
            None => connect_postgres(url).await,
        }
    }

    /// Brings the schema up to date. Safe when several processes do it at once.
    // `run_direct` and not `run`, whose future cannot be sent to another thread.
    #[tracing::instrument(level = "debug", skip_all, name = "db.migrate")]
    pub async fn migrate(&self) -> Result<(), DbError> {
        match self {
            Self::Sqlite(db) => {
                // Whoever comes second waits here and then finds nothing left to do.
                let mut tx = db.write.begin_with("begin immediate").await?;
                SQLITE_MIGRATIONS.run_direct(None, &mut *tx, false).await?;
                tx.commit().await?;
            }
            Self::Postgres(pool) => {
                // The lock under which migrations run belongs to the connection, so this one is not put back.
                let mut connection = pool.connect_options().connect().await?;
                POSTGRES_MIGRATIONS.run_direct(None, &mut connection, false).await?;
                connection.close().await?;
            }
        }
        Ok(())
    }

    /// Asks the database for a sign of life.
    #[tracing::instrument(level = "debug", skip_all, name = "db.ping")]
    pub async fn ping(&self) -> Result<(), DbError> {
        match self {
            Self::Sqlite(db) => sqlx::query("select 1").execute(&db.read).await.map(drop)?,
            Self::Postgres(pool) => sqlx::query("select 1").execute(pool).await.map(drop)?,
        }
        Ok(())
    }

    /// Closes every connection, after what runs on it has ended. Nothing is lost without it; `SQLite` tidies up its
    /// log then.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(db) => {
                db.read.close().await;
                db.write.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }

    /// `sqlite` or `postgres`.
    pub fn engine(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }

    /// Begins a unit of work. Dropped without [`Tx::commit`], it leaves nothing behind.
    pub(super) async fn begin(&self) -> Result<Tx, DbError> {
        Ok(match self {
            Self::Sqlite(db) => Tx::Sqlite(db.write.begin_with("begin immediate").await?),
            Self::Postgres(pool) => Tx::Postgres(pool.begin().await?),
        })
    }
}

/// A unit of work on one of two engines.
pub(super) enum Tx {
    /// Nobody else writes meanwhile.
    Sqlite(Transaction<'static, Sqlite>),
    /// Read committed: every statement sees what others have committed before it.
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    /// Makes the work durable.
    pub(super) async fn commit(self) -> Result<(), DbError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
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

async fn connect_postgres(url: &str) -> Result<Db, DbError> {
    let options: PgConnectOptions = url.parse()?;
    let options = options.application_name("symdepot").statement_cache_capacity(STATEMENTS).disable_statement_logging();
    // A pool would try for as long as it may wait before it said that nobody answers.
    options.connect().await?.close().await?;
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(Duration::from_secs(30))
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
