//! How a debug file is named and described: debug id, code id, format, kind and features.
//!
//! The words are those of Sentry's wire (`../protocol`), because clients refuse any other.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A debug id in canonical form: lower-case `8-4-4-4-12`, then `-<age in hex>` unless the age is 0.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Debug)]
#[serde(try_from = "String", into = "String")]
pub struct DebugId(String);

/// The text is in no known form of a debug id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a debug id: expected a UUID, with or without dashes, and an optional age")]
pub struct DebugIdError;

impl DebugId {
    /// The id that names nothing.
    pub fn nil() -> Self {
        Self(debugid::DebugId::nil().to_string())
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 36 characters: the id without its age.
    pub fn uuid(&self) -> &str {
        &self.0[..36]
    }

    /// The id as Breakpad writes it: 32 digits in upper case, and the age in hexadecimal behind them.
    pub fn breakpad(&self) -> String {
        let age = self.0.get(37..).unwrap_or("0");
        format!("{}{age}", self.uuid().replace('-', "").to_ascii_uppercase())
    }

    /// Whether the id is all zeros, which names nothing.
    pub fn is_nil(&self) -> bool {
        self.uuid().bytes().all(|b| matches!(b, b'0' | b'-'))
    }
}

impl FromStr for DebugId {
    type Err = DebugIdError;

    /// Reads any case, with or without dashes, `uuid-age`, and Breakpad's `<32 hex><age hex>`.
    fn from_str(text: &str) -> Result<Self, DebugIdError> {
        let parsed: debugid::DebugId = text.parse().map_err(|_| DebugIdError)?;
        if parsed.is_pdb20() {
            // A time stamp, as PDBs had before there were UUIDs.
            return Err(DebugIdError);
        }
        Ok(Self(parsed.to_string()))
    }
}

impl TryFrom<String> for DebugId {
    type Error = DebugIdError;

    fn try_from(text: String) -> Result<Self, DebugIdError> {
        text.parse()
    }
}

impl From<DebugId> for String {
    fn from(id: DebugId) -> Self {
        id.0
    }
}

impl fmt::Display for DebugId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A code id: lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Debug)]
#[serde(transparent)]
pub struct CodeId(String);

impl CodeId {
    /// The code id written as `text`, brought to lower case and freed of anything but letters and digits. Of a
    /// hostile one of any length only the beginning is kept, so that it fits an index.
    pub fn new(text: &str) -> Self {
        let letters = text.chars().filter(char::is_ascii_alphanumeric).take(Self::LONGEST);
        Self(letters.map(|c| c.to_ascii_lowercase()).collect())
    }

    /// Most characters: six times those of the longest build id that a linker makes.
    const LONGEST: usize = 255;

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A word that is none of the known ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown word {0:?}")]
pub struct UnknownWord(pub String);

/// A closed set of words: the enum, its text in rows and on the wire, and back.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_meta])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// Every word of the set.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in rows and on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text { $($text => Ok(Self::$variant),)+ _ => Err(UnknownWord(text.to_owned())) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(super) use words;

words! {
    /// The file format of a debug file.
    Format {
        /// Breakpad text symbols.
        Breakpad = "breakpad",
        /// Mach-O, one architecture or fat.
        MachO = "macho",
        /// ELF.
        Elf = "elf",
        /// Windows executables and libraries.
        Pe = "pe",
        /// Microsoft program database.
        Pdb = "pdb",
        /// Portable PDB of .NET.
        PortablePdb = "portablepdb",
        /// WebAssembly.
        Wasm = "wasm",
        /// `ProGuard` or R8 mapping.
        Proguard = "proguard",
        /// Sources of one object in a container of their own.
        SourceBundle = "sourcebundle",
        /// Names hidden by bitcode compilation.
        BcSymbolMap = "bcsymbolmap",
        /// Property list that ties a rewritten dSYM to its original id.
        UuidMap = "uuidmap",
        /// C++ to C# lines of Unity's il2cpp.
        Il2Cpp = "il2cpp",
        /// Obfuscated to real names of Dart.
        DartSymbolMap = "dartsymbolmap",
    }
}

impl Format {
    /// The `Content-Type` in a debug file's headers.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Breakpad => "text/x-breakpad",
            Self::MachO => "application/x-mach-binary",
            Self::Elf => "application/x-elf-binary",
            Self::Pe => "application/x-dosexec",
            Self::Pdb => "application/x-ms-pdb",
            Self::PortablePdb => "application/x-portable-pdb",
            Self::Wasm => "application/wasm",
            Self::Proguard => "text/x-proguard+plain",
            Self::SourceBundle => "application/x-sentry-bundle+zip",
            Self::BcSymbolMap => "application/x-bcsymbolmap",
            Self::UuidMap => "application/x-debugid-map",
            Self::Il2Cpp => "application/x-il2cpp-json",
            Self::DartSymbolMap => "application/x-dartsymbolmap+json",
        }
    }

    /// What the name of a downloaded file of this format ends with.
    pub const fn extension(self, kind: Kind) -> &'static str {
        match self {
            Self::Breakpad => ".sym",
            Self::MachO | Self::Elf => match kind {
                Kind::Debug => ".debug",
                _ => "",
            },
            Self::Pe => match kind {
                Kind::Executable => ".exe",
                _ => ".dll",
            },
            Self::Pdb | Self::PortablePdb => ".pdb",
            Self::Wasm => ".wasm",
            Self::Proguard => ".txt",
            Self::SourceBundle => ".src.zip",
            Self::BcSymbolMap => ".bcsymbolmap",
            Self::UuidMap => ".plist",
            Self::Il2Cpp | Self::DartSymbolMap => ".json",
        }
    }

    /// Whether a file of this format has addresses that a symcache can map.
    pub const fn has_addresses(self) -> bool {
        matches!(self, Self::Breakpad | Self::MachO | Self::Elf | Self::Pe | Self::Pdb | Self::Wasm)
    }

    /// Whether only the newest file of a debug id counts: name maps, whose identity is given from outside.
    pub const fn newest_only(self) -> bool {
        matches!(self, Self::BcSymbolMap | Self::UuidMap | Self::Il2Cpp | Self::DartSymbolMap)
    }
}

