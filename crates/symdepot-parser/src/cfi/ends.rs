//! Two facts of call frame information that the text of Breakpad does not hold: where signal handlers return through, and where
//! a stack ends because there is no return address. It never evaluates a rule.

use gimli::{BaseAddresses, CieOrFde, Register, RegisterRule, RunTimeEndian, UnwindContext, UnwindSection};
use symbolic::common::{Arch, CpuFamily};
use symbolic::debuginfo::Object;
use symbolic::debuginfo::dwarf::Dwarf;

/// Rows of one function that are looked at.
const MAX_ROWS: usize = 10_000;

type Ranges = Vec<(u64, u64)>;

/// The ranges of either, from the beginning of the module.
pub(super) fn signals_and_ends(object: &Object<'_>) -> (Ranges, Ranges) {
    let (mut signals, mut ends) = (Vec::new(), Vec::new());
    match object {
        Object::Elf(file) => sections(file, object, &mut signals, &mut ends),
        Object::MachO(file) => sections(file, object, &mut signals, &mut ends),
        _ => {}
    }
    (signals, ends)
}

fn sections<'d, D: Dwarf<'d>>(file: &D, object: &Object<'_>, signals: &mut Ranges, ends: &mut Ranges) {
    let endian = match file.endianity() {
        symbolic::debuginfo::dwarf::gimli::RunTimeEndian::Little => RunTimeEndian::Little,
        symbolic::debuginfo::dwarf::gimli::RunTimeEndian::Big => RunTimeEndian::Big,
    };
    let bytes = object.arch().cpu_family().pointer_size().and_then(|size| u8::try_from(size).ok()).unwrap_or(8);
    let mut bases = BaseAddresses::default();
    let address = |name: &str| file.section(name).map(|section| section.address);
    if let Some(address) = address("text") {
        bases = bases.set_text(address);
    }
    if let Some(address) = address("eh_frame") {
        bases = bases.set_eh_frame(address);
    }
    if let Some(address) = address("got") {
        bases = bases.set_got(address);
    }
    let base = object.load_address();
    if let Some(section) = file.section("eh_frame") {
        let mut frames = gimli::EhFrame::new(&section.data, endian);
        frames.set_address_size(bytes);
        read(&frames, &bases, object.arch(), base, signals, ends);
    }
    if let Some(section) = file.section("debug_frame") {
        let mut frames = gimli::DebugFrame::new(&section.data, endian);
        frames.set_address_size(bytes);
        read(&frames, &bases, object.arch(), base, signals, ends);
    }
}

fn read<'d, S>(frames: &S, bases: &BaseAddresses, arch: Arch, base: u64, signals: &mut Ranges, ends: &mut Ranges)
where
    S: UnwindSection<gimli::EndianSlice<'d, RunTimeEndian>>,
    S::Offset: gimli::UnwindOffset<usize>,
{
    let Some(return_address) = return_address(arch) else { return };
    let mut entries = frames.entries(bases);
    let mut context = UnwindContext::new();
    // What is behind an entry that cannot be read is not known.
    while let Ok(Some(entry)) = entries.next() {
        let CieOrFde::Fde(partial) = entry else { continue };
        let Ok(fde) = partial.parse(S::cie_from_offset) else { continue };
        let (begin, end) = (fde.initial_address(), fde.initial_address().saturating_add(fde.len()));
        let (Some(begin), Some(end)) = (begin.checked_sub(base), end.checked_sub(base)) else { continue };
        if fde.is_signal_trampoline() {
            signals.push((begin, end));
        }
        let Ok(mut rows) = fde.rows(frames, bases, &mut context) else { continue };
        for _ in 0..MAX_ROWS {
            let Ok(Some(row)) = rows.next_row() else { break };
            if matches!(row.register(return_address), Some(RegisterRule::Undefined))
                && let (Some(begin), Some(end)) =
                    (row.start_address().checked_sub(base), row.end_address().checked_sub(base))
            {
                ends.push((begin, end));
            }
        }
    }
}

/// The register that stands for the return address.
fn return_address(arch: Arch) -> Option<Register> {
    match arch.cpu_family() {
        CpuFamily::Amd64 => Some(Register(16)),
        CpuFamily::Intel32 => Some(Register(8)),
        CpuFamily::Arm64 => Some(Register(30)),
        CpuFamily::Arm32 => Some(Register(14)),
        _ => None,
    }
}
