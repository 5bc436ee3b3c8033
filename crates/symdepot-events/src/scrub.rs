//! Replaces by `[Filtered]` what must not be stored: values of keys that name secrets, card numbers, passwords in URLs and private
//! keys; removes addresses of users where the project is set to.
//!
//! It never changes attachments. Scrubbing a scrubbed event changes nothing.

mod cards;
mod keys;
mod settings;
mod text;

use serde_json::Value;

use crate::Object;
use keys::Names;

/// The replacement of a secret.
const FILTERED: &str = "[Filtered]";
/// Headers and variables with the address of a user, as [`Names::folded`] writes them.
const ADDRESSES: &[&str] = &["remoteaddr", "xforwardedfor", "xrealip", "forwarded"];

/// What a project scrubs.
#[derive(Clone, Debug)]
pub struct Scrubber {
    /// Secrets that every project has, in keys and in texts.
    defaults: bool,
    /// Remove addresses of users.
    ip_addresses: bool,
    names: Names,
}

impl Scrubber {
    /// Scrubs a normalized event.
    pub fn scrub(&self, event: &mut Object) {
        if self.ip_addresses {
            remove_addresses(event);
        }
        let mut pass = Pass { scrubber: self, folded: String::new() };
        for (key, value) in event.iter_mut() {
            match key.as_str() {
                "extra" | "contexts" | "tags" | "errors" => pass.value(value),
                "request" => pass.request(value),
                "message" => pass.text(value),
                "user" => pass.field(value, "data"),
                "logentry" => ["message", "formatted", "params"].iter().for_each(|key| pass.field(value, key)),
                "breadcrumbs" => each(value, |breadcrumb| {
                    pass.field(breadcrumb, "message");
                    pass.field(breadcrumb, "data");
                }),
                "exception" | "threads" => each(value, |holder| {
                    pass.field(holder, "value");
                    for key in ["stacktrace", "raw_stacktrace"] {
                        holder.get_mut(key).into_iter().for_each(|stack| pass.stack(stack));
                    }
                }),
                "stacktrace" => pass.stack(value),
                _ => {}
            }
        }
    }
}

/// One pass over an event, with a buffer for names.
struct Pass<'a> {
    scrubber: &'a Scrubber,
    folded: String,
}

impl Pass<'_> {
    /// Scrubs a value and everything in it.
    fn value(&mut self, value: &mut Value) {
        match value {
            Value::String(_) => self.text(value),
            Value::Object(object) => object.iter_mut().for_each(|(key, value)| self.named(key, value)),
            Value::Array(list) => {
                for entry in list {
                    match entry.as_array_mut().map(Vec::as_mut_slice) {
                        Some([Value::String(key), value]) => self.named(key, value),
                        _ => self.value(entry),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Scrubs a value by its key.
    fn named(&mut self, key: &str, value: &mut Value) {
        let names = &self.scrubber.names;
        Names::fold(key, &mut self.folded);
        if names.is_safe(&self.folded) {
            return;
        }
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            _ if names.is_secret(&self.folded) => *value = FILTERED.into(),
            Value::String(text) if self.folded == "querystring" => self.pairs(text, text::scrub_pairs),
            _ => self.value(value),
        }
    }

    /// A request: its URL and a form in one text have pairs as the query has.
    fn request(&mut self, request: &mut Value) {
        if let Some(Value::String(url)) = request.get_mut("url") {
            self.pairs(url, text::scrub_url);
        }
        if let Some(Value::String(data)) = request.get_mut("data") {
            self.pairs(data, text::scrub_form);
        }
        self.value(request);
    }

    /// Scrubs a text with pairs. What is replaced in the text may join or part pairs, and the reverse.
    fn pairs(&mut self, text: &mut String, scrub: text::ScrubPairs) {
        self.plain(text);
        scrub(text, &mut |key| self.is_secret_pair(key));
        self.plain(text);
    }

    fn is_secret_pair(&mut self, key: &str) -> bool {
        Names::fold(key, &mut self.folded);
        !self.scrubber.names.is_safe(&self.folded) && self.scrubber.names.is_secret(&self.folded)
    }

    fn field(&mut self, holder: &mut Value, key: &str) {
        if let Some(value) = holder.get_mut(key) {
            self.value(value);
        }
    }

    /// Scrubs the variables of the frames of a stack.
    fn stack(&mut self, stack: &mut Value) {
        let frames = stack.get_mut("frames").and_then(Value::as_array_mut);
        for frame in frames.into_iter().flatten() {
            self.field(frame, "vars");
        }
    }

    fn text(&self, value: &mut Value) {
        if let Value::String(text) = value {
            self.plain(text);
        }
    }

    fn plain(&self, text: &mut String) {
        if self.scrubber.defaults {
            text::scrub(text);
        }
    }
}

/// Removes the address of the user and of proxies before the server.
fn remove_addresses(event: &mut Object) {
    if let Some(user) = event.get_mut("user").and_then(Value::as_object_mut) {
        user.shift_remove("ip_address");
    }
    let mut folded = String::new();
    let mut is_address = |key: &str| {
        Names::fold(key, &mut folded);
        // Variables of CGI have the prefix `HTTP_`.
        ADDRESSES.contains(&folded.strip_prefix("http").unwrap_or(&folded))
    };
    let Some(request) = event.get_mut("request") else { return };
    for part in ["env", "headers"] {
        match request.get_mut(part) {
            Some(Value::Object(object)) => object.retain(|key, _| !is_address(key)),
            Some(Value::Array(list)) => {
                list.retain(|pair| !pair.get(0).and_then(Value::as_str).is_some_and(&mut is_address));
            }
            _ => {}
        }
    }
}

/// Calls `scrub` for each entry of `{"values":[…]}`.
fn each(field: &mut Value, scrub: impl FnMut(&mut Value)) {
    let values = field.get_mut("values").and_then(Value::as_array_mut);
    values.into_iter().flatten().for_each(scrub);
}
