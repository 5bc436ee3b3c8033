//! [`Text`]: what is kept of a string of any length. It never holds more than [`KEPT`] bytes of it.

use std::str;

use super::NotJson;

/// Most bytes of a string that are kept. Its full length is known all the same.
pub const KEPT: usize = 1024;

/// A string: its first [`KEPT`] bytes, and what is known of all of it.
#[derive(Clone, Debug, Default)]
pub struct Text {
    kept: String,
    /// Length of the whole string in bytes.
    pub length: usize,
    /// Whether `'` occurs in it.
    pub single_quote: bool,
    /// Whether `"` occurs in it.
    pub double_quote: bool,
    /// Whether anything but hexadecimal digits and `-` occurs in it.
    pub beyond_hex: bool,
}

impl Text {
    /// The string, or its beginning if it is longer than [`KEPT`].
    pub fn kept(&self) -> &str {
        &self.kept
    }

    fn clear(&mut self) {
        let mut kept = std::mem::take(&mut self.kept);
        kept.clear();
        *self = Self { kept, ..Self::default() };
    }

    fn push(&mut self, text: &str) {
        if self.length == self.kept.len() {
            let free = KEPT - self.kept.len();
            self.kept.push_str(&text[..text.floor_char_boundary(free)]);
        }
        self.length += text.len();
        for byte in text.bytes() {
            self.single_quote |= byte == b'\'';
            self.double_quote |= byte == b'"';
            self.beyond_hex |= !(byte.is_ascii_hexdigit() || byte == b'-');
        }
    }
}

/// A string on its way.
#[derive(Clone, Debug, Default)]
pub(super) struct Growing {
    text: Text,
    /// The beginning of a character that a buffer was cut in.
    cut: Vec<u8>,
}

impl Growing {
    pub(super) fn text(&self) -> &Text {
        &self.text
    }

    /// Whether the end of a character is still to come.
    pub(super) fn is_cut(&self) -> bool {
        !self.cut.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.cut.clear();
    }

    pub(super) fn push(&mut self, text: &str) {
        self.text.push(text);
    }

    /// Adds UTF-8 that may begin and end in the middle of a character.
    pub(super) fn bytes(&mut self, mut run: &[u8]) -> Result<(), NotJson> {
        while !self.cut.is_empty() {
            let Some((&byte, rest)) = run.split_first() else { return Ok(()) };
            self.cut.push(byte);
            run = rest;
            match str::from_utf8(&self.cut) {
                Ok(character) => {
                    self.text.push(character);
                    self.cut.clear();
                }
                Err(error) if error.error_len().is_some() => return Err(NotJson),
                Err(_) => {}
            }
        }
        match str::from_utf8(run) {
            Ok(text) => self.text.push(text),
            Err(error) if error.error_len().is_some() => return Err(NotJson),
            Err(error) => {
                let (whole, cut) = run.split_at(error.valid_up_to());
                self.text.push(str::from_utf8(whole).map_err(|_| NotJson)?);
                self.cut.extend_from_slice(cut);
            }
        }
        Ok(())
    }
}
