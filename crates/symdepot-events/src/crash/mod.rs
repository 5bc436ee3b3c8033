//! Crashes: the parts of an upload (forms, `MessagePack`, packed and nested dumps, Unreal containers) and the event they make.
//!
//! It never reads what is inside of a minidump or an Apple crash report: symbolication does that, in the child process.

mod bzip2;
pub mod dump;
mod first_file;
pub mod form;
mod mark;
mod merge;
pub mod msgpack;
pub mod unreal;

pub use dump::{DumpFault, DumpKind};
pub use form::Form;
pub use mark::mark_crash;
