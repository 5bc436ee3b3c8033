//! Which files of one debug id still count. The newest file is never given up.

use crate::types::{DebugFile, Features, Format, Kind};

/// The ids of those of `files` (all of one debug id, newest first) that newer ones make superfluous.
///
/// An older file goes only when newer files of the same format and kind, of those that stay, together have all its
/// features. Of the formats whose identity is given from outside, only the newest stays.
pub fn redundant(files: &[DebugFile]) -> Vec<i64> {
    let mut kept: Vec<(Format, Kind, Features)> = Vec::new();
    let mut gone = Vec::new();
    for file in files {
        let same = kept
            .iter()
            .position(|(format, kind, _)| *format == file.format && (*kind == file.kind || file.format.newest_only()));
        match same {
            Some(index) if file.format.newest_only() || kept[index].2.contains(file.features) => gone.push(file.id),
            Some(index) => kept[index].2 = kept[index].2.union(file.features),
            None => kept.push((file.format, file.kind, file.features)),
        }
    }
    gone
}

/// The best of `files` (newest first) for a wish: the newest that has all wished features.
pub fn best(files: &[DebugFile], wished: Features) -> Option<&DebugFile> {
    files.iter().find(|file| file.features.contains(wished))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Sha1;

    const NONE: [i64; 0] = [];
    const DEBUG: Features = Features::DEBUG;
    const SYMTAB: Features = Features::SYMTAB;
    const UNWIND: Features = Features::UNWIND;

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

    fn elf(id: i64, features: &[Features]) -> DebugFile {
        file(id, Format::Elf, Kind::Debug, features)
    }

    #[test]
    fn an_older_file_goes_only_when_newer_ones_have_all_it_has() {
        assert_eq!(redundant(&[]), NONE);
        assert_eq!(redundant(&[elf(1, &[])]), NONE);
        assert_eq!(redundant(&[elf(2, &[DEBUG]), elf(1, &[DEBUG])]), [1]);
        assert_eq!(redundant(&[elf(2, &[DEBUG]), elf(1, &[DEBUG, UNWIND])]), NONE);
        assert_eq!(redundant(&[elf(2, &[DEBUG, UNWIND]), elf(1, &[DEBUG])]), [1]);
        assert_eq!(redundant(&[elf(2, &[DEBUG]), elf(1, &[])]), [1]);
        assert_eq!(redundant(&[elf(2, &[]), elf(1, &[DEBUG])]), NONE);
    }

    #[test]
    fn several_newer_files_count_together_and_those_that_go_do_not_count() {
        let together = [elf(3, &[DEBUG]), elf(2, &[UNWIND]), elf(1, &[DEBUG, UNWIND])];
        assert_eq!(redundant(&together), [1]);
        let chain = [elf(4, &[DEBUG, SYMTAB]), elf(3, &[DEBUG]), elf(2, &[UNWIND]), elf(1, &[SYMTAB, UNWIND])];
        assert_eq!(redundant(&chain), [3, 1]);
    }

    #[test]
    fn an_executable_survives_its_pdb_and_a_pdb_survives_breakpad_symbols() {
        let files = [
            file(4, Format::Breakpad, Kind::Debug, &[DEBUG, SYMTAB, UNWIND]),
            file(3, Format::Pdb, Kind::Debug, &[DEBUG, SYMTAB]),
            file(2, Format::Pe, Kind::Executable, &[]),
            file(1, Format::Elf, Kind::Library, &[]),
        ];
        assert_eq!(redundant(&files), NONE);
        let elves = [elf(2, &[DEBUG, SYMTAB, UNWIND]), file(1, Format::Elf, Kind::Library, &[SYMTAB])];
        assert_eq!(redundant(&elves), NONE, "the stripped library is needed beside its debug companion");
    }

    #[test]
    fn of_name_maps_only_the_newest_stays() {
        let map = |id, format| file(id, format, Kind::None, &[]);
        let files = [
            map(6, Format::BcSymbolMap),
            map(5, Format::UuidMap),
            map(4, Format::BcSymbolMap),
            map(3, Format::UuidMap),
            map(2, Format::Il2Cpp),
            map(1, Format::Il2Cpp),
        ];
        assert_eq!(redundant(&files), [4, 3, 1]);
    }

    #[test]
    fn the_best_file_is_the_newest_that_has_what_is_wished() {
        let files = [elf(3, &[SYMTAB]), elf(2, &[DEBUG, SYMTAB]), elf(1, &[DEBUG, UNWIND])];
        let id = |wished| best(&files, wished).map(|file| file.id);
        assert_eq!(id(Features::default()), Some(3));
        assert_eq!(id(DEBUG), Some(2));
        assert_eq!(id(DEBUG.union(UNWIND)), Some(1));
        assert_eq!(id(Features::SOURCES), None);
    }
}
