//! The walk of all stacks of a dump, and the facts beside them. Frames have addresses and no names.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use minidump::{
    MinidumpContext, MinidumpException, MinidumpMiscInfo, MinidumpModuleList, MinidumpSystemInfo, MinidumpThread,
    MinidumpThreadList, MinidumpThreadNames, UnifiedMemoryList,
};
use minidump_unwind::{CallStack, FrameTrust, StackFrame, SystemInfo, walk_stack};
use serde_json::{Map, Value, json};
use symbolic::symcache::SymCache;
use symdepot_types::child_protocol::{WalkModule, WalkedDump, WalkedFrame, WalkedThread};

use super::provider::{ModuleTables, Provider};
use super::registers::caller_of_nowhere;
use super::survey::{cpu_name, os_name, system};
use super::{Dump, open};
use crate::cfi::CfiTable;

/// Threads that are answered.
const MAX_THREADS: usize = 4_096;

/// Frames of a thread, before inlined calls.
const MAX_FRAMES: usize = 1_024;

/// Frames of a dump.
const MAX_ALL_FRAMES: usize = 100_000;

/// What ends a walk that goes on for too long.
struct Enough;

/// Walks the stacks of a dump with these tables: for each module its call frame information, then its symcache.
pub fn walk(bytes: &[u8], modules: &[WalkModule], tables: &[&[u8]]) -> Result<WalkedDump, String> {
    let dump = open(bytes)?;
    let system = system(&dump)?;
    let threads = dump.get_stream::<MinidumpThreadList<'_>>();
    let threads = threads.map_err(|error| format!("it has no list of threads that can be read: {error}"))?;
    let provider = Provider::new(system.os, system.cpu, by_base(modules, tables));
    let walk = Walk {
        modules: dump.get_stream().unwrap_or_default(),
        memory: dump.get_memory().unwrap_or_default(),
        misc: dump.get_stream().ok(),
        names: dump.get_stream().unwrap_or_default(),
        exception: dump.get_stream().ok(),
        provider: &provider,
        system: &system,
    };
    let crashed = walk.exception.as_ref().map(MinidumpException::get_crashing_thread_id);
    let mut kept: Vec<_> = threads.threads.iter().collect();
    let left_out = kept.len().saturating_sub(MAX_THREADS);
    if left_out > 0 {
        // The thread that crashed is always told of.
        let at = kept.iter().position(|thread| Some(thread.raw.thread_id) == crashed).filter(|at| *at >= MAX_THREADS);
        if let Some(at) = at {
            kept.swap(at, MAX_THREADS - 1);
        }
        kept.truncate(MAX_THREADS);
    }
    let mut left = MAX_ALL_FRAMES;
    let walked = kept.into_iter().map(|thread| {
        let walked = walk.thread(thread, crashed == Some(thread.raw.thread_id), left.min(MAX_FRAMES));
        left -= walked.frames.len();
        walked
    });
    let threads = walked.collect();
    Ok(WalkedDump { facts: walk.facts(&dump, left_out), threads, used: provider.used().into_iter().collect() })
}

/// The tables of each module.
fn by_base<'a>(modules: &[WalkModule], tables: &[&'a [u8]]) -> BTreeMap<u64, ModuleTables<'a>> {
    let mut tables = tables.iter().copied();
    let mut by_base = BTreeMap::new();
    for module in modules {
        let cfi = tables.by_ref().take(module.cfi).filter_map(CfiTable::open).collect();
        let symcache = if module.symcache { tables.next() } else { None };
        let symcache = symcache.and_then(|bytes| SymCache::parse(bytes).ok());
        by_base.insert(module.address, ModuleTables { cfi, symcache });
    }
    by_base
}

/// What all threads of a dump are walked with.
struct Walk<'a, 'd> {
    modules: MinidumpModuleList,
    memory: UnifiedMemoryList<'d>,
    misc: Option<MinidumpMiscInfo>,
    names: MinidumpThreadNames,
    exception: Option<MinidumpException<'d>>,
    provider: &'a Provider<'a>,
    system: &'a MinidumpSystemInfo,
}

