//! The debug files of a project: listed, found, opened and deleted. It never registers one: that is the end of an
//! assembly.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{Stream, TryStreamExt as _};
use tokio_util::task::TaskTracker;

use super::WantedId;
use crate::blobs::{BlobError, BlobKey, BlobStore, read_at_rest, read_pieces};
use crate::cache::StatusCache;
use crate::clock::Clock;
use crate::db::{Db, DbError, FileFilter};
use crate::types::{BlobRef, CodeId, DebugFile, DebugId, Encoding, Format, Sha1};
use crate::uploads::known_files;

/// Longest text that is taken for a debug id.
const LONGEST_ID: usize = 45;

/// What a list is asked for, as written. Empty fields do not narrow.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// A debug id in any spelling, or text to find in name, ids, architecture and format.
    pub query: Option<String>,
    /// A debug id. With a code id too, either may match.
    pub debug_id: Option<String>,
    /// A code id.
    pub code_id: Option<String>,
    /// Names of formats. Unknown ones do not count.
    pub formats: Vec<String>,
}

/// The files of a project that match, and whether there are more: newest first, but by id the best first.
pub async fn list(
    db: &Db,
    project_id: i64,
    search: &Search,
    offset: i64,
    limit: i64,
) -> Result<(Vec<DebugFile>, bool), DbError> {
    let Some(filter) = search.filter() else { return Ok((Vec::new(), false)) };
    let mut files = db.list_debug_files(project_id, &filter, offset, limit + 1).await?;
    let more = files.len() as i64 > limit;
    files.truncate(usize::try_from(limit).unwrap_or_default());
    Ok((files, more))
}

/// Those of `sha1s` that the project does not have, in the order given. The others are renewed: nobody will upload them.
pub async fn unknown(
    db: &Db,
    project_id: i64,
    sha1s: &[Sha1],
    converter_version: &str,
    now: DateTime<Utc>,
) -> Result<Vec<Sha1>, DbError> {
    let known = known_files(db, project_id, sha1s, converter_version, now).await?;
    Ok(sha1s.iter().copied().filter(|sha1| !known.iter().any(|known| known.file.sha1 == *sha1)).collect())
}

/// A debug file and where its bytes are.
#[derive(Clone, Debug)]
pub struct OpenFile {
    /// The file.
    pub file: DebugFile,
    pieces: Vec<BlobRef>,
    blobs: Arc<dyn BlobStore>,
    losses: Option<Losses>,
}

/// Where a reader that finds bytes lost or damaged reports it, so that the next upload of the file is asked for them.
#[derive(Clone, Debug)]
pub struct Losses {
    /// The rows.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// Tasks that outlive the reader.
    pub tasks: TaskTracker,
}

impl Losses {
    fn report(&self, error: &BlobError) {
        let Some(key) = error.key().map(str::to_owned) else { return };
        let Self { db, clock, .. } = self.clone();
        self.tasks.spawn(async move {
            // Damaged bytes stay until they are replaced, and nothing happens if they were replaced by now.
            match db.lose_bytes(&key, clock.now()).await {
                Ok(false) => {}
                Ok(true) => {
                    tracing::warn!(blob.key = key, "the bytes of a chunk are lost; its files are asked for again")
                }
                Err(error) => tracing::warn!(blob.key = key, %error, "failed to mark a chunk as lost"),
            }
        });
    }
}

/// Finds a file of a project by its id, to read it: also one that newer ones made redundant, as long as pollers still hear of
/// it.
pub async fn open(db: &Db, blobs: &Arc<dyn BlobStore>, project_id: i64, id: i64) -> Result<Option<OpenFile>, DbError> {
    match db.known_debug_file(project_id, id).await? {
        Some(file) => open_found(db, blobs, file).await.map(Some),
        None => Ok(None),
    }
}

/// Opens a file that was found, to read it.
pub async fn open_found(db: &Db, blobs: &Arc<dyn BlobStore>, file: DebugFile) -> Result<OpenFile, DbError> {
    let pieces = db.debug_file_pieces(file.id).await?;
    Ok(OpenFile { file, pieces, blobs: Arc::clone(blobs), losses: None })
}

/// Deletes a file of a project, everything made from it, and every remembered state of its content.
///
/// Rows go first; bytes that nobody speaks of any more go after. Returns the file, or `None` if there is none.
pub async fn delete(
    db: &Db,
    blobs: &dyn BlobStore,
    status: &StatusCache,
    project_id: i64,
    id: i64,
) -> Result<Option<DebugFile>, DbError> {
    let Some((file, keys)) = db.delete_debug_file(project_id, id).await? else { return Ok(None) };
    status.clear(project_id, file.sha1).await;
    let keys: Vec<_> = keys.iter().map(|key| BlobKey::from_row(key)).collect();
    if let Err(error) = blobs.delete(&keys).await {
        // The file is gone all the same; cleaning up finds bytes without a row.
        tracing::warn!(debug_file.id = file.id, %error, "the bytes of a deleted file are still there");
    }
    tracing::info!(debug_file.id = file.id, project.id = project_id, "debug file deleted");
    Ok(Some(file))
}

