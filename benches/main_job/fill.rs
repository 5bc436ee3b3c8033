//! Rows as a large company would have them, written straight into the tables: a server that took them in one by one would
//! need hours. Every chunk has an empty file where its bytes would be, so that listings are as long as they would be.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use symdepot::clock::Clock;
use tokio::runtime::Runtime;

/// Chunks of one file.
const CHUNKS_PER_FILE: u64 = 5;
/// Projects of one organization.
const PROJECTS_PER_ORGANIZATION: u64 = 100;
/// Row ids of what is filled in begin here, beyond any that the server hands out meanwhile.
const FIRST_ID: u64 = 10_000_000;
/// Rows written by one statement.
const BATCH: u64 = 50_000;
/// Age of all chunks in days: nobody wanted them within the grace, those of no file may go.
const AGE: i64 = 3;
/// A number that spreads consecutive ones evenly over 32 bits.
const SPREAD: u64 = 2_654_435_761;

/// A connection beside the server's own.
pub struct Rows {
    runtime: Runtime,
    connection: Connection,
    postgres: bool,
}

enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Rows {
    /// Opens the database of a server that stands already.
    pub fn open(url: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let postgres = url.starts_with("postgres");
        let connection = runtime.block_on(async {
            anyhow::Ok(match postgres {
                true => Connection::Postgres(PgConnection::connect(url).await?),
                false => Connection::Sqlite(SqliteConnection::connect(url).await?),
            })
        })?;
        Ok(Self { runtime, connection, postgres })
    }

    /// So many chunks that are part of no file and that nobody wanted for days, with their bytes.
    pub fn unwanted_chunks(&mut self, from: u64, count: u64, blobs: &Path) -> Result<()> {
        self.chunks(from, count, 0)?;
        empty_blobs(from..from + count, blobs)
    }

    /// A company with so many projects, files and chunks.
    pub fn company(&mut self, projects: u64, files: u64, blobs: &Path) -> Result<()> {
        let now = Clock::System.now();
        let organizations = projects / PROJECTS_PER_ORGANIZATION;
        self.each(
            0..organizations,
            "organizations (id, slug, created_at)",
            &format!("{FIRST_ID} + i, 'company-' || i, {}", self.time(now)),
        )?;
        self.each(
            0..projects,
            "projects (id, organization_id, slug, created_at)",
            &format!(
                "{FIRST_ID} + i, {FIRST_ID} + i / {PROJECTS_PER_ORGANIZATION}, 'project-' || i, {}",
                self.time(now)
            ),
        )?;
        let chunks = files * CHUNKS_PER_FILE;
        self.chunks(0, chunks, 1)?;
        self.each(
            0..chunks,
            "chunk_owners (chunk_id, organization_id)",
            &format!(
                "{FIRST_ID} + i, {FIRST_ID} + ((i / {CHUNKS_PER_FILE}) % {projects}) / {PROJECTS_PER_ORGANIZATION}"
            ),
        )?;
        let uuid = format!("{} || '-0000-4000-8000-' || {}", self.hash(), self.hex("i", 12));
        self.each(
            0..files,
            "debug_files (id, project_id, sha1, size, debug_id, code_id, object_name, cpu_name, format, kind, features, created_at, uploaded_at, used_at)",
            &format!(
                "{FIRST_ID} + i, {FIRST_ID} + i % {projects}, 'f' || {} || {}, 5000000, {uuid}, {} || {}, \
                 'lib' || (i % 500) || '.so', 'x86_64', 'elf', 'dbg', 3, {time}, {time}, {time}",
                self.hash(), self.hex("i", 31), self.hash(), self.hex("i", 32), time = self.time(now)
            ),
        )?;
        self.each(
            0..chunks,
            "debug_file_chunks (debug_file_id, position, chunk_id)",
            &format!("{FIRST_ID} + i / {CHUNKS_PER_FILE}, i % {CHUNKS_PER_FILE}, {FIRST_ID} + i"),
        )?;
        self.each(
            0..files,
            "symcaches (debug_file_id, format_version, converter_version, mappings, state, sha1, blob_key, encoding, size, \
             stored_size, created_at)",
            &format!(
                "{FIRST_ID} + i, 9, 'filled in', '', 'ready', 'e' || {} || {}, 'symcaches/' || {}, 'raw', 100000, 100000, {}",
                self.hash(), self.hex("i", 31), self.hex("i", 32), self.time(now)
            ),
        )?;
        empty_blobs(0..chunks, blobs)?;
        if self.postgres {
            self.run("vacuum analyze".to_owned())?;
        }
        Ok(())
    }

    /// Size of the database in MB, indexes and all.
    pub fn megabytes(&mut self) -> Result<f64> {
        Ok(self.number(match self.postgres {
            true => "select pg_database_size(current_database())",
            false => "select page_count * page_size from pragma_page_count, pragma_page_size",
        })? as f64
            / 1e6)
    }

    /// Transactions and bytes of log so far, where the engine counts them. It does so with a delay of a second.
    pub fn spent(&mut self) -> Result<Option<(i64, i64)>> {
        const TRANSACTIONS: &str =
            "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()";
        const LOG: &str = "select cast(pg_current_wal_insert_lsn() - '0/0' as bigint)";
        if !self.postgres {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_secs(2));
        Ok(Some((self.number(TRANSACTIONS)?, self.number(LOG)?)))
    }

    fn number(&mut self, sql: &'static str) -> Result<i64> {
        Ok(self.runtime.block_on(async {
            match &mut self.connection {
                Connection::Sqlite(connection) => sqlx::query_scalar(sql).fetch_one(connection).await,
                Connection::Postgres(connection) => sqlx::query_scalar(sql).fetch_one(connection).await,
            }
        })?)
    }

    /// Chunks, each noted as in use or not. Clean-ups note it once in the life of a chunk, so in a real store they have.
    fn chunks(&mut self, from: u64, count: u64, in_use: u8) -> Result<()> {
        let time = self.time(Clock::System.now() - TimeDelta::days(AGE));
        let folder = match self.postgres {
            true => "right(to_hex(i), 2)",
            false => "substr(printf('%x', i), -2)",
        };
        self.each(
            from..from + count,
            "chunks (id, sha1, blob_key, encoding, size, stored_size, stored_at, wanted_at, in_use)",
            &format!(
                "{FIRST_ID} + i, {} || {}, 'chunks/' || {folder} || '/' || {} || {}, 'zstd', 8388608, 0, {time}, {time}, {in_use}",
                self.hash(), self.hex("i", 32), self.hash(), self.hex("i", 24)
            ),
        )
    }

    /// Inserts one row for each number `i`.
    fn each(&mut self, range: std::ops::Range<u64>, into: &str, values: &str) -> Result<()> {
        let overriding = if self.postgres && into.contains("(id,") { "overriding system value" } else { "" };
        let mut from = range.start;
        while from < range.end {
            let to = range.end.min(from + BATCH);
            self.run(match self.postgres {
                true => format!(
                    "insert into {into} {overriding} select {values} from generate_series({from}::bigint, {to}::bigint - 1) as n(i)"
                ),
                false => format!(
                    "with recursive n(i) as (select {from} union all select i + 1 from n where i + 1 < {to}) \
                     insert into {into} select {values} from n"
                ),
            })?;
            from = to;
        }
        Ok(())
    }

    fn run(&mut self, statement: String) -> Result<()> {
        let query = sqlx::raw_sql(AssertSqlSafe(statement.clone()));
        self.runtime
            .block_on(async {
                match &mut self.connection {
                    Connection::Sqlite(connection) => query.execute(connection).await.map(drop),
                    Connection::Postgres(connection) => query.execute(connection).await.map(drop),
                }
            })
            .with_context(|| statement)
    }

    /// Eight digits that are spread evenly.
    fn hash(&self) -> String {
        self.hex(&format!("((i * {SPREAD}) & 4294967295)"), 8)
    }

    fn hex(&self, number: &str, digits: usize) -> String {
        match self.postgres {
            true => format!("lpad(to_hex({number}), {digits}, '0')"),
            false => format!("printf('%0{digits}x', {number})"),
        }
    }

    fn time(&self, time: DateTime<Utc>) -> String {
        let text = time.to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
        match self.postgres {
            true => format!("'{text}'::timestamptz"),
            false => format!("'{text}'"),
        }
    }
}

/// Empty files where the bytes of these chunks would be.
fn empty_blobs(range: std::ops::Range<u64>, blobs: &Path) -> Result<()> {
    for folder in 0..=0xffu32 {
        std::fs::create_dir_all(blobs.join(format!("chunks/{folder:02x}")))?;
    }
    for i in range {
        let hash = (i * SPREAD) & 0xffff_ffff;
        let folder = format!("{i:x}");
        let folder = &folder[folder.len().saturating_sub(2)..];
        let path = blobs.join(format!("chunks/{folder}/{hash:08x}{i:024x}"));
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        std::fs::File::create(path)?;
    }
    Ok(())
}
