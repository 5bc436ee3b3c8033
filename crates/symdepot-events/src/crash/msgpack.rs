//! `MessagePack`, as far as events and breadcrumbs of crash uploads need it, read into JSON values.
//!
//! It never allocates by a claimed length: only bytes that are present become values.

use serde_json::{Number, Value};

use crate::Object;
use crate::security::json::without_nul;

/// Longest input, in bytes.
pub const MAX_INPUT: usize = 1 << 20;

/// Deepest nesting of arrays and maps, as for JSON.
pub const MAX_DEPTH: usize = 128;

/// Reads the first value of the input; bytes after it are ignored.
///
/// Binary data becomes text (invalid UTF-8 and NUL replaced), extension types, NaN and infinity become null, keys that are
/// numbers or booleans become text, other keys are dropped with their value. `None` if the value is cut off, too deep or
/// invalid, or if the input is longer than [`MAX_INPUT`].
pub fn read(bytes: &[u8]) -> Option<Value> {
    if bytes.len() > MAX_INPUT {
        return None;
    }
    Reader { left: bytes }.value(0)
}

/// Reads values that follow each other, up to the first that cannot be read.
pub fn read_all(bytes: &[u8]) -> Vec<Value> {
    read_prefix(bytes).0
}

/// As [`read_all`], and whether the whole input was read.
pub(super) fn read_prefix(bytes: &[u8]) -> (Vec<Value>, bool) {
    let mut values = Vec::new();
    if bytes.len() > MAX_INPUT {
        return (values, false);
    }
    let mut reader = Reader { left: bytes };
    while !reader.left.is_empty() {
        match reader.value(0) {
            Some(value) => values.push(value),
            None => return (values, false),
        }
    }
    (values, true)
}

struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        let marker = self.byte()?;
        Some(match marker {
            0x00..=0x7f => Value::from(marker),
            0x80..=0x8f => self.map(usize::from(marker & 0x0f), depth)?,
            0x90..=0x9f => self.array(usize::from(marker & 0x0f), depth)?,
            0xa0..=0xbf => self.text(usize::from(marker & 0x1f))?,
            0xc0 => Value::Null,
            // Never used by the format.
            0xc1 => return None,
            0xc2 => Value::Bool(false),
            0xc3 => Value::Bool(true),
            0xc4 | 0xd9 => self.sized_text(1)?,
            0xc5 | 0xda => self.sized_text(2)?,
            0xc6 | 0xdb => self.sized_text(4)?,
            0xc7 => self.sized_extension(1)?,
            0xc8 => self.sized_extension(2)?,
            0xc9 => self.sized_extension(4)?,
            0xca => float(f32::from_bits(u32::try_from(self.unsigned(4)?).ok()?).into()),
            0xcb => float(f64::from_bits(self.unsigned(8)?)),
            0xcc..=0xcf => Value::from(self.unsigned(1 << (marker - 0xcc))?),
            0xd0..=0xd3 => Value::from(self.signed(1 << (marker - 0xd0))?),
            0xd4..=0xd8 => self.extension(1 << (marker - 0xd4))?,
            0xdc => self.sized_array(2, depth)?,
            0xdd => self.sized_array(4, depth)?,
            0xde => self.sized_map(2, depth)?,
            0xdf => self.sized_map(4, depth)?,
            0xe0..=0xff => Value::from(i8::from_be_bytes([marker])),
        })
    }

    fn array(&mut self, count: usize, depth: usize) -> Option<Value> {
        self.check(count, depth)?;
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.value(depth + 1)?);
        }
        Some(Value::Array(values))
    }

    fn map(&mut self, count: usize, depth: usize) -> Option<Value> {
        self.check(count, depth)?;
        let mut object = Object::new();
        for _ in 0..count {
            let key = self.value(depth + 1)?;
            let value = self.value(depth + 1)?;
            if let Some(key) = key_text(key) {
                object.insert(key, value);
            }
        }
        Some(Value::Object(object))
    }

    /// An entry has at least one byte, so a count above the rest of the input is refused at once.
    fn check(&self, count: usize, depth: usize) -> Option<()> {
        (depth < MAX_DEPTH && count <= self.left.len()).then_some(())
    }

    fn sized_array(&mut self, width: usize, depth: usize) -> Option<Value> {
        let count = self.length(width)?;
        self.array(count, depth)
    }

    fn sized_map(&mut self, width: usize, depth: usize) -> Option<Value> {
        let count = self.length(width)?;
        self.map(count, depth)
    }

    fn sized_text(&mut self, width: usize) -> Option<Value> {
        let length = self.length(width)?;
        self.text(length)
    }

    fn sized_extension(&mut self, width: usize) -> Option<Value> {
        let length = self.length(width)?;
        self.extension(length)
    }

    fn text(&mut self, length: usize) -> Option<Value> {
        let text = String::from_utf8_lossy(self.take(length)?);
        Some(Value::String(without_nul(&text).into_owned()))
    }

    fn extension(&mut self, length: usize) -> Option<Value> {
        // The type is one byte before the data.
        self.take(length.checked_add(1)?)?;
        Some(Value::Null)
    }

    fn length(&mut self, width: usize) -> Option<usize> {
        usize::try_from(self.unsigned(width)?).ok()
    }

    fn unsigned(&mut self, width: usize) -> Option<u64> {
        Some(self.take(width)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn signed(&mut self, width: usize) -> Option<i64> {
        let shift = 64 - 8 * u32::try_from(width).ok()?;
        // Moved to the top and back, so that the sign fills the upper bytes.
        Some((self.unsigned(width)? << shift).cast_signed() >> shift)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.left.split_at_checked(length)?;
        self.left = left;
        Some(taken)
    }
}

/// JSON has neither NaN nor infinity.
fn float(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

fn key_text(key: Value) -> Option<String> {
    match key {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
