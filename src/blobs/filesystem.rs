//! [`Filesystem`]: blobs as files.

/// Blobs in a folder.
#[derive(Debug)]
pub struct Filesystem;
