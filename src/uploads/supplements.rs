//! Files that `dwz` moved a part of debug information to: which of them a project lacks, and the sentence that says so.
//! It never looks at bytes.

use std::collections::HashSet;

use crate::db::{Db, DbError};
use crate::types::{CodeId, DebugFile};

/// Supplements that are looked for in one go; files beyond it are not told of theirs.
const MAX_LOOKED_FOR: usize = 64;

/// The build ids of supplements that `files` of a project need and the project lacks.
pub async fn missing_supplements(
    db: &Db,
    project_id: i64,
    files: impl Iterator<Item = &DebugFile>,
) -> Result<HashSet<CodeId>, DbError> {
    let needed: HashSet<_> = files.filter_map(|file| file.supplement_id.clone()).take(MAX_LOOKED_FOR).collect();
    // Hardly any file has one, so that most questions about files cost no query more.
    if needed.is_empty() {
        return Ok(HashSet::new());
    }
    let ids: Vec<_> = needed.into_iter().collect();
    let there = db.elf_code_ids(project_id, &ids).await?;
    Ok(ids.into_iter().filter(|id| !there.contains(id)).collect())
}

/// The note of a file, and after it what the project lacks of its debug information.
pub fn note_with_supplement(file: &DebugFile, missing: &HashSet<CodeId>) -> Option<String> {
    let lacks = file.supplement_id.as_ref().filter(|id| missing.contains(*id)).map(|id| {
        format!(
            "A part of the debug information of this file is in another file, which dwz made and which has the build id \
             {}. Upload that file too: until then some functions have no name.",
            id.as_str()
        )
    });
    [file.note.clone(), lacks].into_iter().flatten().reduce(|note, lacks| format!("{note} {lacks}"))
}
