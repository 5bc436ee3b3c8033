//! [`Parser`]: the grammar of `multipart/form-data`, fed with buffers as they come and giving slices of them back.
//!
//! It holds no more than a delimiter and the headers of one part, whatever it is fed, and never copies content.

use std::mem;

use bytes::{Buf as _, Bytes};
use memchr::memmem::{self, Finder};

/// Reads one body.
#[derive(Debug)]
pub struct Parser {
    delimiter: Finder<'static>,
    state: State,
    /// The end of earlier buffers that cannot be judged without the next one.
    held: Vec<u8>,
    input: Bytes,
}

/// What comes next in a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A part begins.
    Part(PartHead),
    /// Content of the part; never empty.
    Content(Bytes),
    /// The part is complete.
    PartEnd,
    /// The body is complete; whatever follows is ignored.
    End,
    /// Nothing can be said before more was fed.
    Hungry,
}

/// What a part says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartHead {
    /// Name of the form's field.
    pub name: String,
    /// Name of the file without its folders, if the part is a file.
    pub filename: Option<String>,
}

/// The body is not written as its content type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The headers of a part do not end.
    #[error("the headers of a part are longer than {MAX_HEAD} bytes")]
    LongHead,
    /// Something else than the end of the line follows a delimiter.
    #[error("something follows a delimiter")]
    AfterDelimiter,
    /// A part has no name.
    #[error("a part has no name")]
    NoName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Preamble,
    /// Behind a delimiter: the rest of its line and the headers of the part.
    Head,
    Content,
    /// The delimiter behind the content has been read.
    PartEnd,
    End,
}

/// Most bytes of the headers of one part.
const MAX_HEAD: usize = 16 * 1024;

impl Parser {
    /// A parser for a body whose parts are separated by `boundary`.
    pub fn new(boundary: &str) -> Self {
        let delimiter = Finder::new(&format!("\r\n--{boundary}")).into_owned();
        // The first delimiter may be the first thing in the body, without the line end before it.
        Self { delimiter, state: State::Preamble, held: b"\r\n".to_vec(), input: Bytes::new() }
    }

    /// Gives it the next bytes of the body, once it is [`Event::Hungry`].
    pub fn feed(&mut self, bytes: Bytes) {
        debug_assert!(self.input.is_empty(), "only a hungry parser is fed");
        self.input = bytes;
    }

    /// What comes next.
    pub fn next_event(&mut self) -> Result<Event, Malformed> {
        loop {
            match self.state {
                State::Preamble => match self.until_delimiter() {
                    Some((_, true)) => self.state = State::Head,
                    Some((_, false)) => {}
                    None => return Ok(Event::Hungry),
                },
                State::Head => match self.head()? {
                    Some(head) => return Ok(Event::Part(head)),
                    None if self.state == State::End => {}
                    None => return Ok(Event::Hungry),
                },
                State::Content => {
                    let Some((content, ended)) = self.until_delimiter() else { return Ok(Event::Hungry) };
                    if ended {
                        self.state = State::PartEnd;
                    }
                    if !content.is_empty() {
                        return Ok(Event::Content(content));
                    }
                }
                State::PartEnd => {
                    self.state = State::Head;
                    return Ok(Event::PartEnd);
                }
                State::End => {
                    self.input.clear();
                    return Ok(Event::End);
                }
            }
        }
    }

    /// The next bytes before a delimiter, and whether it follows them and has been passed.
    fn until_delimiter(&mut self) -> Option<(Bytes, bool)> {
        if self.input.is_empty() {
            return None;
        }
        let length = self.delimiter.needle().len();
        if !self.held.is_empty() {
            // A delimiter that begins in what was held ends within `length - 1` further bytes.
            let held = self.held.len();
            self.held.extend_from_slice(&self.input[..self.input.len().min(length - 1)]);
            if let Some(at) = self.delimiter.find(&self.held) {
                self.input.advance(at + length - held);
                return Some((self.release(at), true));
            }
            if self.held.len() < held + length - 1 {
                // The input is used up and what is held is still short.
                self.input.clear();
                let safe = self.held.len() - self.begun_at_end_of(&self.held);
                let rest = self.held.split_off(safe);
                let content = mem::replace(&mut self.held, rest);
                return Some((content.into(), false));
            }
            return Some((self.release(held), false));
        }
        if let Some(at) = self.delimiter.find(&self.input) {
            let content = self.input.split_to(at);
            self.input.advance(length);
            return Some((content, true));
        }
        let begun = self.begun_at_end_of(&self.input);
        let content = self.input.split_to(self.input.len() - begun);
        self.held.extend_from_slice(&self.input);
        self.input.clear();
        Some((content, false))
    }

