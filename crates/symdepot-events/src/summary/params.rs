//! Parameters of a message put into its placeholders: `%s` and `{}` in order, `%(name)s`, `{0}` and `{name}` by name.
//!
//! It never formats a parameter by the rules of a language, and never writes more than a message may have.

use serde_json::Value;

use crate::normalize::truncated;

/// Most characters of the result.
const MAX_MESSAGE: usize = 8_192;
/// Longest placeholder, in bytes.
const MAX_PLACEHOLDER: usize = 200;

/// The message with its parameters. A placeholder without a parameter stays.
pub fn with_params(template: &str, params: Option<&Value>) -> String {
    let has_params = match params {
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(names)) => !names.is_empty(),
        _ => false,
    };
    let Some(params) = params.filter(|_| has_params) else { return template.to_owned() };
    let (mut out, mut rest, mut position) = (String::with_capacity(template.len()), template, 0);
    while let Some(start) = rest.find(['%', '{', '}'])
        && out.len() <= MAX_MESSAGE * 4
    {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let (length, text) = match placeholder(rest) {
            Some((length, Placeholder::Literal(sign))) => (length, Some(sign.to_owned())),
            Some((length, Placeholder::Next)) => {
                position += 1;
                (length, shown(params.get(position - 1)))
            }
            Some((length, Placeholder::Named(name))) => {
                let by_position = || params.get(name.parse::<usize>().ok()?);
                (length, shown(params.get(name).or_else(by_position)))
            }
            None => (1, None),
        };
        out.push_str(text.as_deref().unwrap_or(&rest[..length]));
        rest = &rest[length..];
    }
    out.push_str(rest);
    let length = truncated(&out, MAX_MESSAGE).len();
    out.truncate(length);
    out
}

/// What a placeholder means.
enum Placeholder<'a> {
    /// A sign that was escaped.
    Literal(&'static str),
    /// The next parameter.
    Next,
    /// The parameter of this name or position.
    Named(&'a str),
}

/// The placeholder at the beginning of a text that begins with `%`, `{` or `}`, and its length.
fn placeholder(text: &str) -> Option<(usize, Placeholder<'_>)> {
    for (escaped, sign) in [("%%", "%"), ("{{", "{"), ("}}", "}")] {
        if text.starts_with(escaped) {
            return Some((2, Placeholder::Literal(sign)));
        }
    }
    match text.as_bytes().first() {
        Some(b'%') => percent(text),
        Some(b'{') => braces(text),
        _ => None,
    }
}

/// `%s`, `%-5.2f`, `%(name)s`.
fn percent(text: &str) -> Option<(usize, Placeholder<'_>)> {
    let bytes = text.as_bytes();
    let (mut at, mut kind) = (1, Placeholder::Next);
    if bytes.get(1) == Some(&b'(') {
        let length = bytes.iter().take(MAX_PLACEHOLDER).position(|byte| *byte == b')')?;
        kind = Placeholder::Named(&text[2..length]);
        at = length + 1;
    }
    let is_flag = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'#');
    at += bytes.get(at..)?.iter().take(MAX_PLACEHOLDER).take_while(|byte| is_flag(byte)).count();
    bytes.get(at).filter(|conversion| b"sdifruxXoeEgGcajp".contains(conversion))?;
    Some((at + 1, kind))
}

/// `{}`, `{0}`, `{name}`, `{name!r:>5}`.
fn braces(text: &str) -> Option<(usize, Placeholder<'_>)> {
    let end = text.bytes().take(MAX_PLACEHOLDER).position(|byte| byte == b'}')?;
    let name = text[1..end].split(['!', ':']).next().unwrap_or_default();
    let kind = if name.is_empty() { Placeholder::Next } else { Placeholder::Named(name) };
    Some((end + 1, kind))
}

fn shown(param: Option<&Value>) -> Option<String> {
    match param? {
        Value::String(text) => Some(truncated(text, MAX_MESSAGE).to_owned()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_put_into_their_placeholders() {
        for (template, params, expected) in [
            ("user %s not found", json!(["bob"]), "user bob not found"),
            ("%d of %5.2f %r", json!([1, 2.5, null]), "1 of 2.5 null"),
            ("100%% of %s", json!(["x"]), "100% of x"),
            ("100% of %s", json!(["x"]), "100% of x"),
            ("%(name)s is %(age)d", json!({ "name": "bob", "age": 5 }), "bob is 5"),
            ("{} and {}", json!(["a", "b"]), "a and b"),
            ("{1} and {0}", json!(["a", "b"]), "b and a"),
            ("{name!r:>5}", json!({ "name": "bob" }), "bob"),
            ("{{}} {}", json!(["a"]), "{} a"),
            ("%s %s", json!(["a"]), "a %s"),
            ("%s {x} %", json!([]), "%s {x} %"),
            ("%(x {y %(z)", json!(["a"]), "%(x {y %(z)"),
            ("ä%sö{é}", json!(["€"]), "ä€ö{é}"),
        ] {
            assert_eq!(with_params(template, Some(&params)), expected, "{template}");
        }
        assert_eq!(with_params("%s %%", None), "%s %%");
    }

    #[test]
    fn repeated_large_parameters_are_bounded() {
        let params = json!({ "a": "x".repeat(200_000) });
        assert_eq!(with_params(&"{a}".repeat(2_700), Some(&params)).chars().count(), MAX_MESSAGE);
        let unclosed = "%(".repeat(1_000_000);
        assert_eq!(with_params(&unclosed, Some(&params)).chars().count(), MAX_MESSAGE);
    }
}
