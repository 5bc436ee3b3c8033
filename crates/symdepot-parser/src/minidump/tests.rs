//! Walks of dumps of which every frame is known.

use super::*;
use crate::cfi;
use symdepot_types::child_protocol::WalkModule;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/crashes/");

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{FOLDER}{name}")).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The table of a file, if it has one.
fn cfi_of(name: &str) -> Option<Vec<u8>> {
    let bytes = fixture(name);
    let id = crate::detect::read_objects(&bytes, 1 << 30).expect("an object").remove(0).debug_id;
    let mut table = Vec::new();
    cfi::build(&bytes, &id, 1 << 30, &mut table).ok()?.expect("memory can be written");
    Some(table)
}

fn symcache_of(name: &str) -> Vec<u8> {
    crate::symcaches(&fixture(name), 1 << 30, 1).expect("an object").remove(0).expect("a symcache")
}

/// The functions of the first thread, innermost first.
fn functions(dump: &str, files: &[&str], symcache: &str) -> Vec<String> {
    let bytes = fixture(dump);
    let survey = survey(&bytes).expect("a dump");
    let module = survey.modules.iter().find(|module| module.code_file.contains("crash")).expect("the module");
    let cfi: Vec<_> = files.iter().filter_map(|file| cfi_of(file)).collect();
    let symcache = symcache_of(symcache);
    let tables: Vec<_> = cfi.iter().map(Vec::as_slice).chain([symcache.as_slice()]).collect();
    let modules = [WalkModule { address: module.address, cfi: cfi.len(), symcache: true }];
    let walked = walk(&bytes, &modules, &tables).expect("stacks");
    let cache = symbolic::symcache::SymCache::parse(&symcache).expect("a symcache");
    let thread = walked.threads.iter().find(|thread| thread.crashed).expect("a thread that crashed");
    let name = |(at, frame): (usize, &symdepot_types::child_protocol::WalkedFrame)| {
        let exact = at == 0 || at > 0 && is_entry(&cache, frame.address.wrapping_sub(module.address));
        let address = frame.address.wrapping_sub(module.address).wrapping_sub(u64::from(!exact));
        let found = cache.lookup(address).last().map(|location| location.function().name().to_owned());
        format!("{} {}", found.unwrap_or_else(|| format!("{:#x}", frame.address)), frame.trust)
    };
    thread.frames.iter().enumerate().map(name).collect()
}

fn is_entry(cache: &symbolic::symcache::SymCache<'_>, address: u64) -> bool {
    let Ok(address) = u32::try_from(address) else { return false };
    cache.lookup(u64::from(address)).last().is_some_and(|location| location.function().entry_pc() == address)
}

const CFI: [&str; 2] = ["nolibc/crash-cfi", "nolibc/crash-cfi.debug"];

fn of_cfi(dump: &str) -> Vec<String> {
    functions(dump, &CFI, CFI[1])
}

const BELOW_RUN: [&str; 3] = ["run cfi", "start_c cfi", "_start cfi"];

#[test]
fn call_frame_information_leads_to_the_end_of_the_stack_and_no_further() {
    let steps = ["_ZNK3geo5ShapeIlE7measureEl context", "step_three cfi", "step_two cfi", "step_one cfi"];
    assert_eq!(of_cfi("nolibc/cfi-null.dmp"), [&steps[..], &BELOW_RUN].concat());
    for (dump, own) in [
        ("nolibc/cfi-divide.dmp", &["divide context"][..]),
        ("nolibc/cfi-illegal.dmp", &["illegal context"]),
        ("nolibc/cfi-abort.dmp", &["sys3 context", "give_up cfi"]),
    ] {
        assert_eq!(of_cfi(dump), [own, &BELOW_RUN].concat(), "{dump}");
    }
    let deep = of_cfi("nolibc/cfi-deep.dmp");
    assert_eq!((deep.len(), deep[300].as_str()), (304, "dive cfi"));
}

