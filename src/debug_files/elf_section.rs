//! Finds a section of a stored ELF file by reading the file header, the section headers and their names, and nothing
//! else of the file. It never reads what a section means.
//!
//! This is the one reader of uploaded binary formats in the server's own process. A debugger requests a few kilobytes out
//! of gigabytes, by ranges of chunks that only the server can open; a child process would need the whole file first. So it
//! is small enough to be checked by reading: it knows fixed fields at fixed places, takes each by a checked slice and
//! uses no parser. Its work is bounded by constants, whatever numbers the file contains: [`MAX_HEADERS_SIZE`] and
//! [`MAX_NAMES_SIZE`] bytes are read, and each header costs one comparison of at most [`MAX_NAME_LEN`] bytes with each of
//! two names. A real file's table is far smaller: a Linux kernel with debug information has 82 sections, a JVM 41. Tens of
//! thousands of sections occur in object files, before the linker has joined them and written a build id.

use std::ops::Range;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::OpenFile;
use super::elf_header::{SectionHeader, SectionTable, Words};
use super::section_cache::SectionCache;
use crate::blobs::{BlobError, BlobReader};

/// Most bytes of section headers: 16 384 of them in a 64-bit file.
pub(super) const MAX_HEADERS_SIZE: u64 = 1 << 20;

/// Most bytes of section names.
pub(super) const MAX_NAMES_SIZE: u64 = 1 << 20;

/// Longest name that is searched for. Longer ones occur in object files only.
pub(super) const MAX_NAME_LEN: usize = 1024;

/// Bytes of comparisons that are done in place; more are done where blocking is allowed. This many take less than 100 µs.
const INLINE_COMPARISONS: u64 = 256 << 10;

/// Sizes of the longest file header, of the header of a compressed section, and of that of an older one.
const FILE_HEADER: u64 = 64;
const COMPRESSION_HEADER: u64 = 24;
const LEGACY_HEADER: u64 = 12;

/// The flag of compressed sections, and the two methods.
const COMPRESSED: u64 = 0x800;
const ZLIB: u64 = 1;
const ZSTD: u64 = 2;

/// How the bytes of a section are stored in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionCompression {
    /// As they are.
    None,
    /// One zlib stream.
    Zlib,
    /// zstd frames.
    Zstd,
}

/// A section that has bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Size of its content, after decompression.
    pub size: u64,
    pub(super) at: Range<u64>,
    pub(super) compression: SectionCompression,
}

/// What a search did, which tests compare with the bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Work {
    headers: u64,
    bytes_compared: u64,
}

/// The bytes that a search reads, from wherever the file is.
trait Source: Sync {
    /// The bytes `range` of the file, as far as it has them. The caller has bounded the range.
    fn read(&self, range: Range<u64>) -> impl Future<Output = Result<Vec<u8>, BlobError>> + Send;
    /// Size of the file.
    fn size(&self) -> u64;
    /// Runs a search in the tables that were read.
    fn run(&self, search: Search) -> impl Future<Output = Result<(Found, Work), BlobError>> + Send;
}

/// A search for a section and its older name in a table.
struct Search {
    name: Vec<u8>,
    legacy_name: Option<Vec<u8>>,
    headers: Vec<u8>,
    names: Vec<u8>,
    table: SectionTable,
}

/// The first header of each name.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    named: Option<SectionHeader>,
    legacy: Option<SectionHeader>,
}

/// The section `name` of an ELF file; `None` if the file is no ELF file, has no such section or has no bytes of it. The
/// content is at most `max_size` bytes.
pub(super) async fn find_section(file: &OpenFile, name: &str, max_size: u64) -> Result<Option<Section>, BlobError> {
    let (found, work) = find(file, name, max_size).await?;
    tracing::debug!(
        debug_file.id = file.file.id,
        section.headers = work.headers,
        section.bytes_compared = work.bytes_compared,
        "searched for a section"
    );
    Ok(found)
}

/// The same in a file that is in memory: where the section is stored in it, and the size of its content. For fuzzing.
pub fn section_in(file: &[u8], name: &str, max_size: u64) -> Option<(Range<u64>, u64)> {
    use futures_util::FutureExt as _;

    let (found, work) = find(&file, name, max_size).now_or_never()?.ok()?;
    let most = (MAX_HEADERS_SIZE / 40) * 2 * (MAX_NAME_LEN as u64 + 2);
    assert!(work.bytes_compared <= most, "{work:?} is above the bound");
    found.map(|section| (section.at, section.size))
}

