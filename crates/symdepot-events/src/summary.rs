//! What lists show of an event: title, culprit, tags, user. It reads a normalized event and changes nothing.

use serde_json::{Value, json};

use crate::Object;

/// Longest title, in characters.
const LONGEST_TITLE: usize = 255;
/// Most tags of an event.
const MOST_TAGS: usize = 100;

/// What lists show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Title.
    pub title: String,
    /// Where it happened.
    pub culprit: String,
    /// The file in which it happened.
    pub location: Option<String>,
    /// `error`, `csp` or `default`.
    pub kind: &'static str,
    /// Type and value of the last exception, or the title.
    pub metadata: Object,
    /// The message.
    pub message: String,
    /// Tags sorted by key.
    pub tags: Vec<(String, String)>,
    /// Its user, with four texts or nulls.
    pub user: Option<Object>,
    /// How its user is told from others.
    pub user_key: Option<String>,
    /// Release.
    pub release: Option<String>,
    /// Environment.
    pub environment: Option<String>,
    /// Distribution of the release.
    pub dist: Option<String>,
    /// Logger.
    pub logger: Option<String>,
    /// Platform.
    pub platform: String,
    /// Level.
    pub level: String,
}

/// The summary of a normalized event. `rule_title` is the title of a fingerprint rule.
pub fn summary(event: &Object, rule_title: Option<&str>) -> Summary {
    let text = |key: &str| event.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let message = message(event);
    let last = last_exception(event);
    let kind = if event.contains_key("csp") {
        "csp"
    } else if last.is_some() || threads_speak(event) {
        "error"
    } else {
        "default"
    };
    let own = title(event, last, &message);
    let title = match rule_title.map(str::trim).filter(|title| !title.is_empty()) {
        Some(title) => title.to_owned(),
        None => own,
    };
    let title = cut(first_line(&title), LONGEST_TITLE);
    let frame = culprit_frame(event);
    let (user, user_key) = user(event);
    Summary {
        culprit: text("transaction").unwrap_or_else(|| frame.map(culprit).unwrap_or_default()),
        location: frame.and_then(|frame| frame.get("filename")).and_then(Value::as_str).map(str::to_owned),
        kind,
        metadata: metadata(last, &title),
        message,
        tags: tags(event, user_key.as_deref()),
        user,
        user_key,
        release: text("release"),
        environment: text("environment"),
        dist: text("dist"),
        logger: text("logger"),
        platform: text("platform").unwrap_or_else(|| "other".to_owned()),
        level: text("level").unwrap_or_else(|| "error".to_owned()),
        title,
    }
}

