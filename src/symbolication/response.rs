//! What is answered: the shape of Symbolicator, written straight into one buffer of bounded size. It never looks anything up.

use std::io;
use std::sync::Arc;

use serde::ser::{SerializeMap, SerializeSeq as _};
use serde::{Serialize, Serializer};

use super::context::SourceContext;
use super::files::{DebugStatus, ModuleFiles, base_name};
use super::frames::{NamedFrame, Resolved};
use super::request::{AddrMode, Address, FrameOrder, Module, RawFrame, StackTrace};
use crate::symcaches::Location;
use crate::types::{DebugFile, Features};

/// Longest response, in bytes.
const MAX_RESPONSE: usize = 256 << 20;

/// The response would be longer than any that is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// What belongs into a response beside the frames.
#[derive(Debug)]
pub struct Extras<'a> {
    /// Lines of source.
    pub context: &'a SourceContext,
    /// `ORG/PROJECT`, for the addresses of candidates.
    pub project: &'a str,
    /// Further fields, of dumps and reports.
    pub facts: &'a serde_json::Map<String, serde_json::Value>,
}

/// The text of a completed response.
pub fn write(resolved: &Resolved, stacks: &[Vec<NamedFrame>], extras: &Extras<'_>) -> Result<Vec<u8>, TooLong> {
    let mut text = Bounded(Vec::new());
    serde_json::to_writer(&mut text, &Response { resolved, stacks, extras }).map_err(|_| TooLong)?;
    Ok(text.0)
}

struct Response<'a> {
    resolved: &'a Resolved,
    stacks: &'a [Vec<NamedFrame>],
    extras: &'a Extras<'a>,
}

impl Serialize for Response<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("status", "completed")?;
        entry(&mut map, "signal", self.resolved.request.signal)?;
        for (name, value) in self.extras.facts {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("stacktraces", &Stacks(self))?;
        map.serialize_entry("modules", &Modules(self))?;
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
        let package = module.and_then(|module| module.code_file.as_deref()).or(raw.package.as_deref());
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

struct Modules<'a>(&'a Response<'a>);

impl Serialize for Modules<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(response) = self;
        let unused = ModuleFiles::default();
        let modules = response.resolved.request.modules.iter().enumerate();
        serializer.collect_seq(modules.map(|(at, module)| {
            let files = response.resolved.files.get(&at).unwrap_or(&unused);
            OneModule { response, module, files }
        }))
    }
}

struct OneModule<'a> {
    response: &'a Response<'a>,
    module: &'a Module,
    files: &'a ModuleFiles,
}

impl Serialize for OneModule<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (module, files) = (self.module, self.files);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("debug_status", files.status.word())?;
        entry(&mut map, "detail", files.detail.as_deref())?;
        map.serialize_entry("features", &Has(files.features))?;
        map.serialize_entry("arch", files.table.as_ref().map_or("unknown", |table| table.arch()))?;
        entry(&mut map, "type", module.kind.as_deref())?;
        entry(&mut map, "code_id", module.code_id.as_ref())?;
        entry(&mut map, "code_file", module.code_file.as_deref())?;
        entry(&mut map, "debug_id", module.debug_id.as_ref())?;
        entry(&mut map, "debug_file", module.debug_file.as_deref())?;
        map.serialize_entry("image_addr", &Hex(module.image_addr.0))?;
        entry(&mut map, "image_size", module.image_size.map(|Address(size)| size))?;
        if self.response.resolved.request.options.dif_candidates && files.status != DebugStatus::Unused {
            map.serialize_entry("candidates", &Candidates(self))?;
        }
        map.end()
    }
}

struct Candidates<'a>(&'a OneModule<'a>);

impl Serialize for Candidates<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let files = self.0.files;
        if files.files.is_empty() {
            return serializer.collect_seq([serde_json::json!({
                "source": "symdepot",
                "location": "No object files listed on this source",
                "download": { "status": "notfound" },
            })]);
        }
        serializer.collect_seq(files.files.iter().map(|file| Candidate { module: self.0, file }))
    }
}

struct Candidate<'a> {
    module: &'a OneModule<'a>,
    file: &'a DebugFile,
}

impl Serialize for Candidate<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (files, file) = (self.module.files, self.file);
        let mut map = serializer.serialize_map(None)?;
        let location = format!("symdepot://{}/files/dsyms/{}", self.module.response.extras.project, file.id);
        map.serialize_entry("source", "symdepot")?;
        map.serialize_entry("location", &location)?;
        map.serialize_entry("download", &Download(file.features))?;
        if files.table_file == Some(file.id) {
            let (status, details) = match files.status {
                DebugStatus::Found => ("ok", None),
                DebugStatus::Malformed => ("malformed", files.detail.as_deref()),
                _ => ("error", files.detail.as_deref()),
            };
            map.serialize_entry("debug", &Outcome { status, details })?;
        }
        map.end()
    }
}

struct Download(Features);

impl Serialize for Download {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("status", "ok")?;
        map.serialize_entry("features", &Has(self.0))?;
        map.end()
    }
}

struct Outcome<'a> {
    status: &'a str,
    details: Option<&'a str>,
}

impl Serialize for Outcome<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("status", self.status)?;
        entry(&mut map, "details", self.details)?;
        map.end()
    }
}

/// Features in the words of the wire.
struct Has(Features);

impl Serialize for Has {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let has = |feature| self.0.contains(feature);
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("has_debug_info", &has(Features::DEBUG))?;
        map.serialize_entry("has_unwind_info", &has(Features::UNWIND))?;
        map.serialize_entry("has_symbols", &has(Features::SYMTAB))?;
        map.serialize_entry("has_sources", &has(Features::SOURCES))?;
        map.end()
    }
}

/// An address as the wire has it.
struct Hex(u64);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

/// Writes a field if it is known: there are no nulls.
fn entry<M: SerializeMap, T: Serialize>(map: &mut M, name: &str, value: Option<T>) -> Result<(), M::Error> {
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
