//! [`Form`]: the event of a crash upload, collected from the small parts of its form.
//!
//! It never fails: a part that cannot be read is dropped and recorded in `errors`. The caller limits the size of parts.

use serde_json::{Value, json};

use super::merge::{merge_missing, object_at, quote, record_invalid};
use super::{mark_crash, msgpack};
use crate::Object;
use crate::security::json::{parse as parse_json, without_nul};

/// Most fields of one form; further ones are dropped, which is recorded once.
pub const MAX_FIELDS: usize = 10_000;

/// Deepest nesting of names like `sentry[a][b]`.
pub const MAX_NESTING: usize = 15;

/// Most entries in `errors` that one form causes.
const MAX_ERRORS: usize = 50;

/// The small parts of one crash upload. Parts may come in any order.
#[derive(Debug, Default)]
pub struct Form {
    fields: usize,
    /// From `__sentry-event`.
    from_msgpack: Object,
    /// From `sentry`.
    from_json: Object,
    /// From `sentry__1`, `sentry__2` …, with their numbers.
    pieces: Vec<(u64, String)>,
    /// From `sentry[a][b]`.
    nested: Object,
    extra: Object,
    /// One list for each file, in the order of arrival.
    breadcrumbs: Vec<Vec<Value>>,
    errors: Vec<(String, Value)>,
}

impl Form {
    /// Adds a field that is no file.
    pub fn field(&mut self, name: &str, value: &str) {
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            if self.fields == MAX_FIELDS + 1 {
                self.invalid("form", format!("more than {MAX_FIELDS} fields").into());
            }
            return;
        }
        let (name, value) = (&*without_nul(name), &*without_nul(value));
        match name_of(name) {
            Name::Event => match parse(value) {
                Some(event) => merge_missing(&mut self.from_json, event),
                None => self.invalid(name, quote(value).into()),
            },
            Name::Piece(number) => self.pieces.push((number, value.to_owned())),
            Name::Nested(path) if path.len() > MAX_NESTING => self.invalid(name, quote(value).into()),
            Name::Nested(path) => insert_nested(&mut self.nested, &path, value),
            Name::Other => {
                self.extra.entry(name).or_insert_with(|| value.into());
            }
        }
    }

    /// Adds the file `__sentry-event`.
    pub fn msgpack_event(&mut self, bytes: &[u8]) {
        match msgpack::read(bytes) {
            Some(Value::Object(event)) => merge_missing(&mut self.from_msgpack, event),
            _ => self.invalid("__sentry-event", Value::Null),
        }
    }

    /// Adds the file `__sentry-breadcrumb1` or `__sentry-breadcrumb2`: a list of breadcrumbs, or breadcrumbs one after the
    /// other. What precedes a breadcrumb that was cut off by the crash is kept.
    pub fn breadcrumbs(&mut self, bytes: &[u8]) {
        let (values, complete) = msgpack::read_prefix(bytes);
        let mut all_usable = complete;
        let mut crumbs = Vec::new();
        for value in values {
            match value {
                Value::Array(list) => crumbs.extend(list),
                other => crumbs.push(other),
            }
        }
        crumbs.retain(|crumb| {
            all_usable &= crumb.is_object();
            crumb.is_object()
        });
        if !all_usable {
            self.invalid("__sentry-breadcrumb", Value::Null);
        }
        self.breadcrumbs.push(crumbs);
    }

    /// The event: `__sentry-event`, then `sentry`, then its pieces, then nested fields; of a value that several have, the first
    /// counts. It is a crash by minidump.
    pub fn event(mut self) -> Object {
        self.join_pieces();
        let Self { from_msgpack: mut event, from_json, nested, extra, breadcrumbs, errors, .. } = self;
        merge_missing(&mut event, from_json);
        merge_missing(&mut event, nested);
        if !extra.is_empty() {
            if !event.get("extra").is_none_or(|present| present.is_object() || present.is_null()) {
                let present = event.remove("extra").unwrap_or_default();
                record_invalid(&mut event, "extra", present);
            }
            merge_missing(&mut event, Object::from_iter([("extra".to_owned(), Value::Object(extra))]));
        }
        add_breadcrumbs(&mut event, breadcrumbs);
        for (name, value) in errors {
            record_invalid(&mut event, &name, value);
        }
        mark_crash(&mut event, "minidump");
        event
    }

    fn join_pieces(&mut self) {
        if self.pieces.is_empty() {
            return;
        }
        let mut pieces = std::mem::take(&mut self.pieces);
        pieces.sort_by_key(|(number, _)| *number);
        // The first of several with the same number counts; the sort is stable.
        pieces.dedup_by_key(|(number, _)| *number);
        let text: String = pieces.into_iter().map(|(_, piece)| piece).collect();
        match parse(&text) {
            Some(event) => merge_missing(&mut self.from_json, event),
            None => self.invalid("sentry__", quote(&text).into()),
        }
    }

    fn invalid(&mut self, name: &str, value: Value) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push((quote(name), value));
        }
    }
}

