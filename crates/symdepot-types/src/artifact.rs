//! [`ArtifactKind`]: what a symbol client requests under an id, and which files have it. It never looks at ids.

use super::{DebugFile, Features, Format, Kind};

/// What a symbol client requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArtifactKind {
    /// A file with code: ELF, PE, Mach-O or WASM.
    Executable,
    /// Where functions and lines are known; if there is nothing better, a debug companion with a symbol table alone.
    DebugInfo,
    /// A program database, native or portable.
    Pdb,
    /// Breakpad text symbols.
    Breakpad,
    /// Sources.
    SourceBundle,
    /// A map of ids.
    UuidMap,
    /// Names hidden by bitcode compilation.
    BcSymbolMap,
    /// C++ to C# lines.
    Il2cpp,
    /// `ProGuard` or R8 mapping.
    Proguard,
}

/// Kinds that were requested under one id. The empty set stands for any file of the id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RequestedKinds(u16);

impl ArtifactKind {
    /// Every kind, in the order of their bits.
    const ALL: [Self; 9] = [
        Self::Executable,
        Self::DebugInfo,
        Self::Pdb,
        Self::Breakpad,
        Self::SourceBundle,
        Self::UuidMap,
        Self::BcSymbolMap,
        Self::Il2cpp,
        Self::Proguard,
    ];

    /// The one of `files`, newest first, that is meant.
    pub fn pick(self, files: &[DebugFile]) -> Option<&DebugFile> {
        let mut fitting = files.iter().filter(|file| self.fits(file.format, file.kind));
        match self {
            // A debugger that was given a stripped executable would not ask again for a week.
            Self::DebugInfo => fitting
                .clone()
                .find(|file| file.features.contains(Features::DEBUG))
                .or_else(|| fitting.find(|file| file.kind == Kind::Debug && file.features.contains(Features::SYMTAB))),
            _ => fitting.next(),
        }
    }

    /// Whether a file like this is a result if there is no better one.
    pub fn is_met_by(self, format: Format, kind: Kind, features: Features) -> bool {
        let debug_info =
            features.contains(Features::DEBUG) || kind == Kind::Debug && features.contains(Features::SYMTAB);
        self.fits(format, kind) && (self != Self::DebugInfo || debug_info)
    }

    /// Whether a file of this format and kind can be meant.
    fn fits(self, format: Format, kind: Kind) -> bool {
        match self {
            Self::Executable => {
                matches!(format, Format::Elf | Format::Pe | Format::MachO | Format::Wasm)
                    && matches!(kind, Kind::Executable | Kind::Library)
            }
            Self::DebugInfo => format.has_addresses() && format != Format::Breakpad || format == Format::PortablePdb,
            Self::Pdb => matches!(format, Format::Pdb | Format::PortablePdb),
            Self::Breakpad => format == Format::Breakpad,
            Self::SourceBundle => format == Format::SourceBundle,
            Self::UuidMap => format == Format::UuidMap,
            Self::BcSymbolMap => format == Format::BcSymbolMap,
            Self::Il2cpp => format == Format::Il2Cpp,
            Self::Proguard => format == Format::Proguard,
        }
    }

    /// The word for people.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Executable => "executable",
            Self::DebugInfo => "debuginfo",
            Self::Pdb => "pdb",
            Self::Breakpad => "breakpad",
            Self::SourceBundle => "sourcebundle",
            Self::UuidMap => "uuidmap",
            Self::BcSymbolMap => "bcsymbolmap",
            Self::Il2cpp => "il2cpp",
            Self::Proguard => "proguard",
        }
    }
}

impl RequestedKinds {
    /// Any file of the id.
    pub const ANY: Self = Self(0);

    /// A file that a symcache can be made of.
    pub const SYMCACHE: Self = Self(1 << 15);

    /// The kinds whose bits are set, as stored in rows.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The bits for a row.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Kinds of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The kinds that a file like this does not have.
    pub fn not_met_by(format: Format, kind: Kind, features: Features) -> Self {
        let symcache = format.has_addresses() && features.contains(Features::DEBUG);
        let rest = if symcache { Self::ANY } else { Self::SYMCACHE };
        let unmet = ArtifactKind::ALL.into_iter().filter(|what| {
            // Breakpad text is made of any file with debug information.
            !(what.is_met_by(format, kind, features) || *what == ArtifactKind::Breakpad && symcache)
        });
        unmet.fold(rest, |all, what| all.union(what.into()))
    }

    /// The words for people, in a fixed order.
    pub fn words(self) -> Vec<&'static str> {
        let has = |kinds: Self| self.0 & kinds.0 != 0;
        let words = ArtifactKind::ALL.into_iter().filter(|what| has((*what).into())).map(ArtifactKind::as_str);
        words.chain(has(Self::SYMCACHE).then_some("symcache")).collect()
    }
}

impl From<ArtifactKind> for RequestedKinds {
    fn from(what: ArtifactKind) -> Self {
        Self(ArtifactKind::ALL.iter().position(|other| *other == what).map_or(0, |bit| 1 << bit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_satisfies_the_requests_for_what_it_has() {
        let left = |kinds: RequestedKinds, format, kind, features| {
            RequestedKinds(kinds.0 & RequestedKinds::not_met_by(format, kind, features).0).words()
        };
        let debug_info = RequestedKinds::from(ArtifactKind::DebugInfo);
        let all = debug_info.union(ArtifactKind::Executable.into()).union(RequestedKinds::SYMCACHE);
        assert_eq!(all.words(), ["executable", "debuginfo", "symcache"]);
        let stripped = (Format::Elf, Kind::Executable, Features::UNWIND);
        assert_eq!(left(all, stripped.0, stripped.1, stripped.2), ["debuginfo", "symcache"]);
        assert_eq!(left(all, Format::Elf, Kind::Debug, Features::DEBUG), ["executable"]);
        assert_eq!(left(all, Format::Elf, Kind::Debug, Features::SYMTAB), ["executable", "symcache"]);
        let breakpad = RequestedKinds::from(ArtifactKind::Breakpad);
        assert!(left(breakpad, Format::Pdb, Kind::Debug, Features::DEBUG).is_empty());
        assert!(left(RequestedKinds::ANY, Format::Il2Cpp, Kind::None, Features::default()).is_empty());
    }
}
