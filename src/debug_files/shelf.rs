//! [`Shelf`]: debug files as debuggers ask for them, small and often. Which files there are is always asked of the rows;
//! only bytes are remembered, by the checksum of what they are, so that nothing here is ever out of date.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;

use super::together::Together;
use super::wanted::ids;
use super::{OpenFile, Wanted, WantedId, wanted_files};
use crate::blobs::BlobError;
use crate::cache::SmallBlobs;
use crate::db::{Db, DbError};
use crate::types::{CodeId, DebugFile, DebugId, Sha1};

/// Largest file that is kept in memory.
const SMALL: u64 = 64 << 10;

/// Finds files, and has the small ones at hand. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shelf {
    db: Db,
    together: Together<Question, Arc<[DebugFile]>>,
    small: SmallBlobs,
}

/// Files under any of these ids, in these projects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    project_ids: Vec<i64>,
    debug_ids: Vec<DebugId>,
    code_ids: Vec<CodeId>,
}

impl Shelf {
    /// Nothing is at hand yet.
    pub fn new(db: &Db) -> Self {
        Self { db: db.clone(), together: Together::new(), small: SmallBlobs::default() }
    }

    /// All live files of these projects under an id, newest first, as they are now. Looks of the same moment share one
    /// query.
    pub async fn files(&self, project_ids: &[i64], id: &WantedId) -> Result<Arc<[DebugFile]>, DbError> {
        let Some((debug_ids, code_ids)) = ids(id) else {
            return Ok(wanted_files(&self.db, project_ids, id).await?.into());
        };
        let question = Question { project_ids: project_ids.to_vec(), debug_ids, code_ids };
        self.together.ask(question, |questions| look(self.db.clone(), questions)).await
    }

    /// The newest of the best files of these projects for the wish.
    pub async fn find(&self, project_ids: &[i64], wanted: &Wanted) -> Result<Option<DebugFile>, DbError> {
        let files = self.files(project_ids, &wanted.id).await?;
        Ok(wanted.what.pick(&files).cloned())
    }

    /// The bytes of a file, if they are at hand.
    pub async fn at_hand(&self, file: &DebugFile) -> Option<Bytes> {
        if file.size > SMALL { None } else { self.small.get(&file.sha1.to_string()).await }
    }

    /// Reads a small file and keeps it at hand; `None` if it is too large for that.
    pub async fn fetch(&self, open: &OpenFile) -> Result<Option<Bytes>, BlobError> {
        if open.file.size > SMALL {
            return Ok(None);
        }
        let gather = async |mut whole: BytesMut, piece: Bytes| {
            whole.extend_from_slice(&piece);
            Ok(whole)
        };
        let whole = open.clone().read(0..open.file.size).try_fold(BytesMut::new(), gather).await?;
        let bytes = whole.freeze();
        if Sha1::of(&bytes) != open.file.sha1 {
            let what = format!("read debug file {}, whose content does not have its checksum", open.file.id);
            return Err(BlobError::io(what, io::ErrorKind::InvalidData.into()));
        }
        self.small.set(&open.file.sha1.to_string(), &bytes).await;
        Ok(Some(bytes))
    }
}

impl Question {
    /// Whether a file is one of those that are asked for.
    fn means(&self, file: &DebugFile) -> bool {
        let alias = file.debug_id_alias.as_ref();
        self.project_ids.contains(&file.project_id)
            && (self.debug_ids.contains(&file.debug_id)
                || alias.is_some_and(|alias| self.debug_ids.contains(alias))
                || file.code_id.as_ref().is_some_and(|code_id| self.code_ids.contains(code_id)))
    }
}

/// Asks the rows, once for each set of projects: nobody's question ever reaches into another one's projects.
async fn look(db: Db, questions: Vec<Question>) -> Result<HashMap<Question, Arc<[DebugFile]>>, DbError> {
    let mut by_projects: BTreeMap<Vec<i64>, Vec<Question>> = BTreeMap::new();
    for question in questions {
        by_projects.entry(question.project_ids.clone()).or_default().push(question);
    }
    let mut answers = HashMap::new();
    for (project_ids, questions) in by_projects {
        let debug_ids: Vec<_> = questions.iter().flat_map(|question| question.debug_ids.clone()).collect();
        let code_ids: Vec<_> = questions.iter().flat_map(|question| question.code_ids.clone()).collect();
        let files = db.debug_files_of_projects(&project_ids, &debug_ids, &code_ids).await?;
        for question in questions {
            let found = files.iter().filter(|file| question.means(file)).cloned().collect();
            answers.insert(question, found);
        }
    }
    Ok(answers)
}
