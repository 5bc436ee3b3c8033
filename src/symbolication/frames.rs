//! From frames as they were sent to frames with names: adjusts and looks up each address, and drops what is no frame. It reads
//! tables alone, on a thread that may take its time.

use std::collections::HashMap;
use std::sync::Arc;

use super::adjust::{Instructions, Situation, adjusted};
use super::dump::Unwinding;
use super::files::{DebugStatus, ModuleFiles};
use super::modules::ModuleMap;
use super::request::{AddrMode, FrameOrder, Module, RawFrame, StackTrace, SymbolicateRequest, Trust};
use crate::symcaches::{Location, Locations};
use crate::types::stack::{PROGRAM_ENTRY, is_signal_trampoline};

/// Registers that hold the instruction pointer.
const INSTRUCTION_POINTERS: [&str; 3] = ["rip", "eip", "pc"];

/// Below this no code lies: an outermost frame there is what a walk makes of the end of a stack.
const LOWEST_CODE: u64 = 0x1000;

/// What became of a frame: the words of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameStatus {
    /// The table knows a function there.
    Symbolicated,
    /// The table knows none there.
    MissingSymbol,
    /// The address is in no module.
    UnknownImage,
    /// The module has no usable file.
    Missing,
    /// No table can be made of the file.
    Malformed,
}

impl FrameStatus {
    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Symbolicated => "symbolicated",
            Self::MissingSymbol => "missing_symbol",
            Self::UnknownImage => "unknown_image",
            Self::Missing => "missing",
            Self::Malformed => "malformed",
        }
    }
}

/// What is known of one frame of a request: one frame of the response for each function.
#[derive(Clone, Debug)]
pub struct NamedFrame {
    /// Its place in the stack, from the innermost one.
    pub original_index: usize,
    /// What became of it.
    pub status: FrameStatus,
    /// The module that it is in.
    pub module: Option<usize>,
    /// The address that was looked up, counted as it was sent; only if it is symbolicated.
    pub looked_up: Option<u64>,
    /// The functions there, what was inlined first.
    pub functions: Arc<[Location]>,
}

/// The modules of a request and what the project has for them.
#[derive(Debug)]
pub struct Resolved {
    /// The request.
    pub request: SymbolicateRequest,
    /// Which module contains an address.
    pub map: ModuleMap,
    /// What the project has for the modules that frames are in.
    pub files: HashMap<usize, ModuleFiles>,
    /// Of a dump: what each module was walked with.
    pub unwinding: Option<HashMap<usize, Unwinding>>,
}

impl Resolved {
    /// The stacks with names, in the order of the request, innermost frame first.
    pub fn name_all(&self) -> Vec<Vec<NamedFrame>> {
        let tables = self.files.iter().filter_map(|(at, files)| Some((*at, Locations::new(files.table.as_ref()?))));
        let arch = |files: &ModuleFiles| files.table.as_ref().map_or("unknown", |table| table.arch());
        let instructions = self.files.iter().map(|(at, files)| (*at, Instructions::of(arch(files)))).collect();
        let mut look_up = LookUp { resolved: self, tables: tables.collect(), instructions };
        self.request.stacktraces.iter().map(|stack| look_up.stack(stack)).collect()
    }

    /// The module of a frame.
    pub fn module_of(&self, frame: &RawFrame) -> Option<usize> {
        module_of(&self.request, &self.map, frame)
    }
}

/// The module that a frame is in.
pub fn module_of(request: &SymbolicateRequest, map: &ModuleMap, frame: &RawFrame) -> Option<usize> {
    match frame.addr_mode {
        AddrMode::Absolute => map.find(frame.instruction_addr.0),
        mode @ AddrMode::Relative(_) => request.relative_module(mode),
    }
}

/// The frames of a stack, innermost first, whatever order they were sent in.
pub fn innermost_first(stack: &StackTrace, order: FrameOrder) -> Box<dyn Iterator<Item = &RawFrame> + '_> {
    match order {
        FrameOrder::CalleeFirst => Box::new(stack.frames.iter()),
        FrameOrder::CallerFirst => Box::new(stack.frames.iter().rev()),
    }
}

struct LookUp<'r> {
    resolved: &'r Resolved,
    tables: HashMap<usize, Locations<'r>>,
    instructions: HashMap<usize, Instructions>,
}

