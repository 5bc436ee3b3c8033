//! [`Lexer`]: JSON token by token while it arrives, in constant memory. It accepts what `serde_json` accepts.
//!
//! It never keeps more of a string than its first bytes, and never builds a tree.

mod text;

use std::str;

use serde_json::Number;

use text::Growing;
pub use text::{KEPT, Text};

/// How deep values may nest, as in `serde_json`.
const DEEPEST: usize = 127;

/// Longest number in bytes. Honest ones have at most some thirty.
const LONGEST_NUMBER: usize = 1024;

/// The bytes are not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON")]
pub struct NotJson;

/// One step through a document.
#[derive(Debug)]
pub enum Token<'a> {
    /// `{`
    ObjectBegins,
    /// `}`
    ObjectEnds,
    /// `[`
    ArrayBegins,
    /// `]`
    ArrayEnds,
    /// The name of a member of an object.
    Key(&'a Text),
    /// A string as a value.
    String(&'a Text),
    /// A number.
    Number(&'a Number),
    /// `true` or `false`.
    Bool(bool),
    /// `null`
    Null,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A value.
    Value,
    /// A value, or the end of the array that has just begun.
    ValueOrEnd,
    /// A key, or the end of the object that has just begun.
    KeyOrEnd,
    /// A key.
    Key,
    /// The colon behind a key.
    Colon,
    /// A comma or the end of what is open; behind the whole document only blanks.
    After,
    /// The rest of a string.
    String,
    /// What stands behind a backslash.
    Escape,
    /// Four hexadecimal digits.
    Unicode { digits: u8, unit: u16 },
    /// The backslash of the second half of a surrogate pair.
    SecondHalf,
    /// The `u` of it.
    SecondHalfEscape,
    /// The rest of a number.
    Number,
    /// The rest of a word.
    Word(Word, usize),
}

/// The words of the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    True,
    False,
    Null,
}

impl Word {
    const fn letters(self) -> &'static [u8] {
        match self {
            Self::True => b"true",
            Self::False => b"false",
            Self::Null => b"null",
        }
    }

    const fn token(self) -> Token<'static> {
        match self {
            Self::True => Token::Bool(true),
            Self::False => Token::Bool(false),
            Self::Null => Token::Null,
        }
    }
}

/// A document on its way. After an error nothing more can be said of it.
#[derive(Clone, Debug)]
pub struct Lexer {
    state: State,
    /// What is open: true for an object.
    open: Vec<bool>,
    string: Growing,
    /// Whether the string under way is a key.
    is_key: bool,
    /// The first half of a surrogate pair.
    first_half: Option<u16>,
    number: String,
}

impl Default for Lexer {
    fn default() -> Self {
        Self {
            state: State::Value,
            open: Vec::new(),
            string: Growing::default(),
            is_key: false,
            first_half: None,
            number: String::new(),
        }
    }
}

