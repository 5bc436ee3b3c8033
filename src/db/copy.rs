//! Every row of one database into another: one transaction, in an order in which no row speaks of one that comes later.
//!
//! It knows the names of the tables and nothing else of them: columns and keys are the schema's.

use std::borrow::Cow;

use serde_json::Value;
use sqlx::{AssertSqlSafe, query, query_as, query_scalar};

use super::engine::Tx;
use super::{Db, DbError};

/// Every table of ours. A new one is put behind those that its rows speak of.
pub const TABLES: &[&str] = &[
    "organizations",
    "projects",
    "tokens",
    "token_projects",
    "symbol_keys",
    "chunks",
    "chunk_owners",
    "debug_files",
    "debug_file_chunks",
    "assemblies",
    "symcaches",
    "derived_files",
    "expired_files",
    "misses",
    "upstreams",
    "upstream_answers",
];

/// The tables that tell one installation from another.
const TELLING: &[&str] = &["organizations", "projects", "tokens"];

/// Rows that are read and written at a time.
const PAGE: i64 = 500;

/// A table as a database has it.
struct Table {
    name: &'static str,
    columns: Vec<Column>,
    key: Vec<String>,
}

struct Column {
    name: String,
    /// As `PostgreSQL` calls it.
    sort: String,
    /// Whether the database numbers the rows by it.
    numbered: bool,
}

/// How the rows of two databases stand to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// The other one has none.
    Empty,
    /// Both are the same installation with as many rows.
    Same,
    /// The other one has rows of its own in this table.
    Other(&'static str),
}

impl Db {
    /// How the rows of `other` stand to those here.
    #[tracing::instrument(level = "debug", skip_all, name = "db.copy.compare")]
    pub async fn likeness(&self, other: &Self) -> Result<Likeness, DbError> {
        let (mut here, mut there) = (self.begin().await?, other.begin().await?);
        patiently(&mut here).await?;
        patiently(&mut there).await?;
        let (mut rows, mut differs) = (0, None);
        for name in TABLES {
            let (mine, theirs) = (count(&mut here, name).await?, count(&mut there, name).await?);
            rows += theirs;
            let differ = mine != theirs
                || TELLING.contains(name) && {
                    let table = describe(&mut there, name).await?;
                    differing(&table, &mut here, &mut there).await? > 0
                };
            if differ && differs.is_none() {
                differs = Some(*name);
            }
        }
        Ok(match differs {
            _ if rows == 0 => Likeness::Empty,
            None => Likeness::Same,
            Some(name) => Likeness::Other(name),
        })
    }

    /// Copies every row to `target`, a `PostgreSQL` whose tables are empty: all of them or none.
    ///
    /// Nobody can write here meanwhile. `progress` hears how many rows were copied, and `bytes` is asked before they count.
    #[tracing::instrument(level = "debug", skip_all, name = "db.copy.rows")]
    pub async fn copy_rows<E, F>(
        &self,
        target: &Self,
        progress: impl Fn(u64),
        bytes: impl FnOnce() -> F,
    ) -> Result<u64, E>
    where
        E: From<DbError>,
        F: Future<Output = Result<(), E>>,
    {
        let mut from = self.begin().await?;
        patiently(&mut from).await?;
        hold(&mut from).await?;
        bytes().await?;
        let mut to = target.begin().await?;
        patiently(&mut to).await?;
        let mut copied = 0;
        for name in TABLES {
            let table = describe(&mut to, name).await?;
            let rows = copy(&table, &mut from, &mut to, |rows| progress(copied + rows)).await?;
            let (here, there) = (count(&mut from, name).await?, count(&mut to, name).await?);
            if here != there || here.unsigned_abs() != rows {
                let reason = format!("{here} rows became {there}; nothing was copied");
                return Err(DbError::BadRow { table: name, reason }.into());
            }
            go_on_counting(&table, &mut from, &mut to).await?;
            copied += rows;
        }
        to.commit().await?;
        Ok(copied)
    }
}

