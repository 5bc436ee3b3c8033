//! One text of SQL for two engines: [`Sql`], made by `sql!`, and run by `on_db!` and `on_tx!`.
//!
//! Nothing here knows a table. Writes outside of a transaction are always read to their end (`fetch_all`, `execute`):
//! with `SQLite` an error of the commit comes after the last row, and `fetch_optional` would never see it.

/// One statement in the words of each engine; the same but for the pieces that [`piece`] names.
#[derive(Clone, Copy)]
pub(super) struct Sql {
    /// What `SQLite` is told.
    pub(super) sqlite: &'static str,
    /// What `PostgreSQL` is told.
    pub(super) postgres: &'static str,
}

/// Puts a statement together from text and pieces.
macro_rules! sql {
    ($($part:tt)+) => {
        $crate::db::sql::Sql {
            sqlite: concat!($($crate::db::sql::piece!(sqlite $part)),+),
            postgres: concat!($($crate::db::sql::piece!(postgres $part)),+),
        }
    };
}

/// A piece of a statement:
/// - `[in_texts "$1"]`, `[in_numbers "$1"]`: whether the column before it is in a JSON array. For `PostgreSQL` the list
///   becomes an array first, because of a set of unknown size it would rather read the whole table;
/// - `[rows "$1"]`: the elements of a JSON array as rows with the column `value`;
/// - `[unhex "x"]`: the bytes of hexadecimal digits;
/// - `[json "x"]`: a text as a value for a column of JSON;
/// - `[time "x"]`: a text that `rows::time` wrote as a value for a column of times;
/// - `[lock]`, `[lock_free]`: locks what was selected, waiting for others or passing over what they have. `SQLite` has
///   one writer and needs neither;
/// - `[lock_of_g]`: `[lock]` for the rows of the table `g` of a join;
/// - `[lock_shared]`: locks what was selected against changes, and not against others who lock it so too;
/// - `[lock_values]`: the same as `[lock]` against others who change or delete the rows, and not against those who point at them.
macro_rules! piece {
    ($engine:ident $text:literal) => {
        $text
    };
    (sqlite [in_texts $bind:literal]) => {
        concat!("in (select value from json_each(", $bind, "))")
    };
    (postgres [in_texts $bind:literal]) => {
        concat!("= any (array(select jsonb_array_elements_text(", $bind, "::jsonb)))")
    };
    (sqlite [in_numbers $bind:literal]) => {
        concat!("in (select cast(value as bigint) from json_each(", $bind, "))")
    };
    (postgres [in_numbers $bind:literal]) => {
        concat!("= any (array(select cast(jsonb_array_elements_text(", $bind, "::jsonb) as bigint)))")
    };
    (sqlite [rows $bind:literal]) => {
        concat!("json_each(", $bind, ")")
    };
    (postgres [rows $bind:literal]) => {
        concat!("jsonb_array_elements(", $bind, "::jsonb)")
    };
    (sqlite [unhex $text:literal]) => {
        concat!("unhex(", $text, ")")
    };
    (postgres [unhex $text:literal]) => {
        concat!("decode(", $text, ", 'hex')")
    };
    (sqlite [json $text:literal]) => {
        $text
    };
    (postgres [json $text:literal]) => {
        concat!("cast(", $text, " as jsonb)")
    };
    (sqlite [time $text:literal]) => {
        $text
    };
    (postgres [time $text:literal]) => {
        concat!("cast(", $text, " as timestamptz)")
    };
    (sqlite [lock]) => {
        ""
    };
    (postgres [lock]) => {
        " for update"
    };
    (sqlite [lock_of_g]) => {
        ""
    };
    (postgres [lock_of_g]) => {
        " for update of g"
    };
    (sqlite [lock_values]) => {
        ""
    };
    (postgres [lock_values]) => {
        " for no key update"
    };
    (sqlite [lock_shared]) => {
        ""
    };
    (postgres [lock_shared]) => {
        " for share"
    };
    (sqlite [lock_free]) => {
        ""
    };
    (postgres [lock_free]) => {
        " for update skip locked"
    };
    // A list of columns, or another piece, that its table's file names.
    ($engine:ident ($columns:ident)) => {
        $columns!()
    };
}

/// Runs a query on the pool of whichever engine it is: `on_db!(read self, SQL, |sql, on| query(sql).….await)`.
macro_rules! on_db {
    ($way:ident $db:expr, $sql:expr, |$text:ident, $on:ident| $body:expr) => {
        match $db {
            $crate::db::Db::Sqlite(db) => {
                let ($text, $on) = ($sql.sqlite, &db.$way);
                $body
            }
            $crate::db::Db::Postgres(pool) => {
                let ($text, $on) = ($sql.postgres, pool);
                $body
            }
        }
    };
}

/// Runs a query in a transaction of whichever engine it is.
macro_rules! on_tx {
    ($tx:expr, $sql:expr, |$text:ident, $on:ident| $body:expr) => {
        match $tx {
            $crate::db::engine::Tx::Sqlite(tx) => {
                let ($text, $on) = ($sql.sqlite, &mut **tx);
                $body
            }
            $crate::db::engine::Tx::Postgres(tx) => {
                let ($text, $on) = ($sql.postgres, &mut **tx);
                $body
            }
        }
    };
}

pub(super) use {on_db, on_tx, piece, sql};
