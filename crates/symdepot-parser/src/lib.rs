//! Everything that reads untrusted binary or archive formats: what a file is, its symcache, its Breakpad text, its parts.
//!
//! It is linked into the one executable and runs only in the child process ([`child_main`]), which limits itself first. The
//! server never calls it: it exchanges the values of `symdepot_types::child_protocol` with the child.

mod archive;
mod breakpad_text;
mod child;
mod convert;
mod detect;
mod precheck;
mod source_bundle;

pub use archive::{uncab, unzip};
pub use child::child_main;
pub use convert::symcaches;
pub use detect::detect;
pub use source_bundle::source;
