//! What the child says of its own isolation. Plain values; nothing here isolates anything.

use serde::{Deserialize, Serialize};

/// What a child gave up before it looked at a byte of what was uploaded, and what it could do all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// No path can be opened.
    pub landlock: Lock,
    /// No system call but the few that computing needs.
    pub seccomp: Lock,
    /// What worked although it should not, in words that follow "it can". Empty where all is well.
    pub escapes: Vec<String>,
}

/// One of the kernel's means to restrict a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lock {
    /// It is in force.
    Closed,
    /// It is not, and why.
    Missing(String),
}

impl Isolation {
    /// Whether everything is in force and nothing got through.
    pub fn is_whole(&self) -> bool {
        self.landlock == Lock::Closed && self.seccomp == Lock::Closed && self.escapes.is_empty()
    }
}
