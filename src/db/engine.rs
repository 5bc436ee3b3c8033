//! [`Db`]: migrating a database and asking it for a sign of life, and [`Tx`], the transaction that never leaves the room.
//!
//! It knows no table.

use sqlx::migrate::Migrator;
use sqlx::{ConnectOptions as _, Connection as _, PgPool, Postgres, Sqlite, SqlitePool, Transaction};

use super::connect::without_limits;

static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

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
    /// Others keep changing what this is about, so that it never came to an end. It may next time.
    #[error("{0}")]
    Contended(&'static str),
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

    /// Whether it is likely to go well if it is done again later: the database does not answer, no connection is free,
    /// another transaction holds the rows, or the time of a statement is up. Anything else meets the same end again.
    pub fn is_transient(&self) -> bool {
        let error = match self {
            Self::Sqlx(error) => error,
            Self::Contended(_) => return true,
            Self::Migrate(_) | Self::BadRow { .. } => return false,
        };
        match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
            sqlx::Error::Database(error) => error.code().is_some_and(|code| match code.len() {
                // `PostgreSQL`: it ends or starts, has too many connections, or took the statement back.
                5 => {
                    code.starts_with("08")
                        || code.starts_with("57P0")
                        || matches!(&*code, "53300" | "57014" | "55P03" | "40001" | "40P01" | "25P03")
                }
                // `SQLite`: busy or locked, in one of their kinds.
                _ => code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6)),
            }),
            _ => false,
        }
    }
}

impl Db {
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
                // It has no limits of time either: it waits for others that migrate, and large tables take long.
                let mut connection = without_limits(&pool.connect_options()).connect().await?;
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
