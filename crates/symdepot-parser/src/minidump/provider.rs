//! What a walk is told of modules: the rules to find a caller, whether an address can be one, and where stacks end. Tables of
//! several files of a module serve together.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use breakpad_symbols::SymbolFile;
use minidump::Module;
use minidump::system_info::{Cpu, Os};
use minidump_unwind::{FileError, FileKind, FillSymbolError, FrameSymbolizer, FrameWalker, SymbolProvider};
use symbolic::symcache::SymCache;
use symdepot_types::stack::{PROGRAM_ENTRY, is_signal_trampoline};

use super::registers::restore;
use crate::cfi::CfiTable;

/// The tables of one module.
#[derive(Debug, Default)]
pub(super) struct ModuleTables<'a> {
    /// Call frame information, of the file to ask first.
    pub cfi: Vec<CfiTable<'a>>,
    /// Functions.
    pub symcache: Option<SymCache<'a>>,
}

/// The tables of all modules, by their beginning.
#[derive(Debug)]
pub(super) struct Provider<'a> {
    os: Os,
    cpu: Cpu,
    modules: BTreeMap<u64, ModuleTables<'a>>,
    seen: Mutex<Seen>,
}

/// What a walk came across.
#[derive(Debug, Default)]
struct Seen {
    /// Where functions were interrupted: exact addresses, no return addresses.
    interrupted: HashSet<u64>,
    /// Addresses below which there is no frame, as they are asked about.
    ends: HashSet<u64>,
    /// Modules whose call frame information was used.
    used: BTreeSet<u64>,
}

impl<'a> Provider<'a> {
    pub(super) fn new(os: Os, cpu: Cpu, modules: BTreeMap<u64, ModuleTables<'a>>) -> Self {
        Self { os, cpu, modules, seen: Mutex::default() }
    }

    /// Whether the stack ends with a frame.
    pub(super) fn is_end(&self, instruction: u64) -> bool {
        self.seen(|seen| seen.ends.contains(&instruction))
    }

    /// Beginnings of the modules whose call frame information was used.
    pub(super) fn used(&self) -> BTreeSet<u64> {
        self.seen(|seen| seen.used.clone())
    }

    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The shortest instruction: so far a walk moves a return address back.
    fn step(&self) -> u64 {
        match self.cpu {
            Cpu::Arm64 => 4,
            Cpu::Arm => 2,
            _ => 1,
        }
    }

    fn walk(&self, base: u64, walker: &mut (dyn FrameWalker + Send)) -> Option<()> {
        let tables = self.modules.get(&base)?;
        let asked = walker.get_instruction();
        // The place of an interruption is no return address, although it was moved back like one.
        let exact = asked.checked_add(self.step()).filter(|exact| self.seen(|seen| seen.interrupted.contains(exact)));
        let instruction = exact.unwrap_or(asked);
        let address = instruction.checked_sub(base)?;
        if self.is_trampoline(tables, address) {
            let interrupted = restore(walker, self.os, self.cpu)?;
            self.seen(|seen| {
                seen.interrupted.insert(interrupted);
                seen.used.insert(base);
            });
            return Some(());
        }
        if tables.cfi.iter().any(|cfi| cfi.is_end(address)) || tables.name(address) == Some(PROGRAM_ENTRY) {
            self.seen(|seen| {
                seen.ends.insert(asked);
                seen.used.insert(base);
            });
            return None;
        }
        let rules = tables.cfi.iter().find_map(|cfi| cfi.rules(address))?;
        let text = format!("MODULE Linux x86_64 000000000000000000000000000000000 module\n{rules}");
        let rules = SymbolFile::from_bytes(text.as_bytes()).ok()?;
        rules.walk_frame(&Based(base), &mut At { walker, instruction })?;
        self.seen(|seen| seen.used.insert(base));
        Some(())
    }

    /// Whether an address is in code that a signal handler returns through: there, or where it returns to.
    fn is_trampoline(&self, tables: &ModuleTables<'_>, address: u64) -> bool {
        let behind = address.saturating_add(self.step());
        let by_cfi = tables.cfi.iter().any(|cfi| cfi.signal(address).is_some() || cfi.signal(behind) == Some(behind));
        by_cfi
            || tables.entry(behind).is_some_and(is_signal_trampoline)
            || tables.entry(address).is_some_and(is_signal_trampoline)
    }
}

