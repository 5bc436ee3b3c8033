//! What other people's tools answer: every look-up that the fixtures promise is asked of `llvm-symbolizer`, and of
//! `addr2line` where it knows the format. `conversion.rs` holds the symcaches to the same promises.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use object::{Object as _, ObjectSegment as _};
use serde::Deserialize;
use symdepot::types::Format;

use crate::support::fixtures::{self, KnownObject};

/// Look-ups that the tools answer otherwise, and why that is no fault of ours.
const OTHERWISE: &[(&str, &str, &[&str])] = &[
    // The PDB has two lines at this address, 15 and 16. LLVM takes the first, symbolic the last.
    ("pe-i686-llvm19/calc.pdb", "0x1020", &["crash_here @ C:\\src\\fixture\\calc.c:15"]),
    // The line table has no line of `square` here. Frames of the tool without a line are not compared.
    (
        "wasm-llvm19-dwarf5/calc.wasm",
        "0x69",
        &["sum_of_squares @ /src/fixture/calc.c:10", "calc_run @ /src/fixture/calc.c:21"],
    ),
];

/// One answer of `llvm-symbolizer`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    symbol: Vec<Frame>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Frame {
    function_name: String,
    file_name: String,
    line: u32,
}

type Lookups = BTreeMap<String, Vec<String>>;

/// The look-ups of one object of one fixture, as the tools should answer them.
fn promised(path: &str, object: &KnownObject) -> Lookups {
    let mut lookups = object.lookups.clone();
    for frames in lookups.values_mut() {
        frames.iter_mut().for_each(|frame| *frame = without_arguments(frame));
    }
    for (_, address, frames) in OTHERWISE.iter().filter(|(file, ..)| *file == path) {
        lookups.insert((*address).to_owned(), frames.iter().map(|frame| (*frame).to_owned()).collect());
    }
    lookups
}

/// A PDB names arguments, and its readers disagree on how to write them.
fn without_arguments(frame: &str) -> String {
    match (frame.find('('), frame.find(" @ ")) {
        (Some(open), Some(at)) if open < at => format!("{}{}", &frame[..open], &frame[at..]),
        _ => frame.to_owned(),
    }
}

/// All objects with look-ups that one of the tools can be asked for.
fn objects(wanted: impl Fn(&KnownObject) -> bool) -> Vec<(String, KnownObject)> {
    let mut found = Vec::new();
    for (path, known) in fixtures::known() {
        // An object with a note lacks something, such as split DWARF, that the tools would find beside it.
        let objects = known.objects.into_iter().filter(|object| !object.lookups.is_empty() && !object.note);
        found.extend(objects.filter(&wanted).map(|object| (path.clone(), object)));
    }
    found
}

/// What has to be added to a symcache's address for the tools: they take addresses as the file has them, a symcache
/// those relative to where the file is loaded.
fn load_address(path: &Path, object: &KnownObject) -> i128 {
    let bytes = std::fs::read(path).expect("a fixture can be read");
    match object.format {
        Format::Elf => {
            let file = object::File::parse(&*bytes).expect("an ELF fixture can be parsed");
            file.segments().map(|segment| i128::from(segment.address())).min().expect("it has segments")
        }
        // Where executables of both processors in the fixtures are linked to.
        Format::MachO => 0x1_0000_0000,
        // The tool counts from the start of the code section, a symcache from the start of the file.
        Format::Wasm => -i128::from(code_section(&bytes)),
        _ => 0,
    }
}

/// Where the content of the code section of a WASM file begins.
fn code_section(bytes: &[u8]) -> u32 {
    const CODE: u8 = 10;
    let mut at = 8;
    loop {
        let id = bytes[at];
        let (mut size, mut shift) = (0u32, 0);
        loop {
            at += 1;
            size |= u32::from(bytes[at] & 0x7f) << shift;
            shift += 7;
            if bytes[at] & 0x80 == 0 {
                break;
            }
        }
        at += 1;
        if id == CODE {
            return at.try_into().expect("a fixture is small");
        }
        at += size as usize;
    }
}

