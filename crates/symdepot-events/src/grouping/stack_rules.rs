//! Rules that decide of each frame whether it is the application's own and whether it groups. They run in order, each over all
//! frames of a stack, and later ones see what earlier ones did.

use super::rules::{ExceptionField, Field, FrameField, LineError, Matcher, lines, matcher, tokens};
use super::stacks::{Frame, Stack};

/// A rule.
#[derive(Clone, Debug)]
pub struct StackRule {
    caller: Vec<Matcher>,
    frame: Vec<Matcher>,
    callee: Vec<Matcher>,
    /// Of the exception that the stack belongs to.
    exception: Vec<Matcher>,
    actions: Vec<Action>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Flag { flag: Flag, to: bool, range: Range },
    MaxFrames(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flag {
    App,
    Group,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Range {
    Itself,
    /// All frames before it.
    Callers,
    /// All frames behind it.
    Callees,
}

/// Reads rules, one a line.
pub fn parse(text: &str) -> Result<Vec<StackRule>, LineError> {
    lines(text).map(|(number, line)| rule(line).map_err(|reason| (number, reason))).collect()
}

fn rule(line: &str) -> Result<StackRule, String> {
    let tokens = tokens(line, false)?;
    let mut parts: Vec<&[String]> = tokens.split(|token| token == "|").collect();
    let mut bracketed = |first: bool| -> Result<Vec<Matcher>, String> {
        let part = if first { parts.first() } else { parts.last() };
        let Some(part) = part.copied().filter(|part| part.first().is_some_and(|token| token.starts_with('['))) else {
            return Ok(Vec::new());
        };
        // Behind the callee stand the actions.
        let end = part.iter().position(|token| token.ends_with(']')).ok_or("a `[` is not closed")?;
        let inside = part[..=end].iter().map(|token| token.trim_start_matches('[').trim_end_matches(']'));
        let matchers = inside.filter(|token| !token.is_empty()).map(|token| matcher(token, false));
        let matchers = matchers.collect::<Result<Vec<_>, _>>()?;
        if first {
            if end + 1 < part.len() {
                return Err("`|` is missing behind `]`".to_owned());
            }
            parts.remove(0);
        } else {
            let rest = &part[end + 1..];
            parts.pop();
            parts.push(rest);
        }
        Ok(matchers)
    };
    let caller = bracketed(true)?;
    let callee = bracketed(false)?;
    let words: Vec<&String> = parts.concat_refs();
    let mut rule = StackRule { caller, frame: Vec::new(), callee, exception: Vec::new(), actions: Vec::new() };
    for word in words {
        match action(word)? {
            Some(action) => rule.actions.push(action),
            None if rule.actions.is_empty() => {
                let matcher = matcher(word, false)?;
                match matcher.field {
                    Field::Exception(_) => rule.exception.push(matcher),
                    _ => rule.frame.push(matcher),
                }
            }
            None => return Err(format!("`{word}` stands behind an action")),
        }
    }
    if rule.actions.is_empty() {
        return Err("there is no action, such as `-app` or `-group`".to_owned());
    }
    if rule.frame.is_empty() && rule.exception.is_empty() {
        return Err("there is no matcher, such as `function:main`".to_owned());
    }
    for part in [&mut rule.caller, &mut rule.callee] {
        if part.iter().any(|matcher| matches!(matcher.field, Field::Exception(_))) {
            return Err("`type`, `value` and `mechanism` are of the stack, not of a caller or callee".to_owned());
        }
    }
    Ok(rule)
}

/// The words of several parts, one after the other.
trait Concat<'a> {
    fn concat_refs(&self) -> Vec<&'a String>;
}

impl<'a> Concat<'a> for Vec<&'a [String]> {
    fn concat_refs(&self) -> Vec<&'a String> {
        self.iter().flat_map(|part| part.iter()).collect()
    }
}

