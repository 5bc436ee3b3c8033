//! [`Memory`]: blobs in memory.

/// Blobs in memory.
#[derive(Debug)]
pub struct Memory;
