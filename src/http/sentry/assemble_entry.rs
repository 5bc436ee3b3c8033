//! One entry of an assemble request: its fields as they come by, and what they make together. It never keeps more chunks
//! than a file may have.

use super::assemble_schema::{CHECKSUM, Verdict};
use crate::http::json_lexer::{Text, Token};
use crate::types::{Sha1, limits};
use crate::uploads::Wanted;

const DEBUG_ID: &str = "^[A-Fa-f0-9-]+$";

/// What an entry comes to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is no entry at all; said before any fault of a field.
    Shallow(String),
    /// A field is of another form.
    Deep(String),
    /// It is beyond a limit, which is the fault of this file alone.
    Refused(String),
    /// A file that is wanted.
    Wanted(Wanted),
}

/// The fields of one entry. Of a field that comes several times the last one counts.
#[derive(Debug, Default)]
pub(super) struct EntryForm {
    most_chunks: usize,
    field: Field,
    name: Option<Result<Given, String>>,
    debug_id: Option<Result<Given, String>>,
    chunks: Option<Result<Chunks, String>>,
}

/// A text and the length that it had before it was cut.
#[derive(Debug)]
struct Given {
    text: String,
    length: usize,
}

/// Chunks, none of which are kept once there are too many.
#[derive(Debug, Default)]
struct Chunks {
    kept: Vec<Sha1>,
    count: usize,
}

/// The field whose value comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Field {
    Name,
    DebugId,
    Chunks,
    #[default]
    Other,
}

/// What a value must be.
#[derive(Clone, Copy, Debug)]
enum Form {
    Type(&'static str),
    Pattern(&'static str),
}

impl EntryForm {
    /// No field has come yet.
    pub(super) fn new(most_chunks: usize) -> Self {
        Self { most_chunks, ..Self::default() }
    }

    /// The name of the field whose value comes next.
    pub(super) fn begin_field(&mut self, name: &str) {
        self.field = match name {
            "name" => Field::Name,
            "debug_id" => Field::DebugId,
            "chunks" => Field::Chunks,
            _ => Field::Other,
        };
    }

    /// The value of the field, or its beginning.
    pub(super) fn field(&mut self, token: &Token<'_>) -> Verdict {
        match (self.field, token) {
            (Field::Other, _) => return Verdict::Ignored,
            (Field::Name, Token::String(text)) => self.name = Some(Ok(Given::of(text))),
            (Field::DebugId, Token::String(text)) if text.length > 0 && !text.beyond_hex => {
                self.debug_id = Some(Ok(Given::of(text)));
            }
            (Field::DebugId, Token::String(_)) => return self.quoted(Form::Pattern(DEBUG_ID)),
            (Field::Name | Field::DebugId, _) => return self.quoted(Form::Type("string")),
            (Field::Chunks, Token::ArrayBegins) => self.chunks = Some(Ok(Chunks::default())),
            (Field::Chunks, _) => return self.quoted(Form::Type("array")),
        }
        Verdict::Taken
    }

    /// A chunk, or the beginning of what is none. After the first that is none the others are passed over.
    pub(super) fn chunk(&mut self, token: &Token<'_>) -> Verdict {
        let most = self.most_chunks;
        let Some(Ok(chunks)) = &mut self.chunks else { return Verdict::Ignored };
        let Token::String(text) = token else { return self.quoted(Form::Type("string")) };
        match text.kept().parse() {
            Ok(sha1) if text.length == text.kept().len() => chunks.add(sha1, most),
            _ => return self.quoted(Form::Pattern(CHECKSUM)),
        }
        Verdict::Taken
    }

    /// Notes what is wrong with the field; the value is still to be told.
    fn quoted(&mut self, wanted: Form) -> Verdict {
        let fault = match wanted {
            Form::Type(kind) => format!(" is not of type '{kind}'"),
            Form::Pattern(pattern) => format!(" does not match '{pattern}'"),
        };
        self.set_fault(fault);
        Verdict::Quoted
    }

    /// Completes the fault of the field by the value that was found.
    pub(super) fn reject(&mut self, value: &str) {
        let fault = match self.field {
            Field::Name => self.name.as_ref().and_then(|name| name.as_ref().err()),
            Field::DebugId => self.debug_id.as_ref().and_then(|id| id.as_ref().err()),
            Field::Chunks => self.chunks.as_ref().and_then(|chunks| chunks.as_ref().err()),
            Field::Other => None,
        };
        if let Some(fault) = fault {
            let fault = format!("{value}{fault}");
            self.set_fault(fault);
        }
    }

    fn set_fault(&mut self, fault: String) {
        match self.field {
            Field::Name => self.name = Some(Err(fault)),
            Field::DebugId => self.debug_id = Some(Err(fault)),
            Field::Chunks => self.chunks = Some(Err(fault)),
            Field::Other => {}
        }
    }

    /// What the fields make together. Without a key the request has another fault already.
    pub(super) fn finish(self, key: Option<Sha1>) -> Outcome {
        let required = |field| Outcome::Shallow(format!("'{field}' is a required property"));
        let Some(sha1) = key else { return required("key") };
        let Some(name) = self.name else { return required("name") };
        let Some(chunks) = self.chunks else { return required("chunks") };
        let (name, debug_id, chunks) = match (name, self.debug_id.transpose(), chunks) {
            (Ok(name), Ok(debug_id), Ok(chunks)) => (name, debug_id, chunks),
            (Err(fault), ..) | (_, Err(fault), _) | (.., Err(fault)) => return Outcome::Deep(fault),
        };
        if let Some(message) = beyond_limits(&name, debug_id.as_ref(), &chunks, self.most_chunks) {
            return Outcome::Refused(message);
        }
        let mut chunks = chunks.kept;
        chunks.shrink_to_fit();
        let name = limits::file_name(&name.text).into_owned();
        Outcome::Wanted(Wanted { sha1, name, debug_id: debug_id.map(|id| id.text), chunks })
    }
}

impl Given {
    fn of(text: &Text) -> Self {
        Self { text: text.kept().to_owned(), length: text.length }
    }
}

impl Chunks {
    fn add(&mut self, sha1: Sha1, most: usize) {
        self.count += 1;
        if self.count <= most {
            self.kept.push(sha1);
        } else {
            self.kept = Vec::new();
        }
    }
}

/// Why a file of the right form cannot be had.
fn beyond_limits(name: &Given, debug_id: Option<&Given>, chunks: &Chunks, most_chunks: usize) -> Option<String> {
    if name.length > limits::NAME {
        let (length, most) = (name.length, limits::NAME);
        return Some(format!(
            "The name of this file has {length} bytes, and may have {most}. Upload it under a shorter name."
        ));
    }
    if let Some(id) = debug_id.filter(|id| id.length > limits::GIVEN_DEBUG_ID) {
        let (length, most) = (id.length, limits::GIVEN_DEBUG_ID);
        return Some(format!("The debug id of this file has {length} characters, and may have {most}."));
    }
    if chunks.count > most_chunks {
        let (name, count) = (limits::plain(&name.text), chunks.count);
        return Some(format!("File {name} exceeds the maximum number of chunks ({count} > {most_chunks})"));
    }
    None
}
