//! Debug file -> Breakpad text: functions, lines, inlined calls, and how to unwind. Mozilla's `dump_syms` does the work; the
//! lines at the top are ours, because it takes ids and names from where they may be wrong.
//!
//! For the child process alone: the file decides how much memory and time this takes. It opens no file by a path that a
//! debug file names.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use dump_syms::object_info::ObjectInfo;
use dump_syms::platform::Platform;
use dump_syms::utils::normalize_path;
use memchr::memmem;
use symbolic::cfi::AsciiCfiWriter;
use symbolic::debuginfo::Object;

use symdepot_types::Sha1;
use symdepot_types::child_protocol::BreakpadText;

use crate::convert::{Counted, Failure, damaged_section, wanted_object};
use crate::detect::chain;

/// Further files that go into the text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Others<'a> {
    /// The file with the code, which has unwind information.
    pub unwinding: Option<&'a [u8]>,
    /// `BCSymbolMap`, for Mach-O.
    pub bcsymbolmap: Option<&'a [u8]>,
}

/// Writes the text of the object in `bytes` that has the debug id; says how long it is and its checksum.
pub(super) fn dump(
    bytes: &[u8],
    text: &BreakpadText,
    others: Others<'_>,
    memory: u64,
    output: File,
) -> Result<(u64, Sha1), Failure> {
    let object = wanted_object(bytes, &text.debug_id, others.bcsymbolmap, memory).map_err(Failure::Input)?;
    // Without the code the text is of use too: then there is no way to unwind.
    let code = others.unwinding.and_then(|code| wanted_object(code, &text.debug_id, None, memory).ok());
    let (os, platform) = match &object {
        // For files of the platform it runs on, it would look whether their sources are on this machine.
        Object::Elf(_) => ("Linux", Platform::Mac),
        Object::MachO(_) => ("Mac", Platform::Mac),
        Object::Pdb(_) | Object::Pe(_) => ("windows", Platform::Win),
        _ => return Err(Failure::Input("Breakpad text is made of ELF, Mach-O, PDB and PE files only".to_owned())),
    };
    let code_file = text.code_file.as_deref();
    let info = ObjectInfo::from_object(&object, &text.name, code.as_ref(), code_file, platform, None, true)
        .map_err(|error| Failure::Input(chain(&*error)))?;
    let top = Top { os, text, name: info.get_name(), normalize: platform == Platform::Mac };
    let mut writer = BufWriter::with_capacity(1 << 16, Rewriting::new(top, Counted::new(output)));
    info.dump(&mut writer).and_then(|()| Ok(writer.write_all(&own_unwinding(&object, code.as_ref()))?)).map_err(
        |error| {
            let kind = error.downcast_ref::<io::Error>().map_or(io::ErrorKind::Other, io::Error::kind);
            Failure::Output(io::Error::new(kind, error.to_string()))
        },
    )?;
    let rewriting = writer.into_inner().map_err(|error| Failure::Output(error.into_error()))?;
    if !rewriting.functions
        && let Some(section) = damaged_section(&object)
    {
        return Err(Failure::Input(format!("its section .{section} cannot be inflated; it is damaged")));
    }
    rewriting.inner.finish().map_err(Failure::Output)
}

/// The unwind information of the debug file itself, where that of its code was taken: some have it in both. A PDB has only
/// what its executable has too.
fn own_unwinding(object: &Object<'_>, code: Option<&Object<'_>>) -> Vec<u8> {
    let mut lines = Vec::new();
    let both = code.is_some_and(Object::has_unwind_info) && object.has_unwind_info();
    // Sections that were emptied cannot be read, and have nothing to say.
    if both && !matches!(object, Object::Pdb(_)) && AsciiCfiWriter::new(&mut lines).process(object).is_err() {
        lines.clear();
    }
    lines
}

/// What stands in the first lines.
struct Top<'a> {
    os: &'static str,
    text: &'a BreakpadText,
    name: &'a str,
    /// Whether `..` in the paths of sources is resolved.
    normalize: bool,
}

/// Passes text on, its first lines rewritten.
struct Rewriting<'a> {
    top: Top<'a>,
    inner: Counted,
    /// The beginning of a line at the top.
    line: Vec<u8>,
    behind_top: bool,
    /// Whether a function has passed by.
    functions: bool,
}

impl<'a> Rewriting<'a> {
    fn new(top: Top<'a>, inner: Counted) -> Self {
        Self { top, inner, line: Vec::new(), behind_top: false, functions: false }
    }

    /// Writes a line of the top as it should be.
    fn rewrite(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let Top { os, text: says, name, normalize } = &self.top;
        if let Some(rest) = text.strip_prefix("MODULE ") {
            let cpu = rest.split(' ').nth(1).unwrap_or("unknown");
            let (id, name) = (says.debug_id.breakpad(), one_line(name));
            writeln!(self.inner, "MODULE {os} {cpu} {id} {name}")?;
            if let Some(code_id) = &says.code_id {
                let code_file = says.code_file.as_deref().map(one_line).unwrap_or_default();
                let line = format!("INFO CODE_ID {} {code_file}", code_id.as_str().to_ascii_uppercase());
                writeln!(self.inner, "{}", line.trim_end())?;
            }
            return Ok(());
        }
        if text.starts_with("INFO CODE_ID") {
            return Ok(());
        }
        if let Some((number, path)) = text.strip_prefix("FILE ").and_then(|rest| rest.split_once(' ')) {
            let path = path.trim_end_matches('\n');
            return match *normalize && path.starts_with('/') {
                true => writeln!(self.inner, "FILE {number} {}", normalize_path(Path::new(path)).display()),
                false => writeln!(self.inner, "FILE {number} {path}"),
            };
        }
        self.behind_top = !text.starts_with("INFO ");
        self.functions = text.starts_with("FUNC ");
        self.inner.write_all(&line)
    }
}

impl Write for Rewriting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.behind_top {
            self.functions = self.functions || memmem::find(bytes, b"\nFUNC ").is_some();
            self.inner.write_all(bytes)?;
            return Ok(bytes.len());
        }
        let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1);
        self.line.extend_from_slice(&bytes[..end]);
        if self.line.ends_with(b"\n") {
            self.rewrite()?;
        }
        Ok(end)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The name without anything that would end its line.
fn one_line(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '_' } else { c }).collect()
}
