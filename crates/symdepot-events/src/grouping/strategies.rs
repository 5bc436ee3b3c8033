//! What of an event is looked at: a report of a browser, else exceptions, else a thread, else its stack, else its message. The
//! first that has something decides.

use std::collections::HashSet;

use serde_json::Value;

use super::fields::{FILE, GROUP, RECORD, message, scalar, text};
use super::raw::{Images, raw};
use super::stacks::{Stack, Stacks};
use super::{Mode, Variant, parameterise, security};
use crate::Object;

/// Most depths of hierarchical grouping below the whole stack.
const DEPTHS: usize = 5;

/// The ways to look at an event, before fingerprints.
#[derive(Debug, Default)]
pub struct Components {
    /// Flat ones, in order.
    pub flat: Vec<Variant>,
    /// Hierarchical ones, from few frames to many.
    pub deep: Vec<Variant>,
    /// Whether a native stack waits for names.
    pub waiting: bool,
}

/// Looks at an event.
pub fn components(event: &Object, stacks: &Stacks<'_>, mode: Mode) -> Components {
    let single = |text: String, description| Components {
        flat: vec![Variant::component("default", text, description)],
        ..Components::default()
    };
    if let Some(text) = security::security(event) {
        return single(text, "report of a browser");
    }
    let of_exceptions = Exceptions::of(stacks).components(event, mode);
    let found = of_exceptions
        .or_else(|| of_stack(event, stacks.thread()?, "thread", mode))
        .or_else(|| of_stack(event, stacks.top.as_ref()?, "stack", mode));
    if let Some(found) = found {
        return found;
    }
    match parameterise(&message(event)) {
        message if message.is_empty() => Components::default(),
        message => single(message, "message"),
    }
}

/// An exception, as each variant sees it.
struct Exception<'a> {
    kind: String,
    value: String,
    parent: Option<String>,
    stack: &'a Stack<'a>,
    /// Texts of frames that group, and whether each is the application's own.
    frames: Vec<(String, bool)>,
    waiting: bool,
}

struct Exceptions<'a>(Vec<Exception<'a>>);

impl<'a> Exceptions<'a> {
    fn of(stacks: &'a Stacks<'a>) -> Self {
        let exceptions = stacks.exceptions.iter().map(|(exception, stack)| Exception {
            kind: kind(exception),
            value: parameterise(&text(exception, "value")),
            parent: exception.get("mechanism").and_then(|mechanism| mechanism.get("parent_id")).and_then(scalar),
            stack,
            frames: frames(stack),
            waiting: stack.is_waiting(),
        });
        Self(exceptions.collect())
    }

    fn components(&self, event: &Object, mode: Mode) -> Option<Components> {
        let waiting = self.0.iter().any(|exception| exception.waiting);
        let system = self.chain(|exception| exception.text(|_| true));
        let has_own = self.0.iter().any(|exception| exception.frames.iter().any(|(_, in_app)| *in_app));
        let app =
            (has_own && !waiting).then(|| self.chain(|exception| exception.app_text())).filter(|text| !text.is_empty());
        let stacks = self.0.iter().map(|exception| exception.stack).filter(|stack| !stack.frames.is_empty());
        let raw = raw(stacks, &Images::of(event));
        let last = self.0.iter().rev().find(|exception| exception.frames.iter().any(|(_, in_app)| *in_app));
        let deepest = last.map(|exception| {
            let own: Vec<&str> = own_frames(&exception.frames);
            (format!("{}{FILE}", exception.kind), own)
        });
        let seen = Seen { app, system, raw, deepest, waiting, what: "exception" };
        seen.components(mode)
    }

    /// The texts of all exceptions, without those that say nothing and without siblings that say the same.
    fn chain(&self, text: impl Fn(&Exception<'_>) -> Option<String>) -> String {
        let mut siblings = HashSet::new();
        let texts: Vec<String> = self
            .0
            .iter()
            .filter_map(|exception| {
                let text = text(exception)?;
                let is_first = match &exception.parent {
                    Some(parent) => siblings.insert((parent.clone(), text.clone())),
                    None => true,
                };
                is_first.then_some(text)
            })
            .collect();
        texts.join(&GROUP.to_string())
    }
}

impl Exception<'_> {
    /// Type and stack, or type and value; `None` if there is neither.
    fn text(&self, counts: impl Fn(bool) -> bool) -> Option<String> {
        let stack = match self.waiting {
            true => String::new(),
            false => joined(self.frames.iter().filter(|(_, in_app)| counts(*in_app)).map(|(text, _)| text.as_str())),
        };
        let rest = if stack.is_empty() && !self.waiting { &self.value } else { &stack };
        let says = !self.kind.is_empty() || !rest.is_empty();
        says.then(|| format!("{}{FILE}{rest}", self.kind))
    }

