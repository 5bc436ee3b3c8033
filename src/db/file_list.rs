//! Listing debug files by what people and clients ask for. It lists live files only.

use chrono::{DateTime, Utc};
use sqlx::{Database, Encode, Postgres, QueryBuilder, Sqlite, Type, query_as};

use super::debug_files::{FileRow, file_columns, files};
use super::rows::{json, text};
use super::sql::{Sql, on_db, sql};
use super::{Db, DbError, Leaving};
use crate::types::{DebugFile, DebugId, Features, Format};

/// Which debug files to list. Empty fields do not narrow.
#[derive(Clone, Debug, Default)]
pub struct FileFilter {
    /// Text to find in name, ids, architecture or format, case-insensitive.
    pub text: Option<String>,
    /// Exact debug id, own or alias.
    pub debug_id: Option<DebugId>,
    /// Exact code id.
    pub code_id: Option<String>,
    /// With both ids: true if either may match, false if both must.
    pub either_id: bool,
    /// The best first, and of equals the newest: files with the debug id before those with the code id alone, debug
    /// information before a symbol table.
    pub best_first: bool,
    /// Formats, any of them.
    pub formats: Vec<Format>,
}

/// Texts longer than this are found nowhere. `SQLite` refuses patterns of more than 50 000 bytes.
const LONGEST_TEXT: usize = 4096;

/// The columns that a text is looked for in.
const SEARCHED: [&str; 6] = ["object_name", "debug_id", "debug_id_alias", "code_id", "cpu_name", "format"];

impl Db {
    /// Live files of a project, newest first unless the best are wanted first.
    #[tracing::instrument(level = "debug", skip_all, name = "db.debug_files.list")]
    pub async fn list_debug_files(
        &self,
        project_id: i64,
        filter: &FileFilter,
        offset: i64,
        limit: i64,
    ) -> Result<Vec<DebugFile>, DbError> {
        if filter.text.as_ref().is_some_and(|text| text.len() > LONGEST_TEXT) {
            return Ok(Vec::new());
        }
        let rows = match self {
            Self::Sqlite(db) => {
                let mut list = list::<Sqlite>(project_id, filter, offset, limit);
                list.build_query_as().fetch_all(&db.read).await?
            }
            Self::Postgres(pool) => {
                let mut list = list::<Postgres>(project_id, filter, offset, limit);
                list.build_query_as().fetch_all(pool).await?
            }
        };
        files(rows)
    }
}