/// Lets the transaction take its time, whatever the settings grant to those of requests.
async fn patiently(tx: &mut Tx) -> Result<(), DbError> {
    if let Tx::Postgres(tx) = tx {
        for limit in ["statement_timeout", "idle_in_transaction_session_timeout"] {
            query(AssertSqlSafe(format!("set local {limit} = 0"))).execute(&mut **tx).await?;
        }
    }
    Ok(())
}

/// Keeps others from writing, until the end of the transaction. `SQLite` does so anyway.
async fn hold(tx: &mut Tx) -> Result<(), DbError> {
    if let Tx::Postgres(tx) = tx {
        let lock = format!("lock table {} in share mode", TABLES.join(", "));
        query(AssertSqlSafe(lock)).execute(&mut **tx).await?;
    }
    Ok(())
}

async fn count(tx: &mut Tx, name: &str) -> Result<i64, DbError> {
    let sql = AssertSqlSafe(format!("select count(*) from {name}"));
    Ok(match tx {
        Tx::Sqlite(tx) => query_scalar(sql).fetch_one(&mut **tx).await?,
        Tx::Postgres(tx) => query_scalar(sql).fetch_one(&mut **tx).await?,
    })
}

/// Columns and key of a table, as the target has them.
async fn describe(to: &mut Tx, name: &'static str) -> Result<Table, DbError> {
    const COLUMNS: &str = "
        select column_name::text, data_type::text, is_identity::text = 'YES' from information_schema.columns
        where table_schema = current_schema() and table_name = $1 order by ordinal_position
    ";
    const KEY: &str = "
        select a.attname::text from pg_index i
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
        where i.indrelid = cast($1 as regclass) and i.indisprimary
        order by array_position(cast(i.indkey as smallint[]), a.attnum)
    ";
    let Tx::Postgres(to) = to else {
        return Err(DbError::BadRow { table: name, reason: "rows are copied to PostgreSQL alone".to_owned() });
    };
    let columns: Vec<(String, String, bool)> = query_as(COLUMNS).bind(name).fetch_all(&mut **to).await?;
    let key = query_scalar(KEY).bind(name).fetch_all(&mut **to).await?;
    let column = |(name, sort, numbered)| Column { name, sort, numbered };
    Ok(Table { name, columns: columns.into_iter().map(column).collect(), key })
}

async fn copy(table: &Table, from: &mut Tx, to: &mut Tx, progress: impl Fn(u64)) -> Result<u64, DbError> {
    let columns = table.columns();
    let insert = format!(
        "insert into {0} ({columns}) overriding system value
         select {columns} from jsonb_populate_recordset(null::{0}, cast($1 as jsonb))",
        table.name
    );
    let (mut copied, mut last) = (0, None);
    loop {
        let page = page(table, from, last.as_deref()).await?;
        let Some(end) = page.last().cloned() else { return Ok(copied) };
        if let Tx::Postgres(to) = to {
            query(AssertSqlSafe(insert.as_str())).bind(array(&page)).execute(&mut **to).await?;
        }
        copied += page.len() as u64;
        progress(copied);
        last = Some(end);
    }
}

/// The next rows as JSON, in the order of their key, behind the row `after`.
async fn page(table: &Table, from: &mut Tx, after: Option<&str>) -> Result<Vec<String>, DbError> {
    let (name, key) = (table.name, table.key.join(", "));
    // Two texts, so that each page begins with a look into the index of the key.
    Ok(match from {
        Tx::Sqlite(from) => {
            let values: Vec<_> = table.columns.iter().map(Column::json).collect();
            let last: Vec<_> = table.key.iter().map(|key| format!("json_extract($1, '$.{key}')")).collect();
            let behind = match after {
                Some(_) => format!("({key}) > ({})", last.join(", ")),
                None => "$1 is null".to_owned(),
            };
            let sql =
                format!("select json_object({}) from {name} where {behind} order by {key} limit $2", values.join(", "));
            query_scalar(AssertSqlSafe(sql)).bind(after).bind(PAGE).fetch_all(&mut **from).await?
        }
        Tx::Postgres(from) => {
            let behind = match after {
                Some(_) => {
                    format!("({key}) > (select {key} from jsonb_populate_record(null::{name}, cast($1 as jsonb)))")
                }
                None => "cast($1 as text) is null".to_owned(),
            };
            let sql = format!("select cast(to_jsonb(t) as text) from {name} t where {behind} order by {key} limit $2");
            query_scalar(AssertSqlSafe(sql)).bind(after).bind(PAGE).fetch_all(&mut **from).await?
        }
    })
}

