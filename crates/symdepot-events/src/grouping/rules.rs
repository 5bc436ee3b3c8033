//! Rules of a project as text: tokens, matchers, errors with their line. What rules do stands beside them.

use std::fmt;
use std::sync::LazyLock;

use super::fingerprint_rules::{self, FingerprintRule};
use super::globs::Glob;
use super::stack_rules::{self, StackRule};

/// The rules that every project has, as the page of the algorithm lists them.
const BUILTIN: &str = include_str!("builtin_rules.txt");

static BUILTIN_RULES: LazyLock<Vec<StackRule>> =
    LazyLock::new(|| stack_rules::parse(BUILTIN).expect("the built-in rules are constant"));

/// The rules of a project, compiled.
#[derive(Clone, Debug)]
pub struct Rules {
    own: Vec<StackRule>,
    /// Those that give fingerprints.
    pub(super) fingerprints: Vec<FingerprintRule>,
}

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    field: &'static str,
    line: usize,
    reason: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}: {}", self.field, self.line, self.reason)
    }
}

impl std::error::Error for RuleError {}

impl Rules {
    /// The built-in rules alone.
    pub fn builtin() -> Self {
        Self { own: Vec::new(), fingerprints: Vec::new() }
    }

    /// The built-in rules, and those of a project.
    pub fn parse(enhancements: &str, fingerprinting: &str) -> Result<Self, RuleError> {
        let named = |field| move |(line, reason)| RuleError { field, line, reason };
        Ok(Self {
            own: stack_rules::parse(enhancements).map_err(named("groupingEnhancements"))?,
            fingerprints: fingerprint_rules::parse(fingerprinting).map_err(named("fingerprintingRules"))?,
        })
    }

    /// Rules of stacks in the order in which they apply.
    pub(super) fn stack_rules(&self) -> impl Iterator<Item = &StackRule> {
        BUILTIN_RULES.iter().chain(&self.own)
    }
}

/// Why a line cannot be read: its number from 1 on, and a sentence.
pub(super) type LineError = (usize, String);

/// The lines that are rules, with their numbers.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// What a frame matcher looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameField {
    Path,
    Package,
    Module,
    Function,
    Family,
    App,
}

/// What an exception matcher looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExceptionField {
    Type,
    Value,
    Mechanism,
}

/// What a matcher looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Frame(FrameField),
    Exception(ExceptionField),
    /// Of the event as a whole.
    Event(String),
}

/// A condition of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Matcher {
    pub field: Field,
    pub is_negated: bool,
    pub glob: Glob,
    /// The pattern as it was written, for fields of few words.
    pub word: String,
}

impl Matcher {
    /// Whether a value matches. A missing one matches nothing, and so its negation.
    pub fn holds(&self, values: &[&str]) -> bool {
        values.iter().any(|value| self.glob.matches(value)) != self.is_negated
    }
}

/// Fields of the event that fingerprint rules know.
const EVENT_FIELDS: &[&str] = &["message", "logger", "level", "release", "environment", "transaction", "sdk"];

/// Reads `[!]name:glob`.
pub(super) fn matcher(token: &str, with_event: bool) -> Result<Matcher, String> {
    let (is_negated, token) = token.strip_prefix('!').map_or((false, token), |rest| (true, rest));
    let (name, pattern) =
        token.split_once(':').ok_or_else(|| format!("`{token}` is neither a matcher nor an action"))?;
    let short = name.strip_prefix("stack.").or_else(|| name.strip_prefix("error.")).unwrap_or(name);
    let pattern = unquoted(pattern)?;
    let field = match short {
        "path" | "abs_path" => Field::Frame(FrameField::Path),
        "package" => Field::Frame(FrameField::Package),
        "module" => Field::Frame(FrameField::Module),
        "function" => Field::Frame(FrameField::Function),
        "family" => Field::Frame(FrameField::Family),
        "app" | "in_app" => Field::Frame(FrameField::App),
        "type" => Field::Exception(ExceptionField::Type),
        "value" => Field::Exception(ExceptionField::Value),
        "mechanism" => Field::Exception(ExceptionField::Mechanism),
        other if with_event && (EVENT_FIELDS.contains(&other) || other.starts_with("tags.")) => {
            Field::Event(other.to_owned())
        }
        other => return Err(format!("the matcher `{other}` is not known")),
    };
    let allowed: &[&str] = match field {
        Field::Frame(FrameField::Family) => &["native", "javascript", "other", "all"],
        Field::Frame(FrameField::App) => &["yes", "no", "true", "false", "1", "0"],
        _ => &[],
    };
    if !allowed.is_empty() && !pattern.split(',').all(|word| allowed.contains(&word)) {
        return Err(format!("`{name}` is one of {}", allowed[..allowed.len().min(4)].join(", ")));
    }
    let glob = match field {
        Field::Frame(FrameField::Path | FrameField::Package) => Glob::path(&pattern),
        _ => Glob::name(&pattern),
    };
    Ok(Matcher { field, is_negated, glob, word: pattern })
}

/// A value without its quotes and escapes.
pub(super) fn unquoted(text: &str) -> Result<String, String> {
    let Some(inner) = text.strip_prefix('"') else { return Ok(text.to_owned()) };
    let inner = inner.strip_suffix('"').ok_or_else(|| format!("the quotes of `{text}` are not closed"))?;
    let (mut written, mut chars) = (String::new(), inner.chars());
    while let Some(c) = chars.next() {
        written.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    Ok(written)
}

/// The words of a line: separated by blanks, and by commas where `commas` says so, with quotes and `{{ … }}` kept whole.
pub(super) fn tokens(line: &str, commas: bool) -> Result<Vec<String>, String> {
    let (mut tokens, mut token) = (Vec::new(), String::new());
    let mut chars = line.chars().peekable();
    let (mut in_quotes, mut in_braces) = (false, false);
    while let Some(c) = chars.next() {
        match c {
            '\\' if in_quotes => {
                token.push(c);
                token.extend(chars.next());
            }
            '"' => {
                in_quotes = !in_quotes;
                token.push(c);
            }
            '{' if !in_quotes && chars.peek() == Some(&'{') => {
                in_braces = true;
                token.push(c);
            }
            '}' if !in_quotes && chars.peek() == Some(&'}') => {
                in_braces = false;
                token.push(c);
                token.extend(chars.next());
            }
            c if !in_quotes && !in_braces && (c.is_whitespace() || commas && c == ',') => {
                if !token.is_empty() {
                    tokens.push(std::mem::take(&mut token));
                }
            }
            c => token.push(c),
        }
    }
    if in_quotes {
        return Err("quotes are not closed".to_owned());
    }
    if !token.is_empty() {
        tokens.push(token);
    }
    Ok(tokens)
}
