//! Which name maps belong to a debug file, and their bytes for the converter. It never applies them.

use std::fs::File;

use super::Symcaches;
use super::sandbox::MappingFiles;
use crate::db::DbError;
use crate::debug_files::{WantedId, wanted_files};
use crate::types::{CodeId, DebugFile, Features, Format, NewDebugFile};
use crate::uploads::{PiecesError, write_pieces};

/// The name maps of one debug file, newest of each sort, and its supplement.
#[derive(Clone, Debug, Default)]
pub struct Mappings {
    bcsymbolmap: Option<DebugFile>,
    uuidmap: Option<DebugFile>,
    il2cpp: Option<DebugFile>,
    supplement: Option<DebugFile>,
    missing_supplement: Option<CodeId>,
}

/// The file that name maps and a supplement are looked for, stored or about to be.
#[derive(Clone, Copy, Debug)]
pub struct MappingTarget<'a> {
    project_id: i64,
    format: Format,
    supplement_id: Option<&'a CodeId>,
}

impl<'a> From<&'a DebugFile> for MappingTarget<'a> {
    fn from(file: &'a DebugFile) -> Self {
        Self { project_id: file.project_id, format: file.format, supplement_id: file.supplement_id.as_ref() }
    }
}

impl<'a> From<&'a NewDebugFile> for MappingTarget<'a> {
    fn from(file: &'a NewDebugFile) -> Self {
        Self { project_id: file.project_id, format: file.format, supplement_id: file.supplement_id.as_ref() }
    }
}

impl Mappings {
    /// What the key of a symcache says of them.
    pub fn key(&self) -> String {
        let maps = [&self.bcsymbolmap, &self.uuidmap, &self.il2cpp, &self.supplement];
        let sha1s: Vec<_> = maps.into_iter().flatten().map(|map| map.sha1.to_string()).collect();
        sha1s.join("+")
    }

    /// What goes into Breakpad text: the map that brings hidden names of a Mach-O file back, and the supplement.
    pub(super) fn into_text_files(self) -> (Option<DebugFile>, Option<DebugFile>) {
        (self.bcsymbolmap, self.supplement)
    }

    /// Row ids of the files.
    pub(super) fn ids(&self) -> impl Iterator<Item = i64> {
        let maps = [&self.bcsymbolmap, &self.uuidmap, &self.il2cpp, &self.supplement];
        maps.into_iter().flatten().map(|map| map.id)
    }

    /// Build id of the file with the rest of the debug information, if the project lacks it.
    pub(super) fn missing_supplement(&self) -> Option<&CodeId> {
        self.missing_supplement.as_ref()
    }
}

impl Symcaches {
    /// What applies to a file beside its own content: name maps out of `same_id`, the live files of its debug id, newest
    /// first, and the file that `dwz` moved a part of its debug information to.
    pub(super) async fn mappings(
        &self,
        target: &MappingTarget<'_>,
        same_id: &[DebugFile],
    ) -> Result<Mappings, DbError> {
        let &MappingTarget { project_id, format, supplement_id } = target;
        let newest = |wanted| same_id.iter().find(|other| other.format == wanted).cloned();
        let mut mappings = Mappings { il2cpp: newest(Format::Il2Cpp), ..Mappings::default() };
        if format == Format::MachO {
            mappings.bcsymbolmap = newest(Format::BcSymbolMap);
            if mappings.bcsymbolmap.is_none()
                && let Some(uuidmap) = newest(Format::UuidMap)
                // The second id of a uuid map is the one it leads to.
                && let Some(original) = &uuidmap.debug_id_alias
            {
                let files = self.db.debug_files_by_id(project_id, std::slice::from_ref(original)).await?;
                mappings.bcsymbolmap = files.into_iter().find(|other| other.format == Format::BcSymbolMap);
                mappings.uuidmap = mappings.bcsymbolmap.is_some().then_some(uuidmap);
            }
        }
        if let Some(id) = supplement_id {
            mappings.supplement = self.supplement(project_id, id).await?;
            mappings.missing_supplement = mappings.supplement.is_none().then(|| id.clone());
        }
        Ok(mappings)
    }

    /// The newest live ELF file of a build id.
    async fn supplement(&self, project_id: i64, id: &CodeId) -> Result<Option<DebugFile>, DbError> {
        let wanted = WantedId::Code(id.as_str().to_owned());
        let files = wanted_files(&self.db, &[project_id], &wanted).await?;
        Ok(files.into_iter().find(|file| file.format == Format::Elf && file.features.contains(Features::DEBUG)))
    }

    /// The bytes of name maps, for the converter.
    pub(super) async fn mapping_files(&self, mappings: &Mappings) -> Result<MappingFiles, MappingError> {
        Ok(MappingFiles {
            bcsymbolmap: self.bytes_of(mappings.bcsymbolmap.as_ref()).await?,
            il2cpp: self.bytes_of(mappings.il2cpp.as_ref()).await?,
            supplement: self.bytes_of(mappings.supplement.as_ref()).await?,
        })
    }

    /// The bytes of a further file, if there is one.
    pub(super) async fn bytes_of(&self, map: Option<&DebugFile>) -> Result<Option<File>, MappingError> {
        match map {
            Some(map) => Ok(Some(self.whole_file(map).await?)),
            None => Ok(None),
        }
    }

    /// The content of a debug file in a nameless temp file, verified.
    pub(super) async fn whole_file(&self, file: &DebugFile) -> Result<File, MappingError> {
        let pieces = self.db.debug_file_pieces(file.id).await?;
        let (content, sha1) = write_pieces(self.blobs.clone(), &self.temp_dir, pieces).await?;
        if sha1 != file.sha1 {
            return Err(MappingError::Damaged(file.id));
        }
        Ok(content)
    }
}

/// Why the bytes of a stored file cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// Rows.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Bytes.
    #[error(transparent)]
    Pieces(#[from] PiecesError),
    /// The bytes are not those that were uploaded.
    #[error("the stored bytes of debug file {0} do not have its checksum")]
    Damaged(i64),
}
