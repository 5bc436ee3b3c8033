//! The files that a project has already, as whoever uploads them hears of it. To be told that a file is there renews it:
//! retention never takes away what an uploader was just told to be there.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::answer::{Answer, Wanted, refused};
use super::supplements::{missing_supplements, note_with_supplement};
use crate::db::{Db, DbError, KnownFile};
use crate::types::{DebugFile, DebugId, Format, Sha1};

/// How often a file that is asked for all the time is renewed. Shorter than retention leaves any file alone.
const RENEWED_EVERY: TimeDelta = TimeDelta::minutes(30);

/// The files of a project with one of these contents, newest first, retired ones too. They are renewed; one that was
/// taken away just now is not there.
pub async fn known_files(
    db: &Db,
    project_id: i64,
    sha1s: &[Sha1],
    converter_version: &str,
    now: DateTime<Utc>,
) -> Result<Vec<KnownFile>, DbError> {
    let mut known = db.known_files(project_id, sha1s, converter_version).await?;
    let stale = |file: &KnownFile| {
        let deleting = file.deletes_at.is_some_and(|at| file.uploaded_at <= at);
        file.retired_at.is_none() && (deleting || now - file.uploaded_at >= RENEWED_EVERY)
    };
    let ids: HashSet<_> = known.iter().filter(|file| stale(file)).map(|known| known.file.id).collect();
    if !ids.is_empty() {
        let there = db.renew_files(&ids.iter().copied().collect::<Vec<_>>(), now).await?;
        known.retain(|known| !ids.contains(&known.file.id) || there.contains(&known.file.id));
    }
    let missing = missing_supplements(db, project_id, known.iter().map(|known| &known.file)).await?;
    for known in known.iter_mut().filter(|known| known.file.supplement_id.is_some()) {
        known.file.note = note_with_supplement(&known.file, &missing);
    }
    Ok(known)
}

/// The answer of the debug files themselves, unless they leave it to an assembly.
pub(super) fn ask_files(wish: &Wanted, files: Option<&Vec<KnownFile>>) -> Option<Answer> {
    let known = files?.iter().filter(|known| answers_wish(&known.file, wish)).min_by_key(|known| {
        // A live file before a retired one, then the newest.
        (known.retired_at.is_some(), -known.file.id)
    })?;
    if let Some(reason) = known.malformed.as_ref().filter(|_| known.file.wants_symcache()) {
        return Some(refused(reason));
    }
    if known.unsettled && known.file.wants_symcache() {
        return None;
    }
    Some(Answer::Ok { file: Box::new(known.file.clone()), detail: known.file.note.clone() })
}

/// Whether `file` is what `wish` is about. The same content under another id is another file where the id comes from
/// outside.
fn answers_wish(file: &DebugFile, wish: &Wanted) -> bool {
    if file.format == Format::Proguard {
        return proguard_id(&wish.name).is_none_or(|id| id == file.debug_id);
    }
    if file.format.newest_only() {
        let asked = wish.debug_id.as_deref().and_then(|id| id.parse::<DebugId>().ok());
        return asked.is_none_or(|id| id == file.debug_id);
    }
    true
}

/// The id in a name such as `/proguard/<uuid>.txt`.
fn proguard_id(name: &str) -> Option<DebugId> {
    let (folder, file) = name.rsplit_once('/')?;
    let id = file.strip_suffix(".txt")?;
    let id = id.strip_prefix("mapping-").unwrap_or(id);
    folder.ends_with("/proguard").then(|| id.parse().ok()).flatten()
}

/// Files by their content.
pub(super) fn by_checksum(files: Vec<KnownFile>) -> HashMap<Sha1, Vec<KnownFile>> {
    let mut map: HashMap<Sha1, Vec<KnownFile>> = HashMap::new();
    for known in files {
        map.entry(known.file.sha1).or_default().push(known);
    }
    map
}
