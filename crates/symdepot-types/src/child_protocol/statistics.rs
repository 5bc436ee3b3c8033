//! What a conversion found in a file, for people. Nothing is decided by it.

use serde::{Deserialize, Serialize};

/// What a symcache holds, and what it had to leave out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Functions of the debug information.
    pub functions: u64,
    /// Those with a file and a line.
    pub with_lines: u64,
    /// Inlined calls.
    pub inlined: u64,
    /// What was left out.
    pub left_out: Vec<LeftOut>,
}

/// Records that were left out for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// What they are, and why.
    pub what: String,
    /// How many there are.
    pub count: u64,
}

/// Reasons that a sentence names.
const MAX_REASONS: usize = 4;

impl Statistics {
    /// What was left out, in a sentence for people.
    pub fn left_out_sentence(&self) -> Option<String> {
        let named = self.left_out.iter().take(MAX_REASONS).map(|part| format!("{} {}", part.count, part.what));
        let named: Vec<_> = named.collect();
        let more = self.left_out.len().saturating_sub(MAX_REASONS);
        let more = if more == 0 { String::new() } else { format!(", and more for {more} other reasons") };
        (!named.is_empty()).then(|| format!("Left out of its symcache: {}{more}.", named.join(", ")))
    }

    /// Notes that something was left out.
    pub fn leave_out(&mut self, what: &str, count: u64) {
        self.left_out.push(LeftOut { what: what.to_owned(), count });
    }
}
