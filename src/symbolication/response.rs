//! What is answered: the shape of Symbolicator, written straight into one buffer of bounded size. It never looks anything up.

use std::io;
use std::sync::Arc;

use serde::ser::{SerializeMap, SerializeSeq as _};
use serde::{Serialize, Serializer};

use super::context::SourceContext;
use super::files::base_name;
use super::frames::{NamedFrame, Resolved};
use super::request::{AddrMode, FrameOrder, Module, RawFrame, StackTrace};
use super::response_modules::Modules;
use crate::symcaches::Location;

/// Longest response, in bytes.
const MAX_RESPONSE: usize = 256 << 20;

/// The response would be longer than any that is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// What belongs into a response beside the frames.
#[derive(Debug)]
pub struct Extras {
    /// Lines of source.
    pub context: SourceContext,
    /// `ORG/PROJECT`, for the addresses of candidates.
    pub project: String,
    /// Further fields, of dumps and reports.
    pub facts: serde_json::Map<String, serde_json::Value>,
}

/// The text of a completed response.
pub fn write(resolved: &Resolved, stacks: &[Vec<NamedFrame>], extras: &Extras) -> Result<Vec<u8>, TooLong> {
    let mut text = Bounded(Vec::new());
    serde_json::to_writer(&mut text, &Response { resolved, stacks, extras }).map_err(|_| TooLong)?;
    Ok(text.0)
}

struct Response<'a> {
    resolved: &'a Resolved,
    stacks: &'a [Vec<NamedFrame>],
    extras: &'a Extras,
}

impl Serialize for Response<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("status", "completed")?;
        entry(&mut map, "signal", self.resolved.request.signal)?;
        for (name, value) in &self.extras.facts {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("stacktraces", &Stacks(self))?;
        map.serialize_entry("modules", &Modules { resolved: self.resolved, project: &self.extras.project })?;
        map.end()
    }
}

struct Stacks<'a>(&'a Response<'a>);

impl Serialize for Stacks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(response) = self;
        let stacks = response.resolved.request.stacktraces.iter().zip(response.stacks);
        serializer.collect_seq(stacks.map(|(stack, named)| Stack { response, stack, named }))
    }
}

struct Stack<'a> {
    response: &'a Response<'a>,
    stack: &'a StackTrace,
    named: &'a [NamedFrame],
}

impl Serialize for Stack<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stack = self.stack;
        let mut map = serializer.serialize_map(None)?;
        entry(&mut map, "thread_id", stack.thread_id)?;
        entry(&mut map, "thread_name", stack.thread_name.as_deref())?;
        entry(&mut map, "is_requesting", stack.is_requesting)?;
        if let Some(registers) = &stack.registers {
            let registers = registers.iter().map(|(name, value)| (name, Hex(value.0)));
            map.serialize_entry("registers", &registers.collect::<std::collections::BTreeMap<_, _>>())?;
        }
        if stack.truncated {
            map.serialize_entry("truncated", &true)?;
        }
        map.serialize_entry("frames", &Frames(self))?;
        map.end()
    }
}

struct Frames<'a>(&'a Stack<'a>);

impl Serialize for Frames<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(stack) = self;
        let order = stack.response.resolved.request.options.frame_order;
        let length = stack.stack.frames.len();
        let raw = |named: &NamedFrame| match order {
            FrameOrder::CalleeFirst => &stack.stack.frames[named.original_index],
            FrameOrder::CallerFirst => &stack.stack.frames[length - 1 - named.original_index],
        };
        let mut list = serializer.serialize_seq(None)?;
        let mut write = |named: &NamedFrame, backwards: bool| {
            let frame = |function: Option<usize>| Frame { response: stack.response, raw: raw(named), named, function };
            match named.functions.len() {
                0 => list.serialize_element(&frame(None)),
                count if backwards => (0..count).rev().try_for_each(|at| list.serialize_element(&frame(Some(at)))),
                count => (0..count).try_for_each(|at| list.serialize_element(&frame(Some(at)))),
            }
        };
        match order {
            FrameOrder::CalleeFirst => stack.named.iter().try_for_each(|named| write(named, false))?,
            FrameOrder::CallerFirst => stack.named.iter().rev().try_for_each(|named| write(named, true))?,
        }
        list.end()
    }
}

/// One frame of the response: one function of a frame of the request, or the frame as it was sent.
struct Frame<'a> {
    response: &'a Response<'a>,
    raw: &'a RawFrame,
    named: &'a NamedFrame,
    function: Option<usize>,
}

