//! What the server and its child process exchange: the task with its limits, the report, and what a file is.
//!
//! It is the only thing that both sides share: the server depends on these values and never on the parser.
//!
//! A child is started with [`VERB`] as its only argument. Standard input is the [`Task`] as JSON. Standard output is a
//! socket: one message on it carries the open files of the task, first the one that is read if the work
//! [reads](Work::reads), then the one that is written if it [writes](Work::writes), then its [others](Work::others). On the
//! same socket the child sends its [`Report`] in the last line before it ends. Standard error is for what ends it without
//! a report.

mod detection;
mod dump;
mod isolation;
mod statistics;
mod task;

pub use detection::{Detection, Hints, ObjectInfo};
pub use dump::{AppleReport, DumpModule, DumpSurvey, WalkModule, WalkedDump, WalkedFrame, WalkedThread};
pub use isolation::{Isolation, Lock};
pub use statistics::{LeftOut, Statistics};
pub use task::{
    BREAKPAD_VERSION, BreakpadText, CFI_VERSION, CONVERTER_VERSION, DumpTask, FORMAT_VERSION, LONGEST_LIST, MAX_JSON,
    MOST_FILES, PROGUARD_VERSION, Report, SourceLines, SourceWant, Task, VERB, Work, ZipEntry,
};
