//! Why an id is served or is not: what there is of it, what each file lacks, and which other ids files of the same name
//! have. It looks at rows alone and begins nothing.

use std::collections::HashSet;

use super::Symcaches;
use super::lookup::{Lookup, LookupError, candidate};
use crate::debug_files::{WantedId, expired_files, wanted_files};
use crate::types::{DebugFile, ExpiredFile, Rule};
use crate::uploads::{missing_supplements, note_with_supplement};

/// Most files of the same name that are told of.
const MOST_OF_A_NAME: i64 = 20;

/// What is known of an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether addresses of this id can be looked up now, or after a build that an ask begins.
    pub served: bool,
    /// Why, in a sentence.
    pub reason: String,
    /// The files of this id, newest first.
    pub files: Vec<Explained>,
    /// Other files of the same name, newest first.
    pub same_name: Vec<DebugFile>,
    /// Files of this id that retention or a deletion of many took away, the last first.
    pub expired: Vec<ExpiredFile>,
}

/// What is known of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The file.
    pub file: DebugFile,
    /// What it has not.
    pub lacks: Vec<&'static str>,
    /// Whether bytes of it were found lost.
    pub damaged: bool,
    /// What its uploader should know.
    pub note: Option<String>,
    /// Its symcache; `None` if none was made yet, or if it cannot have one.
    pub symcache: Option<Lookup>,
}

impl Symcaches {
    /// Explains an id of a project. `names` are those by which the file is known; without one, that of its newest file is.
    pub async fn explain(&self, project_id: i64, id: &WantedId, names: &[String]) -> Result<Explanation, LookupError> {
        let files = wanted_files(&self.db, &[project_id], id).await?;
        let ids: Vec<_> = files.iter().map(|file| file.id).collect();
        let rows = self.db.symcaches_of(&ids).await?;
        let damaged = self.db.damaged_files(&ids).await?;
        let missing = missing_supplements(&self.db, project_id, files.iter()).await?;
        let mut explained = Vec::with_capacity(files.len());
        for file in &files {
            let symcache = match candidate(std::slice::from_ref(file)) {
                Some(file) => self.standing(file, &files, &rows).await?,
                None => None,
            };
            let lacks = file.features.lacking();
            let (note, damaged) = (note_with_supplement(file, &missing), damaged.contains(&file.id));
            explained.push(Explained { file: file.clone(), lacks, damaged, note, symcache });
        }
        let own = files.first().filter(|_| names.is_empty()).map(|file| file.object_name.as_str());
        let names = names.iter().map(String::as_str).chain(own);
        let mut known: HashSet<_> = ids.into_iter().collect();
        let mut same_name = Vec::new();
        for name in names {
            let files = self.db.debug_files_by_name(&[project_id], name, false, MOST_OF_A_NAME).await?;
            same_name.extend(files.into_iter().filter(|file| known.insert(file.id)));
        }
        let expired = expired_files(&self.db, project_id, id, MOST_OF_A_NAME).await?;
        let (served, reason) = verdict(id, &explained, &expired, !same_name.is_empty());
        Ok(Explanation { served, reason, files: explained, same_name, expired })
    }
}

/// Whether the id is served, and why: what is said is of the file that a look-up would take.
fn verdict(id: &WantedId, files: &[Explained], expired: &[ExpiredFile], others: bool) -> (bool, String) {
    if let ([], Some(last)) = (files, expired.first()) {
        return (false, departed(last));
    }
    if files.is_empty() {
        let advice = match others {
            true => "Files of this name were uploaded with other ids: the one that ran is of another build.",
            false => "Upload the debug file of this build.",
        };
        return (false, format!("The project has no debug file with {}. {advice}", named(id)));
    }
    let can_have_one = files.iter().find(|one| candidate(std::slice::from_ref(&one.file)).is_some());
    let Some(best) = can_have_one else {
        return (false, "None of the files of this id has debug information. Upload the one that has it.".to_owned());
    };
    match &best.symcache {
        Some(Lookup::Malformed(reason)) => (false, format!("The newest file with debug information: {reason}")),
        _ if best.damaged => {
            (false, "Bytes of the newest file with debug information were lost. Upload it again.".to_owned())
        }
        Some(Lookup::Ready(_)) => (true, "Its symcache is ready.".to_owned()),
        _ => (true, "Its symcache is not made yet; the first ask for it has it made.".to_owned()),
    }
}

/// The id in words.
fn named(id: &WantedId) -> String {
    match id {
        WantedId::Debug(id) | WantedId::AnyAge(id) => format!("the debug id {id}"),
        WantedId::Code(id) | WantedId::PaddedCode(id) => format!("the code id {id}"),
        WantedId::AnyOf { .. } => "this id".to_owned(),
    }
}

/// When and why a file went.
fn departed(file: &ExpiredFile) -> String {
    let (name, day) = (&file.object_name, file.expired_at.format("%Y-%m-%d"));
    match file.rule.parse::<Rule>() {
        Ok(rule) => format!(
            "The debug file of this id ({name}) expired on {day} by the rule {rule} of its project. Upload it again, and \
             change the rule with `symdepot project set` if files are needed for longer."
        ),
        Err(_) => format!(
            "The debug file of this id ({name}) was deleted on {day} by `symdepot files delete`. Upload it again if it is \
             needed."
        ),
    }
}
