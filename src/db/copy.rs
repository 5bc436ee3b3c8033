//! Every row of one database into another: one transaction, in an order in which no row speaks of one that comes later.
//!
//! It knows the names of the tables and nothing else of them: columns and keys are the schema's.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;
use sqlx::{AssertSqlSafe, query, query_as, query_scalar};

use super::engine::Tx;
use super::tables::{TABLES, TELLING};
use super::{Db, DbError};

/// Rows that are read and written at a time.
const PAGE: i64 = 500;

/// How `PostgreSQL` calls the sort of a time.
const TIME: &str = "timestamp with time zone";

/// A table as `PostgreSQL` has it.
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
                    let table = describe(&mut here, &mut there, name).await?;
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

    /// Copies every row to `target`, whose tables are empty: all of them or none. One of both is `PostgreSQL`.
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
            let table = describe(&mut from, &mut to, name).await?;
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

/// Columns and key of a table, as `PostgreSQL` has them, whichever of both it is.
async fn describe(from: &mut Tx, to: &mut Tx, name: &'static str) -> Result<Table, DbError> {
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
    let ((Tx::Postgres(one), _) | (_, Tx::Postgres(one))) = (from, to) else {
        let reason = "rows are copied from or to PostgreSQL; the file of SQLite is copied as a file".to_owned();
        return Err(DbError::BadRow { table: name, reason });
    };
    let columns: Vec<(String, String, bool)> = query_as(COLUMNS).bind(name).fetch_all(&mut **one).await?;
    let key = query_scalar(KEY).bind(name).fetch_all(&mut **one).await?;
    let column = |(name, sort, numbered)| Column { name, sort, numbered };
    Ok(Table { name, columns: columns.into_iter().map(column).collect(), key })
}

async fn copy(table: &Table, from: &mut Tx, to: &mut Tx, progress: impl Fn(u64)) -> Result<u64, DbError> {
    let (columns, rows) = (table.columns(), table.rows(to));
    let (mut copied, mut last) = (0, None);
    loop {
        let page = page(table, from, last.as_deref()).await?;
        let Some(end) = page.last().cloned() else { return Ok(copied) };
        let rows_of_page = table.array(to, &page);
        match to {
            Tx::Sqlite(to) => {
                let insert = format!("insert into {} ({columns}) {rows}", table.name);
                query(AssertSqlSafe(insert)).bind(rows_of_page).execute(&mut **to).await.map(drop)?;
            }
            Tx::Postgres(to) => {
                let insert = format!("insert into {} ({columns}) overriding system value {rows}", table.name);
                query(AssertSqlSafe(insert)).bind(rows_of_page).execute(&mut **to).await.map(drop)?;
            }
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
    let (name, columns, rows) = (table.name, table.columns(), table.rows(there));
    let sql = format!("select count(*) from ({rows} except select {columns} from {name}) d");
    let (mut differing, mut last) = (0, None);
    loop {
        let page = page(table, here, last.as_deref()).await?;
        let Some(end) = page.last().cloned() else { return Ok(differing) };
        let (rows, sql) = (table.array(there, &page), AssertSqlSafe(sql.as_str()));
        let rows: i64 = match &mut *there {
            Tx::Sqlite(there) => query_scalar(sql).bind(rows).fetch_one(&mut **there).await?,
            Tx::Postgres(there) => query_scalar(sql).bind(rows).fetch_one(&mut **there).await?,
        };
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
    let Some(given) = given.filter(|given| *given > 0) else { return Ok(()) };
    match to {
        Tx::Sqlite(to) => {
            query("delete from sqlite_sequence where name = $1").bind(table.name).execute(&mut **to).await?;
            let sql = "insert into sqlite_sequence (name, seq) values ($1, $2)";
            query(sql).bind(table.name).bind(given).execute(&mut **to).await?;
        }
        Tx::Postgres(to) => {
            let sql = "select setval(pg_get_serial_sequence($1, $2), $3)";
            query(sql).bind(table.name).bind(&column.name).bind(given).execute(&mut **to).await?;
        }
    }
    Ok(())
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

    /// The rows of a JSON array, as a database would have them.
    fn rows(&self, there: &Tx) -> String {
        match there {
            Tx::Sqlite(_) => {
                let values: Vec<_> = self.columns.iter().map(Column::of_json).collect();
                format!("select {} from json_each($1)", values.join(", "))
            }
            Tx::Postgres(_) => {
                let (name, columns) = (self.name, self.columns());
                format!("select {columns} from jsonb_populate_recordset(null::{name}, cast($1 as jsonb))")
            }
        }
    }

    /// Rows as one JSON array that a database reads.
    fn array(&self, there: &Tx, rows: &[String]) -> String {
        let read = rows.iter().map(|row| match there {
            Tx::Sqlite(_) => self.with_times(row),
            Tx::Postgres(_) => without_nul(row),
        });
        format!("[{}]", read.collect::<Vec<_>>().join(","))
    }

    /// A row with its times as we write them, because `SQLite` compares them as texts.
    fn with_times<'a>(&self, row: &'a str) -> Cow<'a, str> {
        let Ok(Value::Object(mut values)) = serde_json::from_str(row) else { return Cow::Borrowed(row) };
        for column in self.columns.iter().filter(|column| column.sort == TIME) {
            let Some(Value::String(text)) = values.get_mut(&column.name) else { continue };
            if let Ok(time) = text.parse::<DateTime<Utc>>() {
                *text = time.to_rfc3339_opts(SecondsFormat::AutoSi, false);
            }
        }
        Cow::Owned(Value::Object(values).to_string())
    }
}

impl Column {
    /// The value of a column for `SQLite`, from the JSON that `PostgreSQL` makes of it.
    fn of_json(&self) -> String {
        let value = format!("value ->> '$.{}'", self.name);
        match self.sort.as_str() {
            "bytea" => format!("unhex(substr({value}, 3))"),
            _ => value,
        }
    }

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
    fn times_stand_as_sqlx_writes_them() {
        let column = |name: &str, sort: &str| Column { name: name.to_owned(), sort: sort.to_owned(), numbered: false };
        let columns = vec![column("id", "bigint"), column("at", TIME), column("gone_at", TIME), column("name", "text")];
        let table = Table { name: "t", columns, key: vec!["id".to_owned()] };
        let row = |at: &str| {
            format!(r#"{{"id":9007199254740993,"at":"{at}","gone_at":null,"name":"2026-01-01T00:00:00+00:00"}}"#)
        };
        for (read, written) in [
            ("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00"),
            ("2026-01-01T00:00:00.12+00:00", "2026-01-01T00:00:00.120+00:00"),
            ("2026-01-01T00:00:00.1234+00:00", "2026-01-01T00:00:00.123400+00:00"),
        ] {
            assert_eq!(table.with_times(&row(read)), row(written));
        }
    }

    #[test]
    fn only_the_character_that_cannot_be_kept_is_replaced() {
        let plain = r#"{"id":9007199254740993,"name":"a\\u0000"}"#;
        assert_eq!(without_nul(plain), r#"{"id":9007199254740993,"name":"a\\u0000"}"#);
        assert_eq!(without_nul(r#"{"id":1,"name":"a\u0000b"}"#), "{\"id\":1,\"name\":\"a\u{fffd}b\"}");
    }
}
