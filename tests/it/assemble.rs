//! What a client that wants files assembled hears, from the first question to the end.

mod answers;
mod batches;
mod causes;
mod chunks;
mod errors;
mod identity;
mod limits;
mod redundancy;

use serde_json::{Value, json};

use crate::support::uploads::Upload;

/// A file with debug information that everything is known of.
const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.debug";

/// What the first question is answered once all chunks are there.
fn queued() -> Value {
    json!({ "state": "created", "missingChunks": [] })
}

/// What a failed file is answered.
fn error(detail: &str) -> Value {
    json!({ "state": "error", "detail": detail, "missingChunks": [] })
}

/// What a file is answered of which chunks are missing.
fn not_found(missing: &[symdepot::types::Sha1]) -> Value {
    json!({ "state": "not_found", "missingChunks": missing })
}

/// Text that is no debug file, in chunks of four bytes.
fn garbage(text: &str) -> Upload {
    Upload::new("garbage.txt", text).chunk_size(4)
}

/// What garbage comes to.
const GARBAGE: &str = "Invalid debug information file: unsupported object file format";