impl Serialize for Frame<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (raw, named) = (self.raw, self.named);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("status", named.status.word())?;
        map.serialize_entry("original_index", &named.original_index)?;
        let module = named.module.map(|at| &self.response.resolved.request.modules[at]);
        self.address(&mut map, module)?;
        entry(&mut map, "trust", raw.trust.word())?;
        entry(&mut map, "platform", raw.platform.as_deref())?;
        let (of_module, of_frame) = (module.and_then(|module| module.code_file.as_deref()), raw.package.as_deref());
        let package = match self.response.resolved.request.keep_packages && self.function.is_none() {
            true => of_frame.or(of_module),
            false => of_module.or(of_frame),
        };
        entry(&mut map, "package", package)?;
        if let Some(id) = raw.function_id {
            map.serialize_entry("function_id", &Hex(id.0))?;
        }
        entry(&mut map, "in_app", raw.in_app)?;
        match self.function.map(|at| (at, &named.functions[at])) {
            Some((at, function)) => self.function(&mut map, at, function, module)?,
            None => self.as_sent(&mut map)?,
        }
        map.end()
    }
}

impl Frame<'_> {
    fn address<M: SerializeMap>(&self, map: &mut M, module: Option<&Module>) -> Result<(), M::Error> {
        let (raw, named) = (self.raw, self.named);
        let is_absolute = module.is_some_and(|module| module.image_addr.0 > 0);
        match named.looked_up {
            Some(address) if is_absolute => map.serialize_entry("instruction_addr", &Hex(address)),
            looked_up => {
                map.serialize_entry("instruction_addr", &Hex(looked_up.unwrap_or(raw.instruction_addr.0)))?;
                match raw.addr_mode {
                    AddrMode::Absolute => Ok(()),
                    AddrMode::Relative(at) => map.serialize_entry("addr_mode", &format!("rel:{at}")),
                }
            }
        }
    }

    fn function<M: SerializeMap>(
        &self,
        map: &mut M,
        at: usize,
        function: &Location,
        module: Option<&Module>,
    ) -> Result<(), M::Error> {
        let raw = self.raw;
        let outermost = at + 1 == self.named.functions.len();
        entry(map, "lang", function.language.or(raw.lang.as_deref()))?;
        map.serialize_entry("symbol", &*function.symbol)?;
        if outermost {
            let begin = module.map_or(0, |module| module.image_addr.0).wrapping_add(function.entry);
            map.serialize_entry("sym_addr", &Hex(begin))?;
        }
        map.serialize_entry("function", &*function.function)?;
        let Some(path) = &function.file else {
            return if outermost { self.source_as_sent(map) } else { Ok(()) };
        };
        map.serialize_entry("filename", base_name(path))?;
        map.serialize_entry("abs_path", &**path)?;
        entry(map, "lineno", function.line)?;
        self.context(map, path, function.line)
    }

    fn context<M: SerializeMap>(&self, map: &mut M, path: &Arc<str>, line: Option<u32>) -> Result<(), M::Error> {
        let (Some(line), Some(at)) = (line, self.named.module) else { return Ok(()) };
        let Some(lines) = self.response.extras.context.lines(at, path, line) else { return Ok(()) };
        map.serialize_entry("pre_context", &lines.before)?;
        map.serialize_entry("context_line", &lines.line)?;
        map.serialize_entry("post_context", &lines.behind)
    }

    /// What was sent, with mangled names made readable.
    fn as_sent<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let raw = self.raw;
        entry(map, "lang", raw.lang.as_deref())?;
        let mangled = [raw.symbol.as_deref(), raw.function.as_deref()]
            .into_iter()
            .flatten()
            .find_map(|name| symdepot_demangle::demangle(name).map(|readable| (name, readable)));
        match &mangled {
            Some((symbol, function)) => {
                map.serialize_entry("symbol", symbol)?;
                map.serialize_entry("function", function)?;
            }
            None => {
                entry(map, "symbol", raw.symbol.as_deref())?;
                entry(map, "function", raw.function.as_deref())?;
            }
        }
        if let Some(begin) = raw.sym_addr {
            map.serialize_entry("sym_addr", &Hex(begin.0))?;
        }
        self.source_as_sent(map)
    }

    fn source_as_sent<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let raw = self.raw;
        entry(map, "filename", raw.filename.as_deref())?;
        entry(map, "abs_path", raw.abs_path.as_deref())?;
        entry(map, "lineno", raw.lineno)?;
        if !raw.pre_context.is_empty() {
            map.serialize_entry("pre_context", &raw.pre_context)?;
        }
        entry(map, "context_line", raw.context_line.as_deref())?;
        if !raw.post_context.is_empty() {
            map.serialize_entry("post_context", &raw.post_context)?;
        }
        Ok(())
    }
}

/// An address as the wire has it.
pub(super) struct Hex(pub u64);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

/// Writes a field if it is known: there are no nulls.
pub(super) fn entry<M: SerializeMap, T: Serialize>(map: &mut M, name: &str, value: Option<T>) -> Result<(), M::Error> {
    match value {
        Some(value) => map.serialize_entry(name, &value),
        None => Ok(()),
    }
}

/// Takes no more than the longest response.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_RESPONSE {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