impl<'d> Walk<'_, 'd> {
    fn thread(&self, thread: &MinidumpThread<'d>, crashed: bool, most: usize) -> WalkedThread {
        let id = thread.raw.thread_id;
        let name = self.names.get_name(id).map(|name| name.into_owned());
        let of_exception = self.exception.as_ref().filter(|_| crashed);
        let context = of_exception
            .and_then(|exception| exception.context(self.system, self.misc.as_ref()))
            .or_else(|| thread.context(self.system, self.misc.as_ref()));
        let Some(context) = context else {
            return WalkedThread { id, name, crashed, ..WalkedThread::default() };
        };
        let registers = context.valid_registers().map(|(name, value)| (name.to_owned(), value)).collect();
        let (frames, truncated) = self.frames(thread, &context, most);
        WalkedThread { id, name, crashed, registers, frames, truncated }
    }

    /// The frames of a stack, innermost first, and whether there are more.
    fn frames(&self, thread: &MinidumpThread<'d>, context: &MinidumpContext, most: usize) -> (Vec<WalkedFrame>, bool) {
        let own = thread.stack_memory(&self.memory);
        let pointer = context.get_stack_pointer();
        let holds =
            own.as_ref().is_some_and(|memory| memory.memory_range().is_some_and(|range| range.contains(pointer)));
        let stack_memory = if holds { own } else { self.memory.memory_at_address(pointer).or(own) };
        let mut stack = CallStack::with_context(context.clone());
        if let Some(caller) = caller_of_nowhere(context, stack_memory.as_ref(), &self.modules) {
            let mut frame = StackFrame::from_context(caller, FrameTrust::Scan);
            frame.instruction = frame.instruction.saturating_sub(1);
            stack.frames.push(frame);
        }
        let system = SystemInfo {
            os: self.system.os,
            os_version: None,
            os_build: None,
            cpu: self.system.cpu,
            cpu_info: None,
            cpu_microcode_version: None,
            cpu_count: 1,
        };
        // The library walks on for as long as there is memory.
        let stop = move |index: usize, _: &StackFrame| {
            if index >= most {
                panic::resume_unwind(Box::new(Enough));
            }
        };
        let walking = AssertUnwindSafe(|| {
            at_once(walk_stack(0, stop, &mut stack, stack_memory, &self.modules, &system, self.provider));
        });
        // What made it panic cost the rest of this stack; the frames so far are right.
        let _either = panic::catch_unwind(walking);
        let truncated = stack.frames.len() > most;
        stack.frames.truncate(most);
        if let Some(end) = stack.frames.iter().position(|frame| self.provider.is_end(frame.instruction)) {
            stack.frames.truncate(end + 1);
        }
        let frame =
            |frame: &StackFrame| WalkedFrame { address: frame.resume_address, trust: trust(frame.trust).to_owned() };
        (stack.frames.iter().map(frame).collect(), truncated)
    }

    fn facts(&self, dump: &Dump<'_>, threads_left_out: usize) -> Map<String, Value> {
        let (version, build) = self.system.os_parts();
        let (os, cpu) = (self.system.os, self.system.cpu);
        let reason = self.exception.as_ref().map(|exception| {
            format!("{} / {:#x}", exception.get_crash_reason(os, cpu), exception.get_crash_address(os, cpu))
        });
        let mut facts = Map::new();
        facts.insert("timestamp".to_owned(), json!(dump.header.time_date_stamp));
        let system_info = json!({
            "os_name": os_name(os), "os_version": version, "os_build": build.unwrap_or_default(),
            "cpu_arch": cpu_name(cpu), "device_model": "",
        });
        facts.insert("system_info".to_owned(), system_info);
        facts.insert("crashed".to_owned(), json!(self.exception.is_some()));
        facts.insert("crash_reason".to_owned(), json!(reason.unwrap_or_default()));
        facts.insert("assertion".to_owned(), json!(""));
        if threads_left_out > 0 {
            facts.insert("threads_left_out".to_owned(), json!(threads_left_out));
        }
        facts
    }
}

fn trust(trust: FrameTrust) -> &'static str {
    match trust {
        FrameTrust::Context => "context",
        FrameTrust::CallFrameInfo => "cfi",
        FrameTrust::FramePointer => "fp",
        FrameTrust::CfiScan => "cfiscan",
        FrameTrust::Scan => "scan",
        FrameTrust::PreWalked => "prewalked",
        FrameTrust::None => "none",
    }
}

/// What a future comes to that waits for nothing: its provider answers at once.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(outcome) = future.as_mut().poll(&mut context) {
            return outcome;
        }
    }
}
