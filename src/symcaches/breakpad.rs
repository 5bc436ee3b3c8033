//! Breakpad text of debug files of other formats: which files it is made of, and having it made. It never reads a debug
//! file; the child process does.

use super::Symcaches;
use super::derived::Making;
use super::lookup::{BuildError, LookupError};
use super::sandbox::{BREAKPAD_VERSION, BreakpadFiles, BreakpadText, Conversion};
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
        let names = self.mappings(main.project_id, main.format, &same_id).await?.into_bcsymbolmap();
        let text = text(main, code.as_ref());
        // Without these it would be another text.
        self.uses.note([&code, &names].into_iter().flatten().map(|file| file.id));
        let others = [&code, &names].into_iter().flatten().map(|file| file.sha1.to_string());
        let version = [BREAKPAD_VERSION.to_owned()].into_iter().chain(others).collect::<Vec<_>>().join("+");
        let key = DerivedKey { debug_file_id: main.id, sort: DerivedSort::Breakpad, version };
        let (main, compression) = (main.clone(), self.compression);
        let making = self.derived(&key, compression, |this| this.make_text(main, text, code, names)).await?;
        Ok(Some(making))
    }

    async fn make_text(
        self,
        main: DebugFile,
        text: BreakpadText,
        code: Option<DebugFile>,
        names: Option<DebugFile>,
    ) -> Result<Conversion, BuildError> {
        let content = self.whole_file(&main).await?;
        let unwinding = self.bytes_of(code.as_ref()).await?;
        let bcsymbolmap = self.bytes_of(names.as_ref()).await?;
        Ok(self.sandbox.dump(&content, &text, &BreakpadFiles { unwinding, bcsymbolmap }).await?)
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
