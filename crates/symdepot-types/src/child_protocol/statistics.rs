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

impl Statistics {
    /// Notes that something was left out.
    pub fn leave_out(&mut self, what: &str, count: u64) {
        self.left_out.push(LeftOut { what: what.to_owned(), count });
    }
}
