//! The folders that debuggers look into: `ab/cdef.debug` of gdb, by build id, and `67E9/247C/814E/392B/A027/DBDE6748FCBF` of
//! lldb, by UUID. An ending says what is asked for. It never asks whether a file is of the debugger's own format.

use super::{ids, without};
use crate::debug_files::{Wanted, What};

/// Digits in each folder of lldb.
const UUID_FOLDERS: [usize; 6] = [4, 4, 4, 4, 4, 12];

/// What these names ask for, if they are of this layout.
pub fn parse(names: &[&str]) -> Option<Wanted> {
    let (last, folders) = names.split_last()?;
    match folders {
        // Without an ending it is the file itself.
        [first] if first.len() == 2 => wanted(folders, last, (".debug", What::DebugInfo), What::Executable),
        [_, _, _, _, _] => {
            let found = wanted(folders, last, (".app", What::Executable), What::DebugInfo)?;
            let last = last.split('.').next().unwrap_or_default();
            let lengths = folders.iter().copied().chain([last]).map(str::len);
            lengths.eq(UUID_FOLDERS).then_some(found)
        }
        _ => None,
    }
}

fn wanted(folders: &[&str], last: &str, ending: (&str, What), bare: What) -> Option<Wanted> {
    let endings = [(".src.zip", What::SourceBundle), ending];
    let ended = endings.into_iter().find_map(|(ending, what)| Some((without(last, ending)?, what)));
    let (rest, what) = ended.unwrap_or((last, bare));
    let id = ids::any(&format!("{}{rest}", folders.concat()))?;
    Some(Wanted { id, what, name: None })
}

#[cfg(test)]
mod tests {
    use crate::http::symbol_server::layouts::tests::table;

    #[test]
    fn folders_of_both_debuggers_are_read() {
        let elf = "dfb85de4-2daf-fd09-640c-8fe377d572de-3e168920 e45db8df-af2d-09fd-640c-8fe377d572de \
                   dfb85de42daffd09640c8fe377d572de3e168920";
        let uuid = "67e9247c-814e-392b-a027-dbde6748fcbf 7c24e967-4e81-2b39-a027-dbde6748fcbf \
                    67e9247c814e392ba027dbde6748fcbf";
        table(&[
            ("df/b85de42daffd09640c8fe377d572de3e168920", &format!("Executable any {elf}")),
            ("df/b85de42daffd09640c8fe377d572de3e168920.debug", &format!("DebugInfo any {elf}")),
            ("df/b85de42daffd09640c8fe377d572de3e168920.src.zip", &format!("SourceBundle any {elf}")),
            ("67/e9247c814e392ba027dbde6748fcbf.debug", &format!("DebugInfo any {uuid}")),
            ("67E9/247C/814E/392B/A027/DBDE6748FCBF.app", &format!("Executable any {uuid}")),
            ("67E9/247C/814E/392B/A027/DBDE6748FCBF", &format!("DebugInfo any {uuid}")),
            ("67E9/247C/814E/392B/A027/DBDE6748FCBF.src.zip", &format!("SourceBundle any {uuid}")),
            ("67E92/47C/814E/392B/A027/DBDE6748FCBF", "nothing"),
            ("67E9/247C/814E/392B/A027/DBDE6748FC", "nothing"),
            ("67E9/247C/814E/392B/A027/DBDE6748FCBG", "nothing"),
            ("67E9/247C/814E/392B/A027/DBDE6748FCBF.dmg", "nothing"),
            ("dfb/85de42daffd09640c8fe377d572de3e168920", "nothing"),
            ("df/b85de42daffd09640c8fe377d572de3e168920.txt", "nothing"),
            ("df/.debug", "nothing"),
        ]);
    }
}
