//! The form of an assemble request, read while it arrives, and what is said of a request of another form.
//!
//! The sentences equal those of Python's `jsonschema` over the schema that Sentry publishes for this endpoint: the
//! shallowest fault is named first, values are written as Python writes them. Nothing here keeps more of a body than the
//! files that it names: no tree, and of a long string only its beginning.

use std::collections::HashMap;
use std::collections::btree_map::{BTreeMap, Entry};

use super::assemble_entry::{EntryForm, Outcome};
use super::python_text::{Quote, python_string, shorten};
use crate::http::json_lexer::{Lexer, NotJson, Text, Token};
use crate::types::Sha1;
use crate::uploads::Wanted;

/// What a checksum looks like.
pub(super) const CHECKSUM: &str = "^[0-9a-f]{40}$";

/// Most files in one request.
pub const MOST_FILES: usize = 10_000;

/// Most wrong keys that are remembered: more than a shortened message shows.
const MOST_BAD_KEYS: usize = 64;

/// The request is of another form; one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaError(pub String);

impl From<NotJson> for SchemaError {
    fn from(_: NotJson) -> Self {
        Self("Invalid json body".to_owned())
    }
}

/// One file of a request: what is wanted, or why this file cannot be had while the others go on.
pub type Asked = (Sha1, Result<Wanted, String>);

/// An assemble request on its way.
#[derive(Debug)]
pub struct WantedFiles {
    lexer: Lexer,
    form: Form,
}

impl WantedFiles {
    /// Nothing has come yet. A file may consist of at most `most_chunks` chunks.
    pub fn new(most_chunks: usize) -> Self {
        let form = Form { most_chunks, ..Form::default() };
        Self { lexer: Lexer::default(), form }
    }

    /// Goes on with the next bytes of the body.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), SchemaError> {
        let Self { lexer, form } = self;
        Ok(lexer.feed(bytes, &mut |token| form.take(&token))?)
    }

    /// The files in the order in which they were named, or the shallowest fault of the whole request.
    pub fn finish(mut self) -> Result<Vec<Asked>, SchemaError> {
        let Self { lexer, form } = &mut self;
        lexer.end(&mut |token| form.take(&token))?;
        self.form.finish()
    }
}

/// What is known of the request so far.
#[derive(Debug, Default)]
struct Form {
    most_chunks: usize,
    depth: usize,
    /// A value that is passed over.
    passing: Option<Passing>,
    /// What is wrong with the whole.
    fault: Option<String>,
    bad_keys: BadKeys,
    /// The file whose entry is read.
    key: Option<Sha1>,
    entry: EntryForm,
    places: HashMap<Sha1, usize>,
    files: Vec<(Sha1, Outcome)>,
    too_many: bool,
}

/// A value that is not taken, up to its end at `depth`, and where to say what it was.
#[derive(Debug)]
struct Passing {
    depth: usize,
    quote: Option<(Quote, Where)>,
}

/// Whose value is of another form.
#[derive(Clone, Copy, Debug)]
pub(super) enum Where {
    /// The request itself.
    Top,
    /// One entry.
    Entry,
    /// The field of an entry that is read.
    Field,
}

/// What to do with a value of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was taken, or is being.
    Taken,
    /// It means nothing.
    Ignored,
    /// It is of another form, and the message repeats it.
    Quoted,
}

impl Form {
    fn take(&mut self, token: &Token<'_>) {
        let before = self.depth;
        match token {
            Token::ObjectBegins | Token::ArrayBegins => self.depth += 1,
            Token::ObjectEnds | Token::ArrayEnds => self.depth -= 1,
            _ => {}
        }
        if self.passing.is_some() {
            return self.pass_on(token);
        }
        match (before, token) {
            (0, Token::ObjectBegins) | (1, Token::ObjectEnds) => {}
            (0, _) => self.pass(token, before, Some(Where::Top)),
            (1, Token::Key(text)) => self.begin_file(text),
            (1, Token::ObjectBegins) => self.entry = EntryForm::new(self.most_chunks),
            (1, _) => self.pass(token, before, Some(Where::Entry)),
            (2, Token::Key(text)) => self.entry.begin_field(text.kept()),
            (2, Token::ObjectEnds) => {
                let outcome = std::mem::take(&mut self.entry).finish(self.key);
                self.end_file(outcome);
            }
            (3, Token::ArrayEnds) => {}
            _ => {
                let verdict = if before == 2 { self.entry.field(token) } else { self.entry.chunk(token) };
                match verdict {
                    Verdict::Taken => {}
                    Verdict::Ignored => self.pass(token, before, None),
                    Verdict::Quoted => self.pass(token, before, Some(Where::Field)),
                }
            }
        }
    }

    /// Begins to pass over the value that `token` begins.
    fn pass(&mut self, token: &Token<'_>, depth: usize, of: Option<Where>) {
        self.passing = Some(Passing { depth, quote: of.map(|of| (Quote::default(), of)) });
        self.pass_on(token);
    }

