//! What a tool answers for one address.

/// One frame of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Name as the debug information has it, not demangled; empty if there is none.
    pub name: String,
    /// Whole path; empty if there is none.
    pub file: String,
    /// Line; 0 if there is none.
    pub line: u32,
}

/// The frames at one address, innermost first; empty if the tool knows nothing.
pub type Answer = Vec<Frame>;
