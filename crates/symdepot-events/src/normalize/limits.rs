//! Texts and values within limits.

use serde_json::Value;

/// Most bytes of a value that a client chose freely.
const LARGEST: usize = 256 << 10;
/// Deepest level; what is deeper becomes text.
const DEEPEST: usize = 10;

/// Cuts a text to so many characters; one that was cut ends in `…`.
pub fn cut(text: &mut String, most: usize) {
    if text.len() <= most {
        return;
    }
    let mut ends = text.char_indices().map(|(at, _)| at).skip(most - 1);
    if let (Some(end), Some(_)) = (ends.next(), ends.next()) {
        text.truncate(end);
        text.push('…');
    }
}

/// A text in one line, of at most so many characters.
pub fn one_line(text: &str, most: usize) -> String {
    let line = text.replace(['\n', '\r'], " ");
    match line.char_indices().nth(most) {
        Some((end, _)) => line[..end].trim().to_owned(),
        None => line.trim().to_owned(),
    }
}

/// Keeps a value within its size and depth.
pub fn within(value: &mut Value) {
    let mut left = LARGEST;
    limit(value, 0, &mut left);
}

fn limit(value: &mut Value, depth: usize, left: &mut usize) {
    if depth >= DEEPEST && (value.is_object() || value.is_array()) {
        *value = Value::String(value.to_string());
    }
    match value {
        Value::String(text) => {
            if text.len() > *left {
                text.truncate(text.floor_char_boundary(left.saturating_sub('…'.len_utf8())));
                text.push('…');
            }
            *left = left.saturating_sub(text.len() + 2);
        }
        Value::Array(list) => {
            let mut kept = 0;
            while kept < list.len() && *left > 0 {
                limit(&mut list[kept], depth + 1, left);
                kept += 1;
            }
            list.truncate(kept);
        }
        Value::Object(object) => {
            let mut dropped = Vec::new();
            for (key, entry) in object.iter_mut() {
                if *left <= key.len() {
                    dropped.push(key.clone());
                    continue;
                }
                *left -= key.len();
                limit(entry, depth + 1, left);
            }
            if !dropped.is_empty() {
                let dropped: std::collections::HashSet<String> = dropped.into_iter().collect();
                object.retain(|key, _| !dropped.contains(key));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => *left = left.saturating_sub(8),
    }
}
