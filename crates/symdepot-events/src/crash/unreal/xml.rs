//! Elements and texts of an XML document as nested JSON, for documents that a program wrote.
//!
//! It never reads a document type, so there are no entities to expand: only the five of XML and numbers.

use serde_json::Value;

use crate::Object;
use crate::security::json::without_nul;

/// Longest document, in bytes.
const MAX_INPUT: usize = 1 << 20;

/// Deepest nesting of elements.
const MAX_DEPTH: usize = 32;

/// The content of the root element: the names of elements become keys, elements of the same name a list. An element with
/// elements is an object and its own text is dropped, any other is its text. Attributes are ignored.
///
/// `None` if the document is too long, too deep, cut off or not well-formed.
pub(super) fn read(document: &[u8]) -> Option<Object> {
    if document.len() > MAX_INPUT {
        return None;
    }
    let text = decode(document);
    let text = without_nul(&text);
    let mut reader = Reader { left: &text, open: Vec::new() };
    loop {
        if let Some(root) = reader.step()? {
            return Some(root);
        }
    }
}

/// UTF-8, or UTF-16 if its mark is there: the engine writes either.
fn decode(document: &[u8]) -> String {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.as_chunks().0.iter().map(|pair| unit(*pair));
        char::decode_utf16(units).map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match document {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => String::from_utf8_lossy(document).into_owned(),
    }
}

struct Reader<'a> {
    left: &'a str,
    /// The elements around the current place, outermost first.
    open: Vec<Element<'a>>,
}

struct Element<'a> {
    name: &'a str,
    text: String,
    children: Object,
}

impl<'a> Reader<'a> {
    /// Reads up to the end of the next markup. Returns the root when it is closed; the outer `None` is an error.
    fn step(&mut self) -> Option<Option<Object>> {
        let (text, left) = self.left.split_once('<')?;
        self.left = left;
        match self.open.last_mut() {
            Some(element) => unescape(text, &mut element.text),
            None if text.trim().is_empty() => {}
            None => return None,
        }
        if let Some(left) = self.left.strip_prefix("!--") {
            self.left = left.split_once("-->")?.1;
        } else if let Some(left) = self.left.strip_prefix("![CDATA[") {
            let (text, left) = left.split_once("]]>")?;
            self.open.last_mut()?.text.push_str(text);
            self.left = left;
        } else if let Some(left) = self.left.strip_prefix('?') {
            self.left = left.split_once("?>")?.1;
        } else if self.left.starts_with('!') {
            return None;
        } else if let Some(left) = self.left.strip_prefix('/') {
            let (name, left) = left.split_once('>')?;
            self.left = left;
            return self.close(Some(name.trim_end()));
        } else {
            return self.open_element();
        }
        Some(None)
    }

    fn open_element(&mut self) -> Option<Option<Object>> {
        let (tag, left) = split_tag(self.left)?;
        self.left = left;
        let (tag, is_empty) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let name = tag.split(|char: char| char.is_ascii_whitespace()).next().filter(|name| !name.is_empty())?;
        if self.open.len() == MAX_DEPTH {
            return None;
        }
        self.open.push(Element { name, text: String::new(), children: Object::new() });
        if is_empty { self.close(None) } else { Some(None) }
    }

    /// Closes the innermost element, which has to have this name if there is one.
    fn close(&mut self, name: Option<&str>) -> Option<Option<Object>> {
        let element = self.open.pop().filter(|element| name.is_none_or(|name| name == element.name))?;
        let Some(parent) = self.open.last_mut() else { return Some(Some(element.children)) };
        let value = if element.children.is_empty() {
            Value::String(element.text.trim().to_owned())
        } else {
            Value::Object(element.children)
        };
        insert(&mut parent.children, element.name, value);
        Some(None)
    }
}

/// Splits behind the `>` that ends a tag; one inside of quotes does not.
fn split_tag(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    let end = text.bytes().position(|byte| {
        match quote {
            Some(open) if open == byte => quote = None,
            None if byte == b'"' || byte == b'\'' => quote = Some(byte),
            _ => {}
        }
        byte == b'>' && quote.is_none()
    })?;
    Some((&text[..end], &text[end + 1..]))
}

/// Values of elements are texts or objects, so a list is always one of several elements.
fn insert(object: &mut Object, name: &str, value: Value) {
    match object.get_mut(name) {
        None => {
            object.insert(name.to_owned(), value);
        }
        Some(Value::Array(list)) => list.push(value),
        Some(present) => *present = Value::Array(vec![present.take(), value]),
    }
}

/// Appends a text with its entities replaced; what is none stays as it is.
fn unescape(mut text: &str, out: &mut String) {
    while let Some((before, after)) = text.split_once('&') {
        out.push_str(before);
        // The longest is `&#x10FFFF;`; leading zeros are allowed, up to a point.
        let end = after.bytes().take(16).position(|byte| byte == b';');
        match end.and_then(|end| Some((entity(&after[..end])?, &after[end + 1..]))) {
            Some((char, rest)) => {
                out.push(char);
                text = rest;
            }
            None => {
                out.push('&');
                text = after;
            }
        }
    }
    out.push_str(text);
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?).map(|char| if char == '\0' { char::REPLACEMENT_CHARACTER } else { char })
        }
    }
}