    /// Goes on passing over a value; at its end says what it was.
    fn pass_on(&mut self, token: &Token<'_>) {
        let Some(passing) = &mut self.passing else { return };
        if let Some((quote, _)) = &mut passing.quote {
            quote.take(token);
        }
        if self.depth > passing.depth {
            return;
        }
        let Some((quote, of)) = self.passing.take().and_then(|passing| passing.quote) else { return };
        let value = quote.finish();
        match of {
            Where::Top => self.fault = Some(format!("{value} is not of type 'object'")),
            Where::Entry => self.end_file(Outcome::Shallow(format!("{value} is not of type 'object'"))),
            Where::Field => self.entry.reject(&value),
        }
    }

    fn begin_file(&mut self, key: &Text) {
        self.key = key.kept().parse().ok().filter(|_| key.length == key.kept().len());
        match self.key {
            None => self.bad_keys.add(key),
            // A name that comes again means another value for the same file.
            Some(sha1) => {
                let is_known = self.places.contains_key(&sha1);
                self.too_many |= !is_known && self.files.len() == MOST_FILES;
                if self.too_many && !is_known {
                    self.key = None;
                }
            }
        }
    }

    fn end_file(&mut self, outcome: Outcome) {
        let Some(sha1) = self.key.take() else { return };
        match self.places.get(&sha1) {
            Some(place) => self.files[*place].1 = outcome,
            None => {
                self.places.insert(sha1, self.files.len());
                self.files.push((sha1, outcome));
            }
        }
    }

    fn finish(self) -> Result<Vec<Asked>, SchemaError> {
        if let Some(fault) = self.fault.or_else(|| self.bad_keys.message()) {
            return Err(SchemaError(fault));
        }
        if self.too_many {
            return Err(SchemaError(format!(
                "A request may ask for {MOST_FILES} files and no more. Ask for the others in further requests."
            )));
        }
        let fault = |of: fn(&Outcome) -> Option<&String>| self.files.iter().find_map(|(_, outcome)| of(outcome));
        let shallow = fault(|outcome| if let Outcome::Shallow(fault) = outcome { Some(fault) } else { None });
        let deep = fault(|outcome| if let Outcome::Deep(fault) = outcome { Some(fault) } else { None });
        if let Some(fault) = shallow.or(deep) {
            return Err(SchemaError(fault.clone()));
        }
        let asked = self.files.into_iter().filter_map(|(sha1, outcome)| match outcome {
            Outcome::Wanted(wanted) => Some((sha1, Ok(wanted))),
            Outcome::Refused(message) => Some((sha1, Err(message))),
            Outcome::Shallow(_) | Outcome::Deep(_) => None,
        });
        Ok(asked.collect())
    }
}

/// Keys that are no checksums: the first ones in order.
#[derive(Debug, Default)]
struct BadKeys {
    quoted: BTreeMap<(String, usize), String>,
    more: bool,
}

impl BadKeys {
    fn add(&mut self, key: &Text) {
        if let Entry::Vacant(place) = self.quoted.entry((key.kept().to_owned(), key.length)) {
            place.insert(python_string(key));
        }
        if self.quoted.len() > MOST_BAD_KEYS {
            self.quoted.pop_last();
            self.more = true;
        }
    }

