//! [`Raw`]: a connection to the database of a server past all of its code, to hold what others need or to break a rule.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

/// One connection. What it locks is let go when it is dropped.
pub enum Raw {
    /// To a file.
    Sqlite(SqliteConnection),
    /// To a server.
    Postgres(PgConnection),
}

impl Raw {
    /// Opens the database that a setting names.
    pub async fn open(url: &str) -> Self {
        match url.strip_prefix("sqlite://") {
            Some(path) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
                Self::Sqlite(SqliteConnection::connect_with(&options).await.unwrap())
            }
            None => Self::Postgres(PgConnection::connect(url).await.unwrap()),
        }
    }

    /// Runs one statement; returns how many rows it touched.
    pub async fn run(&mut self, statement: &str) -> u64 {
        match self {
            Self::Sqlite(on) => sqlx::query(AssertSqlSafe(statement)).execute(on).await.unwrap().rows_affected(),
            Self::Postgres(on) => sqlx::query(AssertSqlSafe(statement)).execute(on).await.unwrap().rows_affected(),
        }
    }

    /// Has every new debug file refused by the database, with `reason`.
    pub async fn refuse_debug_files(&mut self, reason: &str) {
        if let Self::Sqlite(_) = self {
            let body = format!("begin select raise(abort, '{reason}'); end");
            self.run(&format!("create trigger refused before insert on debug_files {body}")).await;
        } else {
            let body = format!("begin raise exception '{reason}'; end");
            self.run(&format!("create function refused() returns trigger language plpgsql as $$ {body} $$")).await;
            let trigger = "create trigger refused before insert on debug_files for each row execute function refused()";
            self.run(trigger).await;
        }
    }

    /// Keeps all others from registering debug files until this is dropped or rolled back.
    pub async fn hold_debug_files(&mut self) {
        if let Self::Sqlite(_) = self {
            self.run("begin immediate").await;
        } else {
            self.run("begin").await;
            self.run("lock table debug_files in access exclusive mode").await;
        }
    }
}
