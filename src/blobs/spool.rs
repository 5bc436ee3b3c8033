//! [`Spool`]: a finished temp file on its way into a store, and [`SpoolWriter`], which fills and compresses it.

/// A temp file whose bytes are complete.
#[derive(Debug)]
pub struct Spool;
/// Fills a spool.
#[derive(Debug)]
pub struct SpoolWriter;
/// tmp
pub async fn spool_file(_store: &dyn super::BlobStore, _file: std::fs::File) -> Result<Spool, super::BlobError> {
    todo!()
}