impl Lexer {
    /// Goes on with the next bytes of the document and hands each token that they complete to `sink`.
    pub fn feed(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(Token<'_>)) -> Result<(), NotJson> {
        while let Some((&first, rest)) = bytes.split_first() {
            bytes = match self.state {
                State::String => self.string(bytes, sink)?,
                State::Number => self.number(bytes, sink)?,
                State::Escape => {
                    self.escape(first)?;
                    rest
                }
                State::Unicode { digits, unit } => {
                    self.unicode(first, digits, unit)?;
                    rest
                }
                State::SecondHalf | State::SecondHalfEscape => {
                    self.second_half(first)?;
                    rest
                }
                State::Word(word, known) => {
                    self.word(first, word, known, sink)?;
                    rest
                }
                _ => {
                    if !matches!(first, b' ' | b'\n' | b'\r' | b'\t') {
                        self.structure(first, sink)?;
                    }
                    rest
                }
            };
        }
        Ok(())
    }

    /// Ends the document.
    pub fn end(&mut self, sink: &mut impl FnMut(Token<'_>)) -> Result<(), NotJson> {
        if self.state == State::Number {
            self.number_ends(sink)?;
        }
        if self.state == State::After && self.open.is_empty() { Ok(()) } else { Err(NotJson) }
    }

    fn structure(&mut self, byte: u8, sink: &mut impl FnMut(Token<'_>)) -> Result<(), NotJson> {
        match (self.state, byte, self.open.last()) {
            (State::KeyOrEnd | State::Key, b'"', _) => self.string_begins(true),
            (State::Colon, b':', _) => self.state = State::Value,
            (State::After, b',', Some(true)) => self.state = State::Key,
            (State::After, b',', Some(false)) => self.state = State::Value,
            (State::After | State::KeyOrEnd, b'}', Some(true)) => self.close(Token::ObjectEnds, sink),
            (State::After | State::ValueOrEnd, b']', Some(false)) => self.close(Token::ArrayEnds, sink),
            (State::Value | State::ValueOrEnd, ..) => self.value(byte, sink)?,
            _ => return Err(NotJson),
        }
        Ok(())
    }

    fn value(&mut self, byte: u8, sink: &mut impl FnMut(Token<'_>)) -> Result<(), NotJson> {
        match byte {
            b'"' => self.string_begins(false),
            b'{' | b'[' if self.open.len() == DEEPEST => return Err(NotJson),
            b'{' => {
                self.open.push(true);
                self.state = State::KeyOrEnd;
                sink(Token::ObjectBegins);
            }
            b'[' => {
                self.open.push(false);
                self.state = State::ValueOrEnd;
                sink(Token::ArrayBegins);
            }
            b'-' | b'0'..=b'9' => {
                self.number.clear();
                self.number.push(char::from(byte));
                self.state = State::Number;
            }
            b't' => self.state = State::Word(Word::True, 1),
            b'f' => self.state = State::Word(Word::False, 1),
            b'n' => self.state = State::Word(Word::Null, 1),
            _ => return Err(NotJson),
        }
        Ok(())
    }

    fn close(&mut self, token: Token<'_>, sink: &mut impl FnMut(Token<'_>)) {
        self.open.pop();
        self.state = State::After;
        sink(token);
    }

    fn word(&mut self, byte: u8, word: Word, known: usize, sink: &mut impl FnMut(Token<'_>)) -> Result<(), NotJson> {
        let letters = word.letters();
        if letters[known] != byte {
            return Err(NotJson);
        }
        if known + 1 < letters.len() {
            self.state = State::Word(word, known + 1);
        } else {
            self.state = State::After;
            sink(word.token());
        }
        Ok(())
    }

    /// Takes the bytes of a number; returns those behind it.
    fn number<'a>(&mut self, bytes: &'a [u8], sink: &mut impl FnMut(Token<'_>)) -> Result<&'a [u8], NotJson> {
        let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
        let length = bytes.iter().position(|byte| !is_part(byte)).unwrap_or(bytes.len());
        if self.number.len() + length > LONGEST_NUMBER {
            return Err(NotJson);
        }
        let (part, rest) = bytes.split_at(length);
        self.number.push_str(str::from_utf8(part).map_err(|_| NotJson)?);
        if !rest.is_empty() {
            self.number_ends(sink)?;
        }
        Ok(rest)
    }

    fn number_ends(&mut self, sink: &mut impl FnMut(Token<'_>)) -> Result<(), NotJson> {
        let number = match self.number.as_bytes() {
            [digit @ b'0'..=b'9'] => Number::from(digit - b'0'),
            _ => serde_json::from_str(&self.number).map_err(|_| NotJson)?,
        };
        self.state = State::After;
        sink(Token::Number(&number));
        Ok(())
    }

    fn string_begins(&mut self, is_key: bool) {
        self.string.clear();
        self.is_key = is_key;
        self.state = State::String;
    }

    /// Takes the bytes of a string up to its end, an escape or the end of the buffer; returns those behind them.
    fn string<'a>(&mut self, bytes: &'a [u8], sink: &mut impl FnMut(Token<'_>)) -> Result<&'a [u8], NotJson> {
        let length = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
        let (run, rest) = bytes.split_at(length.unwrap_or(bytes.len()));
        self.string.bytes(run)?;
        let Some((&stop, rest)) = rest.split_first() else { return Ok(rest) };
        match stop {
            _ if self.string.is_cut() => return Err(NotJson),
            b'\\' => self.state = State::Escape,
            b'"' if self.is_key => {
                self.state = State::Colon;
                sink(Token::Key(self.string.text()));
            }
            b'"' => {
                self.state = State::After;
                sink(Token::String(self.string.text()));
            }
            _ => return Err(NotJson),
        }
        Ok(rest)
    }

    fn escape(&mut self, byte: u8) -> Result<(), NotJson> {
        let character = match byte {
            b'"' => "\"",
            b'\\' => "\\",
            b'/' => "/",
            b'b' => "\u{8}",
            b'f' => "\u{c}",
            b'n' => "\n",
            b'r' => "\r",
            b't' => "\t",
            b'u' => {
                self.state = State::Unicode { digits: 0, unit: 0 };
                return Ok(());
            }
            _ => return Err(NotJson),
        };
        self.string.push(character);
        self.state = State::String;
        Ok(())
    }

    fn unicode(&mut self, byte: u8, digits: u8, unit: u16) -> Result<(), NotJson> {
        let digit = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok()).ok_or(NotJson)?;
        let unit = unit << 4 | digit;
        if digits < 3 {
            self.state = State::Unicode { digits: digits + 1, unit };
            return Ok(());
        }
        if self.first_half.is_none() && matches!(unit, 0xd800..=0xdbff) {
            self.first_half = Some(unit);
            self.state = State::SecondHalf;
            return Ok(());
        }
        let units = self.first_half.take().into_iter().chain([unit]);
        let mut characters = char::decode_utf16(units);
        let character = characters.next().and_then(Result::ok).filter(|_| characters.next().is_none());
        self.string.push(character.ok_or(NotJson)?.encode_utf8(&mut [0; 4]));
        self.state = State::String;
        Ok(())
    }

    fn second_half(&mut self, byte: u8) -> Result<(), NotJson> {
        self.state = match (self.state, byte) {
            (State::SecondHalf, b'\\') => State::SecondHalfEscape,
            (State::SecondHalfEscape, b'u') => State::Unicode { digits: 0, unit: 0 },
            _ => return Err(NotJson),
        };
        Ok(())
    }
}