impl ModuleTables<'_> {
    /// The function at an address.
    fn name(&self, address: u64) -> Option<&str> {
        let symcache = self.symcache.as_ref()?;
        u32::try_from(address).ok()?;
        symcache.lookup(address).last().map(|location| location.function().name())
    }

    /// The function that begins at an address.
    fn entry(&self, address: u64) -> Option<&str> {
        let symcache = self.symcache.as_ref()?;
        let address = u32::try_from(address).ok()?;
        let function = symcache.lookup(u64::from(address)).last()?.function();
        (function.entry_pc() == address).then(|| function.name())
    }
}

#[async_trait]
impl SymbolProvider for Provider<'_> {
    async fn fill_symbol(
        &self,
        module: &(dyn Module + Sync),
        frame: &mut (dyn FrameSymbolizer + Send),
    ) -> Result<(), FillSymbolError> {
        let unknown = Err(FillSymbolError {});
        let Some(tables) = self.modules.get(&module.base_address()) else { return unknown };
        let Some(address) = frame.get_instruction().checked_sub(module.base_address()) else { return unknown };
        // Without a name, a scan goes on: the address is in no function of a module that is known.
        if tables.symcache.is_some() {
            if let Some(name) = tables.name(address) {
                frame.set_function(name, module.base_address(), 0);
            }
            return Ok(());
        }
        if tables.cfi.is_empty() || tables.cfi.iter().any(|cfi| cfi.covers(address)) { unknown } else { Ok(()) }
    }

    async fn walk_frame(&self, module: &(dyn Module + Sync), walker: &mut (dyn FrameWalker + Send)) -> Option<()> {
        self.walk(module.base_address(), walker)
    }

    async fn get_file_path(&self, _: &(dyn Module + Sync), _: FileKind) -> Result<PathBuf, FileError> {
        Err(FileError::NotFound)
    }
}

/// A module of which only the beginning counts.
struct Based(u64);

impl Module for Based {
    fn base_address(&self) -> u64 {
        self.0
    }
    fn size(&self) -> u64 {
        0
    }
    fn code_file(&self) -> std::borrow::Cow<'_, str> {
        "".into()
    }
    fn code_identifier(&self) -> Option<debugid::CodeId> {
        None
    }
    fn debug_file(&self) -> Option<std::borrow::Cow<'_, str>> {
        None
    }
    fn debug_identifier(&self) -> Option<debugid::DebugId> {
        None
    }
    fn version(&self) -> Option<std::borrow::Cow<'_, str>> {
        None
    }
}

/// A walker at another address.
struct At<'w> {
    walker: &'w mut (dyn FrameWalker + Send),
    instruction: u64,
}

impl FrameWalker for At<'_> {
    fn get_instruction(&self) -> u64 {
        self.instruction
    }
    fn has_grand_callee(&self) -> bool {
        self.walker.has_grand_callee()
    }
    fn get_grand_callee_parameter_size(&self) -> u32 {
        self.walker.get_grand_callee_parameter_size()
    }
    fn get_register_at_address(&self, address: u64) -> Option<u64> {
        self.walker.get_register_at_address(address)
    }
    fn get_callee_register(&self, name: &str) -> Option<u64> {
        self.walker.get_callee_register(name)
    }
    fn set_caller_register(&mut self, name: &str, value: u64) -> Option<()> {
        self.walker.set_caller_register(name, value)
    }
    fn clear_caller_register(&mut self, name: &str) {
        self.walker.clear_caller_register(name);
    }
    fn set_cfa(&mut self, value: u64) -> Option<()> {
        self.walker.set_cfa(value)
    }
    fn set_ra(&mut self, value: u64) -> Option<()> {
        self.walker.set_ra(value)
    }
    fn set_cfi_rules_start_address(&mut self, address: Option<u64>) {
        self.walker.set_cfi_rules_start_address(address);
    }
}
