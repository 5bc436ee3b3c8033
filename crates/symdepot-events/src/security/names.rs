//! Names of the fields of a report: browsers write `blocked-uri`, the Reporting API `blockedURL`, events have `blocked_uri`.
//!
//! It never changes a value.

use crate::Object;

/// Longest name that is kept, in bytes; those of browsers have less than 40.
const MAX_NAME: usize = 200;

/// The report with all names in snake case. Of two names that become the same the first counts.
pub(super) fn in_snake_case(kind: &str, report: Object) -> Object {
    let mut renamed = Object::new();
    for (name, value) in report {
        if name.len() > MAX_NAME {
            continue;
        }
        let mut name = snake_case(&name);
        if kind == "csp" {
            name = csp_name(name);
        }
        renamed.entry(name).or_insert(value);
    }
    renamed
}

/// Names of the Reporting API that differ by more than their case.
fn csp_name(name: String) -> String {
    match name.as_str() {
        "document_url" => "document_uri".to_owned(),
        "blocked_url" => "blocked_uri".to_owned(),
        "sample" => "script_sample".to_owned(),
        _ => name,
    }
}

/// `documentURL` → `document_url`, `line-number` → `line_number`.
fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut chars = name.chars().peekable();
    let mut before_is_lower = false;
    while let Some(char) = chars.next() {
        if char.is_ascii_uppercase() {
            // The last capital of several begins the next word: `URLPath` → `url_path`.
            let begins_word = before_is_lower
                || out.bytes().last().is_some_and(|last| last.is_ascii_lowercase())
                    && chars.peek().is_some_and(char::is_ascii_lowercase);
            if begins_word {
                out.push('_');
            }
            out.push(char.to_ascii_lowercase());
        } else {
            out.push(if char == '-' || char == ' ' { '_' } else { char });
        }
        before_is_lower = char.is_ascii_lowercase() || char.is_ascii_digit();
    }
    out
}
