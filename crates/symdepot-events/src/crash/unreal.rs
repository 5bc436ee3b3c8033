//! Crashes of Unreal Engine: the container that its crash reporter uploads, and the context in it.
//!
//! A container is packed by zlib. Unpacked: `CR1`, name of a directory, name of a file, length, number of files; then for each file
//! an index, its name, its length, its bytes. Numbers are 32 bits, little endian; a name is its length and so many bytes, filled
//! up with zeros. Older engines write no `CR1`, leave the first header unfinished and repeat it after the files.
//!
//! It never copies a file, and never allocates by a claimed number.

mod context;
mod xml;

use std::io::Read as _;

pub use context::{context, event_fields};

/// Most files of a container, as there are items of an envelope.
pub const MAX_FILES: usize = 1_000;

/// Longest name, in bytes with what it is filled up with.
const MAX_NAME: usize = 4_096;

/// A file of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnrealFile<'a> {
    /// Name without folders; never empty.
    pub name: String,
    /// What the file is.
    pub kind: UnrealKind,
    /// Content, a part of the container.
    pub data: &'a [u8],
}

/// What a file of a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnrealKind {
    /// A minidump.
    Minidump,
    /// An Apple crash report, which the engine sends on macOS.
    AppleCrashReport,
    /// `CrashContext.runtime-xml`, see [`context()`].
    Context,
    /// A log of the game.
    Log,
    /// Anything else.
    Other,
}

/// Why a body is no container.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// More bytes than allowed.
    #[error("The crash report is too large.")]
    TooLarge,
    /// Not packed by zlib, or cut off.
    #[error("The crash report cannot be unpacked: {0}.")]
    Broken(String),
    /// Unpacked, and no container.
    #[error("The body is not an Unreal crash report.")]
    NotContainer,
}

/// Unpacks a body to at most `max` bytes.
pub fn inflate(body: &[u8], max: u64) -> Result<Vec<u8>, Fault> {
    let mut container = Vec::new();
    flate2::read::ZlibDecoder::new(body)
        .take(max.saturating_add(1))
        .read_to_end(&mut container)
        .map_err(|error| Fault::Broken(error.to_string()))?;
    if container.len() as u64 > max { Err(Fault::TooLarge) } else { Ok(container) }
}

/// The files of an unpacked container; at least one.
pub fn files(container: &[u8]) -> Result<Vec<UnrealFile<'_>>, Fault> {
    let files = by_first_header(container).or_else(|| by_last_header(container));
    files.filter(|files| !files.is_empty()).ok_or(Fault::NotContainer)
}

/// Reads by the header at the beginning. Behind the last file there is nothing, or anything if the magic was there.
fn by_first_header(container: &[u8]) -> Option<Vec<UnrealFile<'_>>> {
    let mut cursor = Cursor { left: container };
    let has_magic = cursor.magic();
    let count = cursor.header()?;
    let files = cursor.files(count)?;
    (cursor.left.is_empty() || has_magic && !files.is_empty()).then_some(files)
}

/// Reads by the header at the end, whose last number is that of the files.
fn by_last_header(container: &[u8]) -> Option<Vec<UnrealFile<'_>>> {
    let count = usize::try_from(i32::from_le_bytes(*container.last_chunk()?)).ok()?;
    let mut cursor = Cursor { left: container };
    cursor.magic();
    cursor.header()?;
    let files = cursor.files(count)?;
    cursor.magic();
    cursor.header()?;
    cursor.left.is_empty().then_some(files)
}

struct Cursor<'a> {
    left: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn magic(&mut self) -> bool {
        let rest = self.left.strip_prefix(b"CR1");
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }

    /// The number of files that a header states; an unfinished one may state a negative number, which is none.
    fn header(&mut self) -> Option<usize> {
        self.name()?;
        self.name()?;
        self.number()?;
        Some(usize::try_from(self.number()?).unwrap_or_default())
    }

    fn files(&mut self, count: usize) -> Option<Vec<UnrealFile<'a>>> {
        if count > MAX_FILES {
            return None;
        }
        let mut files = Vec::new();
        for _ in 0..count {
            self.number()?;
            let name = base_name(self.name()?);
            let length = usize::try_from(self.number()?).ok()?;
            let data = self.take(length)?;
            files.push(UnrealFile { kind: kind(&name, data), name, data });
        }
        Some(files)
    }

    fn name(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok().filter(|length| *length <= MAX_NAME)?;
        self.take(length)
    }

    fn number(&mut self) -> Option<i32> {
        let (number, left) = self.left.split_first_chunk()?;
        self.left = left;
        Some(i32::from_le_bytes(*number))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.left.split_at_checked(length)?;
        self.left = left;
        Some(taken)
    }
}

fn base_name(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    let name = text.rsplit(['/', '\\']).next().unwrap_or_default();
    if name.is_empty() { "unnamed".to_owned() } else { name.to_owned() }
}

fn kind(name: &str, data: &[u8]) -> UnrealKind {
    if data.starts_with(b"MDMP") || data.starts_with(b"PMDM") {
        UnrealKind::Minidump
    } else if data.starts_with(b"Incident Identifier:") {
        UnrealKind::AppleCrashReport
    } else if name.eq_ignore_ascii_case("CrashContext.runtime-xml") {
        UnrealKind::Context
    } else if name.len() >= 4 && name.as_bytes()[name.len() - 4..].eq_ignore_ascii_case(b".log") {
        UnrealKind::Log
    } else {
        UnrealKind::Other
    }
}
