//! Texts and values within limits. Lengths of texts count characters, sizes of values count bytes of JSON.
//!
//! It never cuts within a character, and applying a limit twice changes nothing.

use std::borrow::Cow;

use serde_json::{Number, Value};

/// Most bytes of a value whose content the client chooses freely.
const MAX_SIZE: usize = 256 << 10;
/// Deepest level of lists and objects in such a value; deeper ones become text.
const MAX_DEPTH: usize = 10;
/// The end of a truncated text.
const ELLIPSIS: char = '…';

/// The first `max` characters of a text.
pub fn truncated(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    text.char_indices().nth(max).map_or(text, |(end, _)| &text[..end])
}

/// Truncates a text to `max` characters, of which the last is then `…`.
pub fn truncate_with_ellipsis(text: &mut String, max: usize) {
    let kept = truncated(text, max);
    if kept.len() < text.len() {
        let end = truncated(kept, max.saturating_sub(1)).len();
        text.truncate(end);
        text.push(ELLIPSIS);
    }
}

/// A text in one line of at most `max` characters, without blanks around it.
pub fn one_line(text: &str, max: usize) -> String {
    let text = text.trim();
    let text = match text.contains(['\n', '\r']) {
        true => Cow::Owned(truncated(text, max).replace(['\n', '\r'], " ")),
        false => Cow::Borrowed(text),
    };
    truncated(&text, max).trim_end().to_owned()
}

/// Bounds size and depth of a value: texts are truncated, entries that no longer fit are dropped.
pub fn bound(value: &mut Value) {
    let mut left = MAX_SIZE;
    bound_level(value, 1, &mut left);
}

fn bound_level(value: &mut Value, level: usize, left: &mut usize) {
    if level > MAX_DEPTH && (value.is_object() || value.is_array()) {
        *value = Value::String(value.to_string());
    }
    match value {
        Value::String(text) => bound_text(text, left),
        Value::Array(list) => {
            take(left, 2);
            let mut kept = 0;
            for entry in &mut *list {
                if *left == 0 {
                    break;
                }
                bound_level(entry, level + 1, left);
                take(left, 1);
                kept += 1;
            }
            list.truncate(kept);
        }
        Value::Object(object) => {
            take(left, 2);
            object.retain(|key, entry| {
                // Quotes, colon and comma.
                let size = size_in_json(key) + 4;
                let fits = size < *left;
                if fits {
                    *left -= size;
                    bound_level(entry, level + 1, left);
                }
                fits
            });
        }
        Value::Number(number) => take(left, size_of_number(number)),
        Value::Null | Value::Bool(_) => take(left, 5),
    }
}

fn bound_text(text: &mut String, left: &mut usize) {
    if size_in_json(text) + 2 > *left {
        let max = left.saturating_sub(2 + ELLIPSIS.len_utf8());
        text.truncate(end_within(text, max));
        text.push(ELLIPSIS);
    }
    take(left, size_in_json(text) + 2);
}

fn take(left: &mut usize, size: usize) {
    *left = left.saturating_sub(size);
}

/// Bytes that a text takes in JSON, without its quotes.
fn size_in_json(text: &str) -> usize {
    let is_escaped = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    match text.bytes().filter(|byte| is_escaped(*byte)).count() {
        0 => text.len(),
        _ => text.bytes().map(size_of_byte).sum(),
    }
}

/// Where the longest prefix of at most `max` bytes of JSON ends.
fn end_within(text: &str, max: usize) -> usize {
    let mut size = 0;
    let mut fits = |byte: &u8| {
        size += size_of_byte(*byte);
        size <= max
    };
    text.floor_char_boundary(text.as_bytes().iter().take_while(|byte| fits(byte)).count())
}

fn size_of_byte(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
        0..=0x1f => 6,
        _ => 1,
    }
}

fn size_of_number(number: &Number) -> usize {
    let digits = |number: u64| number.checked_ilog10().unwrap_or_default() as usize + 1;
    match (number.as_u64(), number.as_i64()) {
        (Some(number), _) => digits(number),
        (None, Some(negative)) => digits(negative.unsigned_abs()) + 1,
        (None, None) => number.to_string().len(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bounded_value_fits_as_json_and_is_bounded_once() {
        let many: serde_json::Map<String, Value> = (0..100_000).map(|n| (format!("k{n}"), n.into())).collect();
        for mut value in [
            json!("x".repeat(10_000_000)),
            json!({ "a": "\"\n\u{1}ä".repeat(200_000), "b": 1, "": [] }),
            json!(vec!["0123456789é"; 100_000]),
            json!(vec![-1.5e300; 100_000]),
            Value::Object(many),
        ] {
            bound(&mut value);
            let size = value.to_string().len();
            assert!((MAX_SIZE - 64..=MAX_SIZE + 8).contains(&size), "{size}");
            let once = value.clone();
            bound(&mut value);
            assert!(value == once, "{size}");
        }
    }

    #[test]
    fn the_eleventh_level_becomes_text() {
        let mut value = json!([[[[[[[[[[[1, { "a": [] }]]]]]]]]]]]);
        bound(&mut value);
        assert_eq!(value, json!([[[[[[[[[["[1,{\"a\":[]}]"]]]]]]]]]]));
    }

    #[test]
    fn texts_are_cut_at_characters() {
        for (text, max, expected) in [("äöü", 3, "äöü"), ("äöüx", 3, "äö…"), ("", 3, ""), ("ab", 1, "…")]
        {
            let mut cut = text.to_owned();
            truncate_with_ellipsis(&mut cut, max);
            assert_eq!(cut, expected, "{text}");
        }
        for (text, max, expected) in [(" a\r\nb \n", 9, "a  b"), ("ab cd", 3, "ab"), ("äöü", 2, "äö"), (" \n ", 3, "")]
        {
            assert_eq!(one_line(text, max), expected, "{text}");
        }
    }
}