words! {
    /// What an object file is for. sentry-cli refuses any other word.
    Kind {
        /// None of the others.
        None = "none",
        /// Relocatable object.
        Relocatable = "rel",
        /// Executable.
        Executable = "exe",
        /// Library.
        Library = "lib",
        /// Core or crash dump.
        Dump = "dump",
        /// Debug companion.
        Debug = "dbg",
        /// Sources.
        Sources = "src",
        /// Something else.
        Other = "other",
    }
}

/// What a debug file can be used for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Features(u8);

impl Features {
    /// Has a symbol table.
    pub const SYMTAB: Self = Self(1);
    /// Has functions, files and lines: a symcache can be made.
    pub const DEBUG: Self = Self(2);
    /// Has unwind information.
    pub const UNWIND: Self = Self(4);
    /// Has source text.
    pub const SOURCES: Self = Self(8);
    /// Is a map of names.
    pub const MAPPING: Self = Self(16);

    const WORDS: [(Self, &'static str); 5] = [
        (Self::SYMTAB, "symtab"),
        (Self::DEBUG, "debug"),
        (Self::UNWIND, "unwind"),
        (Self::SOURCES, "sources"),
        (Self::MAPPING, "mapping"),
    ];

    /// The features whose bits are set in `bits`, as stored in rows.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 31)
    }

    /// The bits for a row.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Features of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every feature of `other` is here too.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The words of what is not here, of what a file made of code could have.
    pub fn lacking(self) -> Vec<&'static str> {
        let could = Self::WORDS.iter().filter(|(feature, _)| *feature != Self::MAPPING);
        could.filter(|(feature, _)| !self.contains(*feature)).map(|(_, word)| *word).collect()
    }

    /// The words on the wire, in a fixed order.
    pub fn words(self) -> Vec<&'static str> {
        Self::WORDS.iter().filter(|(feature, _)| self.contains(*feature)).map(|(_, word)| *word).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_ids_of_every_spelling_become_one() {
        let canonical = "3249d99d-0c40-4931-8610-f4e4fb0b6936-1";
        for spelling in [canonical, "3249D99D-0C40-4931-8610-F4E4FB0B6936-1", "3249D99D0C4049318610F4E4FB0B69361"] {
            assert_eq!(spelling.parse::<DebugId>().map(String::from), Ok(canonical.to_owned()), "{spelling}");
        }
        for breakpad in ["3249D99D0C4049318610F4E4FB0B69361a", "3249D99D0C4049318610F4E4FB0B69360"] {
            assert_eq!(breakpad.parse::<DebugId>().map(|id| id.breakpad()), Ok(breakpad.to_owned()));
        }
        assert!("{3249d99d-0c40-4931-8610-f4e4fb0b6936}".parse::<DebugId>().is_err());
        assert!("no".parse::<DebugId>().is_err());
        assert!("4C4C442C-5".parse::<DebugId>().is_err(), "a time stamp with an age is no UUID");
        assert!(DebugId::nil().is_nil());
        assert!("00000000-0000-0000-0000-000000000000-3".parse::<DebugId>().is_ok_and(|id| id.is_nil()));
    }

    #[test]
    fn features_have_words_in_a_fixed_order() {
        assert_eq!(Features::DEBUG.union(Features::SYMTAB).words(), ["symtab", "debug"]);
    }
}
