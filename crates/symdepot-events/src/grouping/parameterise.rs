//! Messages without what differs from event to event: numbers, ids, dates, addresses. One pass, leftmost match, at one place the
//! first of the list.

use std::sync::LazyLock;

use regex_automata::meta::Regex;

/// What is put in place of what. `B` stands for a word boundary of ASCII.
const PATTERNS: &[(&str, &str)] = &[
    ("<email>", r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"),
    ("<url>", r#"B(?:https?|wss?|ftp|file)://[^\t\n\x0b\x0c\r '"<>]+"#),
    ("<traceparent>", r"B00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]B"),
    ("<uuid>", r"B[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}B"),
    ("<sha1>", r"B[0-9a-fA-F]{40}B"),
    ("<md5>", r"B[0-9a-fA-F]{32}B"),
    (
        "<date>",
        r"B[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?B",
    ),
    (
        "<date>",
        r"B(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}(?: (?:GMT|UTC|[+-][0-9]{4}))?",
    ),
    ("<date>", r"B[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?B"),
    ("<ip>", r"BO(?:\.O){3}B"),
    ("<ip>", r"B[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){7}B"),
    ("<ip>", r"B[0-9a-fA-F]{3,4}(?::[0-9a-fA-F]{1,4}){0,6}::(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6})?"),
    ("<version>", r"Bv?[0-9]+(?:\.[0-9]+){2,}B"),
    ("<duration>", r"B[0-9]+(?:\.[0-9]+)?(?:ns|us|ms|s|min|h)B"),
    ("<hex>", r"B0[xX][0-9a-fA-F]+B"),
    ("<hex>", r"B[0-9a-fA-F]{16}B"),
    ("<float>", r"-?B[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?B"),
    ("<int>", r"-?B[0-9]+B"),
    ("=<quoted_str>", r#"=[\t\n\x0b\x0c\r ]*(?:'[^']*'|"[^"]*")"#),
    ("=<bool>", r"=[\t\n\x0b\x0c\r ]*(?:true|false|True|False)B"),
];

/// Characters that are looked at, as many as a message keeps. A pattern may look ahead to the end from every place.
const LONGEST: usize = 8_192;

/// A number of an address.
const OCTET: &str = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";

/// All of them; a match says which one it is of, and at one place the first matches.
static ALL: LazyLock<Regex> = LazyLock::new(|| compiled(PATTERNS));

/// All but the first, which looks far ahead at every letter.
static WITHOUT_EMAIL: LazyLock<Regex> = LazyLock::new(|| compiled(&PATTERNS[1..]));

fn compiled(patterns: &[(&str, &str)]) -> Regex {
    let boundary = r"(?-u:\b)";
    let patterns: Vec<String> = patterns
        .iter()
        .map(|(_, pattern)| {
            // Letters of the patterns themselves stand in classes or behind others, never at these places.
            let mut written = String::new();
            let mut chars = pattern.chars().peekable();
            let mut in_class = false;
            while let Some(c) = chars.next() {
                match c {
                    '\\' => {
                        written.push(c);
                        written.extend(chars.next());
                    }
                    '[' | ']' => {
                        in_class = c == '[';
                        written.push(c);
                    }
                    'B' if !in_class => written.push_str(boundary),
                    'O' if !in_class && !chars.peek().is_some_and(char::is_ascii_lowercase) => written.push_str(OCTET),
                    c => written.push(c),
                }
            }
            written
        })
        .collect();
    Regex::new_many(&patterns).expect("the patterns are constant")
}

/// The message without what differs from event to event.
pub fn parameterise(message: &str) -> String {
    let lines = message.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty());
    let mut message = lines.take(2).collect::<Vec<_>>().join("\n");
    if let Some((end, _)) = message.char_indices().nth(LONGEST) {
        message.truncate(end);
    }
    if !message.bytes().any(|byte| byte.is_ascii_digit() || matches!(byte, b'=' | b'@' | b':')) {
        return message;
    }
    let mut written = String::with_capacity(message.len());
    let mut copied = 0;
    // No pattern matches nothing.
    let (patterns, skipped) = if message.contains('@') { (&*ALL, 0) } else { (&*WITHOUT_EMAIL, 1) };
    for found in patterns.find_iter(&message) {
        written.push_str(&message[copied..found.start()]);
        written.push_str(PATTERNS[found.pattern().as_usize() + skipped].0);
        copied = found.end();
    }
    written.push_str(&message[copied..]);
    written
}
