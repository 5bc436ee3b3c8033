//! What lists and search show of an event: title, culprit, tags, user.
//!
//! It reads a normalized event and never changes it. Values of unexpected types count as absent.

mod params;
mod tags;
mod title;

use serde_json::{Value, json};

use crate::Object;
use crate::normalize::truncated;
use params::with_params;
pub use tags::{DERIVED_TAGS, MAX_TAG, MAX_TAGS};

/// Most characters of a culprit and of a value of `metadata`.
const MAX_DETAIL: usize = 1_024;

/// What lists show of an event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Title, at most 255 characters.
    pub title: String,
    /// Transaction or function in which it happened, else empty.
    pub culprit: String,
    /// File name of the frame of the culprit.
    pub location: Option<String>,
    /// `error`, `csp` or `default`.
    pub kind: &'static str,
    /// `type` and `value` of the last exception, else `title`.
    pub metadata: Object,
    /// The message with its parameters put in, else empty.
    pub message: String,
    /// At most 100 tags, sorted by key.
    pub tags: Vec<(String, String)>,
    /// `id`, `username`, `email`, `ip_address` as texts or null; `None` if all four are absent.
    pub user: Option<Object>,
    /// The first of those fields that is present, as in the tag `user`: `id:…`, `username:…`, `email:…`, `ip:…`.
    pub user_key: Option<String>,
    /// Release.
    pub release: Option<String>,
    /// Environment.
    pub environment: Option<String>,
    /// Distribution of the release.
    pub dist: Option<String>,
    /// Logger.
    pub logger: Option<String>,
    /// Platform, `other` if unknown.
    pub platform: String,
    /// Level.
    pub level: String,
}

/// The summary of a normalized event. `rule_title` is the title that a fingerprint rule gives.
pub fn summary(event: &Object, rule_title: Option<&str>) -> Summary {
    let owned = |key: &str| text(event, key).map(str::to_owned);
    let exception = last_exception(event);
    let message = message(event);
    let title = title::title(event, exception, &message, rule_title);
    let frame = culprit_frame(event);
    let (user, user_key) = user(event);
    Summary {
        culprit: owned("transaction").unwrap_or_else(|| frame.map(culprit).unwrap_or_default()),
        location: frame.and_then(|frame| text(frame, "filename")).map(str::to_owned),
        kind: kind(event, exception),
        metadata: metadata(exception, &title),
        message,
        tags: tags::tags(event, user_key.as_deref()),
        user,
        user_key,
        release: owned("release"),
        environment: owned("environment"),
        dist: owned("dist"),
        logger: owned("logger"),
        platform: owned("platform").unwrap_or_else(|| "other".to_owned()),
        level: owned("level").unwrap_or_else(|| "error".to_owned()),
        title,
    }
}

/// The message of an event with its parameters put in: `logentry.formatted`, else `logentry.message`, else `message`.
pub fn message(event: &Object) -> String {
    let entry = event.get("logentry").and_then(Value::as_object);
    if let Some(formatted) = entry.and_then(|entry| text(entry, "formatted")) {
        return formatted.to_owned();
    }
    let template = entry.and_then(|entry| text(entry, "message")).or_else(|| text(event, "message"));
    template.map(|template| with_params(template, entry.and_then(|entry| entry.get("params")))).unwrap_or_default()
}

/// A text that is not empty.
fn text<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The list of `exception` or `threads`.
fn values<'a>(event: &'a Object, key: &str) -> &'a [Value] {
    let values = event.get(key).and_then(|field| field.get("values")).and_then(Value::as_array);
    values.map(Vec::as_slice).unwrap_or_default()
}

fn last_exception(event: &Object) -> Option<&Object> {
    values(event, "exception").iter().rev().find_map(Value::as_object)
}

fn kind(event: &Object, exception: Option<&Object>) -> &'static str {
    if exception.is_some() {
        "error"
    } else if event.get("csp").is_some_and(Value::is_object) {
        "csp"
    } else if values(event, "threads").iter().any(Value::is_object) {
        "error"
    } else {
        "default"
    }
}

fn metadata(exception: Option<&Object>, title: &str) -> Object {
    let mut metadata = Object::new();
    for key in ["type", "value"] {
        if let Some(text) = exception.and_then(|exception| text(exception, key)) {
            metadata.insert(key.to_owned(), truncated(text, MAX_DETAIL).into());
        }
    }
    if metadata.is_empty() {
        metadata.insert("title".to_owned(), title.into());
    }
    metadata
}

/// The last in-app frame, else the last frame: of the last exception with frames, else of the thread that crashed, is current or
/// has frames, else of the top-level stack.
fn culprit_frame(event: &Object) -> Option<&Object> {
    let frames_of = |holder: &'_ Value| -> bool { frames(holder).is_some() };
    let exception = values(event, "exception").iter().rev().find(|exception| frames_of(exception));
    let threads = values(event, "threads");
    let marked =
        |key: &str| threads.iter().find(|thread| frames_of(thread) && thread.get(key) == Some(&Value::Bool(true)));
    let thread =
        || marked("crashed").or_else(|| marked("current")).or_else(|| threads.iter().find(|one| frames_of(one)));
    let stack = match exception.or_else(thread) {
        Some(holder) => frames(holder)?,
        None => event.get("stacktrace")?.get("frames")?.as_array()?,
    };
    let in_app = stack.iter().rev().find(|frame| frame.get("in_app") == Some(&Value::Bool(true)));
    in_app.or_else(|| stack.last())?.as_object()
}

/// The frames of an exception or a thread, if there are any.
fn frames(holder: &Value) -> Option<&Vec<Value>> {
    holder.get("stacktrace")?.get("frames")?.as_array().filter(|frames| !frames.is_empty())
}

fn culprit(frame: &Object) -> String {
    let place = text(frame, "module").or_else(|| text(frame, "filename"));
    let culprit = match (place, text(frame, "function")) {
        (Some(place), Some(function)) => format!("{place} in {function}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => String::new(),
    };
    truncated(&culprit, MAX_DETAIL).to_owned()
}

fn user(event: &Object) -> (Option<Object>, Option<String>) {
    let Some(user) = event.get("user").and_then(Value::as_object) else { return (None, None) };
    let fields = [("id", "id"), ("username", "username"), ("email", "email"), ("ip_address", "ip")];
    let shown: Object = fields.iter().map(|(key, _)| ((*key).to_owned(), json!(text(user, key)))).collect();
    let key = fields.iter().find_map(|(key, name)| Some(format!("{name}:{}", text(user, key)?)));
    (key.is_some().then_some(shown), key)
}