    /// The first bytes of what was held; the rest of it is in the input, or is the delimiter.
    fn release(&mut self, length: usize) -> Bytes {
        self.held.truncate(length);
        mem::take(&mut self.held).into()
    }

    /// How many bytes at the end of `bytes` may be the beginning of a delimiter.
    fn begun_at_end_of(&self, bytes: &[u8]) -> usize {
        let needle = self.delimiter.needle();
        let most = bytes.len().min(needle.len() - 1);
        (1..=most).rev().find(|length| bytes.ends_with(&needle[..*length])).unwrap_or(0)
    }

    /// The headers behind a delimiter, or `None` when more is needed or the delimiter was the last one.
    fn head(&mut self) -> Result<Option<PartHead>, Malformed> {
        while !self.input.is_empty() {
            let before = self.held.len();
            let step = self.input.len().min(512);
            self.held.extend_from_slice(&self.input[..step]);
            if self.held.starts_with(b"--") {
                self.state = State::End;
                self.input.clear();
                self.held.clear();
                return Ok(None);
            }
            let from = before.saturating_sub(3);
            if let Some(at) = memmem::find(&self.held[from..], b"\r\n\r\n") {
                let end = from + at + 4;
                self.input.advance(end - before);
                self.held.truncate(end);
                self.state = State::Content;
                let head = parse_head(&mem::take(&mut self.held))?;
                return Ok(Some(head));
            }
            self.input.advance(step);
            if self.held.len() > MAX_HEAD {
                return Err(Malformed::LongHead);
            }
        }
        Ok(None)
    }
}

/// Reads the rest of the delimiter's line and the header lines.
fn parse_head(bytes: &[u8]) -> Result<PartHead, Malformed> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split("\r\n");
    if lines.next().is_some_and(|padding| !padding.trim_matches([' ', '\t']).is_empty()) {
        return Err(Malformed::AfterDelimiter);
    }
    let disposition = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("content-disposition"));
    let (_, value) = disposition.ok_or(Malformed::NoName)?;
    let mut head = PartHead::default();
    let mut named = false;
    for (name, value) in parameters(value) {
        match name.as_str() {
            "name" => (head.name, named) = (value, true),
            "filename" => head.filename = Some(base_name(&value).to_owned()),
            _ => {}
        }
    }
    if named { Ok(head) } else { Err(Malformed::NoName) }
}

/// The parameters of a header's value, names in lower case, values without their quotes.
pub(super) fn parameters(value: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = value.split_once(';').map_or("", |(_, rest)| rest);
    while let Some((name, behind)) = rest.split_once('=') {
        let name = name.trim_matches([' ', '\t', ';']).to_ascii_lowercase();
        let behind = behind.trim_start_matches([' ', '\t']);
        let value;
        (value, rest) = match behind.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let (value, rest) = behind.split_once(';').unwrap_or((behind, ""));
                (value.trim().to_owned(), rest)
            }
        };
        found.push((name, value));
    }
    found
}

/// The text up to the closing quote, and what follows it. A backslash protects a quote or itself.
fn unquote(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = quoted.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => match chars.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                Some((_, protected)) => value.push(protected),
                None => value.push('\\'),
            },
            _ => value.push(char),
        }
    }
    (value, "")
}

