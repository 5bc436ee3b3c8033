//! Replaces in checked JSON what could not be read or stored: bytes that are not UTF-8, NUL and lone surrogates become U+FFFD, and
//! numbers that no float can hold become texts.
//!
//! It never changes anything else, so JSON without these is borrowed as it is.

use std::borrow::Cow;

use super::json_check::{Checked, text_end};

/// The text of JSON that [`super::json_check::check`] accepted, ready to be parsed.
pub fn clean<'a>(json: &'a [u8], checked: &Checked) -> Cow<'a, str> {
    // Nearly every event is UTF-8, and finding that out is quicker than looking for what to replace.
    let mut text = std::str::from_utf8(json).map_or_else(|_| String::from_utf8_lossy(json), Cow::Borrowed);
    if checked.needs_cleaning {
        text = Cow::Owned(with_replacements(&text));
    }
    if checked.has_large_number {
        text = Cow::Owned(with_quoted_numbers(&text));
    }
    text
}

/// The number of the escape `\uXXXX` at `at`.
pub fn unit_at(json: &[u8], at: usize) -> Option<u32> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

/// Replaces NUL, its escape, and lone surrogates.
fn with_replacements(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len() + 16);
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = bytes[at..].iter().position(|byte| matches!(byte, b'\\' | 0)) {
        let start = at + found;
        let (length, is_replaced) = match (bytes[start], unit_at(bytes, start)) {
            (0, _) => (1, true),
            (_, Some(0 | 0xdc00..=0xdfff)) => (6, true),
            (_, Some(0xd800..=0xdbff)) => match unit_at(bytes, start + 6) {
                Some(0xdc00..=0xdfff) => (12, false),
                _ => (6, true),
            },
            (_, Some(_)) => (6, false),
            (_, None) => (2, false),
        };
        at = (start + length).min(bytes.len());
        if is_replaced {
            out.push_str(&text[copied..start]);
            out.push('\u{fffd}');
            copied = at;
        }
    }
    out.push_str(&text[copied..]);
    out
}

/// Puts quotes around numbers that are out of range.
fn with_quoted_numbers(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len() + 16);
    let (mut copied, mut at) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = text_end(bytes, at),
            b'-' | b'0'..=b'9' => {
                let start = at;
                while bytes.get(at).is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
                    at += 1;
                }
                let number = &text[start..at];
                if serde_json::from_str::<serde_json::Value>(number).is_err() {
                    for part in [&text[copied..start], "\"", number, "\""] {
                        out.push_str(part);
                    }
                    copied = at;
                }
            }
            _ => at += 1,
        }
    }
    out.push_str(&text[copied..]);
    out
}