async fn find(source: &impl Source, name: &str, max_size: u64) -> Result<(Option<Section>, Work), BlobError> {
    let nothing = (None, Work::default());
    if name.is_empty() || name.len() > MAX_NAME_LEN || name.contains('\0') {
        return Ok(nothing);
    }
    let Some(mut table) = SectionTable::of(&source.read(0..FILE_HEADER).await?) else { return Ok(nothing) };
    if table.is_extended() {
        let first = source.read(table.headers(0, 1)).await?;
        let Some(first) = SectionHeader::of(&first, table.words) else { return Ok(nothing) };
        table = table.extended(first);
    }
    if table.count.saturating_mul(table.entry) > MAX_HEADERS_SIZE {
        return Ok(nothing);
    }
    let headers = source.read(table.headers(0, table.count)).await?;
    let Some(names) = table.header(&headers, table.names) else { return Ok(nothing) };
    if names.size > MAX_NAMES_SIZE || names.has_no_bytes() {
        return Ok(nothing);
    }
    let names = source.read(names.range()).await?;
    let (found, work) = source.run(Search::new(name, headers, names, table)).await?;
    let full = |header: &SectionHeader| !header.has_no_bytes() && header.range().end <= source.size();
    let section = match found.named.filter(full) {
        Some(header) if header.flags & COMPRESSED != 0 => {
            let beginning = source.read(header.beginning(COMPRESSION_HEADER)).await?;
            compressed(&header, &beginning, table.words)
        }
        Some(header) => {
            let plain = Section { size: header.size, at: header.range(), compression: SectionCompression::None };
            return Ok((Some(plain), work));
        }
        // Before there was a flag, compressed sections had another name and a header of their own.
        None => match found.legacy.filter(full) {
            Some(header) => legacy(&header, &source.read(header.beginning(LEGACY_HEADER)).await?),
            None => None,
        },
    };
    Ok((section.filter(|section| section.size <= max_size), work))
}

impl Search {
    fn new(name: &str, headers: Vec<u8>, names: Vec<u8>, table: SectionTable) -> Self {
        let terminated = |name: &str| [name.as_bytes(), b"\0"].concat();
        let legacy_name = name.strip_prefix(".debug_").map(|rest| terminated(&format!(".zdebug_{rest}")));
        Self { name: terminated(name), legacy_name, headers, names, table }
    }

    /// An upper bound of the bytes that are compared.
    fn cost(&self) -> u64 {
        let longest = self.name.len() + self.legacy_name.as_ref().map_or(0, Vec::len);
        self.table.count.saturating_mul(longest as u64)
    }

    /// Compares the name of each header in place: the work does not depend on how long the names in the file are.
    fn run(&self) -> (Found, Work) {
        let (mut found, mut work) = (Found::default(), Work::default());
        for header in self.table.iter(&self.headers) {
            work.headers += 1;
            let mut is_named = |name: &[u8]| {
                let at = usize::try_from(header.name).unwrap_or(usize::MAX);
                let candidate = self.names.get(at..at.saturating_add(name.len()));
                work.bytes_compared += candidate.map_or(0, <[u8]>::len) as u64;
                candidate == Some(name)
            };
            if is_named(&self.name) {
                found.named = Some(header);
                // A section with bytes is all that is needed; one without leaves the older name to be found.
                if !header.has_no_bytes() {
                    break;
                }
            } else if found.legacy.is_none() && self.legacy_name.as_deref().is_some_and(is_named) {
                found.legacy = Some(header);
            }
        }
        (found, work)
    }
}

impl Source for OpenFile {
    async fn read(&self, range: Range<u64>) -> Result<Vec<u8>, BlobError> {
        let gather = |mut whole: Vec<u8>, bytes: Bytes| async move {
            whole.extend_from_slice(&bytes);
            Ok(whole)
        };
        self.clone().read(range).try_fold(Vec::new(), gather).await
    }

    fn size(&self) -> u64 {
        self.file.size
    }

    async fn run(&self, search: Search) -> Result<(Found, Work), BlobError> {
        if search.cost() <= INLINE_COMPARISONS {
            return Ok(search.run());
        }
        let failed = |error| BlobError::io("search for a section", std::io::Error::other(error));
        tokio::task::spawn_blocking(move || search.run()).await.map_err(failed)
    }
}

impl Source for &[u8] {
    async fn read(&self, range: Range<u64>) -> Result<Vec<u8>, BlobError> {
        let within = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(self.len());
        Ok(self[within(range.start)..within(range.end.max(range.start))].to_vec())
    }

    fn size(&self) -> u64 {
        self.len() as u64
    }

    async fn run(&self, search: Search) -> Result<(Found, Work), BlobError> {
        Ok(search.run())
    }
}

impl Section {
    /// The bytes `range` of the content, out of `file`, in which the section was found. A large section that must be
    /// decompressed is kept in `cache` for a while.
    pub async fn read(self, file: OpenFile, cache: &SectionCache, range: Range<u64>) -> Result<BlobReader, BlobError> {
        if self.compression == SectionCompression::None {
            let within = |at: u64| self.at.start.saturating_add(at).min(self.at.end);
            return Ok(file.read(within(range.start)..within(range.end)).boxed());
        }
        cache.read(self, file, range).await
    }
}