/// The message of an event, with its parameters put in.
pub fn message(event: &Object) -> String {
    let entry = event.get("logentry").and_then(Value::as_object);
    if let Some(entry) = entry {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(formatted) = text("formatted") {
            return formatted.to_owned();
        }
        if let Some(message) = text("message") {
            return filled_in(message, entry.get("params"));
        }
    }
    event.get("message").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// `%s` and `{}` replaced by parameters in order, `%(name)s` and `{name}` by name.
fn filled_in(message: &str, params: Option<&Value>) -> String {
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (mut written, mut rest, mut next) = (String::with_capacity(message.len()), message, 0);
    let list = params.and_then(Value::as_array);
    let by_name = params.and_then(Value::as_object);
    let mut taken = || {
        next += 1;
        list.and_then(|list| list.get(next - 1)).map(shown)
    };
    while let Some(at) = rest.find(['%', '{']) {
        written.push_str(&rest[..at]);
        rest = &rest[at..];
        let (value, length) = if rest.starts_with("%%") {
            (Some("%".to_owned()), 2)
        } else if rest.starts_with("%(") {
            let end = rest.find(')').unwrap_or(0);
            let named = rest.get(2..end).and_then(|name| by_name?.get(name)).map(shown);
            (named, end + 2)
        } else if rest.starts_with('%') && rest[1..].starts_with(['s', 'd', 'r', 'i', 'f']) {
            (taken(), 2)
        } else if rest.starts_with("{}") {
            (taken(), 2)
        } else if rest.starts_with('{') {
            let end = rest.find('}').unwrap_or(0);
            let named = rest.get(1..end).and_then(|name| by_name?.get(name)).map(shown);
            (named, end + 1)
        } else {
            (None, 1)
        };
        let length = rest.len().min(length.max(1));
        let length = rest.ceil_char_boundary(length);
        match value {
            Some(value) => {
                written.push_str(&value);
                rest = &rest[length..];
            }
            None => {
                written.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
    }
    written + rest
}

fn last_exception(event: &Object) -> Option<&Object> {
    event.get("exception")?.get("values")?.as_array()?.iter().rev().find_map(Value::as_object)
}

fn threads_speak(event: &Object) -> bool {
    let threads = event.get("threads").and_then(|threads| threads["values"].as_array());
    threads.into_iter().flatten().any(|thread| thread["crashed"] == true || thread["current"] == true)
}

fn title(event: &Object, last: Option<&Object>, message: &str) -> String {
    if let Some(csp) = event.get("csp").and_then(Value::as_object) {
        return csp_title(csp);
    }
    if let Some(exception) = last {
        let text = |key: &str| exception.get(key).and_then(Value::as_str).unwrap_or_default();
        let (kind, value) = (text("type"), first_line(text("value")));
        match (kind, value) {
            ("", "") => {}
            (kind, "") => return kind.to_owned(),
            ("", value) => return value.to_owned(),
            (kind, value) => return format!("{kind}: {value}"),
        }
    }
    match first_line(message) {
        "" => "<unlabeled event>".to_owned(),
        line => line.to_owned(),
    }
}

fn csp_title(csp: &Object) -> String {
    let text = |key: &str| csp.get(key).and_then(Value::as_str).unwrap_or_default();
    let directive = match text("effective_directive") {
        "" => text("violated_directive").split_whitespace().next().unwrap_or_default(),
        directive => directive,
    };
    let what = directive.strip_suffix("-src").or_else(|| directive.strip_suffix("-src-elem"));
    let what = what.or_else(|| directive.strip_suffix("-src-attr")).unwrap_or(directive);
    let uri = text("blocked_uri");
    let host = crate::grouping::host_of(uri);
    let from = match (&host, uri) {
        (Some(host), _) => host.clone(),
        (None, "" | "self" | "'self'") => "self".to_owned(),
        (None, uri) => uri.split(':').next().unwrap_or_default().to_owned(),
    };
    format!("Blocked '{what}' from '{from}'")
}

fn metadata(last: Option<&Object>, title: &str) -> Object {
    let mut metadata = Object::new();
    match last {
        Some(exception) => {
            for key in ["type", "value"] {
                if let Some(text) = exception.get(key).and_then(Value::as_str) {
                    metadata.insert(key.to_owned(), cut(text, 1_024).into());
                }
            }
        }
        None => _ = metadata.insert("title".to_owned(), title.into()),
    }
    metadata
}

/// The last in-app frame, else the last one, of the stack that speaks for the event.
fn culprit_frame(event: &Object) -> Option<&Object> {
    let frames = |holder: &'_ Value| -> Option<usize> { holder["stacktrace"]["frames"].as_array().map(Vec::len) };
    let of =
        |part: &str| event.get(part).and_then(|part| part["values"].as_array()).map(Vec::as_slice).unwrap_or_default();
    let has = |holder: &&Value| frames(holder).is_some_and(|count| count > 0);
    let exception = of("exception").iter().rev().find(has);
    let thread = || {
        let threads = of("threads");
        let chosen = |key: &str| threads.iter().find(|thread| thread[key] == true);
        chosen("crashed").or_else(|| chosen("current")).or_else(|| threads.iter().find(has)).filter(|one| has(one))
    };
    let stack = match exception.or_else(thread) {
        Some(holder) => holder["stacktrace"]["frames"].as_array()?,
        None => event.get("stacktrace")?["frames"].as_array()?,
    };
    let own = stack.iter().rev().find(|frame| frame["in_app"] == true);
    own.or_else(|| stack.last())?.as_object()
}

fn culprit(frame: &Object) -> String {
    let text = |key: &str| frame.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let place = text("module").or_else(|| text("filename"));
    let culprit = match (place, text("function")) {
        (Some(place), Some(function)) => format!("{place} in {function}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => String::new(),
    };
    cut(&culprit, 1_024)
}

fn user(event: &Object) -> (Option<Object>, Option<String>) {
    let Some(user) = event.get("user").and_then(Value::as_object) else { return (None, None) };
    let text = |key: &str| user.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let mut shown = Object::new();
    for key in ["id", "username", "email", "ip_address"] {
        shown.insert(key.to_owned(), json!(text(key)));
    }
    let key = [("id", "id"), ("username", "username"), ("email", "email"), ("ip_address", "ip")];
    let key = key.iter().find_map(|(field, name)| text(field).map(|value| cut(&format!("{name}:{value}"), 200)));
    (key.is_some().then_some(shown), key)
}

/// Tags that were sent, and those that every event has.
fn tags(event: &Object, user_key: Option<&str>) -> Vec<(String, String)> {
    let mut tags: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
    let text = |key: &str| event.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let sent = event.get("tags").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let sent = sent.iter().filter_map(|pair| Some((pair.get(0)?.as_str()?, pair.get(1)?.as_str()?)));
    let sent: Vec<(&str, &str)> = sent.filter(|(key, value)| !key.is_empty() && !value.is_empty()).collect();
    const DERIVED: &[&str] =
        &["level", "environment", "release", "dist", "transaction", "server_name", "logger", "user"];
    for key in DERIVED {
        let own = sent.iter().find(|(name, _)| name == key).map(|(_, value)| *value);
        let derived = if *key == "user" { user_key } else { text(key) };
        if let Some(value) = own.or(derived) {
            tags.insert((*key).to_owned(), cut(&value.replace(['\n', '\r'], " "), 200));
        }
    }
    for (key, value) in sent {
        if tags.len() >= MOST_TAGS {
            break;
        }
        tags.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
    tags.into_iter().collect()
}

fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default().trim()
}

/// The first characters of a text.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}