    /// The same with the application's own frames; with frames and none of them, the type alone.
    fn app_text(&self) -> Option<String> {
        if self.stack.frames.is_empty() {
            return self.text(|_| true);
        }
        let own = joined(own_frames(&self.frames).into_iter());
        let says = !self.kind.is_empty() || !own.is_empty();
        says.then(|| format!("{}{FILE}{own}", self.kind))
    }
}

/// The components of one stack without an exception.
fn of_stack(event: &Object, stack: &Stack<'_>, what: &'static str, mode: Mode) -> Option<Components> {
    let (frames, waiting) = (frames(stack), stack.is_waiting());
    let own = own_frames(&frames);
    let app = (!waiting && !own.is_empty()).then(|| joined(own.iter().copied()));
    let system = if waiting { String::new() } else { joined(frames.iter().map(|(text, _)| text.as_str())) };
    let raw = raw(std::iter::once(stack), &Images::of(event));
    let deepest = (!own.is_empty()).then(|| (String::new(), own.clone()));
    Seen { app, system, raw, deepest, waiting, what }.components(mode)
}

/// What is seen of stacks, before it is decided what contributes.
struct Seen<'a> {
    app: Option<String>,
    system: String,
    raw: Option<String>,
    /// What the texts of depths begin with, and the frames of which they have the last.
    deepest: Option<(String, Vec<&'a str>)>,
    waiting: bool,
    what: &'static str,
}

impl Seen<'_> {
    fn components(self, mode: Mode) -> Option<Components> {
        let describe = |exception: &'static str, thread, stack| match self.what {
            "exception" => exception,
            "thread" => thread,
            _ => stack,
        };
        let mut components = Components { waiting: self.waiting, ..Components::default() };
        let own = describe("exception, in-app frames", "thread, in-app frames", "stack, in-app frames");
        let all = describe("exception, all frames", "thread, all frames", "stack, all frames");
        if mode == Mode::Hierarchical
            && !self.waiting
            && let (Some((head, frames)), Some(app)) = (&self.deepest, &self.app)
        {
            for depth in 1..=DEPTHS.min(frames.len() - 1) {
                let text = format!("{head}{}", joined(frames[frames.len() - depth..].iter().copied()));
                components.deep.push(Variant::component(format!("app-depth-{depth}"), text, own));
            }
            components.deep.push(Variant::component("app-depth-max", app.clone(), own));
        }
        let deepest = components.deep.last().map(|variant| variant.text.clone());
        if let Some(app) = self.app {
            let variant = Variant::component("app", app.clone(), own);
            components.flat.push(match (mode, app == self.system) {
                (Mode::Hierarchical, _) => variant.without("hierarchical grouping is on"),
                (Mode::Flat, true) => variant.without("same as system"),
                (Mode::Flat, false) => variant,
            });
        }
        if !self.system.is_empty() || self.waiting {
            let variant = Variant::component("system", self.system, all);
            let is_deepest = deepest.as_ref() == Some(&variant.text);
            components.flat.push(match (self.waiting, is_deepest) {
                (true, _) => variant.without("waiting for symbols"),
                (false, true) => variant.without("same as app-depth-max"),
                (false, false) => variant,
            });
        }
        if let Some(raw) = self.raw {
            components.flat.push(Variant::component("raw", raw, "addresses in their modules"));
        }
        (!components.flat.is_empty()).then_some(components)
    }
}

fn frames(stack: &Stack<'_>) -> Vec<(String, bool)> {
    stack.contributing().into_iter().map(|(frame, text)| (text, frame.in_app)).collect()
}

fn own_frames(frames: &[(String, bool)]) -> Vec<&str> {
    frames.iter().filter(|(_, in_app)| *in_app).map(|(text, _)| text.as_str()).collect()
}

fn joined<'a>(frames: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for (number, frame) in frames.enumerate() {
        if number > 0 {
            text.push(RECORD);
        }
        text.push_str(frame);
    }
    text
}

/// The type of an exception for grouping.
fn kind(exception: &Object) -> String {
    let mechanism = exception.get("mechanism").and_then(Value::as_object);
    if mechanism.is_some_and(|mechanism| mechanism.get("synthetic") == Some(&Value::Bool(true))) {
        return String::new();
    }
    let error = mechanism.and_then(|mechanism| mechanism.get("meta")).and_then(|meta| meta.get("ns_error"));
    match error.and_then(Value::as_object) {
        Some(error) if error.contains_key("domain") || error.contains_key("code") => {
            format!("{}:{}", text(error, "domain"), text(error, "code"))
        }
        _ => text(exception, "type"),
    }
}
