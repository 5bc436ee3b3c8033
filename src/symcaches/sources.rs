//! Source files out of source bundles: the child takes one out into a nameless temp file, from which it is answered.
//! It never holds a source in memory.

use std::fs::File;
use std::io;
use std::ops::Range;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::Symcaches;
use super::mappings::MappingError;
use super::sandbox::{OnBehalf, SandboxError};
use crate::blobs::BlobError;
use crate::db::DbError;
use crate::types::child_protocol::{SourceLines, SourceWant};
use crate::types::{DebugFile, Sha1};

/// The text of one source file.
#[derive(Debug)]
pub struct Source {
    /// Its size in bytes.
    pub size: u64,
    /// Its checksum.
    pub sha1: Sha1,
    pub(super) file: File,
}

/// Why a source cannot be had just now.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The bundle cannot be read.
    #[error(transparent)]
    Bundle(#[from] MappingError),
    /// The child cannot be run, or not now.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Whose bundle it is.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Symcaches {
    /// The source that `path` names in a bundle; `None` if the bundle has none, or cannot be read.
    pub async fn source(&self, bundle: &DebugFile, path: &str) -> Result<Option<Source>, SourceError> {
        let Some(project) = self.db.project_by_id(bundle.project_id).await? else { return Ok(None) };
        // Debuggers ask for many sources at once, and each bundle is in a temp file while it is read.
        let permit = self.sandbox.short_permit(OnBehalf::request(project.organization_id)).await?;
        let file = self.whole_file(bundle).await?;
        match self.sandbox.source(&permit, &file, path).await? {
            Ok(source) => Ok(source),
            Err(reason) => {
                tracing::info!(debug_file.id = bundle.id, reason, "a source bundle cannot be read");
                Ok(None)
            }
        }
    }
}

impl Symcaches {
    /// Lines of sources of a bundle; none if the bundle has none, or cannot be read.
    pub async fn source_lines(
        &self,
        bundle: &DebugFile,
        wants: Vec<SourceWant>,
    ) -> Result<Vec<SourceLines>, SourceError> {
        let Some(project) = self.db.project_by_id(bundle.project_id).await? else { return Ok(Vec::new()) };
        // The request was admitted before.
        let permit = self.sandbox.short_permit(OnBehalf::admitted(project.organization_id)).await?;
        let file = self.whole_file(bundle).await?;
        match self.sandbox.source_lines(&permit, &file, wants).await? {
            Ok(lines) => Ok(lines),
            Err(reason) => {
                tracing::info!(debug_file.id = bundle.id, reason, "a source bundle cannot be read");
                Ok(Vec::new())
            }
        }
    }
}

impl Source {
    /// The bytes `range` of the text.
    pub fn read(self, range: Range<u64>) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static {
        let failed = |error: io::Error| BlobError::io("read a source", error);
        let open = async move {
            let mut file = tokio::fs::File::from_std(self.file);
            file.seek(io::SeekFrom::Start(range.start)).await.map_err(failed)?;
            let part = file.take(range.end.saturating_sub(range.start));
            Ok(ReaderStream::with_capacity(part, 64 << 10).map_err(failed))
        };
        stream::once(open).try_flatten()
    }
}