fn shifted(lookups: &Lookups, by: i128) -> Vec<String> {
    let shift = |address: &String| {
        let address = i128::from_str_radix(address.trim_start_matches("0x"), 16).expect("an address is hexadecimal");
        format!("{:#x}", address + by)
    };
    lookups.keys().map(shift).collect()
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; `make setup` installs it"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the answers are text")
}

/// The newest `llvm-symbolizer`; before 16 it does not know zstd sections.
fn symbolizer() -> String {
    let runs = |name: &String| Command::new(name).arg("--version").output().is_ok();
    let mut names = (16..=22).rev().map(|version| format!("llvm-symbolizer-{version}"));
    names.find(runs).unwrap_or_else(|| "llvm-symbolizer".to_owned())
}

fn ask_llvm(program: &str, path: &str, object: &KnownObject, lookups: &Lookups) -> Lookups {
    // A PDB is found through the executable that names it.
    let file = fixtures::path(path);
    let named_by =
        ["exe", "dll"].map(|extension| file.with_extension(extension)).into_iter().find(|path| path.exists());
    let file = if object.format == Format::Pdb { named_by.expect("a PDB lies beside its executable") } else { file };
    // Rust's names are only unique as the linker knows them. For C those would come from the symbol table, where a
    // label may stand in for a function.
    let names = if path.starts_with("rust") { "linkage" } else { "short" };
    let mut command = Command::new(program);
    command.args(["--output-style=JSON", "--inlines", "--no-demangle", &format!("--functions={names}")]);
    if object.format == Format::MachO {
        command.arg(format!("--default-arch={}", object.arch));
    }
    if object.format == Format::Pdb {
        command.arg("--relative-address");
    }
    command.arg(format!("--obj={}", file.display())).args(shifted(lookups, load_address(&file, object)));
    let answers: Vec<Answer> = serde_json::from_str(&output(&mut command)).expect("the answers are JSON");
    assert_eq!(answers.len(), lookups.len(), "{path}");
    let frames = answers.into_iter().map(|answer| {
        // A frame without a line is a name from the symbol table, or code that belongs to no line.
        let frames = answer.symbol.into_iter().filter(|frame| frame.line > 0);
        frames.map(|frame| format!("{} @ {}:{}", frame.function_name, frame.file_name, frame.line)).collect()
    });
    lookups.keys().cloned().zip(frames).collect()
}

fn ask_addr2line(path: &str, object: &KnownObject, lookups: &Lookups) -> Lookups {
    let file = fixtures::path(path);
    let mut answers = Lookups::new();
    for (key, address) in lookups.keys().zip(shifted(lookups, load_address(&file, object))) {
        let mut command = Command::new("addr2line");
        command.args(["--functions", "--inlines", "--exe"]).arg(&file).arg(address);
        let text = output(&mut command);
        let lines: Vec<_> = text.lines().collect();
        let frames = lines.chunks(2).map(|frame| {
            // "(discriminator 2)" may follow.
            let place = frame[1].split(" (").next().expect("a split gives at least one piece");
            format!("{} @ {place}", frame[0])
        });
        answers.insert(key.clone(), frames.collect());
    }
    answers
}

#[test]
fn llvm_symbolizer_gives_the_same_answers() {
    let program = symbolizer();
    let asked = |format| matches!(format, Format::Elf | Format::MachO | Format::Pdb | Format::Wasm);
    let objects = objects(|object| asked(object.format));
    for format in [Format::Elf, Format::MachO, Format::Pdb, Format::Wasm] {
        assert!(objects.iter().any(|(_, object)| object.format == format), "a fixture of {format} has look-ups");
    }
    for (path, object) in objects {
        let promised = promised(&path, &object);
        assert_eq!(ask_llvm(&program, &path, &object, &promised), promised, "{path} ({})", object.arch);
    }
}

#[test]
fn addr2line_gives_the_same_answers() {
    // Debian's binutils know the processors of the machine they run on, and of no other.
    let objects = objects(|object| object.format == Format::Elf && ["x86_64", "x86"].contains(&object.arch.as_str()));
    assert!(objects.len() >= 6, "the fixtures were found");
    for (path, object) in objects {
        let promised = promised(&path, &object);
        assert_eq!(ask_addr2line(&path, &object, &promised), promised, "{path}");
    }
}