/// The section behind the older header of a compressed one: a magic word and the size, most significant byte first.
fn legacy(section: &SectionHeader, header: &[u8]) -> Option<Section> {
    let size = header.strip_prefix(b"ZLIB")?.first_chunk::<8>()?;
    let begin = section.at.checked_add(LEGACY_HEADER)?;
    let at = begin..section.range().end;
    Some(Section { size: u64::from_be_bytes(*size), at, compression: SectionCompression::Zlib })
}

/// The section behind the header of a compressed one.
fn compressed(section: &SectionHeader, header: &[u8], words: Words) -> Option<Section> {
    let compression = match words.number(header, 0, 4)? {
        ZLIB => SectionCompression::Zlib,
        ZSTD => SectionCompression::Zstd,
        _ => return None,
    };
    let length = if words.wide { 24 } else { 12 };
    let begin = section.at.checked_add(length).filter(|begin| *begin <= section.range().end)?;
    Some(Section { size: words.address(header, 4, 8)?, at: begin..section.range().end, compression })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debug_files::elf_header::tests::header;

    const WORDS: Words = Words { wide: true, big: false };

    /// A file whose headers all name `at` in `names`, the second one being the names themselves.
    fn crowded(count: u16, at: u32, names: &[u8]) -> Vec<u8> {
        let mut file = header(2, 1, count);
        let table_end = 64 + usize::from(count) * 64;
        for number in 0..count {
            let mut line = [0; 64];
            line[..4].copy_from_slice(&at.to_le_bytes());
            line[4] = 1;
            if number == 1 {
                line[24..32].copy_from_slice(&(table_end as u64).to_le_bytes());
                line[32..40].copy_from_slice(&(names.len() as u64).to_le_bytes());
            }
            file.extend_from_slice(&line);
        }
        file.extend_from_slice(names);
        file
    }

    fn work(file: &[u8], name: &str) -> (bool, Work) {
        use futures_util::FutureExt as _;
        let (found, work) = find(&file, name, u64::MAX).now_or_never().unwrap().unwrap();
        (found.is_some(), work)
    }

    #[test]
    fn the_work_of_a_search_depends_on_the_name_that_is_searched_for_alone() {
        let most = (MAX_HEADERS_SIZE / 64) as u16;
        let names = vec![b'x'; MAX_NAMES_SIZE as usize];
        let file = crowded(most, 7, &names);
        for name in [".nope", ".debug_nope", &"x".repeat(MAX_NAME_LEN)] {
            let (found, work) = work(&file, name);
            let longest = if name.starts_with(".debug_") { 2 * name.len() + 3 } else { name.len() + 1 };
            assert!(!found);
            assert_eq!(work, Work { headers: most.into(), bytes_compared: u64::from(most) * longest as u64 });
        }
        let (found, none) = work(&file, &"x".repeat(MAX_NAME_LEN + 1));
        assert_eq!((found, none), (false, Work::default()));
    }

    #[test]
    fn tables_above_the_bounds_are_not_searched() {
        let most = (MAX_HEADERS_SIZE / 64) as u16;
        assert_eq!(work(&crowded(most + 1, 0, b".a\0"), ".a"), (false, Work::default()));
        let names = [b".a\0".as_slice(), &vec![0; MAX_NAMES_SIZE as usize - 2]].concat();
        assert_eq!(work(&crowded(3, 0, &names), ".a"), (false, Work::default()));
        assert!(work(&crowded(3, 0, &names[..names.len() - 1]), ".a").0);
    }

    #[test]
    fn a_name_without_an_end_is_none() {
        assert!(work(&crowded(3, 0, b".a\0"), ".a").0);
        assert!(!work(&crowded(3, 0, b".a"), ".a").0);
        assert!(!work(&crowded(3, 1, b".a\0"), ".a").0);
    }

    #[test]
    fn a_compressed_section_believes_no_header_that_is_cut_off() {
        let section = SectionHeader { name: 0, sort: 1, flags: COMPRESSED, at: 10, size: 20, link: 0 };
        assert_eq!(compressed(&section, &[1; 24], WORDS), None, "the section ends inside its header");
        assert_eq!(compressed(&section, &[1; 7], WORDS), None);
        assert_eq!(legacy(&section, b"ZLIB\0\0\0"), None);
        let whole = [b"ZLIB".as_slice(), &9u64.to_be_bytes()].concat();
        let found = Section { size: 9, at: 22..30, compression: SectionCompression::Zlib };
        assert_eq!(legacy(&section, &whole), Some(found));
    }
}
