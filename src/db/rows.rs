//! Between rows and values: how texts and numbers of several tables are written and read back.
//!
//! Nothing here runs a query.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};

use super::DbError;
use crate::types::limits::shortened;
use crate::types::{BlobRef, Sha1};

/// Reads a word or an id back from `table`.
pub(super) fn parse<T>(table: &'static str, text: &str) -> Result<T, DbError>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error: T::Err| DbError::BadRow { table, reason: format!("{text:?}: {error}") })
}

/// Reads a size back from `table`.
pub(super) fn size(table: &'static str, number: i64) -> Result<u64, DbError> {
    u64::try_from(number).map_err(|_| DbError::BadRow { table, reason: format!("a size of {number}") })
}

/// A size as rows have it.
pub(super) fn number(size: u64) -> i64 {
    i64::try_from(size).expect("nothing has 2^63 bytes")
}

/// Reads the four columns of a blob back from `table`.
pub(super) fn blob(
    table: &'static str,
    key: String,
    encoding: &str,
    full: i64,
    stored: i64,
) -> Result<BlobRef, DbError> {
    Ok(BlobRef { key, encoding: parse(table, encoding)?, size: size(table, full)?, stored_size: size(table, stored)? })
}

/// Checksums end to end, 20 bytes each, in hexadecimal digits.
pub(super) fn join_sha1s(sha1s: &[Sha1]) -> String {
    let mut bytes = Vec::with_capacity(sha1s.len() * 20);
    for sha1 in sha1s {
        bytes.extend_from_slice(sha1.as_bytes());
    }
    hex::encode(bytes)
}

/// Takes checksums apart that stand end to end in a row of `table`.
pub(super) fn split_sha1s(table: &'static str, bytes: &[u8]) -> Result<Vec<Sha1>, DbError> {
    let (sha1s, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        return Err(DbError::BadRow { table, reason: format!("{} bytes of checksums", bytes.len()) });
    }
    Ok(sha1s.iter().map(|sha1| Sha1::from_bytes(*sha1)).collect())
}

/// A list for one parameter. Its values are numbers, checksums and keys, which JSON always has words for.
pub(super) fn json<T: serde::Serialize + ?Sized>(values: &T) -> String {
    serde_json::to_string(values).expect("texts and numbers are JSON")
}

/// Text from outside as both engines can keep it: `PostgreSQL` has no character for zero.
pub(super) fn text(from_outside: &str) -> Cow<'_, str> {
    match from_outside.contains('\0') {
        true => Cow::Owned(from_outside.replace('\0', "\u{fffd}")),
        false => Cow::Borrowed(from_outside),
    }
}

/// Text from outside as a column keeps it that holds `limit` bytes: the net below the checks where a text enters, which
/// answer the sender or have a rule of their own.
pub(super) fn fitted(from_outside: &str, limit: usize) -> Cow<'_, str> {
    match text(from_outside) {
        Cow::Borrowed(text) => shortened(text, limit),
        Cow::Owned(text) => Cow::Owned(shortened(&text, limit).into_owned()),
    }
}

/// A time as an element of a list, in the form in which `SQLite` keeps it.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

/// The row id that `text` may be in decimal.
pub(super) fn row_id(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_end_to_end_come_apart_again() {
        let sha1s = [Sha1::of(b"a"), Sha1::of(b"b"), Sha1::of(b"a")];
        let bytes = hex::decode(join_sha1s(&sha1s)).unwrap();
        assert_eq!(split_sha1s("assemblies", &bytes).unwrap(), sha1s);
        assert!(split_sha1s("assemblies", &bytes[1..]).is_err());
    }

    #[test]
    fn only_plain_digits_are_a_row_id() {
        assert_eq!(row_id("42"), Some(42));
        for text in ["", "+1", "-1", "1a", "99999999999999999999"] {
            assert_eq!(row_id(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_text_fits_its_column_with_its_zero_characters_replaced() {
        assert_eq!(fitted("a\0b", 5), "a\u{fffd}b");
        assert_eq!(fitted("a\0b", 4), "a…");
    }

    #[test]
    fn a_zero_character_is_replaced() {
        assert_eq!(text("a\0b"), "a\u{fffd}b");
    }
}
