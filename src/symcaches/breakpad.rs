//! Breakpad text of debug files of other formats: which files it is made of, and having it made. It never reads a debug
//! file; the child process does.

use super::Symcaches;
use super::build::{BuildError, Built, Hold};
use super::derived::Making;
use super::lookup::LookupError;
use super::queue::{BuildTask, Wanted};
use super::sandbox::{BreakpadFiles, BreakpadText};
use crate::types::{DebugFile, DerivedKey, DerivedSort, Features, Format, Kind};

/// Endings that a file with nothing but debug information may have on top of the name of its code.
const DEBUG_ENDINGS: [&str; 2] = [".debug", ".dbg"];

impl Symcaches {
    /// The Breakpad text of the build that `files` belong to, newest first; `None` if none of them has what it takes.
    pub async fn breakpad(&self, files: &[DebugFile]) -> Result<Option<Making>, LookupError> {
        let Some(main) = source_of_text(files) else { return Ok(None) };
        let same_id: Vec<_> = files
            .iter()
            .filter(|file| file.project_id == main.project_id && file.debug_id.uuid() == main.debug_id.uuid())
            .cloned()
            .collect();
        let code = code_of(main, &same_id).cloned();
        let mappings = self.mappings(&main.into(), &same_id).await?;
        if let Some(id) = mappings.missing_supplement() {
            self.note_missing_supplement(main.project_id, id);
        }
        let (names, supplement) = mappings.into_text_files();
        let others = Others { code, names, supplement };
        // Without these it would be another text.
        self.uses.note(others.files().map(|file| file.id));
        let version = self.text_version(&others);
        let Others { code, names, supplement } = others;
        let key = DerivedKey { debug_file_id: main.id, sort: DerivedSort::Breakpad, version: version.clone() };
        let id = |file: Option<DebugFile>| file.map(|file| file.id);
        let (code, names, supplement) = (id(code), id(names), id(supplement));
        let task = BuildTask::Breakpad { debug_file_id: main.id, code, names, supplement, version };
        Ok(Some(self.derived(&key, &Wanted { project_id: main.project_id, task }).await?))
    }

    /// Names what makes the text and what goes into it besides the file with the debug information.
    fn text_version(&self, others: &Others) -> String {
        let others = others.files().map(|file| file.sha1.to_string());
        [self.breakpad_version.clone()].into_iter().chain(others).collect::<Vec<_>>().join("+")
    }

    /// Makes the text that a job asks for.
    pub(super) async fn build_text(
        &self,
        main: &DebugFile,
        others: Others,
        hold: &Hold<'_>,
    ) -> Result<Built, BuildError> {
        let version = self.text_version(&others);
        let key = DerivedKey { debug_file_id: main.id, sort: DerivedSort::Breakpad, version };
        let make = async {
            let content = self.whole_file(main).await?;
            let unwinding = self.bytes_of(others.code.as_ref()).await?;
            let bcsymbolmap = self.bytes_of(others.names.as_ref()).await?;
            let supplement = self.bytes_of(others.supplement.as_ref()).await?;
            let files = BreakpadFiles { unwinding, bcsymbolmap, supplement };
            Ok(self.sandbox.dump(&content, &text(main, others.code.as_ref()), &files).await?)
        };
        self.build_derived(key, &self.breakpad_version, hold, make).await
    }
}

/// The files that go into a text besides the one with the debug information.
#[derive(Clone, Debug)]
pub(super) struct Others {
    /// The file with the code.
    pub code: Option<DebugFile>,
    /// The map of hidden names.
    pub names: Option<DebugFile>,
    /// The file that `dwz` moved a part of the debug information to.
    pub supplement: Option<DebugFile>,
}

impl Others {
    fn files(&self) -> impl Iterator<Item = &DebugFile> {
        [&self.code, &self.names, &self.supplement].into_iter().flatten()
    }
}

/// The newest file with debug information of which Breakpad text can be made, or else the newest with a table of symbols.
fn source_of_text(files: &[DebugFile]) -> Option<&DebugFile> {
    let with = |features: Features| {
        let fits = move |file: &&DebugFile| {
            matches!(file.format, Format::Elf | Format::MachO | Format::Pdb | Format::Pe)
                && file.features.contains(features)
        };
        files.iter().find(fits)
    };
    with(Features::DEBUG).or_else(|| with(Features::SYMTAB))
}

/// The file with the code, if `main` has none. A PDB never has. Others that have none, have at most some of the unwind
/// information, or sections for it with nothing in them.
fn code_of<'a>(main: &DebugFile, same_id: &'a [DebugFile]) -> Option<&'a DebugFile> {
    let has_code = |file: &DebugFile| {
        file.format == main.format && file.kind != Kind::Debug && file.features.contains(Features::UNWIND)
    };
    match main.format {
        Format::Pdb => same_id.iter().find(|file| file.format == Format::Pe),
        _ if has_code(main) => None,
        _ => same_id.iter().find(|file| has_code(file)),
    }
}

fn text(main: &DebugFile, code: Option<&DebugFile>) -> BreakpadText {
    let windows = matches!(main.format, Format::Pdb | Format::Pe);
    let bare = |name: &str| {
        let stem = DEBUG_ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).filter(|stem| !stem.is_empty());
        stem.unwrap_or(name).to_owned()
    };
    BreakpadText {
        debug_id: main.debug_id.clone(),
        code_id: code.unwrap_or(main).code_id.clone(),
        name: match code {
            Some(code) if !windows => code.object_name.clone(),
            _ => bare(&main.object_name),
        },
        code_file: match main.format {
            Format::Pdb => code.map(|code| code.object_name.clone()),
            Format::Pe => Some(main.object_name.clone()),
            _ => None,
        },
    }
}