/// The last component of a path as any system writes it.
fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Parts = Vec<(PartHead, Vec<u8>)>;

    /// All parts of `body`, fed in steps of `step` bytes, and whether it was complete.
    fn read(body: &[u8], boundary: &str, step: usize) -> Result<(Parts, bool), Malformed> {
        let mut parser = Parser::new(boundary);
        let mut portions = body.chunks(step);
        let mut parts = Vec::new();
        loop {
            match parser.next_event()? {
                Event::Part(head) => parts.push((head, Vec::new())),
                Event::Content(bytes) => {
                    assert!(!bytes.is_empty());
                    parts.last_mut().unwrap().1.extend_from_slice(&bytes);
                }
                Event::PartEnd => {}
                Event::End => return Ok((parts, true)),
                Event::Hungry => match portions.next() {
                    Some(portion) => parser.feed(Bytes::copy_from_slice(portion)),
                    None => return Ok((parts, false)),
                },
            }
            assert!(parser.held.len() <= MAX_HEAD + 512);
        }
    }

    fn head(name: &str, filename: Option<&str>) -> PartHead {
        PartHead { name: name.to_owned(), filename: filename.map(ToOwned::to_owned) }
    }

    #[test]
    fn parts_come_out_however_the_body_is_cut() {
        let body = b"preamble\r\n--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\
            Content-Type: x/y\r\n\r\nfirst\r\n--\r\n-\r\n--C\r\n--B \t\r\ncontent-disposition:form-data;name=b\r\n\r\n\
            \r\n--B\r\nContent-Disposition: form-data; name=\"c\"; filename=\"\"\r\n\r\n\r\n\r\n--B--\r\nepilogue\r\n--B\r\n";
        let expected = vec![
            (head("file", Some("a")), b"first\r\n--\r\n-\r\n--C".to_vec()),
            (head("b", None), b"".to_vec()),
            (head("c", Some("")), b"\r\n".to_vec()),
        ];
        for step in 1..=body.len() {
            assert_eq!(read(body, "B", step), Ok((expected.clone(), true)), "in steps of {step}");
        }
    }

    #[test]
    fn a_body_in_single_bytes_never_holds_more_than_a_delimiter() {
        let boundary = "-".repeat(200);
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=a\r\n\r\n");
        let body = format!("{head}{}\r\n--{boundary}--", format!("\r\n{}", "-".repeat(199)).repeat(50));
        let mut parser = Parser::new(&boundary);
        let (mut content, mut most) = (0, 0);
        for byte in body.into_bytes() {
            parser.feed(Bytes::from(vec![byte]));
            loop {
                match parser.next_event().expect("a body") {
                    Event::Content(bytes) => content += bytes.len(),
                    Event::Part(_) | Event::PartEnd => {}
                    _ => break,
                }
            }
            most = most.max(if parser.state == State::Content { parser.held.len() } else { 0 });
        }
        assert!(content == 201 * 50 && most < boundary.len() + 4, "{content} {most}");
    }

    #[test]
    fn a_body_that_ends_early_is_not_complete() {
        let body = b"--B\r\nContent-Disposition: form-data; name=a\r\n\r\ncontent\r\n--B--";
        assert!(read(body, "B", 7).unwrap().1);
        for end in 0..body.len() {
            assert!(!read(&body[..end], "B", 7).unwrap().1, "cut at {end}");
        }
    }

    #[test]
    fn what_breaks_the_grammar_is_malformed() {
        let endless = format!("--B\r\nX: {}", "x".repeat(MAX_HEAD));
        for (body, error) in [
            ("--Bx\r\nContent-Disposition: form-data; name=a\r\n\r\n", Malformed::AfterDelimiter),
            ("--B\r\nContent-Type: text/plain\r\n\r\n", Malformed::NoName),
            ("--B\r\n\r\n", Malformed::NoName),
            ("--B\r\nContent-Disposition: form-data; filename=a\r\n\r\n", Malformed::NoName),
            (&endless, Malformed::LongHead),
        ] {
            for step in [1, 3, 600] {
                assert_eq!(read(body.as_bytes(), "B", step), Err(error), "{body:?}");
            }
        }
    }

    #[test]
    fn parameters_are_read_with_and_without_quotes() {
        let value = r#"form-data; NAME = "a;b=c" ;filename="C:\dir\\x\"y.sym"; size=7 ; x="open"#;
        let expected = [("name", "a;b=c"), ("filename", r#"C:\dir\x"y.sym"#), ("size", "7"), ("x", "open")];
        assert_eq!(parameters(value), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(parameters("form-data"), []);
        assert_eq!(base_name(r"x/y\z"), "z");
        assert_eq!(base_name("x/"), "");
    }

    proptest! {
        #[test]
        fn any_content_survives(
            contents in proptest::collection::vec(proptest::collection::vec(prop_oneof![
                Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'B'), any::<u8>()
            ], 0..200), 0..4),
            step in 1usize..64,
        ) {
            prop_assume!(contents.iter().all(|content| memmem::find(content, b"\r\n--BB").is_none()));
            let mut body = Vec::new();
            for content in &contents {
                body.extend_from_slice(b"--BB\r\nContent-Disposition: form-data; name=file\r\n\r\n");
                body.extend_from_slice(content);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"--BB--\r\n");
            let (parts, complete) = read(&body, "BB", step).unwrap();
            prop_assert!(complete);
            let read: Vec<_> = parts.into_iter().map(|(_, content)| content).collect();
            prop_assert_eq!(read, contents);
        }

        #[test]
        fn garbage_never_panics(body in proptest::collection::vec(prop_oneof![
            Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'B'), Just(b':'), any::<u8>()
        ], 0..300), step in 1usize..64) {
            let _ = read(&body, "B", step);
        }
    }
}