    fn message(&self) -> Option<String> {
        let verb = match self.quoted.len() {
            0 => return None,
            1 if !self.more => "does",
            _ => "do",
        };
        let names: Vec<_> = self.quoted.values().map(String::as_str).collect();
        Some(format!("{} {verb} not match any of the regexes: '{CHECKSUM}'", shorten(names.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted_files(body: &[u8]) -> Result<Vec<Wanted>, SchemaError> {
        let asked = asked(body, body.len().max(1))?;
        assert_eq!(asked, self::asked(body, 1)?, "the same byte by byte");
        Ok(asked.into_iter().map(|(_, file)| file.expect("within the limits")).collect())
    }

    fn asked(body: &[u8], step: usize) -> Result<Vec<Asked>, SchemaError> {
        let mut files = WantedFiles::new(4);
        body.chunks(step).try_for_each(|bytes| files.feed(bytes))?;
        files.finish()
    }

    fn said_of(body: &str) -> String {
        wanted_files(body.as_bytes()).expect_err(body).0
    }

    #[test]
    fn the_sentences_are_those_of_jsonschema() {
        let key = "a".repeat(40);
        let of = |entry: &str| said_of(&format!("{{\"{key}\": {entry}}}"));
        assert_eq!(said_of("{"), "Invalid json body");
        assert_eq!(said_of("[]"), "[] is not of type 'object'");
        assert_eq!(said_of(r#"{"lol": 1}"#), "'lol' does not match any of the regexes: '^[0-9a-f]{40}$'");
        assert_eq!(said_of(r#"{"b": 1, "a": 2}"#), "'a', 'b' do not match any of the regexes: '^[0-9a-f]{40}$'");
        assert_eq!(of("\"test\""), "'test' is not of type 'object'");
        assert_eq!(of("{}"), "'name' is a required property");
        assert_eq!(of(r#"{"name": "x"}"#), "'chunks' is a required property");
        assert_eq!(of(r#"{"name": 1, "chunks": []}"#), "1 is not of type 'string'");
        assert_eq!(of(r#"{"name": "x", "chunks": "y"}"#), "'y' is not of type 'array'");
        assert_eq!(of(r#"{"name": "x", "chunks": ["zz"]}"#), "'zz' does not match '^[0-9a-f]{40}$'");
        assert_eq!(of(r#"{"name": "x", "chunks": [], "debug_id": null}"#), "None is not of type 'string'");
        assert_eq!(
            of(r#"{"name": "x", "chunks": [], "debug_id": "invalid-debug-id"}"#),
            "'invalid-debug-id' does not match '^[A-Fa-f0-9-]+$'"
        );
        assert_eq!(
            of(r#"{"name": {"it's": [true, 1.5, "\"'\\"]}, "chunks": []}"#),
            r#"{"it's": [True, 1.5, '"\'\\']} is not of type 'string'"#
        );
    }

    #[test]
    fn a_long_value_is_not_repeated_whole() {
        assert!(said_of(&format!("[\"{}\"]", "é".repeat(100_000))).chars().count() < 250);
    }

    #[test]
    fn extra_fields_are_accepted_and_repeats_kept() {
        let sha1 = Sha1::of(b"x");
        let body = format!(r#"{{"{sha1}": {{"name": "n", "chunks": ["{sha1}", "{sha1}"], "more": 1}}}}"#);
        let wanted = wanted_files(body.as_bytes()).expect("well formed");
        assert_eq!(wanted[0].chunks, [sha1, sha1]);
        assert_eq!(wanted_files(b"{}"), Ok(Vec::new()));
    }
    #[test]
    fn a_limit_of_one_file_is_the_fault_of_that_file_alone() {
        let (good, sha1) = (Sha1::of(b"good"), Sha1::of(b"x"));
        let chunks = |count| vec![format!("\"{sha1}\""); count].join(",");
        for (entry, message) in [
            (
                format!(r#"{{"name": "{}", "chunks": []}}"#, "é".repeat(513)),
                "The name of this file has 1026 bytes, and may have 1024. Upload it under a shorter name.",
            ),
            (
                format!(r#"{{"name": "n", "chunks": [], "debug_id": "{}"}}"#, "a".repeat(65)),
                "The debug id of this file has 65 characters, and may have 64.",
            ),
            (
                format!(r#"{{"name": "n", "chunks": [{}]}}"#, chunks(5)),
                "File n exceeds the maximum number of chunks (5 > 4)",
            ),
        ] {
            let body = format!(r#"{{"{sha1}": {entry}, "{good}": {{"name": "n", "chunks": [{}]}}}}"#, chunks(4));
            let asked = asked(body.as_bytes(), 7).expect("well formed");
            assert_eq!(asked[0], (sha1, Err(message.to_owned())));
            assert_eq!(asked[1].1.as_ref().expect("within the limits").chunks.len(), 4);
        }
    }

    #[test]
    fn a_request_for_too_many_files_is_refused_and_not_read_into_memory() {
        let entry = |number: usize| format!("\"{}\":{{\"name\":\"\",\"chunks\":[]}}", Sha1::of(&number.to_le_bytes()));
        let of = |count: usize| format!("{{{}}}", (0..count).map(entry).collect::<Vec<_>>().join(","));
        assert_eq!(wanted_files(of(MOST_FILES).as_bytes()).expect("within the limits").len(), MOST_FILES);
        assert!(said_of(&of(MOST_FILES + 1)).starts_with("A request may ask for 10000 files and no more."));
    }

    #[test]
    fn a_name_is_stored_without_control_characters() {
        let sha1 = Sha1::of(b"x");
        let body = format!(r#"{{"{sha1}": {{"name": "a\u0000b\u001b[2J", "chunks": []}}}}"#);
        assert_eq!(wanted_files(body.as_bytes()).expect("well formed")[0].name, "a\u{fffd}b\u{fffd}[2J");
    }

    #[test]
    fn of_a_key_that_comes_twice_the_last_value_counts_in_the_first_place() {
        let (one, other) = (Sha1::of(b"x"), Sha1::of(b"y"));
        let body = format!(
            r#"{{"{one}": 1, "{other}": {{"name": 2, "name": "n", "chunks": []}}, "{one}": {{"name": "m", "chunks": []}}}}"#
        );
        let wanted = wanted_files(body.as_bytes()).expect("well formed");
        assert_eq!(wanted.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["m", "n"]);
    }
}
