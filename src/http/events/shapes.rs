//! Events and issues as JSON. It asks the database for nothing.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::db::{Issue, StoredEvent};
use crate::types::Project;

/// A time as clients read it.
pub fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// An event in a list.
pub fn short(event: &StoredEvent) -> Map<String, Value> {
    let tags: Vec<Value> =
        event.tags.as_array().into_iter().flatten().map(|pair| json!({ "key": pair[0], "value": pair[1] })).collect();
    let shape = json!({
        "id": event.event_id,
        "eventID": event.event_id,
        "event.type": event.kind,
        "groupID": event.issue_id.to_string(),
        "projectID": event.project_id.to_string(),
        "title": event.title,
        "message": event.message,
        "culprit": event.culprit,
        "location": event.location,
        "platform": event.platform,
        "level": event.level,
        "dateCreated": time(event.happened_at),
        "dateReceived": time(event.received_at),
        "size": event.size,
        "user": event.user,
        "tags": tags,
        "metadata": event.metadata,
    });
    match shape {
        Value::Object(shape) => shape,
        _ => Map::new(),
    }
}

/// The parts of an event that the long form has as entries.
pub fn entries(payload: &Value) -> Vec<Value> {
    let mut entries = Vec::new();
    for (key, kind) in [
        ("exception", "exception"),
        ("threads", "threads"),
        ("breadcrumbs", "breadcrumbs"),
        ("request", "request"),
        ("debug_meta", "debugmeta"),
        ("csp", "csp"),
        ("stacktrace", "stacktrace"),
    ] {
        if !payload[key].is_null() {
            entries.push(json!({ "type": kind, "data": payload[key] }));
        }
    }
    let message = payload.get("logentry").filter(|entry| entry.is_object()).cloned();
    let message = message.or_else(|| payload["message"].as_str().map(|text| json!({ "formatted": text })));
    if let Some(mut message) = message {
        if message["formatted"].is_null() {
            message["formatted"] = message["message"].clone();
        }
        entries.push(json!({ "type": "message", "data": message }));
    }
    entries
}

/// An issue.
pub fn issue(issue: &Issue, project: &Project, organization: &str, public_url: &str) -> Value {
    let metadata = match issue.kind.is_empty() {
        true => json!({ "title": issue.title }),
        false => json!({ "type": issue.kind, "value": issue.value }),
    };
    json!({
        "id": issue.id.to_string(),
        "shortId": format!("{}-{}", project.slug.to_uppercase(), issue.number),
        "title": issue.title,
        "culprit": issue.culprit,
        "level": issue.level,
        "platform": issue.platform,
        "status": if issue.status == "open" { "unresolved" } else { issue.status.as_str() },
        "type": if issue.kind.is_empty() { "default" } else { "error" },
        "metadata": metadata,
        "count": issue.event_count.to_string(),
        "userCount": issue.user_count,
        "firstSeen": time(issue.first_seen),
        "lastSeen": time(issue.last_seen),
        "project": { "id": project.id.to_string(), "slug": project.slug, "name": project.slug },
        "permalink": format!("{public_url}/projects/{organization}/{}/issues/{}", project.slug, issue.number),
    })
}
