//! What the server and its child process exchange: the task with its limits, the report, and what a file is. It is the
//! only thing that both sides share: the server depends on these values and never on the parser.

mod detection;
mod statistics;
mod task;

pub use detection::{Detection, Hints, ObjectInfo};
pub use statistics::{LeftOut, Statistics};
pub use task::{
    BREAKPAD_VERSION, BreakpadText, CONVERTER_VERSION, DumpTask, FORMAT_VERSION, LONGEST_LIST, Report, Task, VERB,
    Work, ZipEntry,
};
