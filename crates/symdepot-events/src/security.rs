//! Reports that browsers send by themselves: violations of a content security policy, and of certificate policies.
//!
//! It never decides how a report is grouped or titled: the event has the report under the key of its kind.

pub(crate) mod json;
mod names;

use serde_json::{Value, json};

use crate::Object;

/// Most reports of one body.
pub const MAX_REPORTS: usize = 1_000;

/// What a body has to be; the reason of a refusal.
const EXPECTED: &str = "The body must be a report of a browser: an object with csp-report, expect-ct-report, known-pins or \
                        expect-staple-report, or a list of reports.";

/// The events of a body, and whether it was a list, which is answered without an id.
///
/// `query` has the parameters of the request; `sentry_environment` and `sentry_release` become fields of the events. In a list
/// other types than `csp-violation` are dropped. The error is a sentence for the client: the request is refused by 400.
pub fn reports(body: &[u8], query: &[(String, String)]) -> Result<(Vec<Object>, bool), String> {
    let body: Value =
        json::parse(&String::from_utf8_lossy(body)).map_err(|error| format!("The body is not valid JSON: {error}."))?;
    let (mut events, is_list) = match body {
        Value::Array(list) => (list_events(list)?, true),
        Value::Object(object) => (vec![single_event(object)?], false),
        _ => return Err(EXPECTED.to_owned()),
    };
    for event in &mut events {
        for (parameter, field) in [("sentry_environment", "environment"), ("sentry_release", "release")] {
            let value = query.iter().find(|(name, value)| name == parameter && !value.is_empty());
            if let Some((_, value)) = value {
                event.insert(field.to_owned(), value.as_str().into());
            }
        }
    }
    Ok((events, is_list))
}

/// A body with one report; its key decides the kind.
fn single_event(mut body: Object) -> Result<Object, String> {
    for (key, kind) in
        [("csp-report", "csp"), ("expect-ct-report", "expectct"), ("expect-staple-report", "expectstaple")]
    {
        match body.remove(key) {
            Some(Value::Object(report)) => return Ok(event(kind, report)),
            Some(_) => return Err(format!("{key} must be an object.")),
            None => {}
        }
    }
    if body.contains_key("known-pins") { Ok(event("hpkp", body)) } else { Err(EXPECTED.to_owned()) }
}

/// Reports of the Reporting API.
fn list_events(list: Vec<Value>) -> Result<Vec<Object>, String> {
    if list.len() > MAX_REPORTS {
        return Err(format!("A list may have at most {MAX_REPORTS} reports."));
    }
    let mut events = Vec::new();
    for entry in list {
        let Value::Object(mut entry) = entry else { return Err("Each report of a list must be an object.".to_owned()) };
        if entry.get("type").and_then(Value::as_str) != Some("csp-violation") {
            continue;
        }
        let Some(Value::Object(mut report)) = entry.remove("body") else { continue };
        if let Some(url) = entry.remove("url") {
            // Behind the fields of the report: of two with the same meaning the first counts.
            report.entry("document-uri").or_insert(url);
        }
        let mut event = event("csp", report);
        if let Some(agent) = text(&entry, "user_agent").map(str::to_owned) {
            request(&mut event, "User-Agent", &agent);
        }
        events.push(event);
    }
    Ok(events)
}

fn event(kind: &str, report: Object) -> Object {
    let report = names::in_snake_case(kind, report);
    let mut event = Object::new();
    for (key, value) in [("platform", "other"), ("logger", kind), ("type", kind)] {
        event.insert(key.to_owned(), value.into());
    }
    if let Some(url) = if kind == "csp" { text(&report, "document_uri").map(str::to_owned) } else { host_url(&report) }
    {
        event.insert("request".to_owned(), json!({ "url": url }));
    }
    if let Some(referrer) = text(&report, "referrer") {
        request(&mut event, "Referer", referrer);
    }
    let tags = tags(kind, &report);
    if !tags.is_empty() {
        event.insert("tags".to_owned(), Value::Object(tags));
    }
    event.insert(kind.to_owned(), Value::Object(report));
    event
}

fn tags(kind: &str, report: &Object) -> Object {
    let mut tags = Object::new();
    let mut tag = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            tags.insert(name.to_owned(), value.into());
        }
    };
    if kind == "csp" {
        // Older browsers send the directive with its sources.
        let directive = text(report, "effective_directive").or_else(|| text(report, "violated_directive"));
        tag("effective-directive", directive.and_then(|directive| directive.split_ascii_whitespace().next()));
        tag("blocked-uri", text(report, "blocked_uri").map(without_content));
        tag("disposition", text(report, "disposition"));
    } else {
        tag("hostname", text(report, "hostname"));
    }
    tags
}

/// Of a `data:` URI only the scheme: the rest is content, different each time.
fn without_content(uri: &str) -> &str {
    match uri.split_once(':') {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("data") => &uri[..scheme.len()],
        _ => uri,
    }
}

/// The address of the host that a report about certificates is of.
fn host_url(report: &Object) -> Option<String> {
    let host = text(report, "hostname")?;
    match report.get("port").and_then(Value::as_u64) {
        Some(port) if port != 443 => Some(format!("https://{host}:{port}/")),
        _ => Some(format!("https://{host}/")),
    }
}

/// Adds a header to the request of the event.
fn request(event: &mut Object, header: &str, value: &str) {
    let request = event.entry("request").or_insert_with(|| json!({}));
    request["headers"][header] = value.into();
}

fn text<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
}
