//! The longest texts that rows hold, in bytes of UTF-8: the same on both engines, and short enough for every index.
//!
//! A row of a `PostgreSQL` index holds 2 704 bytes, so the texts of one index stay below that together. What a person
//! types is refused where it is longer; what comes out of files, archives and other servers is shortened, because it
//! must never cost a file. Nothing here knows a table.

use std::borrow::Cow;

/// Name of a file: of an upload, a debug file, or what was looked for.
pub const NAME: usize = 1024;
/// Debug id as a client wrote it. A canonical one has 45 bytes at most.
pub const GIVEN_DEBUG_ID: usize = 64;
/// Identity of a file in canonical form: a debug id, or a code id.
pub const FILE_ID: usize = 255;
/// Slug of an organization or a project.
pub const SLUG: usize = 50;
/// Name that a person gave a token or a key.
pub const LABEL: usize = 200;
/// Address of another server, and path below it.
pub const ADDRESS: usize = 1024;
/// A word of ours, a version, a checksum, a key of bytes, a short list of one of them.
pub const WORD: usize = 255;
/// A message: why something failed, or a remark. In no index.
pub const MESSAGE: usize = 4096;

/// Message of an event, or what a user wrote about one. In no index.
pub const EVENT_MESSAGE: usize = 64 << 10;
/// Rules of a project for grouping, as text. In no index.
pub const RULES: usize = 256 << 10;

/// `text` without control characters: each is replaced by U+FFFD, so that a name harms no terminal and no header.
pub fn plain(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        Cow::Owned(text.replace(char::is_control, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The beginning of `text`, with `…` in place of its end if it has more than `limit` bytes.
pub fn shortened(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(limit - '…'.len_utf8());
    Cow::Owned(format!("{}…", &text[..end]))
}

/// The name of a file as it is stored: plain, and with `…` in place of its beginning if it is longer than [`NAME`], for
/// the end of a path says what the file is.
pub fn file_name(text: &str) -> Cow<'_, str> {
    let plain = plain(text);
    if plain.len() <= NAME {
        return plain;
    }
    let begin = plain.ceil_char_boundary(plain.len() - (NAME - '…'.len_utf8()));
    Cow::Owned(format!("…{}", &plain[begin..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays_as_it_is() {
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(file_name(&"é".repeat(NAME / 2)), "é".repeat(NAME / 2));
        assert_eq!(plain("naïve \u{1f600}"), "naïve \u{1f600}");
    }

    #[test]
    fn what_is_too_long_keeps_the_part_that_says_most() {
        assert_eq!(shortened("abcdef", 5), "ab…");
        assert_eq!(shortened("aéédef", 7), "aé…", "never half a character");
        let name = format!("{}/libcalc.so", "é".repeat(NAME));
        let short = file_name(&name);
        assert!(short.len() <= NAME && short.starts_with("…é") && short.ends_with("é/libcalc.so"), "{short}");
    }

    #[test]
    fn control_characters_are_replaced_and_counted_as_they_are_stored() {
        assert_eq!(plain("a\0b\u{1b}[31m\u{85}"), "a\u{fffd}b\u{fffd}[31m\u{fffd}");
        assert!(file_name(&"\u{1b}".repeat(NAME)).len() <= NAME);
    }
}