#[test]
fn a_walk_goes_through_a_signal_handler_to_what_was_interrupted() {
    let above = ["in_handler context", "on_signal cfi", "__restore_rt cfi", "interrupted cfi", "with_handler cfi"];
    assert_eq!(of_cfi("nolibc/cfi-signal.dmp"), [&above[..], &BELOW_RUN].concat());
}

#[test]
fn the_caller_of_a_null_pointer_is_found() {
    assert_eq!(of_cfi("nolibc/cfi-call.dmp"), [&["0x0 context", "call_nothing scan"][..], &BELOW_RUN].concat());
    let fp = functions("nolibc/fp-call.dmp", &["nolibc/crash-fp", "nolibc/crash-fp.debug"], "nolibc/crash-fp.debug");
    assert_eq!(fp, ["0x0 context", "call_nothing scan", "run fp", "start_c fp", "_start scan"]);
}

#[test]
fn tables_of_several_files_serve_together_and_frame_pointers_where_there_are_none() {
    let none =
        |dump: &str| functions(dump, &["nolibc/crash-none", "nolibc/crash-none.debug"], "nolibc/crash-none.debug");
    assert_eq!(none("nolibc/none-divide.dmp"), [&["divide context"][..], &BELOW_RUN].concat());
    let fp = functions("nolibc/fp-null.dmp", &["nolibc/crash-fp"], "nolibc/crash-fp.debug");
    assert_eq!(fp[..4], ["_ZNK3geo5ShapeIlE7measureEl context", "step_two fp", "step_one fp", "run fp"]);
}

#[test]
fn true_frames_are_there_in_order_when_there_is_nothing_to_walk_with() {
    let debug = "nolibc/crash-none.noframe.debug";
    let found = functions("nolibc/none-null.dmp", &[], debug);
    let names: Vec<_> = found.iter().filter_map(|frame| frame.split(' ').next()).collect();
    let mut rest = names.iter();
    for wanted in ["step_three", "step_two", "step_one", "run", "start_c"] {
        assert!(rest.any(|name| *name == wanted), "{wanted} in {names:?}");
    }
}

#[test]
fn facts_of_real_dumps_are_those_of_the_wire() {
    let walked = |dump: &str| walk(&fixture(dump), &[], &[]).expect("stacks");
    let linux = walked("breakpad-linux/linux.dmp");
    assert_eq!(linux.facts["timestamp"], 1_522_061_032);
    assert_eq!(linux.facts["crash_reason"].as_str().map(|reason| reason.rsplit(" / ").next()), Some(Some("0x45")));
    assert_eq!(linux.facts["system_info"]["cpu_arch"], "x86_64");
    let windows = walked("breakpad-windows/windows.dmp");
    assert_eq!(windows.facts["crash_reason"], "EXCEPTION_ACCESS_VIOLATION_WRITE / 0x45");
    assert_eq!(windows.facts["system_info"]["os_name"], "Windows");
    let threads: Vec<_> = windows.threads.iter().map(|thread| (thread.id, thread.crashed)).collect();
    assert_eq!(threads, [(1636, true), (3580, false), (2600, false), (2920, false)]);
}

#[test]
fn damaged_dumps_are_refused_or_walked_as_far_as_they_go() {
    let whole = fixture("nolibc/cfi-null.dmp");
    for end in (0..whole.len()).step_by(97) {
        let _either = (survey(&whole[..end]), walk(&whole[..end], &[], &[]));
    }
    for at in (0..whole.len().min(8_192)).step_by(13) {
        let mut broken = whole.clone();
        broken[at] ^= 0xff;
        if let Ok(walked) = walk(&broken, &[], &[]) {
            assert!(walked.threads.iter().all(|thread| thread.frames.len() <= 1_024), "byte {at}");
        }
    }
    for bytes in [&b""[..], b"MDMP", b"hello"] {
        assert!(survey(bytes).is_err() && walk(bytes, &[], &[]).is_err());
    }
}
