//! The table on standard output and the report `docs/accuracy.md`.

use std::fmt::Write as _;
use std::path::Path;

use crate::MAX_ADDRESSES;
use crate::compare::{Count, Totals};
use crate::spelling::RULES;

/// What was compared so far.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<(String, Totals)>,
    left_out: Vec<(String, String)>,
}

impl Report {
    /// Adds the comparison of a file.
    pub fn add(&mut self, path: &Path, totals: Totals) {
        self.rows.push((shown(path), totals));
    }

    /// Adds a file that was not compared.
    pub fn left_out(&mut self, path: &Path, reason: &str) {
        self.left_out.push((shown(path), reason.to_owned()));
    }

    /// Prints the figures of one file: ours, and bare `symbolic` in brackets.
    pub fn print_row(&self, path: &Path, totals: &Totals) {
        let figure = |count: &Count| format!("{:.3} ({:.3})", count.ours_percent(), count.bare_percent());
        println!(
            "{:<60} {:>7} addresses  names {}  lines {}  paths {}  chains {}",
            shown(path),
            totals.addresses,
            figure(&totals.names),
            figure(&totals.lines),
            figure(&totals.paths),
            figure(&totals.chains)
        );
        for count in [&totals.names, &totals.lines, &totals.chains] {
            count.examples.iter().for_each(|example| println!("    {example}"));
        }
    }

    /// The files of which bare `symbolic` is right more often than we are, in any column.
    pub fn worse_than_bare(&self) -> Vec<&str> {
        let worse = |totals: &Totals| {
            [&totals.names, &totals.lines, &totals.paths, &totals.chains]
                .into_iter()
                .any(|count| count.ours < count.bare)
        };
        self.rows.iter().filter(|(_, totals)| worse(totals)).map(|(path, _)| path.as_str()).collect()
    }

    /// The whole report.
    pub fn to_markdown(&self) -> String {
        let mut text = String::from(
            "# Accuracy of symcaches\n\nWritten by `make accuracy`; do not edit. Each figure is the share of addresses at \
             which our symcache says the same as `llvm-symbolizer --inlines` and `addr2line -f -i`, of those at which \
             the two agree; in brackets the figure of a symcache that `symbolic` 13.9 makes by itself.\n\n",
        );
        let _ = write!(
            text,
            "Every address of the executable sections is compared, or {MAX_ADDRESSES} chosen by a fixed seed. Names are \
             judged on a copy of the file without symbol tables, because both tools mix symbols into names.\n\n"
        );
        text.push_str(
            "| file | addresses | names | file and line | whole path | inlined calls | disputed by the tools |\n",
        );
        text.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
        for (path, totals) in &self.rows {
            let figure = |count: &Count| format!("{:.3} ({:.3})", count.ours_percent(), count.bare_percent());
            let _ = writeln!(
                text,
                "| `{path}` | {} | {} | {} | {} | {} | {} |",
                totals.addresses,
                figure(&totals.names),
                figure(&totals.lines),
                figure(&totals.paths),
                figure(&totals.chains),
                totals.chains.disputed
            );
        }
        text.push_str("\n## Spellings that are no difference\n\n");
        RULES.iter().for_each(|rule| {
            let _ = writeln!(text, "- {rule}");
        });
        text.push_str("\n## Differences\n\n");
        for (path, totals) in &self.rows {
            for (what, count) in [("names", &totals.names), ("lines", &totals.lines), ("inlined calls", &totals.chains)]
            {
                if !count.examples.is_empty() {
                    let _ =
                        writeln!(text, "`{path}`, {what}: {} of {} differ.\n", count.agreed - count.ours, count.agreed);
                    count.examples.iter().for_each(|example| {
                        let _ = writeln!(text, "- `{example}`");
                    });
                    text.push('\n');
                }
            }
        }
        text.push_str("## Files that are not compared\n\n");
        for (path, reason) in &self.left_out {
            let _ = writeln!(text, "- `{path}`: {reason}");
        }
        text
    }
}

/// A path below the fixtures, or the last component of another one.
fn shown(path: &Path) -> String {
    let fixtures = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/files"));
    match path.strip_prefix(fixtures) {
        Ok(below) => below.display().to_string(),
        Err(_) => path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
    }
}
