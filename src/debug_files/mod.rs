//! tmp
mod registry;

pub use registry::{OpenFile, Search, delete, list, open, unknown};

use crate::types::DebugFile;
/// tmp
pub fn redundant(_: &[DebugFile]) -> Vec<i64> {
    Vec::new()
}
