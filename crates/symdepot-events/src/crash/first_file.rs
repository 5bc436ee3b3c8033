//! [`FirstFile`]: the first file of a multipart body whose boundary is known from its own first line.
//!
//! Old versions of Electron store a whole upload as the dump. It never holds more than what precedes that file, and one buffer.

use std::io::{self, Read};

/// Most bytes that may precede the content of the first file.
pub(super) const MAX_BEFORE: usize = 1 << 20;
/// Longest boundary, in bytes.
const MAX_BOUNDARY: usize = 200;
/// Bytes that are searched for the delimiter at a time.
const WINDOW: usize = 64 << 10;

/// Reads the content of the file. A body that is cut off ends the file, as it ended the dump.
pub(super) struct FirstFile<R> {
    inner: R,
    delimiter: Vec<u8>,
    /// Content that was read and not given yet: `buffer[start..]`.
    buffer: Vec<u8>,
    start: usize,
    /// Up to here the buffer is known to be content.
    safe: usize,
    input_ended: bool,
    /// The delimiter was found at `safe`.
    found: bool,
}

impl<R: Read> FirstFile<R> {
    /// Reads up to the content of the first file. `None` if the body has no file, or not within [`MAX_BEFORE`].
    pub(super) fn open(mut inner: R) -> io::Result<Option<Self>> {
        let mut buffer = Vec::new();
        let mut size = WINDOW;
        loop {
            // Twice as much each time, so that parsing from the beginning stays linear.
            let input_ended = fill(&mut inner, &mut buffer, size)?;
            match find(&buffer) {
                Found::File { delimiter, content } => {
                    return Ok(Some(Self {
                        inner,
                        delimiter,
                        buffer,
                        start: content,
                        safe: content,
                        input_ended,
                        found: false,
                    }));
                }
                Found::NeedsMore if !input_ended && size < MAX_BEFORE => size *= 2,
                _ => return Ok(None),
            }
        }
    }

    /// Makes sure that some content is known to be safe, or that there is none left.
    fn advance(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.safe = 0;
        if !self.input_ended && self.buffer.len() < WINDOW {
            self.input_ended = fill(&mut self.inner, &mut self.buffer, WINDOW)?;
        }
        (self.safe, self.found) = match position(&self.buffer, &self.delimiter) {
            Some(at) => (at, true),
            None if self.input_ended => (self.buffer.len(), false),
            // A delimiter may have begun at the end.
            None => (self.buffer.len().saturating_sub(self.delimiter.len() - 1), false),
        };
        Ok(())
    }
}

impl<R: Read> Read for FirstFile<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.start == self.safe && !self.found {
            self.advance()?;
        }
        let length = out.len().min(self.safe - self.start);
        out[..length].copy_from_slice(&self.buffer[self.start..self.start + length]);
        self.start += length;
        Ok(length)
    }
}

enum Found {
    File { delimiter: Vec<u8>, content: usize },
    NeedsMore,
    Nothing,
}

/// Finds the first part with a file name.
fn find(body: &[u8]) -> Found {
    let Some(line_end) = body.iter().position(|byte| *byte == b'\n') else {
        return if body.len() > MAX_BOUNDARY + 4 { Found::Nothing } else { Found::NeedsMore };
    };
    let (line, line_break): (&[u8], &[u8]) = match body[..line_end].strip_suffix(b"\r") {
        Some(line) => (line, b"\r\n"),
        None => (&body[..line_end], b"\n"),
    };
    let boundary = line.trim_ascii_end();
    if !boundary.starts_with(b"--")
        || boundary.len() == 2
        || boundary.len() > MAX_BOUNDARY + 2
        || boundary.contains(&b'\r')
    {
        return Found::Nothing;
    }
    let delimiter = [line_break, boundary].concat();
    let blank_line = [line_break, line_break].concat();
    let mut at = line_end + 1;
    loop {
        // From the line break before the headers on: a part may have none.
        let before = at - line_break.len();
        let Some(headers) = position(&body[before..], &blank_line) else { return Found::NeedsMore };
        let content = before + headers + blank_line.len();
        if has_file_name(&body[at.min(before + headers)..before + headers]) {
            return Found::File { delimiter, content };
        }
        let before = content - line_break.len();
        let Some(end) = position(&body[before..], &delimiter) else { return Found::NeedsMore };
        let after = before + end + delimiter.len();
        if body[after..].starts_with(b"--") {
            return Found::Nothing;
        }
        let Some(line_end) = position(&body[after..], line_break) else { return Found::NeedsMore };
        at = after + line_end + line_break.len();
    }
}

fn has_file_name(headers: &[u8]) -> bool {
    headers.split(|byte| *byte == b'\n').any(|line| {
        let line = line.to_ascii_lowercase();
        line.starts_with(b"content-disposition:")
            && (position(&line, b"filename=").is_some() || position(&line, b"filename*=").is_some())
    })
}

/// Where `needle` begins. Linear for delimiters: their first byte occurs in them only once.
fn position(text: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        from += text[from..].iter().position(|byte| *byte == first)?;
        if text[from..].starts_with(needle) {
            return Some(from);
        }
        from += 1;
    }
}

/// Reads until the buffer has `size` bytes; true if the input ended before.
fn fill(inner: &mut impl Read, buffer: &mut Vec<u8>, size: usize) -> io::Result<bool> {
    let missing = size.saturating_sub(buffer.len());
    let read = inner.take(missing as u64).read_to_end(buffer)?;
    Ok(read < missing)
}
