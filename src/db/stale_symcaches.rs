//! Debug files that could have a symcache and have none of a version. It never says which of several files of an id counts.

use sqlx::{query_as, query_scalar};

use super::debug_files::{FileRow, file_columns, files};
use super::sql::{Sql, on_db, sql};
use super::{Db, DbError};
use crate::types::{DebugFile, Features};

/// Which files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleFiles {
    /// Of this project; of all without it.
    pub project_id: Option<i64>,
    /// Without a symcache of this format,
    pub format_version: i64,
    /// made by this converter.
    pub converter_version: String,
}

/// The live files, of the project `$1` or of all if it is -1, of which symcaches are made and that have none of the
/// version `$2`, `$3`.
macro_rules! stale {
    () => {
        "from debug_files f
        where ($1 = -1 or f.project_id = $1) and f.retired_at is null and f.damaged_at is null and f.is_supplement = 0
            and (f.features & $4) <> 0 and f.format in ('elf', 'macho', 'pe', 'pdb', 'wasm', 'breakpad')
            and not exists (
                select 1 from symcaches s
                where s.debug_file_id = f.id and s.format_version = $2 and s.converter_version = $3
            )"
    };
}

impl Db {
    /// How many there are.
    #[tracing::instrument(level = "debug", skip_all, name = "db.stale_symcaches.count")]
    pub async fn count_stale_files(&self, stale: &StaleFiles) -> Result<i64, DbError> {
        const SQL: Sql = sql!("select count(*) "(stale));
        Ok(on_db!(read self, SQL, |sql, on| {
            query_scalar(sql)
                .bind(stale.project_id.unwrap_or(-1))
                .bind(stale.format_version)
                .bind(stale.converter_version.as_str())
                .bind(i64::from(named().bits()))
                .fetch_one(on)
                .await
        })?)
    }

    /// Up to `limit` of them behind the row `after`, oldest first.
    #[tracing::instrument(level = "debug", skip_all, name = "db.stale_symcaches.list")]
    pub async fn stale_files(&self, stale: &StaleFiles, after: i64, limit: i64) -> Result<Vec<DebugFile>, DbError> {
        const SQL: Sql = sql!("select " (file_columns) " " (stale) " and f.id > $5 order by f.id limit $6");
        let rows: Vec<FileRow> = on_db!(read self, SQL, |sql, on| {
            query_as(sql)
                .bind(stale.project_id.unwrap_or(-1))
                .bind(stale.format_version)
                .bind(stale.converter_version.as_str())
                .bind(i64::from(named().bits()))
                .bind(after)
                .bind(limit)
                .fetch_all(on)
                .await
        })?;
        files(rows)
    }
}

/// What gives a symcache its names.
fn named() -> Features {
    Features::DEBUG.union(Features::SYMTAB)
}
