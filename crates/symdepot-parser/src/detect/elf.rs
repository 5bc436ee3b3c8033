//! Our own reading of ELF, where symbolic's answer is not enough: whose note the build id is, whether there is code,
//! and what compressed sections claim. It never inflates anything by itself.

use object::elf::{
    FileHeader32, FileHeader64, NT_GNU_BUILD_ID, PF_X, PT_INTERP, PT_LOAD, SHF_COMPRESSED, SHF_EXECINSTR, SHT_NOBITS,
};
use object::endian::Endianness;
use object::read::elf::{FileHeader, NoteIterator, ProgramHeader as _, SectionHeader as _};

use symdepot_types::{CodeId, DebugId, Kind};

/// A build id longer than this is not one.
const LONGEST_BUILD_ID: usize = 128;

/// `PT_SCE_DYNLIBDATA`: where consoles keep the id.
const CONSOLE_ID: u32 = 0x6100_0000;

/// An ELF file as far as its headers can be read.
#[derive(Debug, Default)]
pub(crate) struct Elf<'data> {
    /// Whether the first three fields of a debug id are turned around.
    little_endian: bool,
    wide: bool,
    executable: bool,
    library: bool,
    /// Whether a segment with code has bytes in the file.
    has_code: bool,
    has_interpreter: bool,
    has_segments: bool,
    has_code_section: bool,
    has_section_headers: bool,
    sections: Vec<Section<'data>>,
    build_id: Option<&'data [u8]>,
}

/// One section with a name.
#[derive(Debug)]
pub(crate) struct Section<'data> {
    /// Its name with the dot.
    pub name: &'data [u8],
    /// Its bytes as they stand in the file.
    pub data: &'data [u8],
    flagged: bool,
}

/// What a compressed section says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compressed<'data> {
    /// How.
    pub method: Method,
    /// What it claims to inflate to.
    pub inflated: u64,
    /// The bytes after the header.
    pub data: &'data [u8],
}

/// How a section is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// zlib.
    Zlib,
    /// zstd.
    Zstd,
    /// Another, which nothing here knows.
    Other,
}

impl<'data> Elf<'data> {
    /// Reads the headers; what cannot be read is left out, because partly damaged files are taken too.
    pub(crate) fn read(data: &'data [u8]) -> Option<Self> {
        match data.get(4)? {
            1 => Self::read_as::<FileHeader32<Endianness>>(data),
            2 => Self::read_as::<FileHeader64<Endianness>>(data),
            _ => None,
        }
    }

    fn read_as<H: FileHeader<Endian = Endianness>>(data: &'data [u8]) -> Option<Self> {
        let header = H::parse(data).ok()?;
        let endian = header.endian().ok()?;
        let mut elf = Self {
            little_endian: header.is_little_endian(),
            wide: header.is_type_64(),
            executable: matches!(header.e_type(endian).0, 2 | 0xfe10),
            library: header.e_type(endian).0 == 3,
            has_section_headers: header.e_shoff(endian).into() != 0,
            ..Self::default()
        };
        let mut console_id = None;
        elf.has_segments = header.program_headers(endian, data).is_ok_and(|segments| !segments.is_empty());
        for segment in header.program_headers(endian, data).unwrap_or_default() {
            let loaded_code = segment.p_type(endian) == PT_LOAD && segment.p_flags(endian).contains(PF_X);
            elf.has_code |= loaded_code && segment.data(endian, data).is_ok_and(|code| !code.is_empty());
            elf.has_interpreter |= segment.p_type(endian) == PT_INTERP;
            if let Ok(Some(notes)) = segment.notes(endian, data) {
                elf.build_id = elf.build_id.or_else(|| gnu_build_id::<H>(notes, endian));
            } else if segment.p_type(endian).0 == CONSOLE_ID {
                console_id = segment.data(endian, data).ok().and_then(|bytes| bytes.get(..20));
            }
        }
        if let Ok(sections) = header.sections(endian, data) {
            for section in sections.iter() {
                if let Ok(Some(notes)) = section.notes(endian, data) {
                    elf.build_id = elf.build_id.or_else(|| gnu_build_id::<H>(notes, endian));
                }
                elf.has_code_section |= section.sh_flags(endian).contains(SHF_EXECINSTR);
                let (Ok(name), Ok(bytes)) = (sections.section_name(endian, section), section.data(endian, data)) else {
                    continue;
                };
                // Tools that drop a section's bytes say so by its type or by the offset 0.
                if section.sh_type(endian) != SHT_NOBITS && section.sh_offset(endian).into() != 0 {
                    let flagged = section.sh_flags(endian).contains(SHF_COMPRESSED);
                    elf.sections.push(Section { name, data: bytes, flagged });
                }
            }
        }
        elf.build_id = elf.build_id.or(console_id);
        Some(elf)
    }

    /// The build id from the GNU note, whole.
    pub(crate) fn code_id(&self) -> Option<CodeId> {
        self.build_id.map(|id| CodeId::new(&hex::encode(id)))
    }

