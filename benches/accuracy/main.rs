//! Compares symcaches with other tools, address by address, and writes the report `docs/accuracy.md`.
//!
//! For each file: the name, file, line and whole chain of inlined calls at each address, as our converter, bare `symbolic`,
//! `llvm-symbolizer --inlines` and `addr2line -f -i` have them. It never changes a file that it reads.
//!
//! Usage: `accuracy [--large FOLDER] [--report FILE]`. Without `--large` only the fixtures are compared.

mod answers;
mod compare;
mod elf;
mod judges;
mod ours;
mod report;
mod spelling;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use compare::{Totals, compare};
use report::Report;

/// Most addresses of one file. Of larger files a sample is compared, chosen by a fixed seed.
const MAX_ADDRESSES: usize = 200_000;

fn main() -> ExitCode {
    let mut large = None;
    let mut report_path = None;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--large" => large = args.next().map(PathBuf::from),
            "--report" => report_path = args.next().map(PathBuf::from),
            // `cargo bench` adds it.
            "--bench" => {}
            other => {
                eprintln!("unknown argument {other}; usage: accuracy [--large FOLDER] [--report FILE]");
                return ExitCode::from(2);
            }
        }
    }
    let mut report = Report::default();
    for path in inputs(large.as_deref()) {
        match compare_file(&path) {
            Ok(totals) => {
                report.print_row(&path, &totals);
                report.add(&path, totals);
            }
            Err(reason) => report.left_out(&path, &reason),
        }
    }
    if let Some(path) = report_path
        && let Err(error) = std::fs::write(&path, report.to_markdown())
    {
        eprintln!("{}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    match report.worse_than_bare() {
        worse if worse.is_empty() => ExitCode::SUCCESS,
        worse => {
            eprintln!("worse than bare symbolic: {}", worse.join(", "));
            ExitCode::FAILURE
        }
    }
}

/// The fixtures that have code and debug information, and the large files if a folder is given.
fn inputs(large: Option<&Path>) -> Vec<PathBuf> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/files");
    let mut found = Vec::new();
    let mut folders = vec![fixtures];
    folders.extend(large.map(Path::to_owned));
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && entry.file_name() != "hostile" => folders.push(path),
                Ok(kind) if kind.is_file() => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// Compares one file; the error says why there is nothing to compare.
fn compare_file(path: &Path) -> Result<Totals, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let layout = elf::Layout::of(&bytes)?;
    let addresses = elf::sample(&layout.code, MAX_ADDRESSES);
    // Both tools mix the symbol table into the names, so names of debug information are judged on a copy without one.
    let judged = elf::without_symbols(&bytes, &layout)?;
    let llvm = judges::llvm_symbolizer(judged.path(), &addresses)?;
    let addr2line = judges::addr2line(judged.path(), &addresses)?;
    let ours = ours::ours(path, &layout, &addresses)?;
    let bare = ours::bare(&bytes, &layout, &addresses)?;
    Ok(compare(&addresses, &ours, &bare, &llvm, &addr2line))
}
