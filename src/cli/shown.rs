//! Texts of others as a terminal may see them: control characters become codes. It changes nothing that is stored.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A stored name as one field of a line: everything that moves the cursor, changes colours or turns the direction of
/// writing is shown as its code, such as `\u{1b}`.
pub fn shown(text: &str) -> Cow<'_, str> {
    escaped(text, is_harmful)
}

/// A whole line, which may have tabs between its fields, or a message, which may have several lines.
pub fn shown_line(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_harmful(c) && !matches!(c, '\t' | '\n'))
}

fn escaped(text: &str, is_harmful: fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_harmful(character) {
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Control characters, line separators, and what changes the direction of the text behind it.
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_its_code() {
        assert_eq!(shown("a\u{1b}[2J\tb\n\u{9b}\u{202e}"), "a\\u{1b}[2J\\u{9}b\\u{a}\\u{9b}\\u{202e}");
        assert_eq!(shown_line("a\tb\nc\u{1b}]0;x\u{7}"), "a\tb\nc\\u{1b}]0;x\\u{7}");
        assert_eq!(shown("Grüße/日本.so"), "Grüße/日本.so");
    }
}
