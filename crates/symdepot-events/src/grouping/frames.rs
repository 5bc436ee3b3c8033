//! The three parts of a frame's text: where it is, its function, the line of source. Each leaves out what differs from build to
//! build.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::fields::{UNIT, clean};
use super::native_names;
use super::stacks::Frame;

/// The rules that hold for a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Compiled to machine code.
    Native,
    /// JavaScript in browsers and Node.
    JavaScript,
    /// Anything else.
    Other,
}

/// Functions that say nothing.
const NAMELESS: &[&str] = &["?", "<unknown>", "<redacted>", "<anonymous>", "anonymous", "[unknown]"];
/// Platforms whose lines of source count.
const WITH_SOURCE: &[&str] = &["javascript", "node", "python", "php", "ruby"];
/// Longest line of source that counts, in characters.
const LONGEST_LINE: usize = 120;

impl Family {
    /// The family of a platform.
    pub fn of(platform: &str) -> Self {
        match platform {
            "native" | "c" | "cpp" | "rust" | "objc" | "cocoa" | "swift" => Self::Native,
            "javascript" | "node" => Self::JavaScript,
            _ => Self::Other,
        }
    }

    /// Its word in rules.
    pub fn word(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::JavaScript => "javascript",
            Self::Other => "other",
        }
    }
}

/// The text of a frame; `None` if it says nothing.
pub fn frame_text(frame: &Frame<'_>) -> Option<String> {
    let (place, function, line) = (place(frame), clean(&frame.name), line(frame));
    if place.is_empty() && function.is_empty() && line.is_empty() {
        return None;
    }
    let mut text = String::with_capacity(place.len() + function.len() + line.len() + 2);
    text.push_str(&place);
    text.push(UNIT);
    text.push_str(&function);
    text.push(UNIT);
    text.push_str(&line);
    Some(text)
}

fn place(frame: &Frame<'_>) -> String {
    if frame.family == Family::Native {
        return match frame.name.is_empty() {
            true => base_name(frame.package, frame.family),
            false => String::new(),
        };
    }
    let module = clean(frame.module);
    if frame.platform != "javascript" && !module.is_empty() {
        return match frame.platform {
            "java" => java_module(&module).into_owned(),
            _ => module,
        };
    }
    match base_name(frame.filename, frame.family) {
        name if name.is_empty() => base_name(frame.abs_path, frame.family),
        name => name,
    }
}

/// The last part of a path or URL, without what changes with each build.
pub fn base_name(path: &str, family: Family) -> String {
    static BUILD: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^(.+)[.-][0-9a-f]{8,64}(\.[^.]*)$").expect("the pattern is constant"));
    let path = clean(path);
    if matches!(path.as_str(), "<anonymous>" | "[native code]" | "native" | "<unknown>")
        || path.starts_with("data:")
        || path.starts_with("blob:")
    {
        return String::new();
    }
    let path = path.replace('\\', "/");
    let path = match path.split_once("://") {
        Some((_, rest)) => {
            let rest = rest.split(['?', '#']).next().unwrap_or_default();
            rest.split_once('/').map_or("", |(_, path)| path)
        }
        None => &path,
    };
    let name = path.rsplit('/').next().unwrap_or_default().to_lowercase();
    match BUILD.captures(&name).filter(|_| family == Family::JavaScript) {
        Some(parts) => format!("{}{}", &parts[1], &parts[2]),
        None => name,
    }
}

/// A class without the numbers of those that are made at run time.
fn java_module(module: &str) -> Cow<'_, str> {
    static MASKS: LazyLock<[(Regex, &str); 4]> = LazyLock::new(|| {
        let masks = [
            (r"\$\$(?:EnhancerBy|FastClassBy)[0-9A-Za-z_]*\$\$[0-9a-fA-F]+(?:_[0-9]+)?", "$$$$<auto>"),
            (r"\$\$Lambda(?:\$[0-9]+)?(?:/(?:0x)?[0-9a-fA-F]+)?", "$$$$Lambda"),
            (r"\$Proxy[0-9]+", "$$Proxy"),
            (r"GeneratedMethodAccessor[0-9]+", "GeneratedMethodAccessor"),
        ];
        masks.map(|(pattern, put)| (Regex::new(pattern).expect("the pattern is constant"), put))
    });
    let mut module = Cow::Borrowed(module);
    for (mask, put) in MASKS.iter() {
        if let Cow::Owned(masked) = mask.replace_all(&module, *put) {
            module = Cow::Owned(masked);
        }
    }
    module
}

/// The function for grouping; empty if it says nothing.
pub fn function<'a>(function: &'a str, platform: &str, family: Family) -> Cow<'a, str> {
    let nameless = |name: &str| NAMELESS.contains(&name);
    let sent = function.trim();
    if sent.is_empty() || nameless(sent) {
        return Cow::Borrowed("");
    }
    let name = match platform {
        "javascript" | "node" => Cow::Borrowed(javascript(sent)),
        "ruby" => Cow::Borrowed(ruby(sent)),
        "php" => php(sent),
        "java" => java(sent),
        _ if family == Family::Native => Cow::Owned(native_names::simplified(sent)),
        _ => Cow::Borrowed(sent),
    };
    if nameless(&name) { Cow::Borrowed("") } else { name }
}

fn javascript(name: &str) -> &str {
    let mut name = match name.split_once(" [as ") {
        Some((before, rest)) if rest.ends_with(']') => before,
        _ => name,
    };
    while let Some(rest) = name.strip_prefix("async ").or_else(|| name.strip_prefix("new ")) {
        name = rest;
    }
    name.rsplit('.').next().unwrap_or(name)
}

fn ruby(name: &str) -> &str {
    let mut name = name;
    loop {
        let rest = ["block in ", "rescue in ", "ensure in "].iter().find_map(|start| name.strip_prefix(start));
        let levels = || {
            let rest = name.strip_prefix("block (")?;
            let (levels, rest) = rest.split_once(") in ")?;
            levels.ends_with(" levels").then_some(rest)
        };
        match rest.or_else(levels) {
            Some(rest) => name = rest,
            None => return name,
        }
    }
}

fn php(name: &str) -> Cow<'_, str> {
    match name.find("class@anonymous") {
        Some(at) => Cow::Borrowed(&name[..at + "class@anonymous".len()]),
        None => Cow::Borrowed(name),
    }
}

fn java(name: &str) -> Cow<'_, str> {
    static LAMBDA: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(lambda\$[^$]*)\$[0-9]+").expect("the pattern is constant"));
    match name.contains("lambda$") {
        true => LAMBDA.replace_all(name, "$1"),
        false => Cow::Borrowed(name),
    }
}

fn line(frame: &Frame<'_>) -> String {
    if !WITH_SOURCE.contains(&frame.platform) {
        return String::new();
    }
    let line = frame.sent.get("context_line").and_then(Value::as_str).unwrap_or_default();
    let line = clean(line).split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > LONGEST_LINE { String::new() } else { line }
}
