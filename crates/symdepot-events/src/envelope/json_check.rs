//! Checks in one pass that bytes are one JSON object, without building it, and finds the `event_id` in it.
//!
//! Within texts, bytes that are not UTF-8, NUL and lone surrogates are allowed: they are replaced when the object is read. It
//! never recurses, so that no input exhausts the stack.

/// Most levels of lists and objects.
pub const MAX_DEPTH: usize = 128;
/// A number with more bytes may be too large for a float.
const LONG_NUMBER: usize = 300;

/// Why bytes are not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// They break the grammar of JSON at this position.
    #[error("The event is not valid JSON at byte {0}.")]
    Syntax(usize),
    /// They are another value than an object.
    #[error("The event is not a JSON object.")]
    NotAnObject,
    /// Lists and objects are nested too deep.
    #[error("The event is nested deeper than {MAX_DEPTH} levels.")]
    TooDeep,
}

/// What a reader of the object has to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Where the value of the last key `event_id` of the outermost object begins.
    pub event_id_at: Option<usize>,
    /// NUL or an escaped surrogate or NUL occurs in a text.
    pub needs_cleaning: bool,
    /// A number may be out of the range of a float.
    pub has_large_number: bool,
}

/// Checks that `json` is one object and nothing else.
pub fn check(json: &[u8]) -> Result<Checked, JsonError> {
    let mut checker = Checker { json, at: 0, depth: 0, objects: [0; MAX_DEPTH / 64], found: Checked::default() };
    checker.skip_blanks();
    match checker.peek() {
        Some(b'{') => checker.run(),
        Some(b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => Err(JsonError::NotAnObject),
        _ => Err(checker.error()),
    }
}

/// The end of the text that begins with the quote at `start` in JSON that was checked.
pub fn text_end(json: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        at = plain_end(json, at);
        match json.get(at) {
            None => return json.len(),
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
}

struct Checker<'a> {
    json: &'a [u8],
    at: usize,
    depth: usize,
    /// One bit for each level: set if it is an object, clear if it is a list.
    objects: [u64; MAX_DEPTH / 64],
    found: Checked,
}

impl Checker<'_> {
    fn run(mut self) -> Result<Checked, JsonError> {
        loop {
            if self.value()? && self.close()? {
                self.skip_blanks();
                return if self.at == self.json.len() { Ok(self.found) } else { Err(self.error()) };
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.json.get(self.at).copied()
    }

    fn error(&self) -> JsonError {
        JsonError::Syntax(self.at)
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Passes a value, or the beginning of a list or object up to its first value. Returns whether a value is complete.
    fn value(&mut self) -> Result<bool, JsonError> {
        match self.peek() {
            Some(b'"') => self.text().map(|_| true),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| true),
            Some(b'{') => self.open(true),
            Some(b'[') => self.open(false),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => Err(self.error()),
        }
    }

    fn open(&mut self, is_object: bool) -> Result<bool, JsonError> {
        if self.depth == MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        self.objects[word] = if is_object { self.objects[word] | bit } else { self.objects[word] & !bit };
        self.depth += 1;
        self.at += 1;
        self.skip_blanks();
        if self.peek() == Some(if is_object { b'}' } else { b']' }) {
            self.at += 1;
            self.depth -= 1;
            return Ok(true);
        }
        if is_object {
            self.key()?;
        }
        Ok(false)
    }

    /// After a value: closes lists and objects that end here. Returns whether the outermost one did.
    fn close(&mut self) -> Result<bool, JsonError> {
        while self.depth > 0 {
            let level = self.depth - 1;
            let is_object = self.objects[level / 64] >> (level % 64) & 1 == 1;
            self.skip_blanks();
            match (self.peek(), is_object) {
                (Some(b'}'), true) | (Some(b']'), false) => self.depth = level,
                (Some(b','), true) => {
                    self.at += 1;
                    self.skip_blanks();
                    self.key()?;
                    return Ok(false);
                }
                (Some(b','), false) => {
                    self.at += 1;
                    self.skip_blanks();
                    return Ok(false);
                }
                _ => return Err(self.error()),
            }
            self.at += 1;
        }
        Ok(true)
    }

    /// Passes a key and its colon.
    fn key(&mut self) -> Result<(), JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.error());
        }
        let start = self.at;
        let has_escape = self.text()?;
        let key = &self.json[start..self.at];
        self.skip_blanks();
        if self.peek() != Some(b':') {
            return Err(self.error());
        }
        self.at += 1;
        self.skip_blanks();
        if self.depth == 1 && is_event_id(key, has_escape) {
            self.found.event_id_at = Some(self.at);
        }
        Ok(())
    }

    /// Passes a text and returns whether it has an escape.
    fn text(&mut self) -> Result<bool, JsonError> {
        let mut has_escape = false;
        self.at += 1;
        loop {
            self.at = plain_end(self.json, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(has_escape);
                }
                Some(b'\\') => {
                    has_escape = true;
                    self.escape()?;
                }
                Some(0) => {
                    self.found.needs_cleaning = true;
                    self.at += 1;
                }
                _ => return Err(self.error()),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        match self.json.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let unit = super::json_clean::unit_at(self.json, self.at).ok_or(self.error())?;
                self.found.needs_cleaning |= matches!(unit, 0 | 0xd800..=0xdfff);
                self.at += 6;
            }
            _ => return Err(self.error()),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.found.has_large_number = true;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.found.has_large_number |= self.at - start > LONG_NUMBER;
        Ok(())
    }

    /// Passes at least one digit.
    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.error()) } else { Ok(()) }
    }

    fn literal(&mut self, literal: &[u8]) -> Result<bool, JsonError> {
        if !self.json[self.at..].starts_with(literal) {
            return Err(self.error());
        }
        self.at += literal.len();
        Ok(true)
    }
}

/// Whether a key with its quotes is `event_id`, also where letters of it are escaped.
fn is_event_id(key: &[u8], has_escape: bool) -> bool {
    const NAME: &str = "event_id";
    match has_escape {
        false => key.len() == NAME.len() + 2 && &key[1..=NAME.len()] == NAME.as_bytes(),
        // Each letter may take six bytes.
        true => key.len() <= NAME.len() * 6 + 2 && serde_json::from_slice(key).is_ok_and(|key: String| key == NAME),
    }
}

/// The first quote, backslash or control byte at or after `at`, else the end.
fn plain_end(json: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    /// The high bit of each byte that is zero; exact up to the first of them.
    fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & HIGH
    }
    while let Some(chunk) = json.get(at..at + 8).and_then(|chunk| <[u8; 8]>::try_from(chunk).ok()) {
        let word = u64::from_le_bytes(chunk);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let found = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\'))) | control;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while json.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
        at += 1;
    }
    at
}
