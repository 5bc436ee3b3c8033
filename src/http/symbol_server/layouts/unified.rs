//! `xx/rest/word`: Symbolicator's layout for files of every format. The word says what is asked for, the rest is an id of
//! whichever sort the format is known by.

use super::ids;
use crate::debug_files::{Wanted, What};

/// The words and what they ask for.
const WORDS: [(&str, What); 8] = [
    ("executable", What::Executable),
    ("debuginfo", What::DebugInfo),
    ("breakpad", What::Breakpad),
    ("sourcebundle", What::SourceBundle),
    ("uuidmap", What::UuidMap),
    ("bcsymbolmap", What::BcSymbolMap),
    ("il2cpp", What::Il2cpp),
    ("proguard", What::Proguard),
];

/// What these names ask for, if they are of this layout.
pub fn parse(names: &[&str]) -> Option<Wanted> {
    let [first, rest, word] = names else { return None };
    let (_, what) = WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word))?;
    if first.len() != 2 {
        return None;
    }
    let id = ids::any(&format!("{first}{rest}"))?;
    Some(Wanted { id, what: *what, name: None })
}

#[cfg(test)]
mod tests {
    use crate::http::symbol_server::layouts::tests::table;

    #[test]
    fn every_word_is_asked_for_by_an_id_of_any_sort() {
        let pe = "3249d99d-0c40-4931-8610-f4e4fb0b6936-1";
        let elf = "dfb85de4-2daf-fd09-640c-8fe377d572de-3e168920 e45db8df-af2d-09fd-640c-8fe377d572de \
                   dfb85de42daffd09640c8fe377d572de3e168920";
        let macho = "67e9247c-814e-392b-a027-dbde6748fcbf 7c24e967-4e81-2b39-a027-dbde6748fcbf \
                     67e9247c814e392ba027dbde6748fcbf";
        table(&[
            ("32/49d99d0c4049318610f4e4fb0b69361/executable", &format!("Executable any {pe}")),
            ("32/49d99d0c4049318610f4e4fb0b69361/debuginfo", &format!("DebugInfo any {pe}")),
            ("32/49d99d0c4049318610f4e4fb0b69361/breakpad", &format!("Breakpad any {pe}")),
            ("32/49d99d0c4049318610f4e4fb0b69361/sourcebundle", &format!("SourceBundle any {pe}")),
            ("df/b85de42daffd09640c8fe377d572de3e168920/executable", &format!("Executable any {elf}")),
            ("df/b85de42daffd09640c8fe377d572de3e168920/debuginfo", &format!("DebugInfo any {elf}")),
            ("df/b85de42daffd09640c8fe377d572de3e168920/il2cpp", &format!("Il2cpp any {elf}")),
            ("67/e9247c814e392ba027dbde6748fcbf/debuginfo", &format!("DebugInfo any {macho}")),
            ("67/e9247c814e392ba027dbde6748fcbf/uuidmap", &format!("UuidMap any {macho}")),
            ("67/e9247c814e392ba027dbde6748fcbf/bcsymbolmap", &format!("BcSymbolMap any {macho}")),
            ("67/e9247c814e392ba027dbde6748fcbf/proguard", &format!("Proguard any {macho}")),
            ("67e/9247c814e392ba027dbde6748fcbf/debuginfo", "nothing"),
            ("6/7e9247c814e392ba027dbde6748fcbf/debuginfo", "nothing"),
            ("67/e9247c814e392ba027dbde6748fcbg/debuginfo", "nothing"),
            ("67/e9247c814e392ba027dbde6748fcbf/meta", "nothing"),
        ]);
    }
}
