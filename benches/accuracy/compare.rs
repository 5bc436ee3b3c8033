//! Holds the answers of two symcaches against those of the two tools, where the tools agree with each other.

use crate::answers::{Answer, Frame};
use crate::spelling::{base_name, clean_path, same_name};

/// How many differences of each kind are kept for the report.
const MAX_EXAMPLES: usize = 5;

/// One kind of comparison over all addresses of a file.
#[derive(Clone, Debug, Default)]
pub struct Count {
    /// Addresses at which the tools agree.
    pub agreed: u64,
    /// Addresses at which they do not.
    pub disputed: u64,
    /// Of the agreed ones: where our symcache says the same.
    pub ours: u64,
    /// Of the agreed ones: where that of bare `symbolic` says the same.
    pub bare: u64,
    /// Some of those where ours says something else.
    pub examples: Vec<String>,
}

/// The comparison of one file.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Addresses compared.
    pub addresses: usize,
    /// Name of the innermost frame.
    pub names: Count,
    /// File and line of the innermost frame.
    pub lines: Count,
    /// Whole path of the innermost frame.
    pub paths: Count,
    /// Name, file and line of every frame.
    pub chains: Count,
}

/// Compares all answers.
pub fn compare(addresses: &[u64], ours: &[Answer], bare: &[Answer], llvm: &[Answer], addr2line: &[Answer]) -> Totals {
    let mut totals = Totals { addresses: addresses.len(), ..Totals::default() };
    for (at, address) in addresses.iter().enumerate() {
        let all = [&ours[at], &bare[at], &llvm[at], &addr2line[at]];
        totals.names.add(*address, all, names_agree);
        totals.lines.add(*address, all, lines_agree);
        totals.paths.add(*address, all, paths_agree);
        totals.chains.add(*address, all, chains_agree);
    }
    totals
}

impl Count {
    /// Share of the agreed addresses at which ours is right, in percent.
    pub fn ours_percent(&self) -> f64 {
        percent(self.ours, self.agreed)
    }

    /// The same of bare `symbolic`.
    pub fn bare_percent(&self) -> f64 {
        percent(self.bare, self.agreed)
    }

    fn add(&mut self, address: u64, all: [&Answer; 4], same: fn(&Answer, &Answer) -> Option<bool>) {
        let [ours, bare, llvm, addr2line] = all;
        match same(llvm, addr2line) {
            None => return,
            Some(false) => {
                self.disputed += 1;
                return;
            }
            Some(true) => self.agreed += 1,
        }
        self.bare += u64::from(same(bare, llvm) == Some(true));
        if same(ours, llvm) == Some(true) {
            self.ours += 1;
        } else if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(format!("{address:#x}: tools {}, ours {}", shown(llvm), shown(ours)));
        }
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 100.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// `None` if the tools say nothing of it; of ours, nothing is wrong where they say something.
fn names_agree(one: &Answer, other: &Answer) -> Option<bool> {
    both(one, other, |frame| !frame.name.is_empty(), |one, other| same_name(&one.name, &other.name))
}

fn lines_agree(one: &Answer, other: &Answer) -> Option<bool> {
    both(
        one,
        other,
        |frame| frame.line != 0,
        |one, other| one.line == other.line && base_name(&one.file) == base_name(&other.file),
    )
}

fn paths_agree(one: &Answer, other: &Answer) -> Option<bool> {
    both(one, other, |frame| frame.line != 0, |one, other| clean_path(&one.file) == clean_path(&other.file))
}

fn chains_agree(one: &Answer, other: &Answer) -> Option<bool> {
    if one.is_empty() && other.is_empty() {
        return None;
    }
    let same = |(one, other): (&Frame, &Frame)| {
        same_name(&one.name, &other.name) && one.line == other.line && base_name(&one.file) == base_name(&other.file)
    };
    Some(one.len() == other.len() && one.iter().zip(other).all(same))
}

fn both(one: &Answer, other: &Answer, says: fn(&Frame) -> bool, same: impl Fn(&Frame, &Frame) -> bool) -> Option<bool> {
    let said = |answer: &Answer| answer.first().filter(|frame| says(frame)).cloned();
    match (said(one), said(other)) {
        (None, None) => None,
        (Some(one), Some(other)) => Some(same(&one, &other)),
        _ => Some(false),
    }
}

fn shown(answer: &Answer) -> String {
    let frames: Vec<_> = answer.iter().map(|frame| format!("{} {}:{}", frame.name, frame.file, frame.line)).collect();
    if frames.is_empty() { "nothing".to_owned() } else { frames.join(" < ") }
}
