//! The files that the bench uploads: padded ELF files, distinct copies of real ones, Breakpad files of any size.
//! They live below `target/` and are made anew by every run, apart from what `benches/fetch.sh` brought.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// Head of the note that holds an ELF file's build id: name size 4, content size 20, type 3, owner `GNU`.
const BUILD_ID_NOTE: &[u8] = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";

/// A folder for files of this run, below `target/` so that it is on a real disk and never committed.
pub fn folder() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-data");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A real large debug file, if `benches/fetch.sh` could get it.
pub fn fetched(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-files").join(name);
    path.is_file().then_some(path)
}

/// A section that is added to a small real file.
pub struct Extra {
    /// The section of the small file whose name it takes; otherwise it has none.
    pub called: Option<&'static str>,
    /// Size in bytes.
    pub size: u64,
    /// Which bits of every eight bytes are left to chance; the fewer, the better it can be compressed.
    pub bits: u64,
}

/// A valid ELF debug file of `size` bytes: a small real one with one more section of bytes that no one can compress.
pub fn padded_elf(name: &str, size: u64) -> Result<PathBuf> {
    let around = std::fs::metadata(small_elf()?)?.len() + 4096;
    elf(&folder()?.join(name), None, &[Extra { called: None, size: size.saturating_sub(around), bits: u64::MAX }])
}

/// A valid ELF debug file: a small real one with more sections, and a build id of one byte over and over.
pub fn elf(path: &Path, id: impl Into<Option<u8>>, extras: &[Extra]) -> Result<PathBuf> {
    let mut small = std::fs::read(small_elf()?)?;
    if let Some(id) = id.into() {
        set_build_id(&mut small, id).context("the small file has no build id")?;
    }
    let number = |at: usize, width: usize| {
        small.get(at..at + width).map(|bytes| bytes.iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let at = number(0x28, 8).context("no ELF header")? as usize;
    let count = number(0x3c, 2).context("no ELF header")?;
    let mut table = small.get(at..at + 64 * count as usize).context("no section table")?.to_vec();

    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut end = small.len().next_multiple_of(64) as u64;
    file.write_all(&small)?;
    file.write_all(&vec![0; end as usize - small.len()])?;
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ extras.iter().map(|extra| extra.size).sum::<u64>();
    for extra in extras {
        let length = extra.size / 64 * 64;
        for _ in 0..length / 8 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            file.write_all(&(state & extra.bits).to_le_bytes())?;
        }
        let name = extra.called.map_or(Ok(0), |called| take_name(&small, &mut table, called))?;
        // Name, PROGBITS, no flags, no address, where, how long, no links, alignment 1, no entries.
        let header: [u64; 8] = [u64::from(name) | 1 << 32, 0, 0, end, length, 0, 1, 0];
        table.extend(header.map(u64::to_le_bytes).concat());
        end += length;
    }
    file.write_all(&table)?;
    let file = file.into_inner()?;
    file.write_all_at(&end.to_le_bytes(), 0x28)?;
    file.write_all_at(&(count as u16 + extras.len() as u16).to_le_bytes(), 0x3c)?;
    Ok(path.to_owned())
}

/// Where the name of a section stands among the names. The section itself has none from now on.
fn take_name(small: &[u8], table: &mut [u8], called: &str) -> Result<u32> {
    use object::{Object as _, ObjectSection as _};
    let section = object::File::parse(small)?.section_by_name(called).map(|section| section.index().0);
    let at = 64 * section.with_context(|| format!("the small file has no {called}"))?;
    let name = u32::from_le_bytes(table[at..at + 4].try_into()?);
    table[at..at + 4].fill(0);
    Ok(name)
}

/// Gives an ELF file the build id that is `id` over and over.
fn set_build_id(bytes: &mut [u8], id: u8) -> Option<()> {
    let note = bytes.windows(BUILD_ID_NOTE.len()).position(|window| window == BUILD_ID_NOTE)?;
    let from = note + BUILD_ID_NOTE.len();
    bytes.get_mut(from..from + 20)?.fill(id);
    Some(())
}

/// A copy of an ELF file with another build id, so that it is another file of the same size and work. It is on disk when
/// this returns: nothing is left for the kernel to write while others are measured.
pub fn distinct_copy(of: &Path, name: &str, id: u8) -> Result<PathBuf> {
    let path = folder()?.join(name);
    let mut bytes = std::fs::read(of)?;
    set_build_id(&mut bytes, id).with_context(|| format!("{} has no build id", of.display()))?;
    let mut file = File::create(&path)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    Ok(path)
}

/// A Breakpad file with this id and so many functions of ten lines each.
pub fn breakpad(id: u128, functions: u64) -> String {
    let mut text = format!("MODULE Linux x86_64 {id:032X}0 bench\nFILE 0 /src/bench/bench.c\n");
    if functions == 0 {
        text.push_str("PUBLIC 1000 0 only_one\n");
    }
    for function in 0..functions {
        let start = 0x1000 + function * 0x100;
        text.push_str(&format!("FUNC {start:x} a0 0 function_number_{function}\n"));
        for line in 0..10 {
            text.push_str(&format!("{:x} 10 {} 0\n", start + line * 0x10, function * 20 + line + 1));
        }
    }
    text
}

/// A small real debug file out of the fixtures.
fn small_elf() -> Result<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name == "calc.debug") && is_elf64(&path) {
                return Ok(path);
            }
        }
    }
    bail!("no calc.debug in fixtures/")
}

fn is_elf64(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"\x7fELF\x02\x01") && bytes.len() > 64)
}
