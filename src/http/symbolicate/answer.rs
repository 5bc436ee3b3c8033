//! What is answered: Eliot's shape, with what samply adds to it. Each frame is looked up when it is written, so that no
//! more than the text itself is ever held, and of that no more than fits the limit.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::rc::Rc;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::question::{Address, Job, Module, Question};
use crate::symcaches::{Absence, Frame, Frames, Inline, Place, Tables};
use crate::types::DebugId;

/// Longest answer, in bytes.
const LONGEST: usize = 64 << 20;

/// What the module of a frame is called that is in none.
const UNKNOWN: &str = "<unknown>";

/// The answer would be longer than any that is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// The text of the answer.
pub fn write(question: &Question, tables: &Tables) -> Result<Vec<u8>, TooLong> {
    let open = tables.iter().filter_map(|(id, table)| Some((id, Frames::new(table.as_ref().ok()?))));
    let results = Results { question, tables, open: RefCell::new(open.collect()) };
    let mut text = Bounded(Vec::new());
    serde_json::to_writer(&mut text, &results).map_err(|_| TooLong)?;
    Ok(text.0)
}

struct Results<'a> {
    question: &'a Question,
    tables: &'a Tables,
    open: RefCell<HashMap<&'a DebugId, Frames<'a>>>,
}

struct OfJob<'r, 'a>(&'r Results<'a>, &'a Job);

struct OfStack<'r, 'a>(&'r Results<'a>, &'a Job, &'a [Address]);

impl Serialize for Results<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        let results: Vec<_> = self.question.jobs.iter().map(|job| OfJob(self, job)).collect();
        map.serialize_entry("results", &results)?;
        map.end()
    }
}

impl Serialize for OfJob<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(results, job) = self;
        let asked = job.asked();
        let (mut found, mut errors) = (BTreeMap::new(), BTreeMap::new());
        for module in &job.modules {
            let key = format!("{}/{}", module.0, module.1);
            let state = asked.contains(module).then(|| fault(module, results.tables));
            if let Some(Some(error)) = &state {
                errors.insert(key.clone(), [error.clone()]);
            }
            found.insert(key, state.map(|fault| fault.is_none()));
        }
        let mut map = serializer.serialize_map(None)?;
        let stacks: Vec<_> = job.stacks.iter().map(|stack| OfStack(results, job, stack)).collect();
        map.serialize_entry("stacks", &stacks)?;
        map.serialize_entry("found_modules", &found)?;
        if !errors.is_empty() {
            map.serialize_entry("module_errors", &errors)?;
        }
        map.end()
    }
}

impl Serialize for OfStack<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(results, job, stack) = self;
        let mut open = results.open.borrow_mut();
        serializer.collect_seq(stack.iter().enumerate().map(|(frame, Address(module, offset))| {
            let module = usize::try_from(*module).ok().and_then(|module| job.modules.get(module));
            let frames = module.and_then(|module| open.get_mut(&module.debug_id()?));
            let found = frames.and_then(|frames| frames.at(u64::try_from(*offset).ok()?));
            OfFrame {
                frame,
                module: module.map(|module| module.0.as_str()).filter(|name| !name.is_empty()).unwrap_or(UNKNOWN),
                module_offset: signed_hex(*offset),
                found: found.map(OfFunction::from),
            }
        }))
    }
}

#[derive(Serialize)]
struct OfFrame<'a> {
    frame: usize,
    module: &'a str,
    module_offset: String,
    #[serde(flatten)]
    found: Option<OfFunction>,
}

#[derive(Serialize)]
struct OfFunction {
    function: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_offset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_size: Option<String>,
    #[serde(flatten)]
    place: OfPlace,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inlines: Vec<OfInline>,
}

#[derive(Serialize)]
struct OfInline {
    function: String,
    #[serde(flatten)]
    place: OfPlace,
}

#[derive(Serialize)]
struct OfPlace {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

impl From<Frame> for OfFunction {
    fn from(frame: Frame) -> Self {
        let hex = |number: u64| format!("{number:#x}");
        Self {
            function: text(&frame.function),
            function_offset: frame.offset.map(hex),
            function_size: frame.size.map(hex),
            place: frame.place.into(),
            inlines: frame.inlines.into_iter().map(OfInline::from).collect(),
        }
    }
}

impl From<Inline> for OfInline {
    fn from(inline: Inline) -> Self {
        Self { function: text(&inline.function), place: inline.place.into() }
    }
}

impl From<Place> for OfPlace {
    fn from(place: Place) -> Self {
        Self { file: place.file.as_ref().map(text), line: place.line }
    }
}

fn text(shared: &Rc<str>) -> String {
    (**shared).to_owned()
}

/// Python's way, which Eliot has: the sign goes before the prefix.
fn signed_hex(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{:#x}", number.unsigned_abs())
}

/// Why a module that was asked for has no table, in samply's form.
fn fault(module: &Module, tables: &Tables) -> Option<Value> {
    let (name, message) = match module.debug_id().map(|id| tables.get(&id)) {
        Some(Some(Ok(_))) => return None,
        Some(Some(Err(Absence::NoDebugFile)) | None) => {
            ("NoDebugFile", "There is no debug file with this id.".to_owned())
        }
        Some(Some(Err(Absence::Unusable(reason) | Absence::Unsupported(reason)))) => {
            ("UnusableDebugFile", reason.clone())
        }
        Some(Some(Err(Absence::NotYet(reason)))) => ("NotYet", reason.clone()),
        None => ("InvalidBreakpadId", format!("Invalid breakpad ID {}", module.1)),
    };
    Some(json!({ "name": name, "message": message }))
}

/// Takes no more than the longest answer.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LONGEST {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_written_as_eliot_does() {
        for (number, written) in [(0, "0x0"), (255, "0xff"), (-1, "-0x1"), (i64::MAX, "0x7fffffffffffffff")] {
            assert_eq!(signed_hex(number), written);
        }
    }
}
