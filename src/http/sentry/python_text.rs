//! Values as Python writes them, as far as a message repeats them. It never holds a value whole.

use crate::http::json_lexer::{Text, Token};

/// Longest value that is repeated in a message, in characters.
const LONGEST_VALUE: usize = 200;

/// A value that is written down while it goes by.
#[derive(Clone, Debug, Default)]
pub(super) struct Quote {
    written: Shortened,
    open: Vec<Open>,
}

/// An array or object whose end has not come.
#[derive(Clone, Copy, Debug)]
struct Open {
    is_object: bool,
    has_items: bool,
}

impl Quote {
    /// Goes on with the next token of the value.
    pub(super) fn take(&mut self, token: &Token<'_>) {
        if matches!(token, Token::ArrayEnds | Token::ObjectEnds) {
            self.open.pop();
            self.written.push(if matches!(token, Token::ArrayEnds) { "]" } else { "}" });
            return;
        }
        self.separate(matches!(token, Token::Key(_)));
        match token {
            Token::Key(text) => {
                self.written.push(&python_string(text));
                self.written.push(": ");
            }
            Token::String(text) => self.written.push(&python_string(text)),
            Token::Number(number) => self.written.push(&number.to_string()),
            Token::Bool(true) => self.written.push("True"),
            Token::Bool(false) => self.written.push("False"),
            Token::Null => self.written.push("None"),
            Token::ArrayBegins => self.begin("[", false),
            Token::ObjectBegins => self.begin("{", true),
            Token::ArrayEnds | Token::ObjectEnds => {}
        }
    }

    /// What was written, shortened if it is long.
    pub(super) fn finish(self) -> String {
        self.written.finish()
    }

    /// Writes the comma before an item that is not the first.
    fn separate(&mut self, is_key: bool) {
        if let Some(open) = self.open.last_mut()
            && (is_key || !open.is_object)
        {
            if open.has_items {
                self.written.push(", ");
            }
            open.has_items = true;
        }
    }

    fn begin(&mut self, bracket: &str, is_object: bool) {
        self.written.push(bracket);
        self.open.push(Open { is_object, has_items: false });
    }
}

/// Text of which the first [`LONGEST_VALUE`] characters are kept.
#[derive(Clone, Debug, Default)]
struct Shortened {
    text: String,
    characters: usize,
}

impl Shortened {
    fn push(&mut self, text: &str) {
        for character in text.chars().take((LONGEST_VALUE + 1).saturating_sub(self.characters)) {
            self.text.push(character);
            self.characters += 1;
        }
    }

    fn finish(self) -> String {
        shorten(self.text)
    }
}

/// The beginning of a long text.
pub(super) fn shorten(text: String) -> String {
    match text.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A string as Python writes it: in single quotes, unless only those stand in it. Of a long one the end is missing.
pub(super) fn python_string(text: &Text) -> String {
    let quote = if text.single_quote && !text.double_quote { '"' } else { '\'' };
    let mut written = String::from(quote);
    for character in text.kept().chars() {
        match character {
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            '\\' => written.push_str("\\\\"),
            c if c == quote => written.extend(['\\', c]),
            c if c.is_control() => written.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => written.push(c),
        }
    }
    written.push(quote);
    written
}
