//! The form of an assemble request, and what is said of a request of another form.
//!
//! The sentences equal those of Python's `jsonschema` over the schema that Sentry publishes for this endpoint: the
//! shallowest fault is named first, values are written as Python writes them.

use serde_json::{Map, Value};

use crate::types::Sha1;
use crate::uploads::Wanted;

const CHECKSUM: &str = "^[0-9a-f]{40}$";
const DEBUG_ID: &str = "^[A-Fa-f0-9-]+$";

/// Longest value that is repeated in a sentence, in characters.
const LONGEST_VALUE: usize = 200;

/// The request is of another form; one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaError(pub String);

/// Reads a batch of wanted files.
pub fn wanted_files(body: &[u8]) -> Result<Vec<Wanted>, SchemaError> {
    let value: Value = serde_json::from_slice(body).map_err(|_| SchemaError("Invalid json body".to_owned()))?;
    let Value::Object(entries) = &value else { return Err(not_of_type(&value, "object")) };
    check_keys(entries)?;
    for entry in entries.values() {
        check_entry(entry)?;
    }
    for entry in entries.values() {
        check_fields(entry)?;
    }
    entries.iter().map(|(key, entry)| wanted_file(key, entry)).collect()
}

fn check_keys(entries: &Map<String, Value>) -> Result<(), SchemaError> {
    let mut bad: Vec<_> = entries.keys().filter(|key| key.parse::<Sha1>().is_err()).collect();
    bad.sort();
    let verb = match bad.len() {
        0 => return Ok(()),
        1 => "does",
        _ => "do",
    };
    let names: Vec<_> = bad.into_iter().map(|key| python(&Value::String(key.clone()))).collect();
    Err(SchemaError(format!("{} {verb} not match any of the regexes: '{CHECKSUM}'", shorten(names.join(", ")))))
}

fn check_entry(entry: &Value) -> Result<(), SchemaError> {
    let Value::Object(fields) = entry else { return Err(not_of_type(entry, "object")) };
    for name in ["name", "chunks"] {
        if !fields.contains_key(name) {
            return Err(SchemaError(format!("'{name}' is a required property")));
        }
    }
    Ok(())
}

fn check_fields(entry: &Value) -> Result<(), SchemaError> {
    if !entry["name"].is_string() {
        return Err(not_of_type(&entry["name"], "string"));
    }
    if let Some(debug_id) = entry.get("debug_id") {
        let Value::String(text) = debug_id else { return Err(not_of_type(debug_id, "string")) };
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
            return Err(no_match(debug_id, DEBUG_ID));
        }
    }
    let Value::Array(chunks) = &entry["chunks"] else { return Err(not_of_type(&entry["chunks"], "array")) };
    for chunk in chunks {
        let Value::String(text) = chunk else { return Err(not_of_type(chunk, "string")) };
        if text.parse::<Sha1>().is_err() {
            return Err(no_match(chunk, CHECKSUM));
        }
    }
    Ok(())
}

/// Reads one entry whose form was checked.
fn wanted_file(key: &str, entry: &Value) -> Result<Wanted, SchemaError> {
    let bad = |_| SchemaError("Invalid json body".to_owned());
    // No database keeps a zero character, so nothing behind this door shall meet one.
    let text = |value: &Value| value.as_str().unwrap_or_default().replace('\0', "\u{fffd}");
    let chunks = entry["chunks"].as_array().map_or(&[][..], Vec::as_slice);
    Ok(Wanted {
        sha1: key.parse().map_err(bad)?,
        name: text(&entry["name"]),
        debug_id: entry.get("debug_id").map(text),
        chunks: chunks.iter().map(|chunk| text(chunk).parse().map_err(bad)).collect::<Result<_, _>>()?,
    })
}

fn not_of_type(value: &Value, wanted: &str) -> SchemaError {
    SchemaError(format!("{} is not of type '{wanted}'", shorten(python(value))))
}

fn no_match(value: &Value, pattern: &str) -> SchemaError {
    SchemaError(format!("{} does not match '{pattern}'", shorten(python(value))))
}

fn shorten(text: String) -> String {
    match text.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A value as Python writes it.
fn python(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => python_string(text),
        Value::Array(items) => format!("[{}]", items.iter().map(python).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|(key, value)| format!("{}: {}", python_string(key), python(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

/// A string as Python writes it: in single quotes, unless only those stand in it.
fn python_string(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut written = String::from(quote);
    for character in text.chars() {
        match character {
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            '\\' => written.push_str("\\\\"),
            c if c == quote => written.extend(['\\', c]),
            c if c.is_control() => written.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => written.push(c),
        }
    }
    written.push(quote);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said_of(body: &str) -> String {
        wanted_files(body.as_bytes()).expect_err(body).0
    }

    #[test]
    fn the_sentences_are_those_of_jsonschema() {
        let key = "a".repeat(40);
        let of = |entry: &str| said_of(&format!("{{\"{key}\": {entry}}}"));
        assert_eq!(said_of("{"), "Invalid json body");
        assert_eq!(said_of("[]"), "[] is not of type 'object'");
        assert_eq!(said_of(r#"{"lol": 1}"#), "'lol' does not match any of the regexes: '^[0-9a-f]{40}$'");
        assert_eq!(said_of(r#"{"b": 1, "a": 2}"#), "'a', 'b' do not match any of the regexes: '^[0-9a-f]{40}$'");
        assert_eq!(of("\"test\""), "'test' is not of type 'object'");
        assert_eq!(of("{}"), "'name' is a required property");
        assert_eq!(of(r#"{"name": "x"}"#), "'chunks' is a required property");
        assert_eq!(of(r#"{"name": 1, "chunks": []}"#), "1 is not of type 'string'");
        assert_eq!(of(r#"{"name": "x", "chunks": "y"}"#), "'y' is not of type 'array'");
        assert_eq!(of(r#"{"name": "x", "chunks": ["zz"]}"#), "'zz' does not match '^[0-9a-f]{40}$'");
        assert_eq!(of(r#"{"name": "x", "chunks": [], "debug_id": null}"#), "None is not of type 'string'");
        assert_eq!(
            of(r#"{"name": "x", "chunks": [], "debug_id": "invalid-debug-id"}"#),
            "'invalid-debug-id' does not match '^[A-Fa-f0-9-]+$'"
        );
        assert_eq!(
            of(r#"{"name": {"it's": [true, 1.5, "\"'\\"]}, "chunks": []}"#),
            r#"{"it's": [True, 1.5, '"\'\\']} is not of type 'string'"#
        );
    }

    #[test]
    fn a_long_value_is_not_repeated_whole() {
        assert!(said_of(&format!("[\"{}\"]", "é".repeat(100_000))).chars().count() < 250);
    }

    #[test]
    fn extra_fields_are_accepted_and_repeats_kept() {
        let sha1 = Sha1::of(b"x");
        let body = format!(r#"{{"{sha1}": {{"name": "n", "chunks": ["{sha1}", "{sha1}"], "more": 1}}}}"#);
        let wanted = wanted_files(body.as_bytes()).expect("well formed");
        assert_eq!(wanted[0].chunks, [sha1, sha1]);
        assert_eq!(wanted_files(b"{}"), Ok(Vec::new()));
    }
}
