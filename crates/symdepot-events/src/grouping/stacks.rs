//! The stacks of an event as grouping works on them: frames with their parts, whether each is the application's own, whether it
//! groups.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::fields::{clean, some_text, text, values};
use super::frames::{self, Family};
use super::rules::Rules;
use crate::Object;

/// Where a frame keeps what the client said of it.
const CLIENT_IN_APP: &str = "client_in_app";

/// A frame.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    /// As it was sent.
    pub sent: &'a Object,
    /// The rules that hold for its platform.
    pub family: Family,
    /// Its platform.
    pub platform: &'a str,
    /// Path of its file.
    pub abs_path: &'a str,
    /// Name of its file.
    pub filename: &'a str,
    /// Module.
    pub module: &'a str,
    /// Path of the binary.
    pub package: &'a str,
    /// Function as it was sent.
    pub function: &'a str,
    /// Function for grouping.
    pub name: Cow<'a, str>,
    /// Whether it is the application's own.
    pub in_app: bool,
    /// Whether it groups.
    pub groups: bool,
}

/// The exception that a stack belongs to.
#[derive(Clone, Debug, Default)]
pub struct ExceptionFace {
    /// Type.
    pub kind: String,
    /// Value.
    pub value: String,
    /// Type of its mechanism.
    pub mechanism: String,
}

/// A stack, oldest call first.
#[derive(Clone, Debug)]
pub struct Stack<'a> {
    /// Its exception.
    pub exception: Option<ExceptionFace>,
    /// Its frames.
    pub frames: Vec<Frame<'a>>,
    /// How many frames at the end group at most.
    pub max_frames: Option<usize>,
}

/// All stacks of an event.
#[derive(Clone, Debug)]
pub struct Stacks<'a> {
    /// Exceptions in the order in which they were sent, with their stacks.
    pub exceptions: Vec<(&'a Object, Stack<'a>)>,
    /// Threads.
    pub threads: Vec<(&'a Object, Stack<'a>)>,
    /// The stack of the event itself.
    pub top: Option<Stack<'a>>,
}

impl<'a> Stacks<'a> {
    /// Reads them.
    pub fn of(event: &'a Object) -> Self {
        let platform = event.get("platform").and_then(Value::as_str).unwrap_or_default();
        let exceptions = values(event, "exception").into_iter().map(|exception| {
            let mechanism = exception.get("mechanism").and_then(Value::as_object);
            let face = ExceptionFace {
                kind: text(exception, "type"),
                value: text(exception, "value"),
                mechanism: mechanism.map(|mechanism| text(mechanism, "type")).unwrap_or_default(),
            };
            (exception, Stack::of(exception.get("stacktrace"), platform, Some(face)))
        });
        let threads = values(event, "threads")
            .into_iter()
            .map(|thread| (thread, Stack::of(thread.get("stacktrace"), platform, None)));
        Self {
            exceptions: exceptions.collect(),
            threads: threads.collect(),
            top: event.get("stacktrace").map(|stack| Stack::of(Some(stack), platform, None)),
        }
    }

    /// Lets rules decide of every frame.
    pub fn apply(&mut self, rules: &Rules) {
        for rule in rules.stack_rules() {
            self.all_mut().for_each(|stack| rule.apply(stack));
        }
    }

    /// Every stack.
    pub fn all(&self) -> impl Iterator<Item = &Stack<'a>> {
        let pairs = self.exceptions.iter().chain(&self.threads);
        pairs.map(|(_, stack)| stack).chain(&self.top)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Stack<'a>> {
        let pairs = self.exceptions.iter_mut().chain(&mut self.threads);
        pairs.map(|(_, stack)| stack).chain(&mut self.top)
    }

    /// Whether each frame is the application's own: of exceptions, threads, and the event itself.
    pub fn in_app(&self) -> Vec<Vec<bool>> {
        self.all().map(|stack| stack.frames.iter().map(|frame| frame.in_app).collect()).collect()
    }

    /// The stack that speaks for the event: of the last exception with frames, else of the chosen thread, else of the event.
    pub fn main(&self) -> Option<&Stack<'a>> {
        let of_exception = self.exceptions.iter().rev().map(|(_, stack)| stack).find(|stack| !stack.frames.is_empty());
        let top = self.top.as_ref().filter(|stack| !stack.frames.is_empty());
        of_exception.or_else(|| self.thread()).or(top)
    }

    /// The stack of the thread that crashed, else of the current one, else of the only one with frames.
    pub fn thread(&self) -> Option<&Stack<'a>> {
        let is =
            |key: &'static str| move |(thread, _): &&(&Object, Stack<'_>)| thread.get(key) == Some(&Value::Bool(true));
        let chosen = self.threads.iter().find(is("crashed")).or_else(|| self.threads.iter().find(is("current")));
        let stack = match chosen {
            Some((_, stack)) => stack,
            None => {
                let mut with_frames = self.threads.iter().filter(|(_, stack)| !stack.frames.is_empty());
                let (_, only) = with_frames.next()?;
                with_frames.next().is_none().then_some(only)?
            }
        };
        Some(stack).filter(|stack| !stack.frames.is_empty())
    }
}

impl<'a> Stack<'a> {
    fn of(stack: Option<&'a Value>, platform: &'a str, exception: Option<ExceptionFace>) -> Self {
        let frames = stack.and_then(|stack| stack.get("frames")).and_then(Value::as_array);
        let frames = frames.into_iter().flatten().filter_map(Value::as_object);
        let frames = frames.map(|frame| Frame::of(frame, platform)).collect();
        Self { exception, frames, max_frames: None }
    }