fn action(word: &str) -> Result<Option<Action>, String> {
    if let Some(number) = word.strip_prefix("max-frames=") {
        let number = number.parse().map_err(|_| format!("`{word}` is not a number of frames"))?;
        return Ok(Some(Action::MaxFrames(number)));
    }
    let (range, rest) = match word.chars().next() {
        Some('^') => (Range::Callers, &word[1..]),
        Some('v') if word[1..].starts_with(['+', '-']) => (Range::Callees, &word[1..]),
        _ => (Range::Itself, word),
    };
    let (to, name) = match rest.chars().next() {
        Some('+') => (true, &rest[1..]),
        Some('-') => (false, &rest[1..]),
        _ if range == Range::Itself => return Ok(None),
        _ => return Err(format!("the action `{word}` is not known")),
    };
    let flag = match name {
        "app" => Flag::App,
        "group" => Flag::Group,
        _ => return Err(format!("the action `{word}` is not known")),
    };
    Ok(Some(Action::Flag { flag, to, range }))
}

impl StackRule {
    /// Changes the frames of a stack.
    pub fn apply(&self, stack: &mut Stack<'_>) {
        if !self.exception.iter().all(|matcher| exception_holds(matcher, stack)) {
            return;
        }
        // Frames are matched as they were before this rule.
        let matched: Vec<usize> = (0..stack.frames.len()).filter(|at| self.matches(&stack.frames, *at)).collect();
        let (Some(first), Some(last)) = (matched.first().copied(), matched.last().copied()) else { return };
        for action in &self.actions {
            match *action {
                Action::MaxFrames(number) => stack.max_frames = Some(number),
                Action::Flag { flag, to, range: Range::Itself } => {
                    matched.iter().for_each(|at| stack.frames[*at].set(flag == Flag::App, to));
                }
                // What is before any of them is before the last one.
                Action::Flag { flag, to, range: Range::Callers } => {
                    stack.frames[..last].iter_mut().for_each(|frame| frame.set(flag == Flag::App, to));
                }
                Action::Flag { flag, to, range: Range::Callees } => {
                    stack.frames[first + 1..].iter_mut().for_each(|frame| frame.set(flag == Flag::App, to));
                }
            }
        }
    }

    fn matches(&self, frames: &[Frame<'_>], at: usize) -> bool {
        let all = |matchers: &[Matcher], frame: Option<&Frame<'_>>| {
            matchers.is_empty() || frame.is_some_and(|frame| matchers.iter().all(|matcher| frame_holds(matcher, frame)))
        };
        all(&self.frame, frames.get(at))
            && all(&self.caller, at.checked_sub(1).and_then(|before| frames.get(before)))
            && all(&self.callee, frames.get(at + 1))
    }
}

/// Whether a matcher holds for a frame.
pub fn frame_holds(matcher: &Matcher, frame: &Frame<'_>) -> bool {
    let Field::Frame(field) = &matcher.field else { return false };
    let held = match field {
        FrameField::Family => {
            let mut words = matcher.word.split(',');
            return words.any(|word| word == "all" || word == frame.family.word()) != matcher.is_negated;
        }
        FrameField::App => {
            let wanted = matches!(matcher.word.as_str(), "yes" | "true" | "1");
            return (frame.in_app == wanted) != matcher.is_negated;
        }
        FrameField::Path => [frame.abs_path, frame.filename],
        FrameField::Package => [frame.package, ""],
        FrameField::Module => [frame.module, ""],
        FrameField::Function => [frame.function_to_match(), ""],
    };
    let values: Vec<&str> = held.into_iter().filter(|value| !value.is_empty()).collect();
    matcher.holds(&values)
}

fn exception_holds(matcher: &Matcher, stack: &Stack<'_>) -> bool {
    let Some(exception) = &stack.exception else { return matcher.is_negated };
    let Field::Exception(field) = &matcher.field else { return false };
    let value = match field {
        ExceptionField::Type => &exception.kind,
        ExceptionField::Value => &exception.value,
        ExceptionField::Mechanism => &exception.mechanism,
    };
    match value.is_empty() {
        true => matcher.holds(&[]),
        false => matcher.holds(&[value]),
    }
}
