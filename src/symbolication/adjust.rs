//! Which address of a frame is looked up. A return address points behind the call, perhaps into the next line or function, so
//! it is moved back by one instruction. It never looks anything up.

/// Signals after which the innermost frame may hold a return address: illegal instruction, bus error, segmentation fault.
const CRASH_SIGNALS: [u32; 4] = [4, 7, 10, 11];

/// Length and alignment of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instructions {
    /// The shortest instruction, in bytes.
    pub length: u64,
    /// Where instructions begin.
    pub alignment: u64,
}

impl Instructions {
    /// Of an architecture, by the name that symcaches have for it.
    pub fn of(arch: &str) -> Self {
        match arch {
            name if name.starts_with("arm64") => Self { length: 4, alignment: 4 },
            name if name.starts_with("arm") => Self { length: 2, alignment: 2 },
            name if ["mips", "ppc", "riscv"].iter().any(|family| name.starts_with(family)) => {
                Self { length: 4, alignment: 1 }
            }
            _ => Self { length: 1, alignment: 1 },
        }
    }
}

/// What decides whether an address is moved.
#[derive(Clone, Copy, Debug, Default)]
pub struct Situation {
    /// The module is at 0, or managed code.
    pub exact: bool,
    /// What the frame says itself.
    pub said: Option<bool>,
    /// Whether another frame of the thread says something.
    pub others_say: bool,
    /// The frame is a signal trampoline, or was interrupted by the signal.
    pub at_signal: bool,
    /// It is the innermost one of its thread.
    pub innermost: bool,
    /// The signal that ended the process.
    pub signal: Option<u32>,
    /// The instruction pointer among the registers of the thread.
    pub instruction_pointer: Option<u64>,
}

/// The address that is looked up; `None` if it would lie below 0.
pub fn adjusted(address: u64, situation: &Situation, instructions: Instructions) -> Option<u64> {
    let aligned = address - address % instructions.alignment;
    let back = || aligned.checked_sub(instructions.length);
    let here = Some(address);
    match situation {
        Situation { exact: true, .. } => here,
        Situation { said: Some(true), .. } => back(),
        Situation { said: Some(false), .. } => Some(aligned),
        Situation { others_say: true, .. } => back(),
        Situation { at_signal: true, .. } => here,
        Situation { innermost: true, signal, instruction_pointer, .. } => {
            let crashed = signal.is_some_and(|signal| CRASH_SIGNALS.contains(&signal));
            if crashed && instruction_pointer.is_some_and(|pointer| pointer != address) { back() } else { here }
        }
        _ => back(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X86: Instructions = Instructions { length: 1, alignment: 1 };

    #[test]
    fn the_first_row_that_fits_decides() {
        let row = Situation::default;
        let crash = Situation { innermost: true, signal: Some(11), instruction_pointer: Some(0x10), ..row() };
        for (situation, expected) in [
            (Situation { exact: true, said: Some(true), ..row() }, 0x100),
            (Situation { said: Some(true), at_signal: true, innermost: true, ..row() }, 0xff),
            (Situation { said: Some(false), others_say: true, ..row() }, 0x100),
            (Situation { others_say: true, innermost: true, ..row() }, 0xff),
            (Situation { at_signal: true, ..row() }, 0x100),
            (Situation { innermost: true, ..row() }, 0x100),
            (crash, 0xff),
            (Situation { instruction_pointer: Some(0x100), ..crash }, 0x100),
            (Situation { instruction_pointer: None, ..crash }, 0x100),
            (Situation { signal: Some(6), ..crash }, 0x100),
            (Situation { signal: None, ..crash }, 0x100),
            (row(), 0xff),
        ] {
            assert_eq!(adjusted(0x100, &situation, X86), Some(expected), "{situation:?}");
        }
    }

    #[test]
    fn addresses_move_by_an_instruction_from_where_instructions_begin() {
        for (arch, expected) in
            [("x86", 0x102), ("x86_64", 0x102), ("arm", 0x100), ("armv7", 0x100), ("arm64", 0xfc), ("arm64e", 0xfc)]
        {
            assert_eq!(adjusted(0x103, &Situation::default(), Instructions::of(arch)), Some(expected), "{arch}");
        }
        let said = Situation { said: Some(false), ..Situation::default() };
        assert_eq!(adjusted(0x103, &said, Instructions::of("arm")), Some(0x102));
        assert_eq!(adjusted(0x103, &said, Instructions::of("arm64")), Some(0x100));
        assert_eq!(adjusted(0, &Situation::default(), X86), None);
    }
}
