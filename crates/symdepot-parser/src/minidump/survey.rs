//! What a dump is of: system, modules, number of threads. It never looks at a stack.

use minidump::system_info::{Cpu, Os};
use minidump::{MinidumpModule, MinidumpModuleList, MinidumpSystemInfo, MinidumpThreadList, Module};
use symdepot_types::child_protocol::{DumpModule, DumpSurvey};

use super::{Dump, open};

/// Modules of a dump.
const MAX_MODULES: usize = 20_000;

/// Longest name of a module, in bytes.
const MAX_NAME: usize = 4_096;

/// Reads a dump, or says what is wrong with it.
pub fn survey(bytes: &[u8]) -> Result<DumpSurvey, String> {
    let dump = open(bytes)?;
    let system = system(&dump)?;
    let threads = dump.get_stream::<MinidumpThreadList<'_>>();
    let threads = threads.map_err(|error| format!("it has no list of threads that can be read: {error}"))?;
    let kind = kind(system.os);
    let modules = dump.get_stream::<MinidumpModuleList>().unwrap_or_default();
    Ok(DumpSurvey {
        threads: threads.threads.len() as u64,
        modules: modules.by_addr().take(MAX_MODULES).map(|found| module(found, kind)).collect(),
    })
}

/// The system of a dump, without which nothing in it can be read.
pub(super) fn system(dump: &Dump<'_>) -> Result<MinidumpSystemInfo, String> {
    dump.get_stream().map_err(|error| format!("it does not say of which system it is: {error}"))
}

/// The type of the modules of a system.
fn kind(os: Os) -> &'static str {
    match os {
        Os::Windows => "pe",
        Os::MacOs | Os::Ios => "macho",
        _ => "elf",
    }
}

fn module(module: &MinidumpModule, kind: &str) -> DumpModule {
    let name = |name: &str| name[..name.floor_char_boundary(MAX_NAME)].to_owned();
    DumpModule {
        kind: kind.to_owned(),
        address: module.base_address(),
        size: module.size(),
        code_file: name(&module.code_file()),
        debug_file: module.debug_file().map(|file| name(&file)),
        debug_id: module.debug_identifier().map(|id| id.breakpad().to_string()),
        code_id: module.code_identifier().map(|id| id.to_string()),
    }
}

/// The name of a system on the wire.
pub(super) fn os_name(os: Os) -> &'static str {
    match os {
        Os::Windows => "Windows",
        Os::MacOs => "macOS",
        Os::Ios => "iOS",
        Os::Linux => "Linux",
        Os::Android => "Android",
        _ => "",
    }
}

/// The name of a processor on the wire.
pub(super) fn cpu_name(cpu: Cpu) -> &'static str {
    match cpu {
        Cpu::X86 => "x86",
        Cpu::X86_64 => "x86_64",
        Cpu::Arm => "arm",
        Cpu::Arm64 => "arm64",
        _ => "",
    }
}