impl OpenFile {
    /// The same file, whose readers report to `losses`.
    #[must_use]
    pub fn reporting(self, losses: Losses) -> Self {
        Self { losses: Some(losses), ..self }
    }

    /// The bytes `range` of the file.
    pub fn read(self, range: Range<u64>) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static {
        reported(self.losses, read_pieces(self.blobs, self.pieces, range))
    }

    /// How many bytes the file has as one stream of zstd frames, if that is how it stands at rest.
    pub fn zstd_size(&self) -> Option<u64> {
        let zstd = !self.pieces.is_empty() && self.pieces.iter().all(|piece| piece.encoding == Encoding::Zstd);
        zstd.then(|| self.pieces.iter().map(|piece| piece.stored_size).sum())
    }

    /// A URL at which the whole file can be fetched, if it stands somewhere as it is.
    pub async fn elsewhere(&self) -> Result<Option<String>, BlobError> {
        match self.pieces.as_slice() {
            [piece] if piece.encoding == Encoding::Raw => self.blobs.elsewhere(&BlobKey::from_row(&piece.key)).await,
            _ => Ok(None),
        }
    }

    /// The file as it stands at rest.
    pub fn read_at_rest(self) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static {
        reported(self.losses, read_at_rest(self.blobs, self.pieces))
    }

    /// A name to save the file under: its debug id and what files of its format end with.
    pub fn download_name(&self) -> String {
        format!("{}{}", self.file.debug_id, self.file.format.extension(self.file.kind))
    }
}

fn reported(
    losses: Option<Losses>,
    content: impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static {
    content.inspect_err(move |error| losses.iter().for_each(|losses| losses.report(error)))
}

impl Search {
    /// The id that is asked for, if one is: the debug id before the code id.
    pub fn wanted_id(&self) -> Option<WantedId> {
        let debug_id = self.debug_id.as_deref().and_then(|id| id.parse().ok()).map(WantedId::Debug);
        let code_id = || self.code_id.as_deref().map(|id| WantedId::Code(CodeId::new(id).as_str().to_owned()));
        debug_id.or_else(code_id)
    }

    /// The filter for rows, or `None` if nothing can match.
    fn filter(&self) -> Option<FileFilter> {
        let present = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (debug_id, code_id) = (present(&self.debug_id), present(&self.code_id));
        let mut filter = FileFilter {
            debug_id: debug_id.as_ref().and_then(|id| id.parse().ok()),
            code_id: code_id.as_ref().map(|id| CodeId::new(id).as_str().to_owned()),
            either_id: true,
            best_first: debug_id.is_some() || code_id.is_some(),
            formats: self.formats.iter().filter_map(|name| name.parse::<Format>().ok()).collect(),
            text: None,
        };
        if debug_id.is_some() && filter.debug_id.is_none() && filter.code_id.is_none() {
            return None;
        }
        let by_id = filter.debug_id.is_some() || filter.code_id.is_some();
        match present(&self.query).map(|query| query.trim().to_owned()) {
            // 40 digits may be a debug id with an age as well as a code id.
            Some(query) if !by_id && as_debug_id(&query).is_some() => {
                filter.debug_id = as_debug_id(&query);
                filter.code_id = Some(CodeId::new(&query).as_str().to_owned());
            }
            query => filter.text = query,
        }
        Some(filter)
    }
}

fn as_debug_id(query: &str) -> Option<DebugId> {
    (query.len() <= LONGEST_ID).then(|| query.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_is_an_id_is_looked_up_as_one() {
        let search = |query: &str| Search { query: Some(query.to_owned()), ..Search::default() }.filter().unwrap();
        let id = "3249d99d-0c40-4931-8610-f4e4fb0b6936-1";
        for spelling in [id, "3249D99D0C4049318610F4E4FB0B69361"] {
            assert_eq!(search(spelling).debug_id.unwrap().as_str(), id);
            assert_eq!(search(spelling).text, None);
        }
        assert_eq!(search("libfoo").text.as_deref(), Some("libfoo"));
        assert!(search("libfoo").debug_id.is_none());
    }

    #[test]
    fn an_id_that_cannot_be_one_matches_nothing() {
        let search = Search { debug_id: Some("no".to_owned()), ..Search::default() };
        assert!(search.filter().is_none());
        let search = Search { code_id: Some("AB-cd".to_owned()), ..search };
        assert_eq!(search.filter().unwrap().code_id.as_deref(), Some("abcd"));
    }

    #[test]
    fn unknown_formats_do_not_count() {
        let search = |names: &[&str]| {
            let formats = names.iter().map(|name| (*name).to_owned()).collect();
            Search { formats, ..Search::default() }.filter().unwrap().formats
        };
        assert_eq!(search(&["elf", "nope", "pdb"]), [Format::Elf, Format::Pdb]);
        assert_eq!(search(&["nope"]), []);
    }
}
