//! What debuginfod cuts out of stored files: a section of an ELF file, a source out of a bundle. It never reads more of
//! a file than it has to.

use std::io;

use axum::body::Body;
use axum::response::Response;
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;

use super::Look;
use crate::blobs::BlobError;
use crate::debug_files::{self, Wanted, WantedId, What, find_wanted, wanted_files};
use crate::http::content::Content;
use crate::http::error::{ApiError, ApiResult};
use crate::symcaches::{Source, SourceError};
use crate::types::{CodeId, DebugFile, DebugId, Format, Sha1};

/// Most source bundles of one build that are looked into.
const MOST_BUNDLES: usize = 4;

/// A part of a file, or all of it, ready to be answered.
pub enum Artifact {
    /// A file as it was uploaded.
    Whole(DebugFile),
    /// A section of a file.
    Section(Box<debug_files::OpenFile>, debug_files::Section, Sha1),
    /// A source.
    Source(Source, String, DateTime<Utc>),
}

impl Artifact {
    /// Size in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Whole(file) => file.size,
            Self::Section(_, section, _) => section.size,
            Self::Source(source, ..) => source.size,
        }
    }

    /// What the file is called that it comes from.
    pub fn file_name(&self) -> &str {
        match self {
            Self::Whole(file) => &file.object_name,
            Self::Section(open, ..) => &open.file.object_name,
            Self::Source(_, path, _) => path,
        }
    }

    /// The answer.
    pub async fn send(self, look: &Look) -> ApiResult<Response> {
        match self {
            Self::Whole(file) => look.send(file).await,
            Self::Section(open, section, sha1) => send_section(look, *open, section, sha1).await,
            Self::Source(source, _, at) => {
                let content = Content::asked(&look.method, &look.headers, source.sha1, source.size);
                let content = content.changed_at(&look.headers, at);
                Ok(look.kept(content.stream(|range| source.read(range)).await?))
            }
        }
    }
}

/// A section of the debug information of a build, or else of its executable. Of a build that the project does not have
/// an upstream may bring the debug information.
pub async fn section(look: &Look, build_id: &str, name: &str) -> ApiResult<Artifact> {
    if let Some(section) = stored_section(look, build_id, name).await? {
        return Ok(section);
    }
    let wanted = Wanted { id: WantedId::Code(build_id.to_owned()), what: What::DebugInfo, name: None };
    let (db, project_ids) = (&look.app.db, &look.access.project_ids);
    if find_wanted(db, project_ids, &wanted).await?.is_some() || !look.brought(&wanted).await? {
        return Err(ApiError::NotFound);
    }
    stored_section(look, build_id, name).await?.ok_or(ApiError::NotFound)
}

async fn stored_section(look: &Look, build_id: &str, name: &str) -> ApiResult<Option<Artifact>> {
    let (app, max_size) = (&look.app, look.app.config.uploads.max_file_size);
    let files = wanted_files(&app.db, &look.access.project_ids, &WantedId::Code(build_id.to_owned())).await?;
    let elf = |what: What| what.pick(&files).filter(|file| file.format == Format::Elf);
    let mut candidates: Vec<_> = [What::DebugInfo, What::Executable].into_iter().filter_map(elf).collect();
    candidates.dedup_by_key(|file| file.id);
    for file in candidates {
        let open = debug_files::open_found(&app.db, &app.blobs, file.clone()).await?;
        if let Some(section) = app.sections.find(&open, name, max_size).await.map_err(unreadable)? {
            app.uses.note([file.id]);
            let sha1 = Sha1::of(format!("{} {name}", file.sha1).as_bytes());
            return Ok(Some(Artifact::Section(Box::new(open), section, sha1)));
        }
    }
    Ok(None)
}

async fn send_section(
    look: &Look,
    open: debug_files::OpenFile,
    section: debug_files::Section,
    sha1: Sha1,
) -> ApiResult<Response> {
    let content = Content::asked(&look.method, &look.headers, sha1, section.size);
    let content = content.changed_at(&look.headers, open.file.created_at);
    let response = match content.needed().filter(|range| !range.is_empty()) {
        None => content.answer(Body::empty()),
        Some(range) => {
            let bytes = section.read(open, &look.app.sections, range).await.map_err(unreadable)?;
            let mut bytes = Box::pin(bytes.peekable());
            match bytes.as_mut().peek().await {
                // A section that is not what it says is as good as none, and will be no better next time.
                Some(Err(BlobError::Io { source, .. })) if source.kind() == io::ErrorKind::InvalidData => {
                    return Err(ApiError::NotFound);
                }
                _ => content.stream(|_| bytes).await?,
            }
        }
    };
    Ok(look.kept(response))
}

/// Why a section cannot be read now.
fn unreadable(error: BlobError) -> ApiError {
    match error {
        BlobError::Io { source, .. } if source.kind() == io::ErrorKind::ResourceBusy => {
            ApiError::Busy("Too many sections are requested at a time. Retry later.".to_owned())
        }
        error => error.into(),
    }
}

/// A source of a build, out of the newest bundle that has it.
pub async fn source(look: &Look, build_id: &str, path: &str) -> ApiResult<Artifact> {
    let debug_ids = debug_ids(build_id);
    let code_ids = [CodeId::new(build_id)];
    let files = look.app.db.debug_files_of_projects(&look.access.project_ids, &debug_ids, &code_ids).await?;
    let bundles = files.iter().filter(|file| file.format == Format::SourceBundle).take(MOST_BUNDLES);
    for bundle in bundles {
        if let Some(source) = look.app.symcaches.source(bundle, path).await? {
            look.app.uses.note([bundle.id]);
            return Ok(Artifact::Source(source, path.to_owned(), bundle.created_at));
        }
    }
    Err(ApiError::NotFound)
}

/// The debug ids that the files of a build may have: its first 16 bytes as either order of bytes reads them.
fn debug_ids(build_id: &str) -> Vec<DebugId> {
    let Ok(mut bytes) = hex::decode(build_id) else { return Vec::new() };
    bytes.resize(16, 0);
    let straight = hex::encode(&bytes);
    for group in [0..4, 4..6, 6..8] {
        bytes[group].reverse();
    }
    [hex::encode(&bytes), straight].iter().filter_map(|text| text.parse().ok()).collect()
}

impl From<SourceError> for ApiError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Sandbox(error) => error.into(),
            SourceError::Db(error) => error.into(),
            SourceError::Bundle(_) => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_id_begins_with_a_debug_id() {
        let ids = debug_ids("a932c94e9ae8cdf896b5496a980e4efee5dad2fc");
        assert_eq!(ids[0].as_str(), "4ec932a9-e89a-f8cd-96b5-496a980e4efe");
        assert_eq!(ids[1].as_str(), "a932c94e-9ae8-cdf8-96b5-496a980e4efe");
        assert_eq!(debug_ids("ab")[0].as_str(), "000000ab-0000-0000-0000-000000000000");
        assert_eq!(debug_ids("abc"), []);
    }
}