/// How many rows here are not there in the same words.
async fn differing(table: &Table, here: &mut Tx, there: &mut Tx) -> Result<i64, DbError> {
    let (name, columns) = (table.name, table.columns());
    let sql = format!(
        "select count(*) from (
             select {columns} from jsonb_populate_recordset(null::{name}, cast($1 as jsonb))
             except select {columns} from {name}
         ) d"
    );
    let (mut differing, mut last) = (0, None);
    loop {
        let page = page(table, here, last.as_deref()).await?;
        let (Some(end), Tx::Postgres(there)) = (page.last().cloned(), &mut *there) else { return Ok(differing) };
        let rows: i64 = query_scalar(AssertSqlSafe(sql.as_str())).bind(array(&page)).fetch_one(&mut **there).await?;
        differing += rows;
        last = Some(end);
    }
}

/// Lets the target number new rows from where the source stands, so that no id is ever given twice.
async fn go_on_counting(table: &Table, from: &mut Tx, to: &mut Tx) -> Result<(), DbError> {
    let Some(column) = table.columns.iter().find(|column| column.numbered) else { return Ok(()) };
    let given: Option<i64> = match from {
        Tx::Sqlite(from) => {
            let sql = "select seq from sqlite_sequence where name = $1";
            query_scalar(sql).bind(table.name).fetch_optional(&mut **from).await?
        }
        Tx::Postgres(from) => {
            let sql = "select pg_sequence_last_value(cast(pg_get_serial_sequence($1, $2) as regclass))";
            query_scalar(sql).bind(table.name).bind(&column.name).fetch_one(&mut **from).await?
        }
    };
    if let (Some(given), Tx::Postgres(to)) = (given.filter(|given| *given > 0), to) {
        let sql = "select setval(pg_get_serial_sequence($1, $2), $3)";
        query(sql).bind(table.name).bind(&column.name).bind(given).execute(&mut **to).await?;
    }
    Ok(())
}

/// Rows as one JSON array.
fn array(rows: &[String]) -> String {
    let rows: Vec<_> = rows.iter().map(|row| without_nul(row)).collect();
    format!("[{}]", rows.join(","))
}

/// A row without the one character that texts of `SQLite` may have and those of `PostgreSQL` may not.
fn without_nul(row: &str) -> Cow<'_, str> {
    if !row.contains("\\u0000") {
        return Cow::Borrowed(row);
    }
    let Ok(Value::Object(mut columns)) = serde_json::from_str(row) else { return Cow::Borrowed(row) };
    for value in columns.values_mut() {
        if let Value::String(text) = value {
            *text = text.replace('\0', "\u{fffd}");
        }
    }
    Cow::Owned(Value::Object(columns).to_string())
}

impl Table {
    fn columns(&self) -> String {
        self.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

impl Column {
    /// Name and value of a column of `SQLite` in JSON, so that `PostgreSQL` reads its own type from it.
    fn json(&self) -> String {
        let name = &self.name;
        match self.sort.as_str() {
            "bytea" => format!("'{name}', '\\x' || hex({name})"),
            "uuid" => format!("'{name}', hex({name})"),
            "json" | "jsonb" => format!("'{name}', json({name})"),
            _ => format!("'{name}', {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_character_that_cannot_be_kept_is_replaced() {
        let plain = r#"{"id":9007199254740993,"name":"a\\u0000"}"#;
        assert_eq!(without_nul(plain), r#"{"id":9007199254740993,"name":"a\\u0000"}"#);
        assert_eq!(without_nul(r#"{"id":1,"name":"a\u0000b"}"#), "{\"id\":1,\"name\":\"a\u{fffd}b\"}");
    }
}