    /// Whether names of the application's own frames are missing, so that the stack says too little.
    pub fn is_waiting(&self) -> bool {
        let is_native = self.frames.iter().any(|frame| frame.family == Family::Native);
        let innermost = self.frames.iter().rev().find(|frame| frame.in_app && frame.family == Family::Native);
        match innermost {
            _ if !is_native => false,
            Some(frame) => frame.name.is_empty(),
            None => self.frames.iter().all(|frame| frame.name.is_empty()),
        }
    }

    /// The frames that group, with their texts.
    pub fn contributing(&self) -> Vec<(&Frame<'a>, String)> {
        let mut kept: Vec<(&Frame<'a>, String)> = Vec::new();
        for (at, frame) in self.frames.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| &self.frames[before]);
            if !frame.groups || before.is_some_and(|before| frame.repeats(before)) {
                continue;
            }
            kept.extend(frames::frame_text(frame).map(|text| (frame, text)));
        }
        let skipped = self.max_frames.map_or(0, |most| kept.len().saturating_sub(most));
        kept.split_off(skipped)
    }
}

impl<'a> Frame<'a> {
    fn of(sent: &'a Object, platform: &'a str) -> Self {
        let field = |key: &str| sent.get(key).and_then(Value::as_str).unwrap_or_default();
        let platform = Some(field("platform")).filter(|own| !own.is_empty()).unwrap_or(platform);
        let family = Family::of(platform);
        let client = sent.get("data").and_then(|data| data.get(CLIENT_IN_APP));
        let in_app = client.or_else(|| sent.get("in_app")).and_then(Value::as_bool);
        let function = field("function");
        Self {
            sent,
            family,
            platform,
            abs_path: field("abs_path"),
            filename: field("filename"),
            module: field("module"),
            package: field("package"),
            function,
            name: frames::function(function, platform, family),
            in_app: in_app.unwrap_or(family == Family::Native),
            groups: true,
        }
    }

    /// Sets one of the two flags.
    pub fn set(&mut self, app: bool, to: bool) {
        match app {
            true => self.in_app = to,
            false => self.groups = to,
        }
    }

    /// The function that rules look at.
    pub fn function_to_match(&self) -> &str {
        if self.name.is_empty() { self.function } else { &self.name }
    }

    /// Whether it says nothing beside the one before it: a call of itself, or one more place of a binary without names.
    fn repeats(&self, before: &Self) -> bool {
        if self.family == Family::Native && self.name.is_empty() {
            return before.family == Family::Native && before.name.is_empty() && self.package == before.package;
        }
        let number = |frame: &Self, key: &str| frame.sent.get(key).and_then(Value::as_u64);
        !self.function.is_empty()
            && self.function == before.function
            && self.abs_path == before.abs_path
            && self.package == before.package
            && self.module == before.module
            && self.filename == before.filename
            && number(self, "lineno") == number(before, "lineno")
            && number(self, "colno") == number(before, "colno")
    }

    /// A field of the frame for a fingerprint.
    pub fn variable(&self, name: &str) -> Option<String> {
        let value = match name {
            "function" => self.function_to_match(),
            "path" | "abs_path" if self.abs_path.is_empty() => self.filename,
            "path" | "abs_path" => self.abs_path,
            "module" => self.module,
            "package" => return Some(frames::base_name(self.package, self.family)).filter(|name| !name.is_empty()),
            _ => return some_text(self.sent, name),
        };
        Some(clean(value)).filter(|value| !value.is_empty())
    }
}

/// Writes decisions into the frames of an event, in the order of [`Stacks::in_app`].
pub fn write_in_app(event: &mut Object, decided: &[Vec<bool>]) {
    let mut decided = decided.iter();
    for key in ["exception", "threads"] {
        let Some(part) = event.get_mut(key) else { continue };
        let list: Vec<&mut Value> = match part {
            Value::Array(list) => list.iter_mut().collect(),
            Value::Object(object) if object.contains_key("values") => {
                object.get_mut("values").and_then(Value::as_array_mut).into_iter().flatten().collect()
            }
            Value::Object(_) => vec![part],
            _ => Vec::new(),
        };
        for holder in list.into_iter().filter_map(Value::as_object_mut) {
            let stack = decided.next();
            write_stack(holder.get_mut("stacktrace"), stack.map(Vec::as_slice).unwrap_or_default());
        }
    }
    if let Some(stack) = event.get_mut("stacktrace") {
        write_stack(Some(stack), decided.next().map(Vec::as_slice).unwrap_or_default());
    }
}

fn write_stack(stack: Option<&mut Value>, decided: &[bool]) {
    let frames = stack.and_then(|stack| stack.get_mut("frames")).and_then(Value::as_array_mut);
    let frames = frames.into_iter().flatten().filter_map(Value::as_object_mut);
    for (frame, in_app) in frames.zip(decided) {
        let client = frame.get("in_app").cloned().unwrap_or(Value::Null);
        if client == Value::Bool(*in_app) {
            continue;
        }
        let data = frame.entry("data").or_insert_with(|| json!({}));
        if !data.is_object() {
            *data = json!({});
        }
        if let Some(data) = data.as_object_mut() {
            data.entry(CLIENT_IN_APP).or_insert(client);
        }
        frame.insert("in_app".to_owned(), Value::Bool(*in_app));
    }
}
