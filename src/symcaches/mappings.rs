//! Which name maps belong to a debug file, and their bytes for the converter. It never applies them.

use std::fs::File;

use super::Symcaches;
use super::sandbox::MappingFiles;
use crate::db::DbError;
use crate::types::{DebugFile, Format};
use crate::uploads::{PiecesError, write_pieces};

/// The name maps of one debug file, newest of each sort.
#[derive(Clone, Debug, Default)]
pub struct Mappings {
    bcsymbolmap: Option<DebugFile>,
    uuidmap: Option<DebugFile>,
    il2cpp: Option<DebugFile>,
}

impl Mappings {
    /// What the key of a symcache says of them.
    pub fn key(&self) -> String {
        let maps = [&self.bcsymbolmap, &self.uuidmap, &self.il2cpp];
        let sha1s: Vec<_> = maps.into_iter().flatten().map(|map| map.sha1.to_string()).collect();
        sha1s.join("+")
    }

    /// The map that brings hidden names of a Mach-O file back.
    pub fn into_bcsymbolmap(self) -> Option<DebugFile> {
        self.bcsymbolmap
    }

    /// Row ids of the files.
    pub(super) fn ids(&self) -> impl Iterator<Item = i64> {
        [&self.bcsymbolmap, &self.uuidmap, &self.il2cpp].into_iter().flatten().map(|map| map.id)
    }
}

impl Symcaches {
    /// The name maps that apply to a file of `format`, out of `same_id`: the live files of its debug id, newest first.
    pub(super) async fn mappings(
        &self,
        project_id: i64,
        format: Format,
        same_id: &[DebugFile],
    ) -> Result<Mappings, DbError> {
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
        Ok(mappings)
    }

    /// The bytes of name maps, for the converter.
    pub(super) async fn mapping_files(&self, mappings: &Mappings) -> Result<MappingFiles, MappingError> {
        Ok(MappingFiles {
            bcsymbolmap: self.bytes_of(mappings.bcsymbolmap.as_ref()).await?,
            il2cpp: self.bytes_of(mappings.il2cpp.as_ref()).await?,
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
