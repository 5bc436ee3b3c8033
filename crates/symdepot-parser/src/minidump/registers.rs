//! Registers that a walk cannot find by itself: those of the function that a signal interrupted, and of the caller of an address
//! where no code is. Offsets are those of Linux's `ucontext_t`.

use minidump::system_info::{Cpu, Os};
use minidump::{MinidumpContext, MinidumpContextValidity, MinidumpModuleList, MinidumpRawContext, UnifiedMemory};
use minidump_unwind::FrameWalker;

/// General registers of `x86_64` in the order of `mcontext_t`, from 40 bytes above the stack pointer.
const AMD64: [&str; 17] = [
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp", "rbx", "rdx", "rax", "rcx", "rsp", "rip",
];

/// Where they begin.
const AMD64_AT: u64 = 40;

/// Where `x0` of arm64 is, above the stack pointer: behind `siginfo_t`, then within `ucontext_t`.
const ARM64_AT: u64 = 128 + 176 + 8;

/// Sets the registers of the caller to those of the interrupted function, and returns where it was interrupted.
pub(super) fn restore(walker: &mut (dyn FrameWalker + Send), os: Os, cpu: Cpu) -> Option<u64> {
    if !matches!(os, Os::Linux | Os::Android) {
        return None;
    }
    match cpu {
        Cpu::X86_64 => {
            let at = walker.get_callee_register("rsp")?.checked_add(AMD64_AT)?;
            let mut values = [0; AMD64.len()];
            for (value, number) in values.iter_mut().zip(0..) {
                *value = walker.get_register_at_address(at.checked_add(8 * number)?)?;
            }
            let [.., stack, instruction] = values;
            for (name, value) in AMD64.iter().zip(values) {
                walker.set_caller_register(name, value)?;
            }
            walker.set_cfa(stack)?;
            walker.set_ra(instruction)?;
            Some(instruction)
        }
        Cpu::Arm64 => {
            let at = walker.get_callee_register("sp")?.checked_add(ARM64_AT)?;
            let read = |number: u64| walker.get_register_at_address(at.checked_add(8 * number)?);
            let values: Option<Vec<u64>> = (0..33).map(read).collect();
            let values = values?;
            for (number, value) in values[..31].iter().enumerate() {
                walker.set_caller_register(&format!("x{number}"), *value);
            }
            walker.set_cfa(values[31])?;
            walker.set_ra(values[32])?;
            Some(values[32])
        }
        _ => None,
    }
}

/// The registers of the caller of an address where no module is: the word at the stack pointer, or the link register, is where
/// the call returns to, if that is in a module.
pub(super) fn caller_of_nowhere(
    context: &MinidumpContext,
    stack: Option<&UnifiedMemory<'_, '_>>,
    modules: &MinidumpModuleList,
) -> Option<MinidumpContext> {
    if modules.module_at_address(context.get_instruction_pointer()).is_some() {
        return None;
    }
    let in_module = |address: &u64| modules.module_at_address(address.saturating_sub(1)).is_some();
    let (raw, kept): (_, &[&'static str]) = match &context.raw {
        MinidumpRawContext::Amd64(raw) => {
            let mut raw = raw.clone();
            raw.rip = stack?.get_memory_at_address::<u64>(raw.rsp).filter(in_module)?;
            raw.rsp = raw.rsp.checked_add(8)?;
            (MinidumpRawContext::Amd64(raw), &["rip", "rsp", "rbp", "rbx", "r12", "r13", "r14", "r15"])
        }
        MinidumpRawContext::X86(raw) => {
            let mut raw = raw.clone();
            let word = stack?.get_memory_at_address::<u32>(u64::from(raw.esp));
            raw.eip = word.filter(|word| in_module(&u64::from(*word)))?;
            raw.esp = raw.esp.checked_add(4)?;
            (MinidumpRawContext::X86(raw), &["eip", "esp", "ebp", "ebx", "esi", "edi"])
        }
        MinidumpRawContext::Arm64(raw) => {
            let mut raw = raw.clone();
            raw.pc = Some(raw.iregs[30]).filter(in_module)?;
            (
                MinidumpRawContext::Arm64(raw),
                &["pc", "sp", "x29", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28"],
            )
        }
        _ => return None,
    };
    Some(MinidumpContext { raw, valid: MinidumpContextValidity::Some(kept.iter().copied().collect()) })
}