impl Db {
    /// Live files of several projects with this name, or with one that `*`, `?` and sets in it may stand for; newest
    /// first, `limit` at most. Sets stand for anything here: whoever asks looks closer.
    #[tracing::instrument(level = "debug", skip_all, name = "db.debug_files.by_name")]
    pub async fn debug_files_by_name(
        &self,
        project_ids: &[i64],
        name: &str,
        glob: bool,
        limit: i64,
    ) -> Result<Vec<DebugFile>, DbError> {
        const EXACT: Sql = sql!("
            select " (file_columns) " from debug_files f
            where f.project_id " [in_numbers "$1"] " and f.retired_at is null and f.object_name = $2
            order by f.id desc limit $3
        ");
        const LIKE: Sql = sql!("
            select " (file_columns) " from debug_files f
            where f.project_id " [in_numbers "$1"] " and f.retired_at is null and f.object_name like $2 escape '\\'
            order by f.id desc limit $3
        ");
        if project_ids.is_empty() || name.len() > LONGEST_TEXT {
            return Ok(Vec::new());
        }
        let (statement, name) = if glob { (LIKE, like(name)) } else { (EXACT, text(name).into_owned()) };
        let rows = on_db!(read self, statement, |sql, on| {
            query_as(sql).bind(json(project_ids)).bind(name.as_str()).bind(limit).fetch_all(on).await
        })?;
        files(rows)
    }
}

#[derive(sqlx::FromRow)]
struct ToDeleteRow {
    #[sqlx(flatten)]
    file: FileRow,
    renewals: i64,
    uploaded_at: DateTime<Utc>,
}

impl Db {
    /// Up to `limit` live files of a project that were last uploaded before `before`, by id after `after`; with a debug id
    /// only those of it, own or alias, and with a name only those that it may stand for: whoever asks looks closer.
    #[tracing::instrument(level = "debug", skip_all, name = "db.debug_files.to_delete")]
    pub async fn files_to_delete(
        &self,
        project_id: i64,
        before: DateTime<Utc>,
        debug_id: Option<&DebugId>,
        name: Option<&str>,
        after: i64,
        limit: i64,
    ) -> Result<Vec<(DebugFile, Leaving)>, DbError> {
        const SQL: Sql = sql!("
            select " (file_columns) ", f.renewals, f.uploaded_at from debug_files f
            where f.project_id = $1 and f.retired_at is null and f.uploaded_at < $2 and f.id > $5
                and ($3 = '' or f.debug_id = $3 or f.debug_id_alias = $3)
                and ($4 = '%' or f.object_name like $4 escape '\\')
            order by f.id limit $6
        ");
        if name.is_some_and(|name| name.len() > LONGEST_TEXT) {
            return Ok(Vec::new());
        }
        let rows: Vec<ToDeleteRow> = on_db!(read self, SQL, |sql, on| {
            query_as(sql)
                .bind(project_id)
                .bind(before)
                .bind(debug_id.map_or("", |id| id.as_str()))
                .bind(name.map_or_else(|| "%".to_owned(), like))
                .bind(after)
                .bind(limit)
                .fetch_all(on)
                .await
        })?;
        let read = |row: ToDeleteRow| {
            let file: DebugFile = row.file.try_into()?;
            let leaving = Leaving { id: file.id, renewals: row.renewals, at: row.uploaded_at };
            Ok((file, leaving))
        };
        rows.into_iter().map(read).collect()
    }
}

/// A pattern for `like` that matches whatever `glob` may stand for.
fn like(glob: &str) -> String {
    let mut pattern = String::with_capacity(glob.len() + 2);
    for character in text(glob).chars() {
        match character {
            '*' => pattern.push('%'),
            '?' => pattern.push('_'),
            '[' => {
                pattern.push('%');
                return pattern;
            }
            '%' | '_' | '\\' => pattern.extend(['\\', character]),
            other => pattern.push(other),
        }
    }
    pattern
}

/// The query. Its text depends only on which fields are set, so that a connection prepares few of them.
fn list<DB>(project_id: i64, filter: &FileFilter, offset: i64, limit: i64) -> QueryBuilder<DB>
where
    DB: Database,
    i64: Type<DB> + for<'t> Encode<'t, DB>,
    String: Type<DB> + for<'t> Encode<'t, DB>,
    Option<String>: Type<DB> + for<'t> Encode<'t, DB>,
{
    let mut list = QueryBuilder::new(concat!("select ", file_columns!(), " from debug_files f where f.project_id = "));
    list.push_bind(project_id).push(" and f.retired_at is null");

    if let Some(wanted) = &filter.text {
        let pattern = pattern(wanted);
        for (index, column) in SEARCHED.iter().enumerate() {
            list.push(if index == 0 { " and (" } else { " or " });
            list.push(format_args!("lower(f.{column}) like ")).push_bind(pattern.clone()).push(" escape '\\'");
        }
        list.push(")");
    }

    // One look-up per index. With `or` both engines would rather read the whole project in order of its files.
    let code_id = filter.code_id.as_deref().map(|id| text(id).into_owned());
    let either = filter.either_id && filter.debug_id.is_some();
    if let Some(id) = &filter.debug_id {
        let mut spellings = vec![("debug_id", id.to_string()), ("debug_id_alias", id.to_string())];
        spellings.extend(code_id.clone().filter(|_| either).map(|id| ("code_id", id)));
        for (index, (column, id)) in spellings.into_iter().enumerate() {
            list.push(if index == 0 { " and f.id in (" } else { " union all " });
            list.push("select id from debug_files where project_id = ").push_bind(project_id);
            list.push(format_args!(" and {column} = ")).push_bind(id);
        }
        list.push(")");
    }
    if let Some(id) = code_id.filter(|_| !either) {
        list.push(" and f.code_id = ").push_bind(id);
    }

    if !filter.formats.is_empty() {
        // One placeholder per known format, so that the text does not depend on how many are asked for.
        list.push(" and f.format in (");
        let mut wanted = list.separated(", ");
        for format in Format::ALL {
            wanted.push_bind(filter.formats.contains(format).then(|| format.to_string()));
        }
        list.push(")");
    }

    list.push(" order by ");
    if filter.best_first {
        if let Some(id) = &filter.debug_id {
            list.push("case when f.debug_id = ").push_bind(id.to_string());
            list.push(" or f.debug_id_alias = ").push_bind(id.to_string()).push(" then 0 else 1 end, ");
        }
        let (debug, symtab) = (Features::DEBUG.bits(), Features::SYMTAB.bits());
        list.push(format_args!(
            "case when (f.features & {debug}) > 0 then 0 when (f.features & {symtab}) > 0 then 1 else 2 end, "
        ));
    }
    list.push("f.id desc limit ").push_bind(limit).push(" offset ").push_bind(offset);
    list
}

/// A pattern for `like` that finds `wanted` anywhere, in lower case. Only the letters a to z have cases here, because
/// `lower` of `SQLite`, and of `PostgreSQL` for columns that compare byte by byte, knows no others.
fn pattern(wanted: &str) -> String {
    let mut pattern = String::with_capacity(wanted.len() + 2);
    pattern.push('%');
    for character in text(wanted).chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character.to_ascii_lowercase());
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_no_wildcards_of_the_asker() {
        assert_eq!(pattern(r"Lib_100%\x"), r"%lib\_100\%\\x%");
    }

    #[test]
    fn a_glob_becomes_a_wider_pattern() {
        assert_eq!(like("lib*.so.?"), "lib%.so._");
        assert_eq!(like(r"100%_\*"), r"100\%\_\\%");
        assert_eq!(like("lib[a-c].so"), "lib%");
    }
}
