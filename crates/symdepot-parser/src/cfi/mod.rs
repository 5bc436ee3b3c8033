//! Tables of call frame information: built of one debug file, and looked up in while a stack is walked. The rules stay the text
//! of Breakpad's `STACK` records, of which a look-up reads those of one function.

mod build;
mod ends;
mod table;

pub use build::build;
pub use table::CfiTable;