impl LookUp<'_> {
    fn stack(&mut self, stack: &StackTrace) -> Vec<NamedFrame> {
        let raw: Vec<_> = innermost_first(stack, self.resolved.request.options.frame_order).collect();
        let others_say = raw.iter().any(|frame| frame.adjust_instruction_addr.is_some());
        let pointer = stack.registers.as_ref().and_then(|registers| {
            INSTRUCTION_POINTERS.iter().find_map(|name| registers.get(*name)).map(|address| address.0)
        });
        let mut named = Vec::with_capacity(raw.len());
        let mut below_trampoline = false;
        for (index, frame) in raw.iter().enumerate() {
            let trampoline = self.is_trampoline(frame);
            let situation = Situation {
                exact: false,
                said: frame.adjust_instruction_addr,
                others_say,
                at_signal: trampoline || below_trampoline,
                innermost: index == 0,
                signal: self.resolved.request.signal,
                instruction_pointer: pointer,
            };
            below_trampoline = trampoline;
            named.push(self.frame(index, frame, &situation));
        }
        drop_no_frames(&mut named, &raw);
        named
    }

    fn frame(&mut self, original_index: usize, frame: &RawFrame, situation: &Situation) -> NamedFrame {
        let resolved = self.resolved;
        let unknown = NamedFrame {
            original_index,
            status: FrameStatus::UnknownImage,
            module: None,
            looked_up: None,
            functions: Arc::default(),
        };
        let Some(at) = resolved.module_of(frame) else { return unknown };
        let in_module = |status| NamedFrame { status, module: Some(at), ..unknown.clone() };
        match resolved.files.get(&at).map(|files| files.status) {
            Some(DebugStatus::Found) => {}
            Some(DebugStatus::Malformed) => return in_module(FrameStatus::Malformed),
            _ => return in_module(FrameStatus::Missing),
        }
        let module = &resolved.request.modules[at];
        let instructions = self.instructions.get(&at).copied().unwrap_or(Instructions { length: 1, alignment: 1 });
        let situation = Situation { exact: module.image_addr.0 == 0 || module.is_dotnet(), ..*situation };
        let address = absolute(frame, module).and_then(|address| adjusted(address, &situation, instructions));
        let relative = address.and_then(|address| address.checked_sub(module.image_addr.0));
        let functions = match (relative, self.tables.get_mut(&at)) {
            (Some(relative), Some(table)) => table.at(relative),
            _ => Arc::default(),
        };
        if functions.is_empty() {
            return in_module(FrameStatus::MissingSymbol);
        }
        // Counted as it was sent where the module is at 0, else from the beginning of memory.
        NamedFrame { looked_up: address, functions, ..in_module(FrameStatus::Symbolicated) }
    }

    /// Whether the address as sent is where a function begins that signal handlers return through.
    fn is_trampoline(&mut self, frame: &RawFrame) -> bool {
        let Some(at) = self.resolved.module_of(frame) else { return false };
        let module = &self.resolved.request.modules[at];
        let relative = absolute(frame, module).and_then(|address| address.checked_sub(module.image_addr.0));
        let (Some(relative), Some(table)) = (relative, self.tables.get_mut(&at)) else { return false };
        let functions = table.at(relative);
        functions.last().is_some_and(|function| function.entry == relative && is_signal_trampoline(&function.symbol))
    }
}

/// The address of a frame from the beginning of memory.
fn absolute(frame: &RawFrame, module: &Module) -> Option<u64> {
    match frame.addr_mode {
        AddrMode::Absolute => Some(frame.instruction_addr.0),
        AddrMode::Relative(_) => module.image_addr.0.checked_add(frame.instruction_addr.0),
    }
}

/// Drops what a walk took for frames: scanned words that lead nowhere, and what lies behind the end of the stack.
fn drop_no_frames(named: &mut Vec<NamedFrame>, raw: &[&RawFrame]) {
    let nowhere = |status| matches!(status, FrameStatus::MissingSymbol | FrameStatus::UnknownImage);
    named.retain(|frame| !(raw[frame.original_index].trust == Trust::Scan && nowhere(frame.status)));
    if let [.., inner, outermost] = named.as_slice()
        && outermost.status == FrameStatus::UnknownImage
    {
        let below_entry = inner.functions.last().is_some_and(|function| &*function.symbol == PROGRAM_ENTRY);
        let below_code = raw[outermost.original_index].instruction_addr.0 < LOWEST_CODE;
        if below_entry || below_code {
            named.pop();
        }
    }
}
