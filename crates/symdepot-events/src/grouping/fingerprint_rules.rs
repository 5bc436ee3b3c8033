//! Rules that give events fingerprints. The first one that matches decides.

use serde_json::Value;

use super::fields::{message, some_text, tag};
use super::rules::{ExceptionField, Field, LineError, Matcher, lines, matcher, tokens, unquoted};
use super::stack_rules::frame_holds;
use super::stacks::{ExceptionFace, Stacks};
use crate::Object;

/// A rule.
#[derive(Clone, Debug)]
pub struct FingerprintRule {
    /// As it was written.
    pub text: String,
    /// The fingerprint.
    pub values: Vec<String>,
    /// The title that it gives.
    pub title: Option<String>,
    frame: Vec<Matcher>,
    exception: Vec<Matcher>,
    event: Vec<Matcher>,
}

/// Reads rules, one a line.
pub fn parse(text: &str) -> Result<Vec<FingerprintRule>, LineError> {
    lines(text).map(|(number, line)| rule(line).map_err(|reason| (number, reason))).collect()
}

fn rule(line: &str) -> Result<FingerprintRule, String> {
    let tokens = tokens(line, true)?;
    let arrow = tokens.iter().position(|token| token == "->").ok_or("`->` between matchers and values is missing")?;
    let (matchers, values) = (&tokens[..arrow], &tokens[arrow + 1..]);
    let mut rule = FingerprintRule {
        text: line.to_owned(),
        values: Vec::new(),
        title: None,
        frame: Vec::new(),
        exception: Vec::new(),
        event: Vec::new(),
    };
    for token in matchers {
        let matcher = matcher(token, true)?;
        match matcher.field {
            Field::Frame(_) => rule.frame.push(matcher),
            Field::Exception(_) => rule.exception.push(matcher),
            Field::Event(_) => rule.event.push(matcher),
        }
    }
    for value in values {
        match value.strip_prefix("title=") {
            Some(title) => rule.title = Some(unquoted(title)?),
            None => rule.values.push(unquoted(value)?),
        }
    }
    if matchers.is_empty() {
        return Err("there is no matcher, such as `type:ValueError`".to_owned());
    }
    if rule.values.is_empty() {
        return Err("there is no value behind `->`".to_owned());
    }
    Ok(rule)
}

impl FingerprintRule {
    /// Whether it matches an event: all matchers of frames on one frame, all of exceptions on one exception.
    pub fn matches(&self, event: &Object, stacks: &Stacks<'_>) -> bool {
        let on_frame = || stacks.all().flat_map(|stack| &stack.frames);
        self.event.iter().all(|matcher| event_holds(matcher, event, stacks))
            && (self.exception.is_empty()
                || stacks.exceptions.iter().any(|(_, stack)| {
                    stack
                        .exception
                        .as_ref()
                        .is_some_and(|face| self.exception.iter().all(|matcher| exception_holds(matcher, face)))
                }))
            && (self.frame.is_empty()
                || on_frame().any(|frame| self.frame.iter().all(|matcher| frame_holds(matcher, frame))))
    }
}

fn exception_holds(matcher: &Matcher, face: &ExceptionFace) -> bool {
    let Field::Exception(field) = &matcher.field else { return false };
    let value = match field {
        ExceptionField::Type => &face.kind,
        ExceptionField::Value => &face.value,
        ExceptionField::Mechanism => &face.mechanism,
    };
    if value.is_empty() { matcher.holds(&[]) } else { matcher.holds(&[value]) }
}

fn event_holds(matcher: &Matcher, event: &Object, stacks: &Stacks<'_>) -> bool {
    let Field::Event(name) = &matcher.field else { return false };
    let mut values: Vec<String> = Vec::new();
    match name.as_str() {
        "message" => {
            let entry = event.get("logentry").and_then(Value::as_object);
            values.extend(entry.and_then(|entry| some_text(entry, "formatted")));
            values.push(message(event));
            values.extend(
                stacks.exceptions.iter().filter_map(|(_, stack)| Some(stack.exception.as_ref()?.value.clone())),
            );
        }
        "sdk" => values.extend(event.get("sdk").and_then(Value::as_object).and_then(|sdk| some_text(sdk, "name"))),
        tagged if tagged.starts_with("tags.") => values.extend(tag(event, &tagged["tags.".len()..])),
        name => values.extend(some_text(event, name)),
    }
    let values: Vec<&str> = values.iter().map(String::as_str).filter(|value| !value.is_empty()).collect();
    matcher.holds(&values)
}
