//! tmp
use crate::types::DebugFile;
/// tmp
pub fn redundant(_: &[DebugFile]) -> Vec<i64> {
    Vec::new()
}