    /// The debug id: the beginning of the build id, or else a hash of the code as Breakpad makes it, or else nil.
    pub(crate) fn debug_id(&self) -> DebugId {
        let mut id = [0; 16];
        match self.build_id {
            Some(build_id) => {
                let length = build_id.len().min(16);
                id[..length].copy_from_slice(&build_id[..length]);
            }
            None => {
                let code = self.section(b".text").map_or(&[][..], |text| text.data);
                for (index, byte) in code.iter().take(4096).enumerate() {
                    id[index % 16] ^= byte;
                }
            }
        }
        if self.little_endian {
            id[..4].reverse();
            id[4..6].reverse();
            id[6..8].reverse();
        }
        hex::encode(id).parse().expect("32 hexadecimal digits are a debug id")
    }

    /// The kind of a file that was packed or stripped of its section headers: its segments tell whether it has code.
    pub(crate) fn kind_by_segments(&self) -> Option<Kind> {
        if self.has_section_headers || !self.has_code {
            return None;
        }
        let executable = self.executable || self.library && self.has_interpreter;
        if executable { Some(Kind::Executable) } else { self.library.then_some(Kind::Library) }
    }

    /// Whether Go's compiler made this.
    pub(crate) fn is_of_go(&self) -> bool {
        [b".go.buildinfo".as_slice(), b".note.go.buildid", b".gopclntab"]
            .iter()
            .any(|name| self.section(name).is_some())
    }

    /// Whether this is an executable that can run: debug companions say that they are executables but have no code.
    pub(crate) fn can_run(&self) -> bool {
        self.executable && self.section(b".text").is_some_and(|text| !text.data.is_empty())
    }

    /// The sections that hold code, also where they have no bytes in the file: names and addresses.
    pub(crate) fn code_sections(data: &'data [u8]) -> Vec<(String, u64)> {
        let sections = match data.get(4) {
            Some(1) => code_sections::<FileHeader32<Endianness>>(data),
            Some(2) => code_sections::<FileHeader64<Endianness>>(data),
            _ => None,
        };
        sections.unwrap_or_default()
    }

    /// The section of this name, if it has bytes in the file.
    pub(crate) fn section(&self, name: &[u8]) -> Option<&Section<'data>> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The sections that have bytes in the file.
    pub(crate) fn sections(&self) -> &[Section<'data>] {
        &self.sections
    }

    /// What a section says of its compression; `None` if it is not compressed or its header is cut off.
    pub(crate) fn compression(&self, section: &Section<'data>) -> Option<Compressed<'data>> {
        let old = section.name.starts_with(b".z");
        if !old && !section.flagged {
            return None;
        }
        if let Some(rest) = section.data.strip_prefix(b"ZLIB") {
            let (size, data) = rest.split_first_chunk::<8>()?;
            return Some(Compressed { method: Method::Zlib, inflated: u64::from_be_bytes(*size), data });
        }
        let word = |at: usize| {
            let bytes = section.data.get(at..at + 4)?.try_into().ok()?;
            Some(if self.little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
        };
        let method = match word(0)? {
            1 => Method::Zlib,
            2 => Method::Zstd,
            _ => Method::Other,
        };
        let (inflated, header) = match (self.wide, self.little_endian) {
            (false, _) => (u64::from(word(4)?), 12),
            (true, true) => (u64::from(word(8)?) | u64::from(word(12)?) << 32, 24),
            (true, false) => (u64::from(word(8)?) << 32 | u64::from(word(12)?), 24),
        };
        Some(Compressed { method, inflated, data: section.data.get(header..)? })
    }

    /// The build id of the file that `dwz` moved a part of the debug information to.
    pub(crate) fn supplement_id(&self) -> Option<CodeId> {
        let link = self.section(b".gnu_debugaltlink")?.data;
        let name_end = link.iter().position(|byte| *byte == 0)?;
        let id = &link[name_end + 1..];
        (!id.is_empty() && id.len() <= LONGEST_BUILD_ID / 2).then(|| CodeId::new(&hex::encode(id)))
    }

    /// Whether `dwz` made this for other files: debug information, and nothing that runs or is loaded.
    pub(crate) fn is_supplement(&self) -> bool {
        self.section(b".debug_info").is_some() && !self.has_segments && !self.has_code_section
    }

    /// Whether this is one half of split DWARF: a `.dwo`, or a `.dwp` that packs several.
    pub(crate) fn is_dwo(&self) -> bool {
        self.section(b".debug_info.dwo").is_some() && self.section(b".debug_info").is_none()
    }
}

fn code_sections<H: FileHeader<Endian = Endianness>>(data: &[u8]) -> Option<Vec<(String, u64)>> {
    let header = H::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, data).ok()?;
    let runs = |section: &&H::SectionHeader| section.sh_flags(endian).contains(SHF_EXECINSTR);
    let named = sections.iter().filter(runs).map(|section| {
        let name = sections.section_name(endian, section).unwrap_or_default();
        (String::from_utf8_lossy(name).into_owned(), section.sh_addr(endian).into())
    });
    Some(named.collect())
}

/// The build id among these notes. Other owners use the same type number for other things, so the owner counts:
/// Linux kernels begin with a note of Xen that looks like a build id and is the same in all of them.
fn gnu_build_id<'data, H: FileHeader<Endian = Endianness>>(
    mut notes: NoteIterator<'data, H>,
    endian: Endianness,
) -> Option<&'data [u8]> {
    while let Ok(Some(note)) = notes.next() {
        let id = note.desc();
        if note.name() == b"GNU"
            && note.n_type(endian) == NT_GNU_BUILD_ID
            && !id.is_empty()
            && id.len() <= LONGEST_BUILD_ID
        {
            return Some(id);
        }
    }
    None
}
