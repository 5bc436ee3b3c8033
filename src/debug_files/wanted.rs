//! What a symbol client asks for, and which file of the projects it may read is meant. It never looks into a project
//! that it was not given.

use crate::db::{Db, DbError};
use crate::types::{CodeId, DebugFile, DebugId, ExpiredFile};

pub use crate::types::ArtifactKind as What;

/// What a symbol client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which file.
    pub id: WantedId,
    /// What sort of file.
    pub what: What,
    /// File name in the URL, for misses and logs.
    pub name: Option<String>,
}

/// How the file is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedId {
    /// A debug id.
    Debug(DebugId),
    /// A code id, lower-case hexadecimal as in the rows (ELF build id, PE timestamp+size, Mach-O uuid).
    Code(String),
    /// The beginning of a code id that was padded with zeros to 20 bytes (SSQP pads short ELF build ids).
    PaddedCode(String),
    /// A UUID whose age is not known: that of a portable PDB is a time stamp, which SSQP leaves out.
    AnyAge(DebugId),
    /// One id in a layout that does not say of which sort it is, in every reading.
    AnyOf {
        /// Read as debug ids.
        debug_ids: Vec<DebugId>,
        /// Read as code ids.
        code_ids: Vec<String>,
    },
}

/// Digits of a build id that is long enough for SSQP.
const PADDED: usize = 40;

/// The newest of the best files of these projects for the wish. One query, however many projects there are.
pub async fn find_wanted(db: &Db, project_ids: &[i64], wanted: &Wanted) -> Result<Option<DebugFile>, DbError> {
    let files = wanted_files(db, project_ids, &wanted.id).await?;
    Ok(wanted.what.pick(&files).cloned())
}

/// All live files of these projects under an id, newest first.
pub async fn wanted_files(db: &Db, project_ids: &[i64], id: &WantedId) -> Result<Vec<DebugFile>, DbError> {
    match (ids(id), id) {
        (None, WantedId::AnyAge(id)) => db.debug_files_of_any_age(project_ids, id).await,
        (found, _) => {
            let (debug_ids, code_ids) = found.unwrap_or_default();
            db.debug_files_of_projects(project_ids, &debug_ids, &code_ids).await
        }
    }
}

/// The debug ids and code ids that an id may stand for, if they can be counted.
pub(super) fn ids(id: &WantedId) -> Option<(Vec<DebugId>, Vec<CodeId>)> {
    Some(match id {
        WantedId::Debug(id) => (vec![id.clone()], Vec::new()),
        WantedId::Code(id) => (Vec::new(), vec![CodeId::new(id)]),
        WantedId::PaddedCode(id) => (Vec::new(), unpadded(id)),
        WantedId::AnyAge(_) => return None,
        WantedId::AnyOf { debug_ids, code_ids } => {
            (debug_ids.clone(), code_ids.iter().map(|id| CodeId::new(id)).collect())
        }
    })
}

/// What is remembered of files of a project that went under an id, the last first.
pub async fn expired_files(db: &Db, project_id: i64, id: &WantedId, most: i64) -> Result<Vec<ExpiredFile>, DbError> {
    let (debug_ids, code_ids) = match id {
        WantedId::Debug(id) | WantedId::AnyAge(id) => (vec![id.clone()], Vec::new()),
        WantedId::Code(id) => (Vec::new(), vec![CodeId::new(id)]),
        WantedId::PaddedCode(id) => (Vec::new(), unpadded(id)),
        WantedId::AnyOf { debug_ids, code_ids } => {
            (debug_ids.clone(), code_ids.iter().map(|id| CodeId::new(id)).collect())
        }
    };
    db.expired_files(project_id, &debug_ids, &code_ids, most).await
}

/// The code ids that become `text` once zeros are put at their end. A whole number of bytes each.
fn unpadded(text: &str) -> Vec<CodeId> {
    let digits = text.trim_end_matches('0');
    let shortest = digits.len().next_multiple_of(2).max(2);
    (shortest..=PADDED.max(shortest)).step_by(2).map(|length| CodeId::new(&format!("{digits:0<length$}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Features, Format, Kind, Sha1};

    fn file(id: i64, format: Format, kind: Kind, features: &[Features]) -> DebugFile {
        DebugFile {
            id,
            project_id: 1,
            sha1: Sha1::of(&id.to_be_bytes()),
            size: 1,
            debug_id: "9d089309-27e9-5967-969a-c02c8ea5d81f".parse().expect("a debug id"),
            debug_id_alias: None,
            code_id: None,
            object_name: "calc".to_owned(),
            cpu_name: "x86_64".to_owned(),
            format,
            kind,
            features: features.iter().fold(Features::default(), |all, one| all.union(*one)),
            note: None,
            supplement_id: None,
            is_supplement: false,
            created_at: chrono::DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn each_wish_is_met_by_the_newest_file_that_fits() {
        const DEBUG: Features = Features::DEBUG;
        const SYMTAB: Features = Features::SYMTAB;
        let files = [
            file(9, Format::SourceBundle, Kind::Sources, &[Features::SOURCES]),
            file(8, Format::Breakpad, Kind::Debug, &[DEBUG]),
            file(7, Format::Elf, Kind::Library, &[SYMTAB]),
            file(6, Format::Elf, Kind::Debug, &[SYMTAB]),
            file(5, Format::Pdb, Kind::Debug, &[DEBUG]),
            file(4, Format::Elf, Kind::Debug, &[DEBUG]),
            file(3, Format::Pe, Kind::Executable, &[]),
            file(2, Format::Il2Cpp, Kind::None, &[]),
        ];
        let id = |what: What, files: &[DebugFile]| what.pick(files).map(|file| file.id);
        assert_eq!(id(What::Executable, &files), Some(7));
        assert_eq!(id(What::DebugInfo, &files), Some(5));
        assert_eq!(id(What::Pdb, &files), Some(5));
        assert_eq!(id(What::Breakpad, &files), Some(8));
        assert_eq!(id(What::SourceBundle, &files), Some(9));
        assert_eq!(id(What::Il2cpp, &files), Some(2));
        assert_eq!(id(What::Proguard, &files), None);
        assert_eq!(id(What::DebugInfo, &files[..4]), Some(6), "a symbol table is better than nothing");
        assert_eq!(
            id(What::DebugInfo, &files[..3]),
            None,
            "a stripped library and Breakpad symbols are no debug information"
        );
        assert_eq!(id(What::Executable, &files[3..6]), None);
    }

    #[test]
    fn a_padded_code_id_may_have_been_any_that_ends_before_the_zeros() {
        let texts = |text: &str| unpadded(text).iter().map(ToString::to_string).collect::<Vec<_>>();
        let padded = format!("{:0<40}", "0123456789abcdef0123456789abcdef12");
        assert_eq!(
            texts(&padded),
            [
                "0123456789abcdef0123456789abcdef12",
                "0123456789abcdef0123456789abcdef1200",
                "0123456789abcdef0123456789abcdef120000",
                padded.as_str()
            ]
        );
        assert_eq!(texts(&padded[..34]), texts(&padded), "with or without its zeros");
        let odd = format!("{:a<39}0", "");
        assert_eq!(texts(&odd), [odd], "a byte is two digits");
        assert_eq!(texts(&format!("{:0<40}", "")).len(), 20);
    }
}
