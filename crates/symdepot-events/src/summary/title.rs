//! The title of an event.
//!
//! It is never empty and never has more than one line.

use serde_json::Value;

use super::text;
use crate::Object;
use crate::grouping::host_of;
use crate::normalize::truncated;

/// Most characters of a title.
const MAX_TITLE: usize = 255;
/// The title of an event with neither exception nor message.
const UNLABELED: &str = "<unlabeled event>";

/// The title: of the rule, else of the last exception, else of the report of a browser, else the message.
pub fn title(event: &Object, exception: Option<&Object>, message: &str, rule_title: Option<&str>) -> String {
    let line = |text: &str| Some(first_line(text).to_owned()).filter(|line| !line.is_empty());
    let csp = || Some(of_csp(event.get("csp").and_then(Value::as_object)?));
    let title = rule_title.and_then(line).or_else(|| of_exception(exception?)).or_else(csp).or_else(|| line(message));
    truncated(first_line(title.as_deref().unwrap_or(UNLABELED)), MAX_TITLE).to_owned()
}

fn of_exception(exception: &Object) -> Option<String> {
    let line = |key: &str| first_line(text(exception, key).unwrap_or_default());
    match (line("type"), line("value")) {
        ("", "") => None,
        (one, "") | ("", one) => Some(one.to_owned()),
        (kind, value) => Some(format!("{kind}: {value}")),
    }
}

/// `Blocked 'script' from 'evil.example'`.
fn of_csp(csp: &Object) -> String {
    let violated = || text(csp, "violated_directive")?.split_whitespace().next();
    let directive = text(csp, "effective_directive").or_else(violated).unwrap_or_default();
    let ends = ["-src", "-src-elem", "-src-attr"];
    let what = ends.iter().find_map(|end| directive.strip_suffix(end)).unwrap_or(directive);
    let from = match text(csp, "blocked_uri").unwrap_or_default() {
        "" | "self" | "'self'" => "self".to_owned(),
        uri => host_of(uri).unwrap_or_else(|| uri.split(':').next().unwrap_or_default().to_owned()),
    };
    format!("Blocked '{what}' from '{from}'")
}

/// The first line that is not blank, without blanks around it.
fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default().trim()
}