/// What the name of a field means.
enum Name<'a> {
    Event,
    Piece(u64),
    Nested(Vec<&'a str>),
    Other,
}

fn name_of(name: &str) -> Name<'_> {
    let Some(rest) = name.strip_prefix("sentry") else { return Name::Other };
    if rest.is_empty() {
        return Name::Event;
    }
    if let Some(number) = rest.strip_prefix("__") {
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        return number.parse().ok().filter(|_| is_number).map_or(Name::Other, Name::Piece);
    }
    brackets(rest).map_or(Name::Other, Name::Nested)
}

/// The keys of `[a][b]`; `None` if it is anything else or a key is empty. Keys beyond one more than [`MAX_NESTING`] are left out.
fn brackets(text: &str) -> Option<Vec<&str>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let keys: Vec<&str> = inner.split("][").take(MAX_NESTING + 1).collect();
    (!keys.iter().any(|key| key.is_empty() || key.contains(['[', ']']))).then_some(keys)
}

/// Inserts a value where none is; a path through a value that is no object is ignored, since the first value wins.
fn insert_nested(target: &mut Object, path: &[&str], value: &str) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut object = target;
    for key in parents {
        match object_at(object, key) {
            Some(inner) => object = inner,
            None => return,
        }
    }
    object.entry(*last).or_insert_with(|| value.into());
}

fn parse(text: &str) -> Option<Object> {
    match parse_json(text) {
        Ok(Value::Object(event)) => Some(event),
        _ => None,
    }
}

/// Puts the breadcrumbs of files behind those of the event and sorts all of them by time, if there are any of files.
fn add_breadcrumbs(event: &mut Object, files: Vec<Vec<Value>>) {
    if files.iter().all(Vec::is_empty) {
        return;
    }
    let own = match event.remove("breadcrumbs") {
        Some(Value::Array(list)) => list,
        Some(Value::Object(mut object)) => match object.remove("values") {
            Some(Value::Array(list)) => list,
            _ => Vec::new(),
        },
        None | Some(Value::Null) => Vec::new(),
        Some(other) => {
            record_invalid(event, "breadcrumbs", other);
            Vec::new()
        }
    };
    let mut timed: Vec<(f64, Value)> = Vec::new();
    for list in std::iter::once(own).chain(files) {
        // A breadcrumb without time stays behind the one before it.
        let mut now = list.iter().find_map(time).unwrap_or(f64::NEG_INFINITY);
        for crumb in list {
            now = time(&crumb).unwrap_or(now);
            timed.push((now, crumb));
        }
    }
    timed.sort_by(|a, b| a.0.total_cmp(&b.0));
    let values: Vec<Value> = timed.into_iter().map(|(_, crumb)| crumb).collect();
    event.insert("breadcrumbs".to_owned(), json!({ "values": values }));
}

/// Seconds since 1970 of a breadcrumb's `timestamp`, which is a number or RFC 3339 with or without zone.
fn time(crumb: &Value) -> Option<f64> {
    let timestamp = crumb.get("timestamp")?;
    if let Some(seconds) = timestamp.as_f64() {
        return Some(seconds);
    }
    let text = timestamp.as_str()?;
    let time = chrono::DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .or_else(|_| text.parse::<chrono::NaiveDateTime>().map(|time| time.and_utc()))
        .ok()?;
    // Exact enough as a float: only the order counts.
    Some(time.timestamp_micros() as f64 / 1e6)
}
