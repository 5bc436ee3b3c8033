//! Everything that reads untrusted binary or archive formats: what a file is, its symcache, its Breakpad text, its parts.
//!
//! It is linked into the one executable and runs only in the child process ([`child_main`]), which limits itself first. The
//! server never calls it: it exchanges the values of `symdepot_types::child_protocol` with the child.

mod apple_report;
mod archive;
mod breakpad_text;
mod cfi;
mod child;
mod convert;
mod detect;
mod minidump;
mod precheck;
mod proguard_map;
mod source_bundle;

pub use apple_report::read as apple_report;
pub use archive::{uncab, unzip};
pub use child::child_main;
pub use convert::symcaches;
pub use detect::detect;
pub use minidump::{survey as survey_dump, walk as walk_dump};
pub use source_bundle::source;
